// SPDX-License-Identifier: GPL-2.0-only
/* What list_bench compares the module with: /proc, pidfd_getfd() and kcmp(). */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kcmp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "list_bench.h"

/* how the ways differ */
struct way {
	bool by_pidfd;			/* take the descriptors; else readlink() and stat() */
	bool stat_mappings;
	int (*order)(const void *, const void *);	/* that puts descriptors of one open file together */
};

struct walk {
	struct way way;
	struct picture *picture;
	struct table table;
	dev_t devs[2];			/* of what no path leads to: with ordinary and with huge pages */
	char text[1 << 20];		/* of the file that is being read */
};

static void learn_devs(struct walk *w)
{
	struct stat st;

	for (int i = 0; i < 2; i++) {
		int fd = memfd_create("", MFD_CLOEXEC | (i ? MFD_HUGETLB : 0));

		w->devs[i] = fd >= 0 && fstat(fd, &st) == 0 ? st.st_dev : 0;
		if (fd >= 0)
			close(fd);
	}
}

static bool is_ours(const struct walk *w, dev_t dev)
{
	return dev == w->devs[0] || (dev && dev == w->devs[1]);
}

static size_t read_file(struct walk *w, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n = 1;

	if (fd < 0)
		die(path);
	while (n > 0) {
		n = read(fd, w->text + length, sizeof(w->text) - 1 - length);
		length += n > 0 ? n : 0;
	}
	close(fd);
	w->text[length] = 0;
	return length;
}

/* fills in what holds for all holders of the object; path leads to it, or fd is one of it */
static void describe(struct walk *w, struct holder *h, const char *path, int fd)
{
	struct object *o = table_find(&w->table, h->dev, h->ino);

	if (!o->ino) {
		int opened = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : fd;

		o->dev = h->dev;
		o->ino = h->ino;
		o->seals = fcntl(opened, F_GET_SEALS);
		o->huge = o->dev != w->devs[0];
		if (path)
			close(opened);
	}
	h->seals = o->seals;
	h->huge = o->huge;
}

static struct holder *add(struct walk *w, pid_t pid, int fd, dev_t dev, ino_t ino)
{
	struct holder *h = picture_add(w->picture);

	h->pid = pid;
	h->fd = fd;
	h->dev = dev;
	h->ino = ino;
	return h;
}

/* a name tells that it is worth a look; only the device tells what it is */
static bool may_be_ours(const char *name)
{
	return !strncmp(name, "/memfd:", 7) || !strncmp(name, "/dev/zero", 9) || !strncmp(name, "/SYSV", 5) ||
	       !strncmp(name, "/anon_hugepage", 14);
}

static void look_at_descriptor(struct walk *w, pid_t pid, int fd)
{
	char path[64], name[256], info[64];
	ssize_t n;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	n = readlink(path, name, sizeof(name) - 1);
	if (n < 0)
		return;
	name[n] = 0;
	if (!may_be_ours(name) || stat(path, &st) || !is_ours(w, st.st_dev))
		return;
	/* flags and position, which belong to any account of a descriptor */
	snprintf(info, sizeof(info), "/proc/%d/fdinfo/%d", pid, fd);
	read_file(w, info);
	describe(w, add(w, pid, fd, st.st_dev, st.st_ino), path, -1);
}

static void take_descriptor(struct walk *w, pid_t pid, int pidfd, int fd)
{
	int taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	struct stat st;

	if (taken < 0)
		return;
	if (fstat(taken, &st) == 0 && is_ours(w, st.st_dev))
		describe(w, add(w, pid, fd, st.st_dev, st.st_ino), NULL, taken);
	close(taken);
}

static void look_at_descriptors(struct walk *w, pid_t pid)
{
	int pidfd = w->way.by_pidfd ? syscall(SYS_pidfd_open, pid, 0) : -1;
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		die(path);
	while ((entry = readdir(dir))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		if (w->way.by_pidfd)
			take_descriptor(w, pid, pidfd, atoi(entry->d_name));
		else
			look_at_descriptor(w, pid, atoi(entry->d_name));
	}
	closedir(dir);
	if (pidfd >= 0)
		close(pidfd);
}

