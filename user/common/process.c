// SPDX-License-Identifier: GPL-2.0-only
/* Reads /proc: children, status, stat, maps, cgroup. */
#include "common/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static FILE *proc_open(pid_t pid, const char *file)
{
	char path[NAME_MAX + 64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	return fopen(path, "re");
}

static DIR *proc_opendir(pid_t pid, const char *name)
{
	char path[NAME_MAX + 64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return opendir(path);
}

/* why not all of a file in /proc could be read: a negative errno; 0: it could, or its process has gone meanwhile */
static int read_error(FILE *f)
{
	return ferror(f) && errno != ESRCH ? -errno : 0;
}

/* the pids of a process from the outermost namespace that /proc shows to its own; their number, or a negative errno */
static int read_nspid(pid_t pid, pid_t *pids, int max)
{
	FILE *f = proc_open(pid, "status");
	char *line = NULL;
	size_t size = 0;
	int n = 0, ret;

	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (getline(&line, &size, f) >= 0) {
		char *p, *end;

		if (strncmp(line, "NSpid:", 6))
			continue;
		for (p = line + 6; n < max; p = end) {
			long v = strtol(p, &end, 10);

			if (end == p)
				break;
			pids[n++] = v;
		}
		break;
	}
	ret = read_error(f);
	free(line);
	fclose(f);
	return n ? n : ret ? ret : -ESRCH;
}

/* pid namespaces nest at most 32 deep (MAX_PID_NS_LEVEL) */
#define NSPID_MAX 33

static int append(struct process_list *list, pid_t pid, int level)
{
	pid_t pids[NSPID_MAX];
	struct process *v;
	int n = read_nspid(pid, pids, NSPID_MAX);

	if (n < 0)
		return n;
	v = reallocarray(list->v, list->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	list->v = v;
	/* a process in an outer namespace than the root's has no pid there */
	v[list->n++] = (struct process){ .pid = pid, .vpid = level < n ? pids[level] : 0 };
	return 0;
}

static int append_children(struct process_list *list, pid_t pid, int level)
{
	DIR *dir = proc_opendir(pid, "task");
	struct dirent *entry;
	int ret = 0;

	if (!dir)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (!ret && (entry = readdir(dir))) {
		char name[NAME_MAX + 16];
		FILE *f;
		int child;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "task/%s/children", entry->d_name);
		f = proc_open(pid, name);
		if (!f) {
			/* else these children would be nobody's */
			if (errno != ENOENT && errno != ESRCH)
				ret = -errno;
			continue;
		}
		while (!ret && fscanf(f, "%d", &child) == 1) {
			ret = append(list, child, level);
			if (ret == -ESRCH)
				ret = 0;
		}
		if (!ret)
			ret = read_error(f);
		fclose(f);
	}
	closedir(dir);
	return ret;
}

int process_tree(pid_t root, struct process_list *list)
{
	pid_t pids[NSPID_MAX];
	int level, ret;
	size_t i;

	*list = (struct process_list){ 0 };
	level = read_nspid(root, pids, NSPID_MAX);
	if (level < 0)
		return level;
	level--;
	ret = append(list, root, level);
	for (i = 0; !ret && i < list->n; i++)
		ret = append_children(list, list->v[i].pid, level);
	if (ret)
		process_list_free(list);
	return ret;
}

void process_list_free(struct process_list *list)
{
	free(list->v);
	*list = (struct process_list){ 0 };
}

/* field number (as proc(5) counts, from 3 on) of /proc/PID/stat; the name before may hold anything */
static int read_stat(pid_t pid, int field, unsigned long long *value)
{
	FILE *f = proc_open(pid, "stat");
	char text[2048], *p;
	size_t n;

	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	for (field -= 2; p && field; field--)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %llu", value) != 1)
		return -ESRCH;
	return 0;
}

int process_start_time(pid_t pid, unsigned long long *start)
{
	return read_stat(pid, 22, start);
}

pid_t process_parent(pid_t pid)
{
	unsigned long long parent;

	return read_stat(pid, 4, &parent) ? 0 : (pid_t)parent;
}

void process_name(pid_t pid, char *name, size_t size)
{
	FILE *f = proc_open(pid, "comm");

	if (!f || !fgets(name, size, f))
		snprintf(name, size, "?");
	name[strcspn(name, "\n")] = '\0';
	if (f)
		fclose(f);
}

pid_t process_inner_pid(pid_t pid)
{
	pid_t pids[NSPID_MAX];
	int n = read_nspid(pid, pids, NSPID_MAX);

	return n > 0 ? pids[n - 1] : 0;
}

int process_mappings(pid_t pid, struct mapping_list *list)
{
	FILE *f = proc_open(pid, "maps");
	size_t size = 0, room = 0;
	char *line = NULL;
	int ret = 0;

	*list = (struct mapping_list){ 0 };
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (getline(&line, &size, f) >= 0) {
		unsigned int major, minor;
		struct mapping m;
		char perms[5];

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &m.start, &m.end, perms,
			   &m.offset, &major, &minor, &m.ino) != 7) {
			ret = -EBADMSG;
			break;
		}
		m.shared = perms[3] == 's';
		m.dev = makedev(major, minor);
		if (list->n == room) {
			struct mapping *v;

			room = room ? 2 * room : 64;
			v = reallocarray(list->v, room, sizeof(*v));
			if (!v) {
				ret = -ENOMEM;
				break;
			}
			list->v = v;
		}
		list->v[list->n++] = m;
	}
	if (!ret && ferror(f))
		ret = -errno;
	free(line);
	fclose(f);
	if (ret)
		mapping_list_free(list);
	return ret;
}

