// SPDX-License-Identifier: GPL-2.0-only
/*
 * The process of which the image sets beside this file are dumps: shared memory of every kind that the reader of images
 * must tell apart. ./make builds it, dumps it in a virtual machine and keeps the images.
 */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

static int make(const char *name, int pages)
{
	int fd = memfd_create(name, MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, pages * PAGE))
		err(1, "%s", name);
	return fd;
}

static char *map(int fd, int pages, int prot, int flags, int offset)
{
	char *p = mmap(NULL, pages * PAGE, prot, flags, fd, offset * PAGE);

	if (p == MAP_FAILED)
		err(1, "mmap");
	return p;
}

static char *map_shared(int fd, int pages)
{
	return map(fd, pages, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
}

static void fill(char *p, int page)
{
	memset(p + page * PAGE, 'a' + page % 26, PAGE);
}

static void make_lazy(void)
{
	int fd = make("lazy", 64);
	char *p = map_shared(fd, 64);

	fill(p, 0);
	fill(p, 1);
	fill(p, 10);
	fill(p, 11);
	fill(p, 63);
	map(fd, 8, PROT_READ | PROT_WRITE, MAP_SHARED, 8);
	close(fd);

	p = map(-1, 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, 0);
	fill(p, 15);

	/* not a whole number of pages, and smaller than its mapping */
	fd = make("half", 4);
	p = map_shared(fd, 4);
	fill(p, 0);
	fill(p, 1);
	if (ftruncate(fd, PAGE + 100))
		err(1, "half");
	close(fd);
}

static void make_eager(void)
{
	char path[40];
	int fd, reader;
	char *p;

	fd = make("open", 4);
	fill(map_shared(fd, 4), 0);	/* and stays open */

	fd = make("private", 4);
	fill(map_shared(fd, 4), 0);
	map(fd, 4, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	close(fd);

	fd = make("sealed", 4);
	fill(map_shared(fd, 4), 0);
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE))
		err(1, "sealed");
	close(fd);

	fd = make("locked", 4);
	p = map_shared(fd, 4);
	fill(p, 0);
	if (mlock(p, 4 * PAGE))
		err(1, "locked");
	close(fd);

	fd = make("holes", 4);
	map_shared(fd, 4);
	close(fd);

	fd = make("reader", 4);
	p = map_shared(fd, 4);
	fill(p, 0);
	munmap(p, 4 * PAGE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	reader = open(path, O_RDONLY);
	map(reader, 4, PROT_READ, MAP_SHARED, 0);
	close(reader);
	close(fd);
}

/* the only descriptor is in the queue of a socket */
static void make_in_flight(void)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int sockets[2], fd = make("flight", 4);

	fill(map_shared(fd, 4), 0);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets))
		err(1, "socketpair");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (sendmsg(sockets[0], &m, 0) != 1)
		err(1, "sendmsg");
	close(fd);
}

/* a memfd and a SysV segment whose id is the memfd's inode number: CRIU writes the content of both to one image */
static void make_segment(void)
{
	int fd = make("victim", 4), next, id;
	struct stat st;

	fill(map_shared(fd, 4), 0);
	if (fstat(fd, &st) || unshare(CLONE_NEWIPC))
		err(1, "segment");
	close(fd);
	next = open("/proc/sys/kernel/shm_next_id", O_WRONLY);
	if (dprintf(next, "%lu", (unsigned long)st.st_ino) < 0)
		err(1, "shm_next_id");
	close(next);
	id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	if (id < 0 || (ino_t)id != st.st_ino)
		err(1, "shmget");
	fill(shmat(id, NULL, 0), 0);
}

static void make_all(void)
{
	make_lazy();
	make_eager();
	make_in_flight();
	if (!fork())
		for (;;)
			pause();
	if (!fork())
		_exit(3);	/* a zombie */
	sleep(1);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: dumped all|segment READY-FILE");
	if (!strcmp(argv[1], "segment"))
		make_segment();
	else
		make_all();
	close(open(argv[2], O_CREAT | O_WRONLY, 0600));
	for (;;)
		pause();
}