/* one line of /proc/PID/maps */
static void look_at_mapping(struct walk *w, pid_t pid, char *line)
{
	unsigned long start = strtoul(line, &line, 16), end = strtoul(line + 1, &line, 16), ino;
	unsigned int major, minor;
	struct holder *h;
	struct stat st;
	char path[96];
	dev_t dev;

	/* " rwxp offset dev:dev ino   name" */
	strtoul(line + 6, &line, 16);
	major = strtoul(line, &line, 16);
	minor = strtoul(line + 1, &line, 16);
	ino = strtoul(line, &line, 10);
	while (*line == ' ')
		line++;
	if (!may_be_ours(line))
		return;
	dev = makedev(major, minor);
	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", pid, start, end);
	if (w->way.stat_mappings) {
		if (stat(path, &st))
			return;
		dev = st.st_dev;
		ino = st.st_ino;
	}
	if (!is_ours(w, dev))
		return;
	h = add(w, pid, -1, dev, ino);
	h->start = start;
	h->end = end;
	describe(w, h, path, -1);
}

static void look_at_mappings(struct walk *w, pid_t pid)
{
	char path[64], *line, *end;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	read_file(w, path);
	for (line = w->text; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		look_at_mapping(w, pid, line);
	}
}

static void look_at_process(struct walk *w, pid_t pid)
{
	char path[64], *children, *at;

	look_at_descriptors(w, pid);
	look_at_mappings(w, pid);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	if (!read_file(w, path))
		return;
	children = at = strdup(w->text);
	for (pid = strtol(at, &at, 10); pid; pid = strtol(at, &at, 10))
		look_at_process(w, pid);
	free(children);
}

/* the kernel's order of open files */
static int by_file(const void *a, const void *b)
{
	const struct holder *x = *(const struct holder **)a, *y = *(const struct holder **)b;

	switch (syscall(SYS_kcmp, x->pid, y->pid, KCMP_FILE, x->fd, y->fd)) {
	case 0:
		return 0;
	case 1:
		return -1;
	case 2:
		return 1;
	default:
		die("kcmp");
	}
}

/* as CRIU does: only what is the same object can be the same file */
static int by_object_and_file(const void *a, const void *b)
{
	const struct holder *x = *(const struct holder **)a, *y = *(const struct holder **)b;

	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return by_file(a, b);
}

static void number_files(struct picture *p, int (*order)(const void *, const void *))
{
	struct holder **sorted = calloc(p->n, sizeof(*sorted));
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (p->holders[i].fd >= 0)
			sorted[n++] = &p->holders[i];
	}
	qsort(sorted, n, sizeof(*sorted), order);
	for (size_t i = 0; i < n; i++)
		sorted[i]->file = i && !order(&sorted[i - 1], &sorted[i]) ? sorted[i - 1]->file : i + 1;
	free(sorted);
	p->has_files = true;
}

static void walk(pid_t root, struct picture *p, struct way way)
{
	static struct walk w;

	memset(&w.table, 0, sizeof(w.table));
	w.way = way;
	w.picture = p;
	learn_devs(&w);
	look_at_process(&w, root);
	if (way.order)
		number_files(p, way.order);
}

void walk_proc(pid_t root, struct picture *p)
{
	walk(root, p, (struct way){ .stat_mappings = true });
}

void walk_maps(pid_t root, struct picture *p)
{
	walk(root, p, (struct way){ 0 });
}

void take_descriptors(pid_t root, struct picture *p)
{
	walk(root, p, (struct way){ .by_pidfd = true });
}

void compare_descriptors(pid_t root, struct picture *p)
{
	walk(root, p, (struct way){ .by_pidfd = true, .order = by_object_and_file });
}

void compare_all(pid_t root, struct picture *p)
{
	walk(root, p, (struct way){ .by_pidfd = true, .order = by_file });
}
