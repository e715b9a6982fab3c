// SPDX-License-Identifier: GPL-2.0-only
/* What /proc and the system calls say of the objects that processes hold: the module must say the same. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "walk.h"
#include "factory.h"

#define DELETED " (deleted)"

/*
 * No path leads to the kernel's own mounts, where the objects are: names can be had anywhere, these device numbers
 * nowhere else.
 */
static struct {
	dev_t dev;
	bool secret;
} own[8];
static int n_own;

static void learn(int fd, bool secret)
{
	struct stat st;

	if (fd < 0)
		return;
	if (!fstat(fd, &st)) {
		own[n_own].dev = st.st_dev;
		own[n_own++].secret = secret;
	}
	close(fd);
}

static void learn_devices(void)
{
	if (n_own)
		return;
	learn(memfd_create("walk", MFD_CLOEXEC), false);
	learn(memfd_create("walk", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB), false);
	learn(memfd_create("walk", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_1GB), false);
	learn(syscall(SYS_memfd_secret, O_CLOEXEC), true);
}

static int own_device(dev_t dev)
{
	learn_devices();
	for (int i = 0; i < n_own; i++)
		if (own[i].dev == dev)
			return i;
	return -1;
}

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* link: as readlink(2) has it, of a file on one of those mounts */
static bool read_name(char *link, struct object *object)
{
	size_t length = strlen(link);

	if (length > strlen(DELETED) && !strcmp(link + length - strlen(DELETED), DELETED))
		link[length - strlen(DELETED)] = 0;
	if (starts(link, "/memfd:")) {
		object->kind = MEMFDCR_KIND_MEMFD;
		link += strlen("/memfd:");
	} else if (starts(link, "/SYSV")) {
		object->kind = MEMFDCR_KIND_SYSV;
		link++;
	} else if (!strcmp(link, "/dev/zero") || !strcmp(link, "/anon_hugepage")) {
		object->kind = MEMFDCR_KIND_SHARED_ANONYMOUS;
		return true;
	} else {
		return false;
	}
	object->has |= HAS(OBJECT_NAME);
	snprintf(object->name, sizeof(object->name), "%.255s", link);
	return true;
}

static void read_stat(const struct stat *st, struct object *object)
{
	object->dev = st->st_dev;
	object->ino = st->st_ino;
	object->size = st->st_size;
	object->allocated = st->st_blocks * 512;
	object->mode = st->st_mode & 07777;
	object->uid = st->st_uid;
	object->gid = st->st_gid;
	object->page_size = PAGE;
	object->has |= HAS(OBJECT_KIND) | HAS(OBJECT_DEV) | HAS(OBJECT_INO) | HAS(OBJECT_GENERATION) |
		HAS(OBJECT_SIZE) | HAS(OBJECT_ALLOCATED) | HAS(OBJECT_SWAPPED) | HAS(OBJECT_PAGE_SIZE) |
		HAS(OBJECT_MODE) | HAS(OBJECT_UID) | HAS(OBJECT_GID);
	if (!(st->st_mode & 0111))
		object->has |= HAS(OBJECT_NOEXEC);
}

static void read_seals(const char *path, struct object *object)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int seals = fd < 0 ? -1 : fcntl(fd, F_GET_SEALS);

	if (fd >= 0)
		close(fd);
	if (seals < 0)
		return;
	object->seals = seals;
	object->has |= HAS(OBJECT_SEALS);
	if (!(seals & F_SEAL_SEAL))
		object->has |= HAS(OBJECT_SEALING_ALLOWED);
}

/* shmem's file handles begin with it */
bool walk_generation(const char *path, uint32_t *generation)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle.handle_bytes = MAX_HANDLE_SZ };
	int mount;

	*generation = 0;
	if (name_to_handle_at(AT_FDCWD, path, &u.handle, &mount, AT_SYMLINK_FOLLOW) || u.handle.handle_bytes != 12)
		return false;
	memcpy(generation, u.handle.f_handle, sizeof(*generation));
	return true;
}

