// SPDX-License-Identifier: GPL-2.0-only
/* The processes that list_bench looks at. */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "list_bench.h"

#define PAGE 4096UL
#define INHERITED 3			/* memfds, by all processes */
#define OWN 5				/* memfds of each process, besides a duplicate and a second open file of one */
#define TIMES 4				/* that a memfd is mapped */

static atomic_int *ready;

void die(const char *what)
{
	perror(what);
	exit(1);
}

static int make_memfd(int i)
{
	static const int seals[] = { 0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SEAL };
	char name[16];
	int fd;

	snprintf(name, sizeof(name), "memory %d", i);
	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, 16 * PAGE) || (seals[i % 4] && fcntl(fd, F_ADD_SEALS, seals[i % 4])))
		die("memfd_create");
	return fd;
}

/* a kernel without huge pages has ordinary memfds instead */
static int make_huge(int i)
{
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);

	return fd < 0 ? make_memfd(i) : fd;
}

/* all at offset 0, so that no two of them become one */
static void map(int fd, int times)
{
	while (times--) {
		/* the last of a memfd is private */
		int flags = fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : times ? MAP_SHARED : MAP_PRIVATE;

		if (mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED)
			die("mmap");
	}
}

/* those that are not memfds; the first three are there already */
static void make_others(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) ||
	    eventfd(0, EFD_CLOEXEC) < 0 || epoll_create1(EPOLL_CLOEXEC) < 0 ||
	    open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0)
		die("descriptors");
}

static void be_one(void)
{
	char path[32];
	int fd = -1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	make_others();
	for (int i = 0; i < OWN; i++) {
		fd = i < OWN - 1 ? make_memfd(i) : make_huge(i);
		if (i < OWN - 1)
			map(fd, TIMES);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (dup(fd) < 0 || open(path, O_RDONLY | O_CLOEXEC) < 0)
		die("dup");
	map(-1, MAPPINGS - (INHERITED + OWN - 1) * TIMES - 1);	/* and the page at ready */
	++*ready;
	for (;;)
		pause();
}

static void be_root(void)
{
	int null = open("/dev/null", O_RDWR), fds[INHERITED];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	close_range(3, ~0U, 0);
	for (int i = 0; i < INHERITED; i++) {
		fds[i] = make_memfd(i);
		map(fds[i], TIMES);
	}
	for (int i = 0; i < PROCESSES - 1; i++) {
		if (fork() == 0)
			be_one();
	}
	/* one of the processes itself */
	be_one();
}

pid_t scene_start(void)
{
	pid_t pid;

	/* one page that is mapped in all of them */
	ready = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ready == MAP_FAILED)
		die("mmap");
	pid = fork();
	if (pid == 0)
		be_root();
	while (*ready < PROCESSES)
		usleep(1000);
	return pid;
}

void scene_end(pid_t root)
{
	kill(root, SIGKILL);
	waitpid(root, NULL, 0);
}
