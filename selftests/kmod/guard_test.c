// SPDX-License-Identifier: GPL-2.0-only
/* Tests of guarded userfaultfds: whoever dies, a missing page is never seen as zeros. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/memfdcr.h>

#include "harness.h"
#include "process.h"
#include "request.h"

#define LONG (20000 * SLOWNESS)	/* ms: longer than anything takes, even on an emulated machine */

#define EXPECT_KILLED(pid)						\
	do {								\
		int status_ = process_end(pid, LONG);			\
									\
		EXPECT_NE(-1, status_) TH_LOG("%d is still there", pid);\
		EXPECT_TRUE(WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL) TH_LOG("status %x", status_); \
		if (status_ == -1)					\
			kill(pid, SIGKILL);				\
	} while (0)

#define EXPECT_ALIVE(pid)						\
	do {								\
		int status_ = process_end(pid, 300);			\
									\
		EXPECT_EQ(-1, status_) TH_LOG("status %x", status_);	\
	} while (0)

/*
 * A pager: opens the target that it is given, and serves some faults of it and its descendants until it is killed.
 * arg is the pid of a stopped process.
 */
static int pager(void *arg)
{
	struct pollfd fds[64] = { { .events = POLLIN } };
	struct uffd_msg msg;
	pid_t target = (long)arg;
	int n = 1;

	fds[0].fd = open_guarded(target, O_CLOEXEC | O_NONBLOCK);
	if (fds[0].fd < 0 || uffd_register(fds[0].fd, region, PAGES * PAGE))
		return 1;
	board->step = 1;
	for (;;) {
		poll(fds, n, -1);
		for (int i = 0; i < n; i++) {
			if (!fds[i].revents || read(fds[i].fd, &msg, sizeof(msg)) != sizeof(msg))
				continue;
			if (msg.event == UFFD_EVENT_FORK && n < 64)
				fds[n++] = (struct pollfd){ .fd = msg.arg.fork.ufd, .events = POLLIN };
			else if (msg.event == UFFD_EVENT_PAGEFAULT)
				uffd_fill(fds[i].fd, (void *)(unsigned long)msg.arg.pagefault.address, PAGE);
		}
	}
}

FIXTURE(guard)
{
	pid_t pid;
	int uffd;
};

FIXTURE_SETUP(guard)
{
	process_prepare();
	self->pid = 0;
	self->uffd = -1;
}

FIXTURE_TEARDOWN(guard)
{
	int status;

	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	while (waitpid(-1, &status, WNOHANG) > 0)
		;
}