bool walk_object(const char *path, struct object *object)
{
	char link[PATH_MAX] = "";
	struct statfs fs;
	struct stat st;
	int device;

	*object = (struct object){ 0 };
	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return false;
	device = own_device(st.st_dev);
	if (device < 0 || readlink(path, link, sizeof(link) - 1) < 0 || statfs(path, &fs))
		return false;
	read_stat(&st, object);
	if (own[device].secret)
		object->kind = MEMFDCR_KIND_SECRET;
	else if (!read_name(link, object))
		return false;
	read_seals(path, object);
	if (fs.f_type == HUGETLBFS_MAGIC) {
		object->page_size = fs.f_bsize;
		object->has |= HAS(OBJECT_HUGETLB);
	} else if (!own[device].secret) {
		walk_generation(path, &object->generation);
	}
	return true;
}

/* the object behind path is in held, and counted there; false: it is none */
static bool note(struct held *held, const char *path, bool mapping, struct holder *holder)
{
	struct object object, *known;

	if (!walk_object(path, &object))
		return false;
	known = held_object(held, object.dev, object.ino, object.generation);
	if (!known) {
		known = held_new_object(held);
		*known = object;
		known->has |= HAS(OBJECT_DESCRIPTORS) | HAS(OBJECT_MAPPINGS);
	}
	if (mapping)
		known->mappings++;
	else
		known->descriptors++;
	holder->dev = object.dev;
	holder->ino = object.ino;
	holder->generation = object.generation;
	holder->has |= HAS(HOLDER_DEV) | HAS(HOLDER_INO) | HAS(HOLDER_GENERATION);
	return true;
}

/* Descriptors. */

static void read_fdinfo(const char *path, struct holder *holder)
{
	FILE *file = fopen(path, "r");
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		unsigned long long value;

		if (sscanf(line, "pos: %llu", &value) == 1)
			holder->position = value;
		if (sscanf(line, "flags: %llo", &value) == 1) {
			holder->flags = value & ~O_CLOEXEC;
			if (value & O_CLOEXEC)
				holder->has |= HAS(HOLDER_CLOEXEC);
		}
	}
	if (file)
		fclose(file);
	holder->has |= HAS(HOLDER_FLAGS) | HAS(HOLDER_POSITION);
}

static void walk_descriptors(struct held *held, pid_t pid, pid_t tid)
{
	char path[128];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/fd", pid, tid);
	dir = opendir(path);
	for (struct dirent *d; dir && (d = readdir(dir));) {
		struct holder holder = { .pid = pid, .fd = atoi(d->d_name) };

		snprintf(path, sizeof(path), "/proc/%d/task/%d/fd/%u", pid, tid, holder.fd);
		if (d->d_name[0] == '.' || !note(held, path, false, &holder))
			continue;
		holder.has |= HAS(HOLDER_PID) | HAS(HOLDER_FD);
		if (tid != pid) {
			holder.tid = tid;
			holder.has |= HAS(HOLDER_TID);
		}
		snprintf(path, sizeof(path), "/proc/%d/task/%d/fdinfo/%u", pid, tid, holder.fd);
		read_fdinfo(path, &holder);
		*held_new_holder(held) = holder;
	}
	if (dir)
		closedir(dir);
}

/* Mappings. */

static bool read_header(const char *line, struct holder *holder, dev_t *dev)
{
	unsigned long start, end, offset, ino;
	unsigned int major, minor;
	char perms[5];

	if (sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, perms, &offset, &major, &minor, &ino) != 7)
		return false;
	*holder = (struct holder){
		.has = HAS(HOLDER_PID) | HAS(HOLDER_START) | HAS(HOLDER_END) | HAS(HOLDER_OFFSET) | HAS(HOLDER_PROT),
		.start = start, .end = end, .offset = offset,
		.prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0) |
			(perms[2] == 'x' ? PROT_EXEC : 0),
	};
	if (perms[3] == 's')
		holder->has |= HAS(HOLDER_SHARED);
	*dev = makedev(major, minor);
	return true;
}

