// SPDX-License-Identifier: GPL-2.0-only
/*
 * In the module's place on a machine that has none: what user/netlink/ asks of it, answered from /proc, for the tests of
 * whole commands there. It sees what root sees, is no faster than it has to be, and has no watches.
 *
 * A userfaultfd on another process is one that this process has made for it and keeps open, without having used it. Nothing
 * guards it: whoever dies leaves zeros.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/process.h"
#include "netlink/objects.h"
#include "netlink/watch.h"

struct genl {
	int unused;
};

static char reason[256] = "there is only a stand-in for the module";

struct genl *genl_open(void)
{
	if (!getenv("MEMFDCR_NO_MODULE"))
		return calloc(1, sizeof(struct genl));
	errno = ENOENT;
	return NULL;
}

void genl_close(struct genl *g)
{
	free(g);
}

unsigned int genl_version(const struct genl *g)
{
	(void)g;
	return 1;
}

const char *genl_error(void)
{
	return reason;
}

/* --- objects --- */

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

/* what the kernel calls an object in /proc; 0: it is none */
static uint32_t kind_of(const char *link, const char **name)
{
	static const struct {
		const char *link;
		uint32_t kind;
		size_t skip;	/* to the name; 0: it has none */
	} kinds[] = {
		{ "/memfd:", MEMFDCR_KIND_MEMFD, 7 },
		{ "/dev/zero (deleted)", MEMFDCR_KIND_SHARED_ANONYMOUS, 0 },
		{ "/anon_hugepage", MEMFDCR_KIND_SHARED_ANONYMOUS, 0 },
		{ "/SYSV", MEMFDCR_KIND_SYSV, 1 },
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strncmp(link, kinds[i].link, strlen(kinds[i].link))) {
			*name = kinds[i].skip ? link + kinds[i].skip : NULL;
			return kinds[i].kind;
		}
	return 0;
}

static void fill(struct object *o, const char *path, uint32_t kind, const char *name)
{
	struct statfs fs = { 0 };
	struct stat st = { 0 };
	int fd, seals;

	stat(path, &st);
	statfs(path, &fs);
	*o = (struct object){
		.id = (uint64_t)st.st_dev << 40 | st.st_ino, .dev = (uint32_t)st.st_dev, .ino = st.st_ino, .kind = kind,
		.size = (uint64_t)st.st_size, .allocated = (uint64_t)st.st_blocks * 512, .page_size = 4096,
		.mode = st.st_mode & 07777, .uid = st.st_uid, .gid = st.st_gid,
		/* a segment's namespace has it */
		.unexplained = kind == MEMFDCR_KIND_SYSV,
	};
	if (fs.f_type == HUGETLBFS_MAGIC) {
		o->hugetlb = true;
		o->page_size = (uint64_t)fs.f_bsize;
	}
	if (name) {
		o->name = must(strdup(name));
		if (strstr(o->name, " (deleted)"))
			*strstr(o->name, " (deleted)") = '\0';
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);
	if (fd >= 0)
		close(fd);
	o->has_seals = seals >= 0;
	o->seals = seals >= 0 ? (uint32_t)seals : 0;
}

/* the object that a link in /proc leads to; known: only if the snapshot has it. NULL: none */
static struct object *find(struct snapshot *s, const char *path, bool known)
{
	char link[512];
	const char *name;
	struct stat st;
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	uint32_t kind;

	if (n < 0)
		return NULL;
	link[n] = '\0';
	kind = kind_of(link, &name);
	if (!kind || stat(path, &st))
		return NULL;
	for (size_t i = 0; i < s->n_objects; i++)
		if (s->objects[i].ino == st.st_ino && s->objects[i].dev == st.st_dev)
			return &s->objects[i];
	if (known)
		return NULL;
	s->objects = must(reallocarray(s->objects, s->n_objects + 1, sizeof(*s->objects)));
	fill(&s->objects[s->n_objects], path, kind, name);
	return &s->objects[s->n_objects++];
}

static void add_holder(struct snapshot *s, const struct object *o, struct holder h)
{
	h.object = o->id;
	h.file_id = 1;
	s->holders = must(reallocarray(s->holders, s->n_holders + 1, sizeof(h)));
	s->holders[s->n_holders++] = h;
}

static void look_at_descriptors(struct snapshot *s, uint32_t pid, bool outside)
{
	struct dirent *entry;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		struct object *o;

		snprintf(path, sizeof(path), "/proc/%u/fd/%s", pid, entry->d_name);
		o = find(s, path, outside);
		if (o)
			add_holder(s, o, (struct holder){ .pid = pid, .fd = (uint32_t)atoi(entry->d_name), .outside = outside });
	}
	if (dir)
		closedir(dir);
}

