// SPDX-License-Identifier: GPL-2.0-only
/* Processes that hold exactly the shared memory that a test wants, in every way there is, and things that are none. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/io_uring.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "factory.h"

#ifndef SHM_HUGE_2MB
#define SHM_HUGE_2MB (21 << 26)
#endif
#define MAP_HUGE_TWO (21 << 26)
#define HUGE_PAGES 48
#define SYSV_KEY 0x1234abcd

static const struct {
	const char *name;
	unsigned int memfd;		/* flags of memfd_create(2) */
	size_t page;
} flavours[FLAVOURS] = {
	[PLAIN] = { "memfd", 0, PAGE },
	[SEALABLE] = { "memfd that can be sealed", MFD_ALLOW_SEALING, PAGE },
	[NOEXEC] = { "memfd that cannot be executed", MFD_NOEXEC_SEAL, PAGE },
	[HUGE_2M] = { "hugetlb memfd", MFD_HUGETLB | MFD_HUGE_2MB, HUGE_PAGE },
	[HUGE_2M_SEALABLE] = {
		"hugetlb memfd that can be sealed", MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING, HUGE_PAGE
	},
	[HUGE_1G] = { "hugetlb memfd of gigantic pages", MFD_HUGETLB | MFD_HUGE_1GB, 1UL << 30 },
	[SECRET] = { "memfd_secret", 0, PAGE },
	[ANONYMOUS] = { "shared anonymous memory", 0, PAGE },
	[DEV_ZERO] = { "/dev/zero mapped shared", 0, PAGE },
	[ANONYMOUS_HUGE] = { "shared anonymous huge pages", 0, HUGE_PAGE },
	[SYSV] = { "System V segment", 0, PAGE },
	[SYSV_HUGE] = { "System V segment of huge pages", 0, HUGE_PAGE },
};

/* a factory that did not make what was asked for must not pass for one that did */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "# factory: %s: %s\n", what, strerror(errno));
	_exit(99);
}

/* Objects. */

static bool has_huge_pages(void)
{
	char value[64];
	FILE *file;

	file = fopen("/proc/sys/vm/nr_hugepages", "w");
	if (file) {
		fprintf(file, "%d", HUGE_PAGES);
		fclose(file);
	}
	return read_line("/proc/meminfo", "HugePages_Free:", value, sizeof(value)) && atoi(value) >= HUGE_PAGES / 2;
}

size_t factory_page(enum flavour flavour)
{
	return flavours[flavour].page;
}

const char *factory_lacks(enum flavour flavour)
{
	static char why[128];
	void *map = MAP_FAILED;
	int fd = -1;

	if (flavours[flavour].page == HUGE_PAGE && !has_huge_pages())
		return "no huge pages can be had";
	if (flavour <= SECRET)
		fd = factory_fd(flavour, "", flavours[flavour].page);
	else
		map = factory_map(flavour, flavours[flavour].page);
	if (fd < 0 && map == MAP_FAILED) {
		snprintf(why, sizeof(why), "%s: %s", flavours[flavour].name, strerror(errno));
		return why;
	}
	if (fd >= 0)
		close(fd);
	else if (flavour == SYSV || flavour == SYSV_HUGE)
		shmdt(map);
	else
		munmap(map, flavours[flavour].page);
	return NULL;
}

int factory_fd(enum flavour flavour, const char *name, size_t size)
{
	int fd = flavour == SECRET ? syscall(SYS_memfd_secret, 0) :
		syscall(SYS_memfd_create, name, flavours[flavour].memfd);

	if (fd >= 0 && size && ftruncate(fd, size)) {
		int err = errno;

		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

static void *map_sysv(size_t size, int flags)
{
	/* the key is what the name is made of; it is free again when the segment is marked for removal */
	int id = shmget(SYSV_KEY, size, IPC_CREAT | IPC_EXCL | 0640 | flags);
	void *at;

	if (id < 0)
		return MAP_FAILED;
	at = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	return at;
}

void *factory_map(enum flavour flavour, size_t size)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, fd;
	void *at;

	switch (flavour) {
	case SYSV:
		return map_sysv(size, 0);
	case SYSV_HUGE:
		return map_sysv(size, SHM_HUGETLB | SHM_HUGE_2MB);
	case DEV_ZERO:
		fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
		at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		close(fd);
		return at;
	case ANONYMOUS_HUGE:
		flags |= MAP_HUGETLB | MAP_HUGE_TWO;
		break;
	default:
		break;
	}
	return mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
}

/* Descriptors. */

int factory_reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags);
}