static void read_vm_flags(const char *flags, struct holder *holder)
{
	static const struct {
		const char *flag;
		uint64_t has;
		uint32_t mode;
	} known[] = {
		{ "lo", HAS(HOLDER_LOCKED) }, { "mw", HAS(HOLDER_MAY_WRITE) },
		{ "um", HAS(HOLDER_UFFD_MODES), UFFDIO_REGISTER_MODE_MISSING },
		{ "uw", HAS(HOLDER_UFFD_MODES), UFFDIO_REGISTER_MODE_WP },
		{ "ui", HAS(HOLDER_UFFD_MODES), UFFDIO_REGISTER_MODE_MINOR },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char word[5];

		snprintf(word, sizeof(word), " %s ", known[i].flag);
		if (!strstr(flags, word))
			continue;
		holder->has |= known[i].has;
		holder->uffd_modes |= known[i].mode;
	}
}

/* the private memory of MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB has a file, too, which is nobody else's */
static bool is_private_memory(const char *path, const struct holder *holder)
{
	char link[PATH_MAX] = "";

	return !(holder->has & HAS(HOLDER_SHARED)) && readlink(path, link, sizeof(link) - 1) > 0 &&
		starts(link, "/anon_hugepage");
}

static void walk_mappings(struct held *held, pid_t pid)
{
	struct holder holder = { 0 };
	char path[128], line[PATH_MAX + 256];
	dev_t dev = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (read_header(line, &holder, &dev) || !starts(line, "VmFlags:") || own_device(dev) < 0)
			continue;
		holder.pid = pid;
		read_vm_flags(line + strlen("VmFlags:"), &holder);
		snprintf(path, sizeof(path), "/proc/%d/map_files/%llx-%llx", pid, (long long)holder.start,
			 (long long)holder.end);
		if (!is_private_memory(path, &holder) && note(held, path, true, &holder))
			*held_new_holder(held) = holder;
	}
	if (file)
		fclose(file);
}

/* Processes. */

/* calls fn for each number that names an entry of a directory, in no order */
static void each_number(const char *path, void (*fn)(pid_t number, void *arg), void *arg)
{
	DIR *dir = opendir(path);

	for (struct dirent *d; dir && (d = readdir(dir));)
		if (d->d_name[0] >= '1' && d->d_name[0] <= '9')
			fn(atoi(d->d_name), arg);
	if (dir)
		closedir(dir);
}

struct walk {
	struct held *held;
	pid_t pid;
};

static void walk_thread(pid_t tid, void *arg)
{
	struct walk *walk = arg;

	if (tid == walk->pid || syscall(SYS_kcmp, walk->pid, tid, KCMP_FILES, 0, 0) != 0)
		walk_descriptors(walk->held, walk->pid, tid);
}

void walk_process(struct held *held, pid_t pid)
{
	struct walk walk = { held, pid };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	each_number(path, walk_thread, &walk);
	walk_mappings(held, pid);
}

static void walk_children(pid_t tid, void *arg)
{
	struct walk *walk = arg;
	char path[64];
	FILE *file;
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", walk->pid, tid);
	file = fopen(path, "r");
	while (file && fscanf(file, "%d", &child) == 1)
		walk_tree(walk->held, child);
	if (file)
		fclose(file);
}

void walk_tree(struct held *held, pid_t pid)
{
	struct walk walk = { held, pid };
	char path[64];

	walk_process(held, pid);
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	each_number(path, walk_children, &walk);
}

static void walk_one(pid_t pid, void *held)
{
	walk_process(held, pid);
}

void walk_all(struct held *held)
{
	each_number("/proc", walk_one, held);
}

struct pids {
	pid_t *pids;
	size_t n, max;
};

static void note_pid(pid_t pid, void *arg)
{
	struct pids *list = arg;

	if (list->n < list->max)
		list->pids[list->n++] = pid;
}

size_t walk_pids(pid_t *pids, size_t max)
{
	struct pids list = { pids, 0, max };

	each_number("/proc", note_pid, &list);
	return list.n;
}
