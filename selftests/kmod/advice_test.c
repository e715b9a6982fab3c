// SPDX-License-Identifier: GPL-2.0-only
/* Tests of what a guarded userfaultfd says of UFFD_EVENT_REMOVE: which madvise() was it? */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/memfdcr.h>

#include "harness.h"
#include "process.h"
#include "request.h"
#include "ring.h"

#define LONG (20000 * SLOWNESS)	/* ms */

FIXTURE(advice)
{
	pid_t pid;
	int uffd;
};

FIXTURE_SETUP(advice)
{
	process_prepare();
	self->pid = 0;
}

FIXTURE_TEARDOWN(advice)
{
	if (self->pid > 0) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
}

static void watch(struct __test_metadata *_metadata, FIXTURE_DATA(advice) *self, int (*fn)(void *), void *arg,
		  void *start, size_t length)
{
	self->pid = process_start(fn, arg);
	self->uffd = open_guarded(self->pid, O_CLOEXEC | O_NONBLOCK);
	ASSERT_LE(0, self->uffd);
	ASSERT_EQ(0, uffd_register(self->uffd, start, length));
	board->step = 1;
}

static void wait_start(void)
{
	while (board->step != 1)
		usleep(1000);
}

/* the next event must be this one */
#define EXPECT_REMOVE(uffd, from, pages, advice)						\
	do {											\
		struct uffd_msg msg_ = { 0 };							\
												\
		ASSERT_EQ(0, uffd_read(uffd, &msg_, LONG));					\
		EXPECT_EQ(UFFD_EVENT_REMOVE, msg_.event);					\
		EXPECT_EQ((unsigned long)region + (from) * PAGE, msg_.arg.remove.start);	\
		EXPECT_EQ((unsigned long)region + ((from) + (pages)) * PAGE, msg_.arg.remove.end); \
		EXPECT_EQ(advice, msg_.reserved2);						\
		/* which file, and where in it */						\
		EXPECT_EQ((__u32)region_ino, msg_.reserved3);					\
		EXPECT_EQ((from) * PAGE, msg_.arg.reserved.reserved3);				\
	} while (0)

/* the same range comes twice, so in between the first one's reader has to be through */
static int each_advice(void *arg)
{
	wait_start();
	return madvise(region, PAGE, MADV_DONTNEED) ||
	       madvise(region + PAGE, 2 * PAGE, MADV_REMOVE) ||
	       madvise(region, 4 * PAGE, MADV_DONTNEED) ||
	       !wait_for(&board->step, 2, LONG) ||
	       madvise(region, 4 * PAGE, MADV_REMOVE);
}