static void open_in_all_ways(enum flavour flavour, int fd)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK | O_CLOEXEC, O_PATH,
		O_PATH | O_CLOEXEC, O_RDONLY | O_NOATIME
	};
	int copy = dup(fd);

	must(copy >= 0, "dup");
	must(dup3(fd, copy + 100, O_CLOEXEC) >= 0, "dup3");
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		int again = factory_reopen(fd, flags[i]);

		/* there is no way to a memfd_secret but its first descriptor */
		if (again < 0 && flavour == SECRET)
			continue;
		must(again >= 0, "reopen");
		if (!(flags[i] & O_PATH))
			must(lseek(again, 1000 * i + 1, SEEK_SET) >= 0, "lseek");
	}
	if (flavour != SECRET)
		must(lseek(fd, 1L << 40, SEEK_SET) >= 0 || lseek(fd, 4711, SEEK_SET) >= 0, "lseek");
}

int factory_in_flight(int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} u = { 0 };
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u)
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int ends[2];

	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	must(sendmsg(ends[0], &msg, 0) == 1, "sendmsg");
	return ends[1];
}

int factory_io_uring(int fd)
{
	struct io_uring_params params = { 0 };
	int ring = syscall(SYS_io_uring_setup, 4, &params);

	if (ring < 0)
		return -1;
	must(!syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1), "io_uring_register");
	return ring;
}

/* Mappings. */

static void *map_or_die(void *hint, size_t size, int prot, int flags, int fd, off_t offset)
{
	void *at = mmap(hint, size, prot, flags | MAP_NORESERVE, fd, offset);

	must(at != MAP_FAILED, "mmap");
	return at;
}

static void map_in_all_ways(enum flavour flavour, int fd)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC };
	size_t page = flavours[flavour].page, i;
	bool secret = flavour == SECRET;
	unsigned char *at;
	int readable;

	for (i = 0; i < sizeof(prots) / sizeof(prots[0]); i++) {
		/* nobody may execute some of them */
		if (prots[i] & PROT_EXEC && (flavour == NOEXEC || secret))
			continue;
		map_or_die(NULL, page, prots[i], MAP_SHARED, fd, 0);
		if (!secret)
			map_or_die(NULL, page, prots[i], MAP_PRIVATE, fd, i % 3 * page);
	}
	map_or_die(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, page);
	/* in three parts, the one in the middle with other rights */
	at = map_or_die(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(!mprotect(at + page, page, PROT_READ), "mprotect");
	/* two mappings side by side, the later part of the object first */
	at = map_or_die(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0);
	must(mmap(at, page, PROT_READ, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, page) == at, "mmap");
	if (page > HUGE_PAGE)
		return;		/* there are none that could be touched */
	at = map_or_die(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_LOCKED, fd, 0);
	at[0] = 1;
	/* the kernel itself cannot read it, so it cannot bring its pages in; and it is locked as it is */
	if (secret)
		return;
	at = map_or_die(NULL, 3 * page, PROT_READ, MAP_SHARED, fd, 0);
	must(!mlock(at + page, page), "mlock");
	at = map_or_die(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	at[0] = 1;		/* a page of its own */
	readable = factory_reopen(fd, O_RDONLY);
	must(readable >= 0, "reopen");
	map_or_die(NULL, page, PROT_READ, MAP_SHARED, readable, 0);
	map_or_die(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, readable, 0);
	close(readable);
}

static void change_mapping(enum flavour flavour, unsigned char *at)
{
	size_t page = flavours[flavour].page;
	bool sysv = flavour == SYSV || flavour == SYSV_HUGE;

	at[0] = 1;
	must(!mprotect(at + page, page, PROT_READ), "mprotect");
	must(!mlock(at, page), "mlock");
	/* a part of a System V segment can be unmapped, too */
	must(!munmap(at + (sysv ? 2 : 3) * page, page), "munmap");
}

/* Contents, seals and sizes. */

static void seal_in_all_ways(enum flavour flavour)
{
	static const int seals[] = {
		F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC,
		F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE,
		F_SEAL_SHRINK | F_SEAL_WRITE
	};
	size_t page = flavours[flavour].page;

	for (size_t i = 0; i < sizeof(seals) / sizeof(seals[0]); i++) {
		int fd = factory_fd(flavour, "sealed", page);

		must(fd >= 0, "memfd_create");
		/* seals that this kernel has not learnt yet, or that this flavour does not take */
		if (fcntl(fd, F_ADD_SEALS, seals[i]))
			must(errno == EINVAL || errno == EPERM, "F_ADD_SEALS");
		map_or_die(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
		/* whether that can be mapped depends on the kernel; if so, it cannot be made writable */
		mmap(NULL, page, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
	}
}

static void name_in_all_ways(enum flavour flavour)
{
	char longest[250];
	const char *const names[] = { "", "twin", "twin", longest, "new\nline", "x (deleted)", "a/b", "SYSV00000000" };

	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		must(factory_fd(flavour, names[i], 0) >= 0, "memfd_create");
}

static void size_in_all_ways(enum flavour flavour)
{
	static const size_t sizes[] = { 0, 1, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE + 100, 1UL << 40 };
	int fd;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fd = factory_fd(flavour, "sized", sizes[i]);
		must(fd >= 0, "ftruncate");
		if (sizes[i])
			must(pwrite(fd, "x", 1, sizes[i] - 1) == 1, "pwrite");
	}
	/* bytes beyond the size, bytes that were taken away again, another owner and mode */
	fd = factory_fd(flavour, "fallocated", PAGE);
	must(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE), "fallocate");
	fd = factory_fd(flavour, "punched", 8 * PAGE);
	must(!fallocate(fd, 0, 0, 8 * PAGE), "fallocate");
	must(!fallocate(fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, PAGE, 2 * PAGE), "fallocate");
	fd = factory_fd(flavour, "owned", PAGE);
	must(!fchown(fd, 1234, 5678) && (flavour == NOEXEC || !fchmod(fd, 04751)), "fchown, fchmod");
}

/* Processes and threads. */

static int stop(void)
{
	for (;;)
		raise(SIGSTOP);
	return 0;
}

pid_t factory_start(int (*fn)(void *), void *arg)
{
	pid_t pid = process_start(fn, arg);
	int status;

	if (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status))
		return pid;
	return -1;
}