/* whether a process whose parent does not wait for it has ended, at the latest after some milliseconds */
static bool is_zombie(pid_t pid, int milliseconds)
{
	char path[64], value[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	for (; milliseconds >= 0; milliseconds -= 5) {
		if (read_line(path, "State:\tZ", value, sizeof(value)))
			return true;
		usleep(5000);
	}
	return false;
}

/* starts fn, which has touched nothing yet, and opens it */
static void watch(struct __test_metadata *_metadata, FIXTURE_DATA(guard) *self, int (*fn)(void *), void *arg)
{
	self->pid = process_start(fn, arg);
	self->uffd = open_guarded(self->pid, O_CLOEXEC | O_NONBLOCK);
	ASSERT_LE(0, self->uffd);
	ASSERT_EQ(0, uffd_register(self->uffd, region, PAGES * PAGE));
}

/* steps: 1 look at page 0, 2 fork a child that follows child_step, 3 exec, 4 exit, 5 fork a child that waits */
static int stepper(void *arg)
{
	atomic_int *step = arg;

	for (;;) {
		int now = *step;

		if (now > 0) {
			if (now == 1)
				board->result = look(0);
			if (now == 2 || now == 5) {
				pid_t pid = fork();

				if (!pid && now == 2)
					return stepper(&board->child_step);
				if (!pid)
					return target_wait(NULL);
				board->child = pid;
			}
			if (now == 3) {
				*step = -now;
				execl("/bin/sleep", "sleep", "1000", NULL);
			}
			if (now == 4)
				return 0;
			*step = -now;
		}
		usleep(1000);
	}
}

TEST_F_TIMEOUT(guard, pager_killed, 600)
{
	unsigned int seed = 1;

	for (int round = 0; round < 25; round++) {
		pid_t target, server;

		/* missing again */
		ASSERT_EQ(0, madvise(region, PAGES * PAGE, MADV_REMOVE));
		board->step = 0;
		target = process_start(target_hammer, (void *)4);
		server = process_start(pager, (void *)(long)target);
		ASSERT_TRUE(wait_for(&board->step, 1, LONG));
		usleep(rand_r(&seed) % 40000);
		kill(server, SIGKILL);
		EXPECT_KILLED(target);
		EXPECT_EQ(server, waitpid(server, NULL, 0));
		ASSERT_EQ(0, board->zeros);
	}
	TH_LOG("%lu reads, none of them zeros", board->reads);
}

/* every descendant, forked at any moment of the pager's death */
TEST_F_TIMEOUT(guard, pager_of_a_tree_killed, 600)
{
	unsigned int seed = 2;

	for (int round = 0; round < 25; round++) {
		int status, ended = 0, left = LONG;
		pid_t target, server, pid;

		ASSERT_EQ(0, madvise(region, PAGES * PAGE, MADV_REMOVE));
		board->step = 0;
		target = process_start(target_fork_hammer, NULL);
		server = process_start(pager, (void *)(long)target);
		ASSERT_TRUE(wait_for(&board->step, 1, LONG));
		usleep(rand_r(&seed) % 60000);
		kill(server, SIGKILL);
		/* all of them become our children when their parents go */
		while ((pid = waitpid(-1, &status, WNOHANG)) >= 0 && left > 0) {
			if (pid == 0) {
				usleep(5000);
				left -= 5;
				continue;
			}
			EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) TH_LOG("status %x", status);
			ended++;
		}
		ASSERT_LT(0, left) TH_LOG("somebody lives on");
		EXPECT_LE(2, ended);
		ASSERT_EQ(0, board->zeros);
	}
	TH_LOG("%lu reads, none of them zeros", board->reads);
}

TEST_F(guard, closed)
{
	watch(_metadata, self, stepper, &board->step);
	board->step = 1;
	usleep(100000);
	close(self->uffd);
	EXPECT_KILLED(self->pid);
	EXPECT_EQ(0, board->zeros);
	EXPECT_EQ(1, board->step);
}

/* processes that share the memory without being threads, of which one has left to another program */
static int sharer(void *arg)
{
	char *stack = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid = clone(target_wait, stack + 16 * PAGE, CLONE_VM | SIGCHLD, NULL);

	board->child = pid;
	return stepper(&board->step);
}

TEST_F(guard, shared_address_space)
{
	watch(_metadata, self, sharer, NULL);
	for (int i = 0; i < 1000 && !board->child; i++)
		usleep(10000);
	ASSERT_LT(0, board->child);
	close(self->uffd);
	EXPECT_KILLED(self->pid);
	EXPECT_KILLED(board->child);
}

TEST_F(guard, another_reference_left)
{
	int copy;

	watch(_metadata, self, stepper, &board->step);
	copy = dup(self->uffd);
	close(self->uffd);
	EXPECT_ALIVE(self->pid);
	close(copy);
	EXPECT_KILLED(self->pid);
}

TEST_F(guard, complete)
{
	struct answer answer;
	int again;

	watch(_metadata, self, stepper, &board->step);
	ASSERT_EQ(0, uffd_fill(self->uffd, region, PAGES * PAGE));
	answer = uffd_complete(self->uffd);
	EXPECT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	close(self->uffd);
	EXPECT_ALIVE(self->pid);
	/* nothing of the old one is in the way */
	again = open_guarded(self->pid, O_NONBLOCK);
	ASSERT_LE(0, again);
	EXPECT_EQ(0, uffd_register(again, region, PAGES * PAGE));
	uffd_complete(again);
	close(again);
	board->step = 1;
	EXPECT_TRUE(wait_for(&board->step, -1, LONG));
	EXPECT_EQ(FILL, board->result);
	board->step = 4;
	EXPECT_EQ(0, process_end(self->pid, LONG));
}

