// SPDX-License-Identifier: GPL-2.0-only
/* Processes to watch, their memory, and the pager's calls. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "process.h"
#include "request.h"

struct board *board;
unsigned char *region;
ino_t region_ino;

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

static void pause_ms(int milliseconds)
{
	nanosleep(&(struct timespec){ .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000L }, NULL);
}

void process_prepare(void)
{
	int fd = memfd_create("region", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || ftruncate(fd, PAGES * PAGE) || fstat(fd, &st))
		die("memfd");
	region_ino = st.st_ino;
	region = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	board = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED || board == MAP_FAILED)
		die("mmap");
	close(fd);
	/* children whose parents were killed come to us */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("PR_SET_CHILD_SUBREAPER");
}

pid_t process_start(int (*fn)(void *), void *arg)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(fn(arg));
}

int target_wait(void *arg)
{
	for (;;)
		pause();
}

unsigned char look(unsigned long n)
{
	unsigned char value = *(volatile unsigned char *)(region + n * PAGE + n % PAGE);

	if (value == 0)
		board->zeros++;
	else
		board->reads++;
	return value;
}

/* the kernel reads the page on our behalf */
static void look_through_pipe(unsigned long n, int *ends)
{
	unsigned char value = 0xff;

	if (write(ends[1], region + n * PAGE, 1) != 1 || read(ends[0], &value, 1) != 1)
		return;
	if (value == 0)
		board->zeros++;
	else
		board->reads++;
}

static void *hammer(void *arg)
{
	unsigned int seed = (unsigned long)arg ^ getpid();
	int ends[2];

	if (pipe(ends))
		die("pipe");
	for (;;) {
		unsigned long n = rand_r(&seed) % PAGES;

		if (rand_r(&seed) % 4)
			look(n);
		else
			look_through_pipe(n, ends);
	}
	return NULL;
}

int target_hammer(void *threads)
{
	pthread_t thread;
	long i;

	while (board->step < 1)
		pause_ms(1);
	for (i = 1; i < (long)threads; i++)
		if (pthread_create(&thread, NULL, hammer, (void *)i))
			die("pthread_create");
	hammer(NULL);
	return 0;
}

static void hammer_until(int n)
{
	unsigned int seed = getpid();

	while (n--)
		look(rand_r(&seed) % PAGES);
}

int target_fork_hammer(void *arg)
{
	int generation;

	while (board->step < 1)
		pause_ms(1);
	/* each process forks one that goes on in its place, and stays to hammer */
	for (generation = 0; generation < 6; generation++) {
		pid_t pid;

		hammer_until(2);
		pid = fork();
		if (pid < 0)
			die("fork");
		if (pid)
			break;
		prctl(PR_SET_PDEATHSIG, 0);
	}
	return target_hammer((void *)2);
}

int process_end(pid_t pid, int milliseconds)
{
	int status;

	for (; milliseconds >= 0; milliseconds -= 5) {
		pid_t got = waitpid(pid, &status, WNOHANG);

		if (got == pid)
			return status;
		if (got < 0)
			return -1;
		pause_ms(5);
	}
	return -1;
}

bool wait_for(atomic_int *word, int value, int milliseconds)
{
	for (; milliseconds >= 0 && *word != value; milliseconds -= 2)
		pause_ms(2);
	return *word == value;
}

uint64_t process_stat(pid_t pid, int field)
{
	char path[64], line[1024] = "", *at;
	uint64_t value = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	/* the second field is a name, which may have anything in it */
	if (fgets(line, sizeof(line), file) && (at = strrchr(line, ')'))) {
		for (int n = 2; at && n < field; n++)
			at = strchr(at + 1, ' ');
		if (at)
			value = strtoull(at, NULL, 10);
	}
	fclose(file);
	return value;
}

/* how many threads of a process sleep in that system call now */
static int threads_in(pid_t pid, long syscall)
{
	char path[320];
	struct dirent *entry;
	int threads = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		long nr = -1;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/syscall", pid, entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		/* "running", or the number and more */
		threads += fscanf(file, "%ld ", &nr) == 1 && nr == syscall;
		fclose(file);
	}
	closedir(dir);
	return threads;
}

bool process_sleeps_in(pid_t pid, int threads, long syscall, int milliseconds)
{
	for (int i = 0; i < milliseconds; i++) {
		if (threads_in(pid, syscall) >= threads)
			return true;
		pause_ms(1);
	}
	return false;
}

int open_mem(pid_t pid, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	return open(path, flags | O_CLOEXEC);
}

int uffd_api(int uffd, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	return ioctl(uffd, UFFDIO_API, &api) ? -errno : 0;
}

int uffd_register(int uffd, void *start, size_t length)
{
	struct uffdio_register r = {
		.range = { .start = (unsigned long)start, .len = length }, .mode = UFFDIO_REGISTER_MODE_MISSING
	};

	return ioctl(uffd, UFFDIO_REGISTER, &r) ? -errno : 0;
}

int uffd_unregister(int uffd, void *start, size_t length)
{
	struct uffdio_range r = { .start = (unsigned long)start, .len = length };

	return ioctl(uffd, UFFDIO_UNREGISTER, &r) ? -errno : 0;
}

int uffd_fill(int uffd, void *start, size_t length)
{
	static unsigned char page[PAGE] __attribute__((aligned(4096)));
	unsigned long at = (unsigned long)start & ~(PAGE - 1), end = at + length;
	int tries = 0;

	memset(page, FILL, PAGE);
	while (at < end) {
		struct uffdio_copy copy = { .dst = at, .src = (unsigned long)page, .len = PAGE };
		struct uffdio_range range = { .start = at, .len = PAGE };

		if (ioctl(uffd, UFFDIO_COPY, &copy)) {
			/* the memory map is changing: somebody has to read the event first */
			if (errno == EAGAIN && tries++ < 1000) {
				pause_ms(1);
				continue;
			}
			if (errno != EEXIST)
				return -errno;
			if (ioctl(uffd, UFFDIO_WAKE, &range))
				return -errno;
		}
		at += PAGE;
	}
	return 0;
}

int uffd_read(int uffd, struct uffd_msg *msg, int milliseconds)
{
	struct pollfd pfd = { .fd = uffd, .events = POLLIN };

	for (;;) {
		ssize_t n;
		int ready = poll(&pfd, 1, milliseconds);

		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready == 0)
			return -EAGAIN;
		n = read(uffd, msg, sizeof(*msg));
		if (n == sizeof(*msg))
			return 0;
		if (n >= 0)
			return -EIO;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
}

int open_guarded(pid_t pid, unsigned int flags)
{
	int mem = open_mem(pid, O_RDWR), err;
	struct answer answer;

	if (mem < 0)
		return -1;
	answer = uffd_open(mem, flags, true);
	close(mem);
	if (answer.error) {
		fprintf(stderr, "# uffd-open: %s\n", answer.message);
		errno = -answer.error;
		return -1;
	}
	err = uffd_api(answer.fd, ALL_EVENTS);
	if (err) {
		errno = -err;
		return -1;
	}
	return answer.fd;
}

int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (!dir)
		die("/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

bool read_line(const char *path, const char *key, char *value, size_t size)
{
	FILE *file = fopen(path, "r");
	char line[512];
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		line[strcspn(line, "\n")] = 0;
		snprintf(value, size, "%s", line + strlen(key));
		found = true;
	}
	if (file)
		fclose(file);
	return found;
}

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool map_ids(uid_t uid)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", uid);
	write_file("/proc/self/setgroups", "deny");
	return write_file("/proc/self/uid_map", map) && write_file("/proc/self/gid_map", map);
}