void factory_end(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static int inherit(void *fd)
{
	/* what is left is the parent's open file, under the same number and under another */
	must(dup((long)fd) >= 0, "dup");
	return stop();
}

static atomic_int thread_ready;

static void *own_descriptors(void *fd)
{
	must(!unshare(CLONE_FILES), "unshare");
	must(dup((long)fd) >= 0, "dup");
	must(memfd_create("of a thread", MFD_CLOEXEC) >= 0, "memfd_create");
	thread_ready++;
	for (;;)
		pause();
	return NULL;
}

static void *shared_descriptors(void *arg)
{
	thread_ready++;
	for (;;)
		pause();
	return NULL;
}

static void start_threads(int fd)
{
	pthread_t thread;

	thread_ready = 0;
	must(!pthread_create(&thread, NULL, shared_descriptors, NULL), "pthread_create");
	must(!pthread_create(&thread, NULL, own_descriptors, (void *)(long)fd), "pthread_create");
	while (thread_ready < 2)
		usleep(1000);
}

/* What the tests start. */

static void all_with_descriptors(enum flavour flavour)
{
	size_t page = flavours[flavour].page;
	int fd = factory_fd(flavour, "main", 3 * page), other;

	must(fd >= 0, flavours[flavour].name);
	open_in_all_ways(flavour, fd);
	map_in_all_ways(flavour, fd);
	must(factory_start(inherit, (void *)(long)fd) > 0, "child");
	start_threads(fd);
	/* nothing but a mapping is left of these */
	for (int i = 0; i < 2; i++) {
		other = factory_fd(flavour, "only mapped", page);
		must(other >= 0, "memfd_create");
		map_or_die(NULL, page, PROT_READ, i && flavour != SECRET ? MAP_PRIVATE : MAP_SHARED, other, 0);
		close(other);
	}
	if (flavour != SECRET)
		name_in_all_ways(flavour);
	if (flavour == SEALABLE || flavour == NOEXEC || flavour == HUGE_2M_SEALABLE)
		seal_in_all_ways(flavour);
	if (page == PAGE && flavour != SECRET)
		size_in_all_ways(flavour);
	factory_in_flight(fd);
	factory_io_uring(fd);
}

static void all_with_mappings(enum flavour flavour)
{
	size_t page = flavours[flavour].page;
	unsigned char *at = factory_map(flavour, 4 * page);

	must(at != MAP_FAILED, flavours[flavour].name);
	change_mapping(flavour, at);
	must(factory_start(inherit, (void *)0L) > 0, "child");
	at = factory_map(flavour, page + (page == PAGE ? 100 : 0));
	must(at != MAP_FAILED, flavours[flavour].name);
	/* with a descriptor, as what restores processes makes one */
	if (flavour == ANONYMOUS) {
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)at,
			 (unsigned long)at + 2 * PAGE);
		must(open(path, O_RDWR) >= 0, path);
	}
}