/* smaps has what maps has, and the flags of each mapping in a line of its own below */
static void look_at_mappings(struct snapshot *s, uint32_t pid, bool outside)
{
	struct holder h = { 0 };
	char path[96], line[1024], mode[5];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%u/smaps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		struct holder head = { 0 };
		struct object *o;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " ", &head.start, &head.end, mode, &head.offset) == 4) {
			h = head;
			continue;
		}
		if (strncmp(line, "VmFlags:", 8))
			continue;
		snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, pid, h.start, h.end);
		o = find(s, path, outside);
		if (!o)
			continue;
		h.pid = pid;
		h.outside = outside;
		h.is_mapping = true;
		h.prot = (mode[0] == 'r' ? PROT_READ : 0) | (mode[1] == 'w' ? PROT_WRITE : 0);
		h.shared = mode[3] == 's';
		h.locked = strstr(line, " lo ");
		h.may_write = strstr(line, " mw ");
		h.has_uffd = strstr(line, " um ");
		h.uffd_modes = h.has_uffd ? UFFDIO_REGISTER_MODE_MISSING : 0;
		add_holder(s, o, h);
	}
	if (f)
		fclose(f);
}

static bool has(const struct process_list *tree, pid_t pid)
{
	for (size_t i = 0; i < tree->n; i++)
		if (tree->v[i].pid == pid)
			return true;
	return false;
}

/* all who are not in the tree; whoever asks is not counted */
static void look_outside(struct snapshot *s, const struct process_list *tree)
{
	DIR *proc = must(opendir("/proc"));
	struct dirent *entry;

	while ((entry = readdir(proc))) {
		pid_t pid = isdigit(*entry->d_name) ? atoi(entry->d_name) : 0;

		if (!pid || pid == getpid() || pid == getppid() || has(tree, pid))
			continue;
		look_at_descriptors(s, (uint32_t)pid, true);
		look_at_mappings(s, (uint32_t)pid, true);
	}
	closedir(proc);
}

static int compare(const void *one, const void *other)
{
	const struct holder *a = one, *b = other;

	if (a->object != b->object)
		return a->object < b->object ? -1 : 1;
	if (a->outside != b->outside)
		return a->outside ? 1 : -1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return (int)a->is_mapping - (int)b->is_mapping;
}

static void join(struct snapshot *s, bool outside)
{
	size_t i, k;

	if (s->n_holders)
		qsort(s->holders, s->n_holders, sizeof(*s->holders), compare);
	for (i = 0; i < s->n_objects; i++) {
		struct object *o = &s->objects[i];

		for (k = 0; k < s->n_holders; k++) {
			if (s->holders[k].object != o->id)
				continue;
			if (!o->holders)
				o->holders = &s->holders[k];
			if (s->holders[k].outside && !outside) {
				o->unexplained++;
				continue;
			}
			o->n_holders++;
			o->mappings += s->holders[k].is_mapping;
			o->descriptors += !s->holders[k].is_mapping;
			o->outside_holders += s->holders[k].outside;
		}
	}
}

int genl_snapshot_take(struct genl *g, const struct scope *scope, struct snapshot *s)
{
	struct process_list tree;
	int ret = process_tree((pid_t)scope->tree, &tree);
	size_t i;

	(void)g;
	*s = (struct snapshot){ .consistent = true };
	if (ret)
		return ret;
	for (i = 0; i < tree.n; i++) {
		look_at_descriptors(s, (uint32_t)tree.v[i].pid, false);
		look_at_mappings(s, (uint32_t)tree.v[i].pid, false);
	}
	look_outside(s, &tree);
	process_list_free(&tree);
	join(s, scope->outside);
	return 0;
}

void genl_snapshot_free(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_objects; i++)
		free(s->objects[i].name);
	free(s->objects);
	free(s->holders);
	*s = (struct snapshot){ 0 };
}

int genl_object_get(struct genl *g, const struct object_ref *ref, struct object *o)
{
	(void)g;
	(void)ref;
	(void)o;
	return -EOPNOTSUPP;
}

void genl_object_free(struct object *o)
{
	(void)o;
}

/* --- extents --- */

static void add_extent(struct extents *e, uint64_t start, uint64_t end, uint32_t state)
{
	if (start == end)
		return;
	e->v = must(reallocarray(e->v, e->n + 1, sizeof(*e->v)));
	e->v[e->n++] = (struct extent){ start, end, state };
}