TEST_F(advice, told_apart)
{
	watch(_metadata, self, each_advice, NULL, region, PAGES * PAGE);
	EXPECT_REMOVE(self->uffd, 0, 1, MADV_DONTNEED);
	EXPECT_REMOVE(self->uffd, 1, 2, MADV_REMOVE);
	EXPECT_REMOVE(self->uffd, 0, 4, MADV_DONTNEED);
	board->step = 2;
	EXPECT_REMOVE(self->uffd, 0, 4, MADV_REMOVE);
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

/* Moves the mapping where nobody has been told of it, and is gone when the message about it is looked at. */
static int remove_elsewhere(void *to)
{
	wait_start();
	if (mremap(region + 10 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		return 1;
	return madvise((char *)to + PAGE, 2 * PAGE, MADV_REMOVE);
}

TEST_F(advice, names_the_file)
{
	char *to = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffd_msg msg = { 0 };

	watch(_metadata, self, remove_elsewhere, to, region, PAGES * PAGE);
	/* moving tells of what was moved and of what is no longer there */
	do {
		ASSERT_EQ(0, uffd_read(self->uffd, &msg, LONG));
		if (msg.event != UFFD_EVENT_REMOVE)
			EXPECT_EQ(0, msg.reserved3);
	} while (msg.event == UFFD_EVENT_REMAP || msg.event == UFFD_EVENT_UNMAP);
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
	EXPECT_EQ(UFFD_EVENT_REMOVE, msg.event);
	EXPECT_EQ((unsigned long)to + PAGE, msg.arg.remove.start);
	EXPECT_EQ((unsigned long)to + 3 * PAGE, msg.arg.remove.end);
	EXPECT_EQ(MADV_REMOVE, msg.reserved2);
	EXPECT_EQ((__u32)region_ino, msg.reserved3);
	EXPECT_EQ(11 * PAGE, msg.arg.reserved.reserved3);
}

/* the kernel's own userfaultfd says nothing */
TEST_F(advice, plain_says_nothing)
{
	struct uffd_msg msg = { 0 };
	struct answer answer;
	int mem;

	self->pid = process_start(each_advice, NULL);
	mem = open_mem(self->pid, O_RDWR);
	answer = uffd_open(mem, O_NONBLOCK, false);
	ASSERT_EQ(0, answer.error);
	ASSERT_EQ(0, uffd_api(answer.fd, ALL_EVENTS));
	ASSERT_EQ(0, uffd_register(answer.fd, region, PAGES * PAGE));
	board->step = 1;
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, uffd_read(answer.fd, &msg, LONG));
		EXPECT_EQ(0, msg.reserved2);
		if (i == 2)
			board->step = 2;
	}
}

/* a MADV_DONTNEED that overlaps a MADV_REMOVE under way is not taken for one */
static void *remove_early(void *arg)
{
	madvise(region, 4 * PAGE, MADV_REMOVE);
	return NULL;
}

static int overlapping(void *arg)
{
	pthread_t thread;

	wait_start();
	pthread_create(&thread, NULL, remove_early, NULL);
	if (!process_sleeps_in(getpid(), 1, SYS_madvise, LONG))
		return 1;
	madvise(region + 2 * PAGE, 4 * PAGE, MADV_DONTNEED);
	pthread_join(thread, NULL);
	return 0;
}

TEST_F(advice, overlap)
{
	watch(_metadata, self, overlapping, NULL, region, PAGES * PAGE);
	/* both wait for their events to be read */
	ASSERT_TRUE(process_sleeps_in(self->pid, 2, SYS_madvise, LONG));
	EXPECT_REMOVE(self->uffd, 0, 4, MADV_REMOVE);
	EXPECT_REMOVE(self->uffd, 2, 4, MADV_DONTNEED);
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

/*
 * The very same range: both count as MADV_REMOVE, and afterwards nothing is left over. Afterwards is when both events
 * have been read: their threads go on a moment before the reader does.
 */
static int same_range(void *arg)
{
	pthread_t thread;

	wait_start();
	pthread_create(&thread, NULL, remove_early, NULL);
	if (!process_sleeps_in(getpid(), 1, SYS_madvise, LONG))
		return 1;
	madvise(region, 4 * PAGE, MADV_DONTNEED);
	pthread_join(thread, NULL);
	wait_for(&board->step, 2, LONG);
	return madvise(region, 4 * PAGE, MADV_DONTNEED);
}

TEST_F(advice, same_range_at_once)
{
	watch(_metadata, self, same_range, NULL, region, PAGES * PAGE);
	ASSERT_TRUE(process_sleeps_in(self->pid, 2, SYS_madvise, LONG));
	EXPECT_REMOVE(self->uffd, 0, 4, MADV_REMOVE);
	EXPECT_REMOVE(self->uffd, 0, 4, MADV_REMOVE);
	board->step = 2;
	EXPECT_REMOVE(self->uffd, 0, 4, MADV_DONTNEED);
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

/* Threads that advise pages of their own, the advice by the page's number; others that advise what nobody watches. */
#define THREADS 4
#define ROUNDS 300

static void *advise_own(void *arg)
{
	unsigned long thread = (unsigned long)arg;
	unsigned int seed = thread;

	for (int i = 0; i < ROUNDS; i++) {
		unsigned long page = thread + rand_r(&seed) % (PAGES / THREADS) * THREADS;
		int advice = page / THREADS % 2 ? MADV_REMOVE : MADV_DONTNEED;

		if (madvise(region + page * PAGE, PAGE, advice))
			board->result++;
	}
	return NULL;
}

static void *advise_unwatched(void *arg)
{
	int fd = memfd_create("unwatched", 0);
	char *p;

	if (ftruncate(fd, 16 * PAGE))
		return NULL;
	p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	while (board->step == 1) {
		madvise(p, 8 * PAGE, MADV_REMOVE);
		madvise(p, 16 * PAGE, MADV_DONTNEED);
		madvise(region, PAGES * PAGE, MADV_NORMAL);
	}
	return NULL;
}

/* in so many threads, each with its number, until all are done */
static void all_at_once(unsigned long n, void *(*fn)(void *))
{
	pthread_t threads[n];

	for (unsigned long i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, fn, (void *)i);
	for (unsigned long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

static int many_threads(void *arg)
{
	pthread_t other;

	wait_start();
	pthread_create(&other, NULL, advise_unwatched, NULL);
	all_at_once(THREADS, advise_own);
	board->step = 2;
	return 0;
}

TEST_F_TIMEOUT(advice, concurrent, 300)
{
	struct uffd_msg msg;

	watch(_metadata, self, many_threads, NULL, region, PAGES * PAGE);
	for (int i = 0; i < THREADS * ROUNDS; i++) {
		unsigned long page;

		ASSERT_EQ(0, uffd_read(self->uffd, &msg, LONG));
		ASSERT_EQ(UFFD_EVENT_REMOVE, msg.event);
		page = (msg.arg.remove.start - (unsigned long)region) / PAGE;
		ASSERT_EQ(page / THREADS % 2 ? MADV_REMOVE : MADV_DONTNEED, msg.reserved2);
	}
	EXPECT_EQ(0, process_end(self->pid, LONG));
	EXPECT_EQ(0, board->result);
	self->pid = 0;
}

/* more events on their way at once than a pager is likely to see */
#define CROWD 100

static void *advise_once(void *arg)
{
	unsigned long page = (unsigned long)arg;

	madvise(region + page * PAGE, PAGE, page % 3 ? MADV_DONTNEED : MADV_REMOVE);
	return NULL;
}

static int crowd(void *arg)
{
	wait_start();
	all_at_once(CROWD, advise_once);
	return 0;
}

TEST_F_TIMEOUT(advice, many_at_once, 120)
{
	struct uffd_msg msg;

	watch(_metadata, self, crowd, NULL, region, PAGES * PAGE);
	sleep(2);
	for (int i = 0; i < CROWD; i++) {
		unsigned long page;

		ASSERT_EQ(0, uffd_read(self->uffd, &msg, LONG));
		page = (msg.arg.remove.start - (unsigned long)region) / PAGE;
		EXPECT_EQ(page % 3 ? MADV_DONTNEED : MADV_REMOVE, msg.reserved2);
	}
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

static int by_process_madvise(void *arg)
{
	struct iovec iov = { region, 3 * PAGE };
	int pidfd = syscall(SYS_pidfd_open, getpid(), 0);

	wait_start();
	if (syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_REMOVE, 0) != 3 * PAGE)
		return errno;
	iov.iov_base = region + PAGE;
	return syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_DONTNEED, 0) == 3 * PAGE ? 0 : errno;
}

TEST_F(advice, process_madvise)
{
	struct uffd_msg msg;
	int status;

	watch(_metadata, self, by_process_madvise, NULL, region, PAGES * PAGE);
	if (uffd_read(self->uffd, &msg, 2000)) {
		status = process_end(self->pid, LONG);
		self->pid = 0;
		ASSERT_EQ(EINVAL, WEXITSTATUS(status));
		SKIP(return, "process_madvise() of this kernel takes no MADV_REMOVE");
	}
	EXPECT_EQ(MADV_REMOVE, msg.reserved2);
	EXPECT_EQ((unsigned long)region, msg.arg.remove.start);
	EXPECT_REMOVE(self->uffd, 1, 3, MADV_DONTNEED);
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

static int by_io_uring(void *arg)
{
	int err;

	wait_start();
	err = ring_madvise(region, 3 * PAGE, MADV_REMOVE);
	return err ?: ring_madvise(region + PAGE, 3 * PAGE, MADV_DONTNEED);
}

TEST_F(advice, io_uring)
{
	struct uffd_msg msg;
	int status;

	watch(_metadata, self, by_io_uring, NULL, region, PAGES * PAGE);
	if (uffd_read(self->uffd, &msg, 5000)) {
		status = process_end(self->pid, LONG);
		self->pid = 0;
		ASSERT_TRUE(WEXITSTATUS(status) == ENOSYS || WEXITSTATUS(status) == EPERM);
		SKIP(return, "no io_uring here");
	}
	EXPECT_EQ(MADV_REMOVE, msg.reserved2);
	EXPECT_REMOVE(self->uffd, 1, 3, MADV_DONTNEED);
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

#ifdef __x86_64__
#define NR_IA32_MADVISE 219

static int ia32_madvise(void *start, size_t length, int advice)
{
	int result;

	asm volatile("int $0x80" : "=a"(result)
		     : "a"(NR_IA32_MADVISE), "b"(start), "c"(length), "d"(advice)
		     : "memory", "r8", "r9", "r10", "r11");
	return -result;
}

static int by_ia32(void *low)
{
	wait_start();
	return ia32_madvise(low, 2 * PAGE, MADV_REMOVE) ?: ia32_madvise(low, PAGE, MADV_DONTNEED);
}

TEST_F(advice, ia32)
{
	int fd = memfd_create("low", 0), status;
	struct uffd_msg msg;
	char *low;

	ASSERT_EQ(0, ftruncate(fd, 4 * PAGE));
	low = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_32BIT, fd, 0);
	ASSERT_NE(MAP_FAILED, low);
	watch(_metadata, self, by_ia32, low, low, 4 * PAGE);
	if (uffd_read(self->uffd, &msg, 5000)) {
		status = process_end(self->pid, LONG);
		self->pid = 0;
		ASSERT_TRUE(WIFSIGNALED(status));
		SKIP(return, "no 32-bit system calls here");
	}
	EXPECT_EQ(MADV_REMOVE, msg.reserved2);
	EXPECT_EQ(0, uffd_read(self->uffd, &msg, LONG));
	EXPECT_EQ(MADV_DONTNEED, msg.reserved2);
	EXPECT_EQ((unsigned long)low + PAGE, msg.arg.remove.end);
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}
#endif

/* children whose very first act is advice: their userfaultfd is only just being handed over then */
#define FORKS 60

static int advising_children(void *arg)
{
	wait_start();
	for (int i = 0; i < FORKS; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(madvise(region + i * PAGE, PAGE, i % 2 ? MADV_REMOVE : MADV_DONTNEED) ? 1 : 0);
		if (pid < 0)
			return 1;
	}
	while (wait(NULL) > 0)
		;
	return 0;
}

TEST_F_TIMEOUT(advice, first_act_of_a_child, 300)
{
	struct pollfd fds[1 + FORKS];
	int n = 1, events = 0;

	watch(_metadata, self, advising_children, NULL, region, PAGES * PAGE);
	fds[0] = (struct pollfd){ .fd = self->uffd, .events = POLLIN };
	while (events < FORKS) {
		struct uffd_msg msg;

		ASSERT_LT(0, poll(fds, n, LONG));
		for (int i = 0; i < n; i++) {
			unsigned long page;

			if (!(fds[i].revents & POLLIN) || read(fds[i].fd, &msg, sizeof(msg)) != sizeof(msg))
				continue;
			if (msg.event == UFFD_EVENT_FORK) {
				fds[n++] = (struct pollfd){ .fd = msg.arg.fork.ufd, .events = POLLIN };
				continue;
			}
			if (msg.event != UFFD_EVENT_REMOVE)
				continue;
			page = (msg.arg.remove.start - (unsigned long)region) / PAGE;
			EXPECT_EQ(page % 2 ? MADV_REMOVE : MADV_DONTNEED, msg.reserved2);
			events++;
		}
	}
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
}

/* never a guess: with probes switched off for everybody, and when more events are on their way than can be noted */
#define ENABLED "/sys/kernel/debug/kprobes/enabled"

static bool enable_probes(bool enable)
{
	int fd;
	bool done;

	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	fd = open(ENABLED, O_WRONLY);
	done = fd >= 0 && write(fd, enable ? "1" : "0", 1) == 1;
	if (fd >= 0)
		close(fd);
	return done;
}

static int remove_one(void *arg)
{
	wait_start();
	return madvise(region, PAGE, MADV_REMOVE);
}

TEST_F(advice, not_known_without_probes)
{
	struct uffd_msg msg = { 0 };
	int err;

	if (!enable_probes(false))
		SKIP(return, "no " ENABLED);
	watch(_metadata, self, remove_one, NULL, region, PAGES * PAGE);
	err = uffd_read(self->uffd, &msg, LONG);
	EXPECT_TRUE(enable_probes(true));
	ASSERT_EQ(0, err);
	EXPECT_EQ(UFFD_EVENT_REMOVE, msg.event);
	EXPECT_EQ(MEMFDCR_ADVICE_UNKNOWN, msg.reserved2);
}

#define TOO_MANY 200

static void *remove_page(void *arg)
{
	madvise(region + (unsigned long)arg * PAGE, PAGE, MADV_REMOVE);
	return NULL;
}

static int too_many(void *arg)
{
	wait_start();
	all_at_once(TOO_MANY, remove_page);
	return 0;
}

TEST_F_TIMEOUT(advice, not_known_in_a_crowd, 120)
{
	int not_known = 0;

	watch(_metadata, self, too_many, NULL, region, PAGES * PAGE);
	sleep(4);		/* for all of them to be waiting */
	for (int i = 0; i < TOO_MANY; i++) {
		struct uffd_msg msg;

		ASSERT_EQ(0, uffd_read(self->uffd, &msg, LONG));
		if (msg.reserved2 == MEMFDCR_ADVICE_UNKNOWN)
			not_known++;
		else
			EXPECT_EQ(MADV_REMOVE, msg.reserved2);
	}
	EXPECT_EQ(0, process_end(self->pid, LONG));
	self->pid = 0;
	EXPECT_LT(TOO_MANY / 4, not_known);
}

TEST_HARNESS_MAIN