int factory_all_of_flavour(void *arg)
{
	enum flavour flavour = (long)arg;

	if (flavour <= SECRET)
		all_with_descriptors(flavour);
	else
		all_with_mappings(flavour);
	return stop();
}

int factory_one_of_each(void *arg)
{
	for (int flavour = 0; flavour < FLAVOURS; flavour++) {
		if (factory_lacks(flavour))
			continue;
		if (flavour <= SECRET)
			must(factory_fd(flavour, "one", flavours[flavour].page) >= 0, flavours[flavour].name);
		else
			must(factory_map(flavour, flavours[flavour].page) != MAP_FAILED, flavours[flavour].name);
	}
	return stop();
}

static void decoy_file(const char *dir, const char *name, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0777);
	must(fd >= 0 && !ftruncate(fd, size), path);
	map_or_die(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	map_or_die(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	unlink(path);
}

/* the mount is in nobody's way any more when this is done: files alone keep it */
static void decoys_on(const char *type, const char *options, size_t size)
{
	char dir[] = "/tmp/memfdcr-decoys-XXXXXX", sub[64];

	must(mkdtemp(dir) != NULL, "mkdtemp");
	if (mount(type, dir, type, 0, options)) {
		fprintf(stderr, "# factory: no decoys on %s: %s\n", type, strerror(errno));
		rmdir(dir);
		return;
	}
	decoy_file(dir, "memfd:x", size);
	decoy_file(dir, "SYSV00000000", size);
	decoy_file(dir, "secretmem", size);
	decoy_file(dir, "anon_hugepage", size);
	snprintf(sub, sizeof(sub), "%s/dev", dir);
	must(!mkdir(sub, 0755), sub);
	decoy_file(sub, "zero", size);
	must(!umount2(dir, MNT_DETACH), "umount");
	rmdir(dir);
}

static void decoy_huge_private(void)
{
	unsigned char *at = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_TWO, -1, 0);

	if (at == MAP_FAILED)
		fprintf(stderr, "# factory: no private huge page\n");
	else
		at[0] = 1;
}

int factory_decoys(void *arg)
{
	int fd;

	decoys_on("tmpfs", "size=4m", PAGE);
	decoys_on("ramfs", "", PAGE);
	if (has_huge_pages()) {
		decoys_on("hugetlbfs", "pagesize=2M", HUGE_PAGE);
		decoy_huge_private();
	}
	decoy_file("/dev/shm", "memfd:y", PAGE);
	fd = open("/dev/zero", O_RDWR);
	must(fd >= 0, "/dev/zero");
	map_or_die(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	map_or_die(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = open("/proc/self/exe", O_RDONLY);
	must(fd >= 0, "/proc/self/exe");
	map_or_die(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	return stop();
}

/* Swap space. */

static char swap_file[] = "/var/tmp/selftests-swap";

/* what mkswap(8) writes */
static bool write_swap_header(int fd, size_t size)
{
	struct {
		char boot[1024];
		uint32_t version, last_page, bad_pages;
		char rest[PAGE - 1024 - 12 - 10];
		char magic[10];
	} __attribute__((packed)) header = { .version = 1, .last_page = size / PAGE - 1 };

	memcpy(header.magic, "SWAPSPACE2", sizeof(header.magic));
	return pwrite(fd, &header, sizeof(header), 0) == sizeof(header);
}

const char *factory_swap_on(size_t size)
{
	int fd = open(swap_file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static const char zeros[1 << 16];
	size_t at;

	if (fd < 0)
		return "no file for swap space can be made";
	for (at = 0; at < size; at += sizeof(zeros))
		if (write(fd, zeros, sizeof(zeros)) != sizeof(zeros))
			break;
	if (at < size || !write_swap_header(fd, size) || fsync(fd)) {
		close(fd);
		unlink(swap_file);
		return "no room for swap space";
	}
	close(fd);
	if (swapon(swap_file, 0)) {
		unlink(swap_file);
		return "the file cannot be used as swap space";
	}
	return NULL;
}

void factory_swap_off(void)
{
	swapoff(swap_file);
	unlink(swap_file);
}