/* of huge pages those are there that have a byte: all that the tests need */
static void huge_extents(int fd, uint64_t size, uint64_t page, struct extents *e)
{
	char *bytes = must(malloc(page)), *zeros = must(calloc(1, page));

	for (uint64_t at = 0; at < size; at += page) {
		bool there = pread(fd, bytes, page, (off_t)at) == (ssize_t)page && memcmp(bytes, zeros, page);

		add_extent(e, at, at + page, there ? MEMFDCR_EXTENT_ALLOCATED : MEMFDCR_EXTENT_HOLE);
	}
	free(bytes);
	free(zeros);
}

static void small_extents(int fd, uint64_t size, struct extents *e)
{
	uint64_t end = (size + 4095) & ~4095ULL, at = 0;

	while (at < end) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		uint64_t stop = (uint64_t)hole >= size ? end : (uint64_t)hole;

		if (data < 0)
			data = (off_t)end, stop = end;
		add_extent(e, at, (uint64_t)data, MEMFDCR_EXTENT_HOLE);
		add_extent(e, (uint64_t)data, stop, MEMFDCR_EXTENT_ALLOCATED);
		at = stop;
	}
}

int genl_extents_get(struct genl *g, const struct object_ref *ref, struct extents *e)
{
	struct statfs fs;
	struct stat st;
	char path[48];
	int fd;

	(void)g;
	*e = (struct extents){ 0 };
	snprintf(path, sizeof(path), "/proc/self/fd/%u", ref->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) || fstatfs(fd, &fs))
		return -errno;
	if (fs.f_type == HUGETLBFS_MAGIC)
		huge_extents(fd, (uint64_t)st.st_size, (uint64_t)fs.f_bsize, e);
	else
		small_extents(fd, (uint64_t)st.st_size, e);
	close(fd);
	return 0;
}

void genl_extents_free(struct extents *e)
{
	free(e->v);
	*e = (struct extents){ 0 };
}

/* --- userfaultfds --- */

/* the one that process pid keeps for us, which it has not used: it is the last that it has made */
static int take_uffd(pid_t pid)
{
	char path[300], link[64];
	struct dirent *entry;
	int last = -1, pidfd, fd;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, entry->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		link[n < 0 ? 0 : n] = '\0';
		if (strstr(link, "[userfaultfd]") && atoi(entry->d_name) > last)
			last = atoi(entry->d_name);
	}
	if (dir)
		closedir(dir);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	fd = last < 0 || pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, last, 0);
	if (pidfd >= 0)
		close(pidfd);
	return fd;
}

int genl_uffd_open(struct genl *g, int mem_fd, unsigned int flags, bool guard, int *fd, uint64_t *id)
{
	char path[48], link[64] = "";
	int pid = 0;

	(void)g;
	(void)guard;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mem_fd);
	if (readlink(path, link, sizeof(link) - 1) < 0 || sscanf(link, "/proc/%d/mem", &pid) != 1)
		return -EBADF;
	*fd = pid == getpid() ? (int)syscall(SYS_userfaultfd, flags) : take_uffd(pid);
	*id = 0;
	if (*fd >= 0)
		return 0;
	snprintf(reason, sizeof(reason), "process %d keeps no userfaultfd for us", pid);
	return -EPERM;
}

int genl_uffd_complete(struct genl *g, int uffd)
{
	(void)g;
	(void)uffd;
	return 0;
}

int genl_uffd_processes(struct genl *g, int uffd, pid_t *pids, size_t max, size_t *n)
{
	(void)g;
	(void)uffd;
	(void)pids;
	(void)max;
	(void)n;
	return -EOPNOTSUPP;
}

/* --- watches --- */

struct watch *watch_open(watch_callback *callback, void *data)
{
	(void)callback;
	(void)data;
	errno = EOPNOTSUPP;
	return NULL;
}

void watch_close(struct watch *w)
{
	(void)w;
}

int watch_start(struct watch *w, uint32_t pid, bool tree, uint32_t limit)
{
	(void)w;
	(void)pid;
	(void)tree;
	(void)limit;
	return -EOPNOTSUPP;
}

int watch_stop(struct watch *w)
{
	(void)w;
	return -EOPNOTSUPP;
}

int watch_fd(const struct watch *w)
{
	(void)w;
	return -1;
}

int watch_read(struct watch *w)
{
	(void)w;
	return -EOPNOTSUPP;
}