void mapping_list_free(struct mapping_list *list)
{
	free(list->v);
	*list = (struct mapping_list){ 0 };
}

const struct mapping *mapping_at(const struct mapping_list *list, uint64_t addr)
{
	size_t low = 0, high = list->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (addr >= list->v[middle].end)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->n && addr >= list->v[low].start ? &list->v[low] : NULL;
}

/* a thread; whoever asks must not have to wait for a file server */
static int has_open(pid_t pid, pid_t tid, bool (*is)(void *data, uint64_t dev, uint64_t ino), void *data)
{
	const struct dirent *entry;
	char name[NAME_MAX + 16];
	struct statx stx;
	int ret = 0;
	DIR *dir;

	snprintf(name, sizeof(name), "task/%d/fd", (int)tid);
	dir = proc_opendir(pid, name);
	if (!dir)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	while (!ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (!statx(dirfd(dir), entry->d_name, AT_STATX_DONT_SYNC, 0, &stx))
			ret = is(data, makedev(stx.stx_dev_major, stx.stx_dev_minor), stx.stx_ino);
		else if (errno == EACCES || errno == EPERM)
			ret = -errno;
		/* else closed meanwhile, or on a file system that is in trouble */
	}
	closedir(dir);
	return ret;
}

static int has_mapped(pid_t tid, bool (*is)(void *data, uint64_t dev, uint64_t ino), void *data)
{
	struct mapping_list maps;
	int ret = process_mappings(tid, &maps);
	size_t i;

	if (ret)
		return ret == -ESRCH ? 0 : ret;
	for (i = 0; !ret && i < maps.n; i++)
		ret = is(data, maps.v[i].dev, maps.v[i].ino);
	mapping_list_free(&maps);
	return ret;
}

int process_has(pid_t pid, bool (*is)(void *data, uint64_t dev, uint64_t ino), void *data)
{
	const struct dirent *entry;
	DIR *dir = proc_opendir(pid, "task");
	int ret = 0;

	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!ret && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		/* nearly always all threads share both; not with a first one that has exited */
		if (tid && (tid == pid || syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0)))
			ret = has_open(pid, tid, is, data);
		if (tid && !ret && (tid == pid || syscall(SYS_kcmp, pid, tid, KCMP_VM, 0, 0)))
			ret = has_mapped(tid, is, data);
	}
	closedir(dir);
	return ret;
}

/* whether a comma separated list has the word */
static bool has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p;

	for (p = list; *p; p += strcspn(p, ",") + !!p[strcspn(p, ",")])
		if (!strncmp(p, word, n) && (!p[n] || p[n] == ','))
			return true;
	return false;
}

#define GROUP_PATH (PATH_MAX + 64)

/*
 * A file of the group that pid is in for a controller. Version 2 has one line "0::PATH"; version 1 one a hierarchy,
 * "N:memory:PATH" among them. Where both are mounted a controller is in one of them only: a line that names it wins.
 */
static int group_file(pid_t pid, const char *controller, const char *file, char path[GROUP_PATH])
{
	FILE *f = proc_open(pid, "cgroup");
	char *line = NULL;
	size_t size = 0;

	*path = '\0';
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (getline(&line, &size, f) >= 0) {
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = '\0';
		group[strcspn(group, "\n")] = '\0';
		if (has_word(controllers + 1, controller)) {
			snprintf(path, GROUP_PATH, "/sys/fs/cgroup/%s%s/%s", controller, group, file);
			break;
		}
		if (!controllers[1])
			snprintf(path, GROUP_PATH, "/sys/fs/cgroup%s/%s", group, file);
	}
	free(line);
	fclose(f);
	return *path ? 0 : -ENOENT;
}

/* a group of version 2 that is frozen freezes whoever joins it */
static bool is_frozen_group(pid_t pid)
{
	char path[GROUP_PATH], line[64];
	bool frozen = false;
	FILE *f;

	if (group_file(pid, "memory", "cgroup.events", path))
		return false;
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		frozen |= !strcmp(line, "frozen 1\n");
	if (f)
		fclose(f);
	return frozen;
}

int process_join_cgroup(pid_t pid)
{
	char path[GROUP_PATH];
	ssize_t n;
	int fd, ret = group_file(pid, "memory", "cgroup.procs", path);

	if (ret)
		return ret;
	if (is_frozen_group(pid))
		return -EBUSY;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, "0", 1);
	close(fd);
	return n == 1 ? 0 : -errno;
}

bool process_is_frozen(pid_t tid)
{
	char path[GROUP_PATH], state[16] = "";
	FILE *f;

	/* version 2 has no such file */
	if (group_file(tid, "freezer", "freezer.state", path))
		return false;
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(state, sizeof(state), f))
		*state = '\0';
	fclose(f);
	return !strcmp(state, "FROZEN\n");
}