TEST_F(guard, complete_refused)
{
	struct answer answer, plain;
	int mem;

	answer = uffd_complete(0);
	EXPECT_EQ(-EINVAL, answer.error);
	EXPECT_STREQ("not a guarded userfaultfd", answer.message);
	EXPECT_EQ(MEMFDCR_A_UFFD_FD, answer.bad);

	self->pid = process_start(target_wait, NULL);
	mem = open_mem(self->pid, O_RDWR);
	plain = uffd_open(mem, 0, false);
	ASSERT_EQ(0, plain.error);
	answer = uffd_complete(plain.fd);
	EXPECT_EQ(-EINVAL, answer.error);
	EXPECT_STREQ("not a guarded userfaultfd", answer.message);
}

TEST_F(guard, nothing_registered)
{
	watch(_metadata, self, stepper, &board->step);
	ASSERT_EQ(0, uffd_unregister(self->uffd, region, PAGES * PAGE));
	close(self->uffd);
	EXPECT_ALIVE(self->pid);
}

static void *touch_upper_half(void *arg)
{
	look(PAGES / 2 + 3);
	return NULL;
}

/* has a userfaultfd of its own on the upper half of the region, and still gets what it is there for at step 3 */
static int has_its_own(void *arg)
{
	unsigned char *half = region + PAGES / 2 * PAGE;
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffd_msg msg = { 0 };
	pthread_t thread;

	if (uffd < 0 || uffd_api(uffd, 0) || uffd_register(uffd, half, PAGES / 2 * PAGE))
		return 1;
	board->step = 2;
	if (!wait_for(&board->step, 3, LONG))
		return 2;
	pthread_create(&thread, NULL, touch_upper_half, NULL);
	if (uffd_read(uffd, &msg, LONG) || msg.event != UFFD_EVENT_PAGEFAULT || uffd_fill(uffd, half, PAGES / 2 * PAGE))
		return 3;
	pthread_join(thread, NULL);
	return 0;
}

/* older kernels would end the other one's */
TEST_F(guard, unregister_of_others)
{
	unsigned char *half = region + PAGES / 2 * PAGE;

	self->pid = process_start(has_its_own, NULL);
	ASSERT_TRUE(wait_for(&board->step, 2, LONG));
	self->uffd = open_guarded(self->pid, O_CLOEXEC | O_NONBLOCK);
	ASSERT_LE(0, self->uffd);
	ASSERT_EQ(0, uffd_register(self->uffd, region, PAGES / 2 * PAGE));
	EXPECT_EQ(-EINVAL, uffd_unregister(self->uffd, region, PAGES * PAGE));
	EXPECT_EQ(-EINVAL, uffd_unregister(self->uffd, half, PAGES / 2 * PAGE));
	EXPECT_EQ(0, uffd_unregister(self->uffd, region, PAGES / 2 * PAGE));
	EXPECT_EQ(-EFAULT, ioctl(self->uffd, UFFDIO_UNREGISTER, NULL) ? -errno : 0);
	board->step = 3;
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

TEST_F(guard, exec_of_target)
{
	char path[64], name[64] = "";

	watch(_metadata, self, stepper, &board->step);
	board->step = 3;
	snprintf(path, sizeof(path), "/proc/%d/status", self->pid);
	for (int i = 0; i < 1000 && strcmp(name, "sleep"); i++) {
		usleep(10000);
		read_line(path, "Name:\t", name, sizeof(name));
	}
	ASSERT_STREQ("sleep", name);
	close(self->uffd);
	EXPECT_ALIVE(self->pid);
}

TEST_F(guard, exit_of_target)
{
	watch(_metadata, self, stepper, &board->step);
	board->step = 4;
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
	EXPECT_EQ(0, close(self->uffd));
}

/* of the forked child's descriptor: what it is, and that it works */
TEST_F(guard, forked_child)
{
	char path[64], link[64] = "", parent_id[64], child_id[64];
	struct uffd_msg msg;
	int fds, child;

	watch(_metadata, self, stepper, &board->step);
	fds = count_fds();
	board->step = 2;
	ASSERT_EQ(0, uffd_read(self->uffd, &msg, LONG));
	ASSERT_EQ(UFFD_EVENT_FORK, msg.event);
	EXPECT_EQ(0, msg.reserved2);
	child = msg.arg.fork.ufd;
	EXPECT_EQ(fds + 1, count_fds());
	snprintf(path, sizeof(path), "/proc/self/fd/%d", child);
	EXPECT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_STREQ("anon_inode:[memfdcr-uffd]", link);
	EXPECT_EQ(FD_CLOEXEC, fcntl(child, F_GETFD));
	EXPECT_EQ(O_NONBLOCK, fcntl(child, F_GETFL) & O_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", child);
	ASSERT_TRUE(read_line(path, "uffd-id:\t", child_id, sizeof(child_id)));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->uffd);
	ASSERT_TRUE(read_line(path, "uffd-id:\t", parent_id, sizeof(parent_id)));
	EXPECT_STRNE(parent_id, child_id);

	ASSERT_TRUE(wait_for(&board->step, -2, LONG));
	board->child_step = 1;
	ASSERT_EQ(0, uffd_read(child, &msg, LONG));
	EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
	EXPECT_EQ(0, uffd_fill(child, region, PAGE));
	EXPECT_TRUE(wait_for(&board->child_step, -1, LONG));
	EXPECT_EQ(FILL, board->result);

	/* the child's pages and the parent's are watched separately */
	close(child);
	EXPECT_ALIVE(self->pid);
	EXPECT_TRUE(is_zombie(board->child, LONG));
	close(self->uffd);
	EXPECT_KILLED(self->pid);
}

/* dies with the event in its hand, before it could do anything about it */
static int pager_reads_and_dies(void *arg)
{
	struct uffd_msg msg;
	int uffd = open_guarded((long)arg, O_CLOEXEC);

	if (uffd < 0 || uffd_register(uffd, region, PAGES * PAGE))
		return 1;
	board->step = 2;
	if (read(uffd, &msg, sizeof(msg)) == sizeof(msg) && msg.event == UFFD_EVENT_FORK)
		kill(getpid(), SIGKILL);
	return 1;
}

TEST_F_TIMEOUT(guard, pager_dies_with_the_fork, 300)
{
	for (int round = 0; round < 15; round++) {
		pid_t server, child;

		board->step = board->child = 0;
		board->child_step = 1;	/* the child looks at a missing page as soon as it lives */
		self->pid = process_start(stepper, &board->step);
		server = process_start(pager_reads_and_dies, (void *)(long)self->pid);
		EXPECT_KILLED(server);
		EXPECT_KILLED(self->pid);
		/* if there was time for a child at all */
		while ((child = waitpid(-1, NULL, 0)) > 0)
			;
		EXPECT_EQ(0, board->zeros);
	}
	self->pid = 0;
}

/* the event was never read: the parent sits in fork() */
static int pager_never_reads(void *arg)
{
	int uffd = open_guarded((long)arg, O_CLOEXEC);

	if (uffd < 0 || uffd_register(uffd, region, PAGES * PAGE))
		return 1;
	board->step = 2;
	usleep(200000);
	return 0;
}

TEST_F(guard, fork_event_unread)
{
	pid_t server;

	board->child_step = 1;
	self->pid = process_start(stepper, &board->step);
	server = process_start(pager_never_reads, (void *)(long)self->pid);
	EXPECT_EQ(0, process_end(server, LONG));
	EXPECT_KILLED(self->pid);
	EXPECT_EQ(-1, waitpid(-1, NULL, 0));
	EXPECT_EQ(0, board->zeros);
	self->pid = 0;
}

/* the forking parent is killed by somebody else while its event is unread, and after */
TEST_F(guard, parent_killed_in_fork)
{
	struct uffd_msg msg;
	struct pollfd pfd;

	watch(_metadata, self, stepper, &board->step);
	board->step = 2;
	pfd = (struct pollfd){ .fd = self->uffd, .events = POLLIN };
	ASSERT_EQ(1, poll(&pfd, 1, LONG));
	kill(self->pid, SIGKILL);
	EXPECT_KILLED(self->pid);
	EXPECT_EQ(-EAGAIN, uffd_read(self->uffd, &msg, 100));
	EXPECT_EQ(0, close(self->uffd));
	EXPECT_EQ(-1, waitpid(-1, NULL, 0));
	self->pid = 0;
}

TEST_F(guard, grandchild)
{
	struct uffd_msg msg;
	int child, grandchild;

	watch(_metadata, self, stepper, &board->step);
	board->step = 2;
	ASSERT_EQ(0, uffd_read(self->uffd, &msg, LONG));
	child = msg.arg.fork.ufd;
	ASSERT_TRUE(wait_for(&board->step, -2, LONG));
	board->child_step = 5;
	ASSERT_EQ(0, uffd_read(child, &msg, LONG));
	ASSERT_EQ(UFFD_EVENT_FORK, msg.event);
	grandchild = msg.arg.fork.ufd;
	ASSERT_TRUE(wait_for(&board->child_step, -5, LONG));

	EXPECT_EQ(0, uffd_complete(self->uffd).error);
	EXPECT_EQ(0, uffd_complete(child).error);
	close(self->uffd);
	close(child);
	EXPECT_ALIVE(self->pid);
	EXPECT_FALSE(is_zombie(board->child, 300));
	close(grandchild);
	EXPECT_TRUE(is_zombie(board->child, LONG));
	/* its parent still answers */
	board->child_step = 4;
	EXPECT_TRUE(wait_for(&board->child_step, 4, 0));
	EXPECT_ALIVE(self->pid);
}

/* the descriptors' flags can be changed at any time, as with the kernel's own */
#define HUGE (2UL << 20)

/* asks for a huge page over memory that is mostly missing, then reads the last page of it */
static int collapse(void *memory)
{
	unsigned char *p = memory;

	while (board->step != 1)
		usleep(1000);
	/* whether the kernel refuses or pretends does not matter */
	madvise(p, HUGE, 25 /* MADV_COLLAPSE, Linux 6.1 */);
	board->result = *(volatile unsigned char *)(p + HUGE - PAGE);
	board->step = 2;
	return target_wait(NULL);
}

/* a huge page is not made out of zeros for what is missing: MADV_COLLAPSE before 6.4 would */
TEST_F(guard, no_huge_page)
{
	unsigned char *p = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffd_msg msg;

	ASSERT_NE(MAP_FAILED, p);
	/* address and offset have to be aligned alike */
	p = (void *)(((unsigned long)p + HUGE - 1) & ~(HUGE - 1));
	p = mmap(p, HUGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	self->pid = process_start(collapse, p);
	self->uffd = open_guarded(self->pid, O_CLOEXEC | O_NONBLOCK);
	ASSERT_LE(0, self->uffd);
	ASSERT_EQ(0, uffd_register(self->uffd, p, HUGE));
	ASSERT_EQ(0, uffd_fill(self->uffd, p, PAGE));
	board->result = -1;
	board->step = 1;
	ASSERT_EQ(0, uffd_read(self->uffd, &msg, LONG)) TH_LOG("no fault, page reads %d", board->result);
	EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
	EXPECT_EQ(-1, board->result);
	EXPECT_EQ(0, uffd_fill(self->uffd, p + HUGE - PAGE, PAGE));
	EXPECT_TRUE(wait_for(&board->step, 2, LONG));
	EXPECT_EQ(FILL, board->result);
}

TEST_F(guard, fcntl_nonblock)
{
	struct uffd_msg msg;
	int fl;

	watch(_metadata, self, stepper, &board->step);
	EXPECT_EQ(-1, read(self->uffd, &msg, sizeof(msg)));
	EXPECT_EQ(EAGAIN, errno);
	fl = fcntl(self->uffd, F_GETFL);
	EXPECT_EQ(0, fcntl(self->uffd, F_SETFL, fl & ~O_NONBLOCK));
	board->step = 1;
	EXPECT_EQ(sizeof(msg), read(self->uffd, &msg, sizeof(msg)));	/* waits */
	EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
	EXPECT_EQ(0, fcntl(self->uffd, F_SETFL, fl));
	EXPECT_EQ(-1, read(self->uffd, &msg, sizeof(msg)));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, uffd_fill(self->uffd, region, PAGE));
	EXPECT_TRUE(wait_for(&board->step, -1, LONG));
}

/* several messages by one read, also scattered; sizes and addresses that do not fit */
TEST_F(guard, read_sizes)
{
	struct uffd_msg msgs[8];
	struct iovec iov[2] = { { &msgs[0], sizeof(msgs[0]) }, { &msgs[1], 2 * sizeof(msgs[0]) } };
	ssize_t n = 0;

	watch(_metadata, self, target_hammer, (void *)4);
	board->step = 1;
	EXPECT_EQ(-1, read(self->uffd, msgs, sizeof(msgs[0]) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, syscall(SYS_read, self->uffd, 8, sizeof(msgs[0])));
	EXPECT_EQ(EFAULT, errno);
	for (int i = 0; i < 1000 && n < 4; i++) {
		ssize_t got = i % 2 ? readv(self->uffd, iov, 2) : read(self->uffd, msgs, sizeof(msgs));

		if (got > 0) {
			EXPECT_EQ(0, got % sizeof(msgs[0]));
			n += got / sizeof(msgs[0]);
			EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msgs[0].event);
		}
		usleep(10000);
	}
	EXPECT_EQ(4, n);	/* one of each thread */
	close(self->uffd);
	EXPECT_KILLED(self->pid);
	EXPECT_EQ(0, board->zeros);
}

/* maps its missing memory anew, where nobody watches, and looks */
static int map_anew(void *arg)
{
	while (board->step != 1)
		usleep(1000);
	if (syscall(SYS_remap_file_pages, region, 4 * PAGE, 0, 8, 0))
		return errno;
	look(0);
	return 0;
}

TEST_F(guard, remap_file_pages)
{
	watch(_metadata, self, map_anew, NULL);
	ASSERT_EQ(0, uffd_register(self->uffd, region, PAGES * PAGE));
	board->step = 1;
	EXPECT_KILLED(self->pid);
	self->pid = 0;
	EXPECT_EQ(0, board->zeros);
	EXPECT_EQ(0, board->reads);
}

/* as ever for everybody else, while others are guarded, and for the guarded when all is there */
TEST_F(guard, remap_file_pages_elsewhere)
{
	pid_t other;

	watch(_metadata, self, map_anew, NULL);
	ASSERT_EQ(0, uffd_register(self->uffd, region, PAGES * PAGE));
	other = process_start(map_anew, NULL);
	ASSERT_EQ(0, uffd_fill(self->uffd, region, PAGES * PAGE));
	ASSERT_EQ(0, uffd_complete(self->uffd).error);
	board->step = 1;
	EXPECT_EQ(0, process_end(self->pid, LONG));
	EXPECT_EQ(0, process_end(other, LONG));
	self->pid = 0;
}

TEST_HARNESS_MAIN
