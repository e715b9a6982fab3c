// SPDX-License-Identifier: GPL-2.0-only
/* Tests of watch-start, watch-stop and what they tell. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "module.h"
#include "watching.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* ---- what the watched processes do; nothing but system calls once they are watched ---- */

static int forks_and_execs(void *arg)
{
	int status;
	pid_t pid;

	at_step(1);
	pid = fork();
	if (!pid) {
		at_step(2);
		exec_self("7");
	}
	board->child = pid;
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
		return 93;
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return 3;
}

/* each unmaps its page first of all, in the arena that it has inherited */
static int family_of_unmappers(void *arg)
{
	at_step(1);
	for (unsigned long i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (!pid) {
			unmap(2 * i, 1);
			pid = fork();
			if (!pid) {
				unmap(2 * i + 1, 1);
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	return 0;
}

static int unmaps(void *fd)
{
	void *at;

	at_step(1);
	unmap(0, 2);			/* all of it */
	unmap(5, 2);			/* out of the middle of 4..8 */
	map(10, 1);			/* over it */
	madvise(PLACE(12), PAGE, MADV_DONTNEED);
	at = mmap(PLACE(16), 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, (long)fd, 0);
	if (at != PLACE(16))
		_exit(94);
	memset(at, 1, 4 * PAGE);
	if (madvise(PLACE(17), PAGE, MADV_REMOVE))
		_exit(95);
	/* these drop nothing */
	madvise(PLACE(12), PAGE, MADV_WILLNEED);
	madvise(PLACE(16), 4 * PAGE, MADV_COLD);
	madvise(PLACE(16), 4 * PAGE, 21 /* MADV_PAGEOUT */);
	mprotect(PLACE(12), PAGE, PROT_READ);
	msync(PLACE(16), PAGE, MS_SYNC);
	board->step = -1;
	while (board->step != 2)
		usleep(1000);
	munmap(PLACE(16), 4 * PAGE);
	return 0;
}

static void must_move(unsigned long from, unsigned long had, unsigned long has, int flags, void *to)
{
	if (mremap(PLACE(from), had * PAGE, has * PAGE, flags, to) == MAP_FAILED)
		_exit(96);
}

static int mremaps(void *fd)
{
	at_step(1);
	must_move(0, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(100));	/* moves */
	must_move(4, 2, 3, 0, NULL);					/* grows where it is */
	must_move(10, 2, 4, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(110));	/* both */
	must_move(20, 4, 1, 0, NULL);					/* shrinks */
	must_move(30, 2, 2, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(32));	/* over something */
	must_move(40, 0, 2, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(140));	/* once more */
	must_move(50, 2, 2, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, PLACE(150));
	must_move(60, 4, 2, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(160));	/* shrinks and moves */
	/* these fail, or do nothing */
	mremap(PLACE(70), PAGE, 2 * PAGE, 0, NULL);
	mremap(PLACE(71), PAGE, 2 * PAGE, MREMAP_MAYMOVE, NULL);
	mremap(PLACE(4) + 1, PAGE, PAGE, 0, NULL);
	mremap(PLACE(4), PAGE, PAGE, 0, NULL);
	/* where it lands, nobody knows */
	board->result = (unsigned long)mremap(PLACE(80), PAGE, 3 * PAGE, MREMAP_MAYMOVE, NULL) / PAGE;
	unmap(100, 2);
	return 0;
}

static int storm_for_ever(void *arg)
{
	at_step(1);
	for (;;) {
		pid_t pid;

		for (int i = 0; i < 100; i++) {
			map(0, 8);
			mremap(PLACE(0), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(16));
			unmap(0, 32);
		}
		pid = fork();
		if (!pid)
			exec_self("0");
		waitpid(pid, NULL, 0);
	}
	return 0;
}

/* ---- tests ---- */

FIXTURE(watch)
{
	struct reader r, r2;
	pid_t pid;
	int fd;
};

FIXTURE_SETUP(watch)
{
	self->fd = watching_begin(_metadata);
}

FIXTURE_TEARDOWN(watch)
{
	watching_end(&self->r, &self->r2, self->pid, self->fd);
}

TEST_F_TIMEOUT(watch, fork_exec_exit, 120)
{
	const struct told *t;
	uint64_t started;
	size_t at = 0;
	pid_t child;

	self->pid = process_start(forks_and_execs, NULL);
	WATCH(&self->r, OF_TREE(self->pid));
	board->step = 1;
	child = child_of_watched();
	ASSERT_LT(0, child);
	started = process_stat(child, STAT_START_TIME);
	board->step = 2;
	END_WELL(&self->r);

	t = next_of(&self->r, &at, FORK, self->pid);
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_EQ(self->pid, A(t, TID));
	EXPECT_EQ(child, A(t, CHILD));
	EXPECT_EQ(started, A(t, START_TIME));
	EXPECT_EQ(0, t->n_uffds);
	t = next_of(&self->r, &at, UNMAP, child);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(MEMFDCR_CAUSE_EXEC, A(t, CAUSE));
	EXPECT_EQ(0, A(t, START));
	t = next_of(&self->r, &at, EXEC, child);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(child, A(t, TID));
	do
		t = next_of(&self->r, &at, UNMAP, child);
	while (t && A(t, START) != (uint64_t)PLACE(1));
	EXPECT_UNMAP(t, UNMAPPED, 1, 2);
	do
		t = next_of(&self->r, &at, UNMAP, child);
	while (t && A(t, CAUSE) == MEMFDCR_CAUSE_UNMAPPED);
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_EQ(MEMFDCR_CAUSE_EXIT, A(t, CAUSE));
	t = next_of(&self->r, &at, EXIT, child);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(7, A(t, CODE));
	EXPECT_EQ(0, A(t, SIGNAL));
	EXPECT_FALSE(A(t, LAST));

	t = next_of(&self->r, &at, FORK, self->pid);
	ASSERT_NE(NULL, t);
	t = next_of(&self->r, &at, EXIT, A(t, CHILD));
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_EQ(0, A(t, CODE));
	EXPECT_EQ(SIGTERM, A(t, SIGNAL));
	t = next_of(&self->r, &at, EXIT, self->pid);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(3, A(t, CODE));
	EXPECT_TRUE(A(t, LAST));
	for (size_t i = 1; i < self->r.n; i++)
		if (A(&self->r.told[i], PID) == A(&self->r.told[i - 1], PID))
			EXPECT_LE(A(&self->r.told[i - 1], TIME), A(&self->r.told[i], TIME));
	EXPECT_LE(0, process_end(self->pid, PATIENCE));
	self->pid = 0;
}

/* what the unmappers must have been told to have done */
#define EXPECT_FAMILY() do {									\
	size_t at_ = 0;										\
	for (unsigned long i_ = 0; i_ < 100; i_++) {						\
		const struct told *child_ = next_of(&self->r, &at_, FORK, self->pid), *t_;	\
		size_t from_ = at_;								\
		ASSERT_NE(NULL, child_) TH_LOG("child %lu", i_);				\
		EXPECT_UNMAP(next_there(&self->r, &from_, A(child_, CHILD)), UNMAPPED, 2 * i_, 2 * i_ + 1); \
		t_ = next_of(&self->r, &from_, FORK, A(child_, CHILD));				\
		ASSERT_NE(NULL, t_);								\
		EXPECT_UNMAP(next_there(&self->r, &from_, A(t_, CHILD)), UNMAPPED, 2 * i_ + 1, 2 * i_ + 2); \
	}											\
} while (0)

TEST_F_TIMEOUT(watch, tree_from_the_first_instruction_on, 120)
{
	map(0, 200);
	self->pid = process_start(family_of_unmappers, NULL);
	WATCH(&self->r, OF_TREE(self->pid));
	board->step = 1;
	END_WELL(&self->r);
	EXPECT_FAMILY();
}

/* they begin with a signal pending */
TEST_F_TIMEOUT(watch, tree_that_is_traced, 120)
{
	int status;
	pid_t pid;

	map(0, 200);
	self->pid = process_start(family_of_unmappers, NULL);
	WATCH(&self->r, OF_TREE(self->pid), LIMIT(65536));
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->pid, 0, PTRACE_O_TRACEFORK));
	board->step = 1;
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		int sig = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;

		if (WIFSTOPPED(status))
			ptrace(PTRACE_CONT, pid, 0, sig == SIGTRAP || sig == SIGSTOP ? 0 : sig);
	}
	END_WELL(&self->r);
	EXPECT_FAMILY();
	self->pid = 0;
}

TEST_F_TIMEOUT(watch, single_process, 120)
{
	size_t at = 0;
	int n = 0;

	map(0, 200);
	self->pid = process_start(family_of_unmappers, NULL);
	WATCH(&self->r, OF_PID(self->pid));
	board->step = 1;
	END_WELL(&self->r);
	while (next_of(&self->r, &at, FORK, 0))
		n++;
	EXPECT_EQ(100, n);
	for (size_t i = 0; i < self->r.n; i++)
		EXPECT_EQ(self->pid, A(&self->r.told[i], PID));
	at = 0;
	EXPECT_EQ(NULL, next_there(&self->r, &at, self->pid));
}

TEST_F_TIMEOUT(watch, unmap, 120)
{
	const struct told *t;
	size_t at = 0;

	map(0, 2);
	map(4, 4);
	map(10, 1);
	map(12, 1);
	memset(PLACE(12), 1, PAGE);
	self->pid = process_start(unmaps, (void *)(long)self->fd);
	WATCH(&self->r, OF_PID(self->pid));
	board->step = 1;
	ASSERT_TRUE(wait_for(&board->step, -1, PATIENCE));
	/* somebody else drops what is mapped there */
	ASSERT_EQ(0, ftruncate(self->fd, 2 * PAGE));
	board->step = 2;
	END_WELL(&self->r);

	EXPECT_UNMAP(next_there(&self->r, &at, self->pid), UNMAPPED, 0, 2);
	EXPECT_UNMAP(next_there(&self->r, &at, self->pid), UNMAPPED, 5, 7);
	EXPECT_UNMAP(next_there(&self->r, &at, self->pid), UNMAPPED, 10, 11);
	EXPECT_UNMAP(next_there(&self->r, &at, self->pid), DROPPED, 12, 13);
	t = next_there(&self->r, &at, self->pid);
	EXPECT_UNMAP(t, DROPPED, 17, 18);
	EXPECT_EQ(self->pid, A(t, TID));
	/* truncating does it twice, before and after */
	t = next_there(&self->r, &at, self->pid);
	EXPECT_UNMAP(t, DROPPED, 18, 20);
	EXPECT_EQ(0, A(t, TID));
	do
		t = next_there(&self->r, &at, self->pid);
	while (t && A(t, CAUSE) == MEMFDCR_CAUSE_DROPPED && A(t, START) == (uint64_t)PLACE(18));
	EXPECT_UNMAP(t, UNMAPPED, 16, 20);
	EXPECT_EQ(NULL, next_there(&self->r, &at, self->pid));
}

TEST_F_TIMEOUT(watch, mremap, 120)
{
	const struct told *t;
	size_t at = 0;

	map(0, 2);
	map(4, 2);
	map(10, 2);
	map(20, 4);
	map(30, 4);
	ASSERT_EQ(PLACE(40), mmap(PLACE(40), 2 * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, self->fd, 0));
	map(50, 2);
	map(60, 4);
	map(70, 1);
	map(80, 1);
	map(81, 1);
	ASSERT_EQ(PLACE(71), mmap(PLACE(71), PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, self->fd, 0));
	unmap(71, 1);
	map(71, 1);
	self->pid = process_start(mremaps, (void *)(long)self->fd);
	WATCH(&self->r, OF_PID(self->pid));
	board->step = 1;
	END_WELL(&self->r);

#define NEXT() next_there(&self->r, &at, self->pid)
#define HOW (MREMAP_MAYMOVE | MREMAP_FIXED)
	EXPECT_MREMAP(NEXT(), 0, 2, PLACE(100), 2, HOW);
	EXPECT_MREMAP(NEXT(), 4, 2, PLACE(4), 3, 0);
	EXPECT_MREMAP(NEXT(), 10, 2, PLACE(110), 4, HOW);
	EXPECT_UNMAP(NEXT(), UNMAPPED, 21, 24);
	EXPECT_MREMAP(NEXT(), 20, 4, PLACE(20), 1, 0);
	EXPECT_UNMAP(NEXT(), UNMAPPED, 32, 34);
	EXPECT_MREMAP(NEXT(), 30, 2, PLACE(32), 2, HOW);
	EXPECT_MREMAP(NEXT(), 40, 0, PLACE(140), 2, HOW);
	EXPECT_MREMAP(NEXT(), 50, 2, PLACE(150), 2, HOW | MREMAP_DONTUNMAP);
	t = NEXT();
	/* what is cut off may come behind: what is moved does not reach there */
	if (t && t->cmd == UNMAP) {
		EXPECT_UNMAP(t, UNMAPPED, 62, 64);
		t = NEXT();
	}
	EXPECT_MREMAP(t, 60, 4, PLACE(160), 2, HOW);
	t = NEXT();
	if (t && t->cmd == UNMAP && A(t, START) == (uint64_t)PLACE(62))
		t = NEXT();
	/* of the one that may move and was not in its own way, only where it went is unknown */
	if (t && A(t, OLD) == (uint64_t)PLACE(71))
		t = NEXT();
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_EQ(MREMAP, t->cmd) print(&self->r);
	EXPECT_EQ((uint64_t)PLACE(80), A(t, OLD));
	EXPECT_EQ(PAGE, A(t, OLD_LENGTH));
	EXPECT_EQ(3 * PAGE, A(t, NEW_LENGTH));
	EXPECT_EQ((uint32_t)board->result, (uint32_t)(A(t, NEW) / PAGE));
	EXPECT_UNMAP(NEXT(), UNMAPPED, 100, 102);
	EXPECT_EQ(NULL, NEXT());
}

/* ---- order ---- */

#define ROUNDS 200
#define RACE_PAGES 32UL
#define MARKER 512UL

static pthread_barrier_t gate;
static unsigned int plans[2];

/* whatever fails, fails */
static void race_once(unsigned int *seed, bool mover)
{
	unsigned int n = rand_r(seed);
	unsigned long first = n / 8 % 12, length = 1 + n / 128 % 8;

	for (int spin = rand_r(seed) % 2000; spin; spin--)
		asm volatile("");
	if (!mover) {
		switch (n % 4) {
		case 0:
			munmap(PLACE(first), length * PAGE);
			return;
		case 1:
			munmap(PLACE(16 + first % 8), length * PAGE);
			return;
		case 2:
			mremap(PLACE(16), 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(first % 9));
			return;
		default:
			munmap(PLACE(0), 12 * PAGE);
			return;
		}
	}
	switch (n % 5) {
	case 0:
		mremap(PLACE(0), 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(16));
		return;
	case 1:
		mremap(PLACE(0), 8 * PAGE, 12 * PAGE, 0);
		return;
	case 2:
		mremap(PLACE(0), 8 * PAGE, 3 * PAGE, 0);
		return;
	case 3:
		mremap(PLACE(0), 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, PLACE(18));
		return;
	default:
		mremap(PLACE(0), 4 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(20));
		return;
	}
}

static void *race_other(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&gate);
		race_once(&plans[1], false);
		pthread_barrier_wait(&gate);
	}
	return NULL;
}

static int race(void *arg)
{
	pthread_t thread;

	plans[0] = 1;
	plans[1] = 2;
	pthread_barrier_init(&gate, NULL, 2);
	if (pthread_create(&thread, NULL, race_other, NULL))
		return 97;
	for (int n = 1; n <= ROUNDS; n++) {
		while (board->step != 2 * n - 1)
			sched_yield();
		munmap(PLACE(0), RACE_PAGES * PAGE);
		map(0, 8);
		map(16, 4);
		map(MARKER, 2);
		munmap(PLACE(MARKER), PAGE);	/* it begins */
		pthread_barrier_wait(&gate);
		race_once(&plans[0], true);
		pthread_barrier_wait(&gate);
		munmap(PLACE(MARKER + 1), PAGE);	/* it is over */
		board->step = -n;
		while (board->step == -n)
			sched_yield();
	}
	return 0;
}

/* a bit for each page of the arena's beginning that /proc/PID/maps shows */
static uint32_t seen(pid_t pid)
{
	unsigned long start, end;
	char path[64], line[512];
	uint32_t pages = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			continue;
		for (unsigned long i = 0; i < RACE_PAGES; i++)
			if ((unsigned long)PLACE(i) >= start && (unsigned long)PLACE(i) < end)
				pages |= 1U << i;
	}
	if (file)
		fclose(file);
	return pages;
}

/* the pages that a range has there; what is elsewhere does not count */
static uint32_t pages_of(uint64_t start, uint64_t length)
{
	uint32_t pages = 0;

	for (unsigned long i = 0; i < RACE_PAGES; i++)
		if ((uint64_t)PLACE(i) >= start && (uint64_t)PLACE(i) < start + length)
			pages |= 1U << i;
	return pages;
}

static uint32_t replay(uint32_t pages, const struct told *t)
{
	uint64_t old = A(t, OLD), new = A(t, NEW), old_length = A(t, OLD_LENGTH), new_length = A(t, NEW_LENGTH);
	uint32_t from, moved;
	unsigned long shift;

	if (t->cmd == UNMAP)
		return A(t, CAUSE) == MEMFDCR_CAUSE_DROPPED ? pages :
		       pages & ~pages_of(A(t, START), A(t, END) - A(t, START));
	if (t->cmd != MREMAP)
		return pages;
	from = pages & pages_of(old, old_length);
	if (old == new)
		return (pages & ~pages_of(old, old_length)) | (from & pages_of(old, new_length)) |
		       (new_length > old_length ? pages_of(old + old_length, new_length - old_length) : 0);
	if (!(A(t, FLAGS) & MREMAP_DONTUNMAP))
		pages &= ~from;
	/* of the same length: several mappings may have been moved, with what is between them */
	shift = new > old ? (new - old) / PAGE : (old - new) / PAGE;
	moved = shift > 31 ? 0 : new > old ? from << shift : from >> shift;
	return pages | (old_length == new_length ? moved : pages_of(new, new_length));
}

TEST_F_TIMEOUT(watch, order, 600)
{
	const struct told *t;
	size_t at = 0;
	int wrong = 0;

	self->pid = process_start(race, NULL);
	WATCH(&self->r, OF_PID(self->pid), LIMIT(65536));
	for (int n = 1; n <= ROUNDS; n++) {
		uint32_t have, want, initial = 0xf00ff;
		size_t began = 0, i;

		board->step = 2 * n - 1;
		for (i = 0; i < PATIENCE * 100UL && board->step != -n; i++)
			usleep(10);
		ASSERT_EQ(-n, board->step);
		want = seen(self->pid);
		/* everything until it is over */
		for (;;) {
			while (at == self->r.n)
				ASSERT_TRUE(read_some(&self->r, PATIENCE));
			t = &self->r.told[at++];
			ASSERT_NE(OVERRUN, t->cmd);
			if (t->cmd == UNMAP && A(t, START) == (uint64_t)PLACE(MARKER) && A(t, END) == A(t, START) + PAGE)
				began = at;
			if (t->cmd == UNMAP && A(t, START) == (uint64_t)PLACE(MARKER + 1))
				break;
		}
		ASSERT_NE(0, began);
		have = initial;
		for (i = began; i < at; i++)
			have = replay(have, &self->r.told[i]);
		if (have != want && wrong++ < 3) {
			struct reader some = { .told = self->r.told + began, .n = at - began };

			TH_LOG("round %d: replayed %08x, mapped %08x", n, have, want);
			print(&some);
		}
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, faults(&self->r));
}

/* ---- userfaultfds ---- */

static int forks_once(void *arg)
{
	pid_t pid;

	at_step(1);
	pid = fork();
	if (!pid) {
		at_step(2);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

TEST_F_TIMEOUT(watch, fork_with_userfaultfd, 120)
{
	struct answer answer;
	const struct told *t;
	struct uffd_msg msg;
	size_t at = 0;
	int uffd;

	self->pid = process_start(forks_once, NULL);
	uffd = uffd_of(_metadata, self->pid);
	WATCH(&self->r, OF_TREE(self->pid));
	board->step = 1;
	ASSERT_EQ(0, uffd_read(uffd, &msg, PATIENCE));
	ASSERT_EQ(UFFD_EVENT_FORK, msg.event);
	self->r2.sock = request_socket();
	answer = request(self->r2.sock, MEMFDCR_CMD_UFFD_GET, LIST({ MEMFDCR_A_UFFD_FD, 4, msg.arg.fork.ufd }));
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	board->step = 2;
	END_WELL(&self->r);
	t = next_of(&self->r, &at, FORK, self->pid);
	ASSERT_NE(NULL, t);
	ASSERT_EQ(1, t->n_uffds) print(&self->r);
	EXPECT_EQ(answer.uffd_id, t->uffds[0]);
	close(msg.arg.fork.ufd);
	close(uffd);
}

/* ---- slow readers, several, and none any more ---- */

/* reads all of a storm, told or lost, each in its place; counts what is not as it should be */
static int account_for_storm(struct reader *r, uint64_t *lost)
{
	uint64_t next = 0;
	int wrong = 0;

	/* each page, the end of all memory, and the end */
	for (size_t at = 0; next < STORM + 2; at++) {
		const struct told *t;

		while (at == r->n) {
			if (read_some(r, PATIENCE))
				continue;
			fprintf(stderr, "# %lu of %lu have come\n", (long)next, STORM + 2);
			return -1;
		}
		t = &r->told[at];
		if (t->cmd == OVERRUN) {
			*lost += A(t, LOST);
			next += A(t, LOST);
			wrong += !A(t, LOST) || (next == STORM + 2) != !!A(t, LAST);
			continue;
		}
		wrong += next < STORM && (t->cmd != UNMAP || A(t, START) != (uint64_t)PLACE(next));
		wrong += next == STORM + 1 && !A(t, LAST);
		next++;
	}
	return wrong + (next != STORM + 2);
}

TEST_F_TIMEOUT(watch, reader_who_does_not_read, 300)
{
	uint64_t lost = 0;

	self->pid = start_storm();
	WATCH(&self->r, OF_PID(self->pid), LIMIT(16));
	board->step = 1;
	/* it does not wait for us */
	ASSERT_EQ(0, process_end(self->pid, PATIENCE));
	self->pid = 0;
	EXPECT_EQ(0, account_for_storm(&self->r, &lost));
	EXPECT_LT(0, lost);
	EXPECT_EQ(0, faults(&self->r));
	EXPECT_FALSE(read_some(&self->r, 100));
}

TEST_F_TIMEOUT(watch, reader_who_may_be_slow, 300)
{
	uint64_t lost = 0;

	self->pid = start_storm();
	WATCH(&self->r, OF_PID(self->pid), LIMIT(16));
	board->step = 1;
	EXPECT_EQ(0, account_for_storm(&self->r, &lost));
	EXPECT_EQ(0, faults(&self->r));
	TH_LOG("%lu of %lu were lost", (long)lost, STORM);
	EXPECT_FALSE(read_some(&self->r, 100));
}

TEST_F_TIMEOUT(watch, two_readers, 300)
{
	size_t at = 0;

	self->pid = process_start(forks_and_execs, NULL);
	WATCH(&self->r, OF_TREE(self->pid), LIMIT(65536));
	WATCH(&self->r2, OF_TREE(self->pid), LIMIT(65536));
	EXPECT_NE(self->r.watch, self->r2.watch);
	board->step = 2;
	END_WELL(&self->r);
	END_WELL(&self->r2);
	/* both have been told the same */
	ASSERT_EQ(self->r.n, self->r2.n);
	for (at = 0; at < self->r.n; at++) {
		EXPECT_EQ(self->r.told[at].cmd, self->r2.told[at].cmd);
		EXPECT_EQ(A(&self->r.told[at], PID), A(&self->r2.told[at], PID));
		EXPECT_EQ(A(&self->r.told[at], START), A(&self->r2.told[at], START));
	}
}

TEST_F_TIMEOUT(watch, stop, 300)
{
	struct answer answer;
	size_t n;

	self->pid = process_start(storm_for_ever, NULL);
	board->step = 1;
	for (int i = 0; i < 16; i++) {
		WATCH(&self->r, OF_TREE(self->pid), LIMIT(16 << i % 4));
		while (self->r.n < 10)
			ASSERT_TRUE(read_some(&self->r, PATIENCE));
		answer = stop(&self->r);
		ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
		n = self->r.n;
		EXPECT_FALSE(read_some(&self->r, 20));
		EXPECT_EQ(n, self->r.n);
		EXPECT_EQ(0, faults(&self->r));
		self->r.n = 0;
		EXPECT_EQ(-ENOENT, stop(&self->r).error);
	}
	EXPECT_TRUE(module_unused_soon());
}

TEST_F_TIMEOUT(watch, closed_in_a_storm, 300)
{
	self->pid = process_start(storm_for_ever, NULL);
	board->step = 1;
	for (int i = 0; i < 40; i++) {
		WATCH(&self->r, OF_TREE(self->pid), LIMIT(16 << i % 8));
		WATCH(&self->r2, OF_PID(self->pid));
		for (int j = 0; j < i % 5; j++)
			read_some(&self->r, PATIENCE);
		reader_close(&self->r);
		reader_close(&self->r2);
	}
	EXPECT_TRUE(module_unused_soon());
	/* and the other way round */
	for (int i = 0; i < 10; i++) {
		WATCH(&self->r, OF_TREE(self->pid));
		read_some(&self->r, PATIENCE);
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
		reader_close(&self->r);
		/* not before, for it would have the socket, too */
		self->pid = process_start(storm_for_ever, NULL);
	}
	EXPECT_TRUE(module_unused_soon());
}

TEST_F_TIMEOUT(watch, holds_the_module, 120)
{
	self->pid = process_start(target_wait, NULL);
	ASSERT_TRUE(module_unused_soon());
	WATCH(&self->r, OF_PID(self->pid));
	EXPECT_EQ(-EAGAIN, module_unload());
	EXPECT_EQ(0, stop(&self->r).error);
	EXPECT_EQ(0, module_unload_soon());
	reader_close(&self->r);
	/* with a process that has things of ours to do yet */
	for (int i = 0; i < 3; i++) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
		board->step = 1;
		self->pid = process_start(storm_for_ever, NULL);
		ASSERT_LT(0, request_family());
		WATCH(&self->r, OF_TREE(self->pid));
		while (self->r.n < 100)
			ASSERT_TRUE(read_some(&self->r, PATIENCE));
		EXPECT_EQ(-EAGAIN, module_unload());
		reader_close(&self->r);
		EXPECT_EQ(0, module_unload_soon());
	}
	EXPECT_LT(0, request_family());
}

/* ---- threads and shared memory ---- */

static void *exec_in_thread(void *arg)
{
	exec_self("5");
	return NULL;
}

static int exec_by_other_thread(void *arg)
{
	pthread_t thread;

	at_step(1);
	if (pthread_create(&thread, NULL, exec_in_thread, NULL))
		return 98;
	for (;;)
		pause();
}

TEST_F_TIMEOUT(watch, exec_by_other_thread, 120)
{
	const struct told *t;
	size_t at = 0;

	self->pid = process_start(exec_by_other_thread, NULL);
	WATCH(&self->r, OF_PID(self->pid));
	board->step = 1;
	END_WELL(&self->r);
	t = next_of(&self->r, &at, EXEC, self->pid);
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_EQ(self->pid, A(t, TID));
	EXPECT_UNMAP(next_there(&self->r, &at, self->pid), UNMAPPED, 1, 2);
	t = next_of(&self->r, &at, EXIT, self->pid);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(5, A(t, CODE));
	EXPECT_TRUE(A(t, LAST));
}

static void *outlives(void *arg)
{
	unmap(3, 1);
	syscall(SYS_exit, 5);
	return NULL;
}

/* the first thread ends first, with another status: that is what wait() tells */
static int leader_ends_first(void *arg)
{
	pthread_t thread;

	at_step(1);
	if (pthread_create(&thread, NULL, outlives, NULL))
		return 98;
	syscall(SYS_exit, 6);
	return 0;
}

TEST_F_TIMEOUT(watch, leader_ends_first, 120)
{
	const struct told *t;
	size_t at = 0;
	int status;

	map(3, 1);
	self->pid = process_start(leader_ends_first, NULL);
	WATCH(&self->r, OF_PID(self->pid));
	board->step = 1;
	END_WELL(&self->r);
	t = next_there(&self->r, &at, self->pid);
	EXPECT_UNMAP(t, UNMAPPED, 3, 4);
	EXPECT_NE(self->pid, A(t, TID));
	t = next_of(&self->r, &at, EXIT, self->pid);
	ASSERT_NE(NULL, t);
	status = process_end(self->pid, PATIENCE);
	self->pid = 0;
	EXPECT_EQ(WEXITSTATUS(status), A(t, CODE));
}

static int vforks(void *arg)
{
	pid_t pid;

	at_step(1);
	pid = vfork();
	if (!pid) {
		munmap(PLACE(3), PAGE);
		exec_self("4");
	}
	waitpid(pid, NULL, 0);
	unmap(4, 1);
	return 0;
}

TEST_F_TIMEOUT(watch, vfork, 120)
{
	const struct told *t;
	size_t at = 0;
	pid_t child;

	map(3, 2);
	self->pid = process_start(vforks, NULL);
	WATCH(&self->r, OF_TREE(self->pid));
	board->step = 1;
	END_WELL(&self->r);
	t = next_of(&self->r, &at, FORK, self->pid);
	ASSERT_NE(NULL, t);
	child = A(t, CHILD);
	EXPECT_UNMAP(next_there(&self->r, &at, child), UNMAPPED, 3, 4);
	t = next_of(&self->r, &at, UNMAP, child);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(MEMFDCR_CAUSE_EXEC, A(t, CAUSE));
	ASSERT_NE(NULL, next_of(&self->r, &at, EXEC, child));
	EXPECT_UNMAP(next_there(&self->r, &at, child), UNMAPPED, 1, 2);
	t = next_of(&self->r, &at, EXIT, child);
	ASSERT_NE(NULL, t);
	EXPECT_EQ(4, A(t, CODE));
	EXPECT_UNMAP(next_there(&self->r, &at, self->pid), UNMAPPED, 4, 5);
}

/* ---- who may, and what ---- */

static int asks_without_capability(void *pid)
{
	struct reader r = { 0 };
	struct answer answer;

	/* the number is known already; this is not about finding the family */
	if (setresgid(12345, 12345, 12345) || setresuid(12345, 12345, 12345))
		return 1;
	answer = watch(&r, LIST(OF_PID((long)pid)));
	return answer.error != -EPERM || !*answer.message;
}

TEST_F_TIMEOUT(watch, refusals, 120)
{
	const struct {
		struct attribute attributes[4];
		int error;
	} cases[] = {
		{ { { 0 } }, -EINVAL },
		{ { OF_PID(getpid()), OF_TREE(getpid()) }, -EINVAL },
		{ { LIMIT(16) }, -EINVAL },
		{ { OF_PID(getpid()), LIMIT(15) }, -ERANGE },
		{ { OF_PID(getpid()), LIMIT(65537) }, -ERANGE },
		{ { OF_PID(getpid()), LIMIT(0) }, -ERANGE },
		{ { OF_PID(0) }, -ESRCH },
		{ { OF_PID(0x7fffffff) }, -ESRCH },
		{ { OF_TREE(0xffffffff) }, -ESRCH },
	};
	struct answer answer;
	pid_t pid;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		answer = watch(&self->r, cases[i].attributes);
		EXPECT_EQ(cases[i].error, answer.error) TH_LOG("case %zu: %s", i, answer.message);
		EXPECT_NE(0, *answer.message) TH_LOG("case %zu", i);
	}
	/* one that is dead, and not buried yet */
	pid = process_start(asks_without_capability, (void *)1L);
	ASSERT_EQ(0, waitid(P_PID, pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT));
	answer = watch(&self->r, LIST(OF_PID(pid)));
	EXPECT_EQ(-ESRCH, answer.error);
	EXPECT_NE(0, *answer.message);
	EXPECT_EQ(0, process_end(pid, PATIENCE));
	/* its own user's process does not help */
	self->pid = process_start(target_wait, NULL);
	pid = process_start(asks_without_capability, (void *)(long)self->pid);
	EXPECT_EQ(0, process_end(pid, PATIENCE));

	self->r.watch = 4711;
	answer = stop(&self->r);
	EXPECT_EQ(-ENOENT, answer.error);
	EXPECT_NE(0, *answer.message);
	answer = request(self->r.sock, MEMFDCR_CMD_WATCH_STOP, LIST({ 0 }));
	EXPECT_EQ(-EINVAL, answer.error);
	EXPECT_NE(0, *answer.message);
	/* somebody else's */
	WATCH(&self->r2, OF_PID(self->pid));
	self->r.watch = self->r2.watch;
	EXPECT_EQ(-ENOENT, stop(&self->r).error);
	EXPECT_EQ(0, stop(&self->r2).error);
	EXPECT_TRUE(module_unused_soon());
}

static int first_of_namespace(void *arg)
{
	struct reader r = { 0 };
	size_t at = 0;
	const struct told *t;
	pid_t pid = process_start(forks_and_execs, NULL);

	/* children of ours are 2 and following */
	if (pid != 2 || watch(&r, LIST(OF_TREE(2))).error)
		return 1;
	board->step = 2;
	if (!read_all(&r) || faults(&r))
		return 2;
	t = next_of(&r, &at, FORK, 2);
	if (!t || A(t, TID) != 2 || A(t, CHILD) != 3)
		return 3;
	if (!next_of(&r, &at, EXEC, 3) || !next_of(&r, &at, EXIT, 3))
		return 4;
	return 0;
}

static int in_namespace(void *arg)
{
	if (unshare(CLONE_NEWPID))
		return 1;
	return process_end(process_start(first_of_namespace, NULL), PATIENCE) ? 2 : 0;
}

TEST_F_TIMEOUT(watch, pid_namespace, 120)
{
	pid_t pid = process_start(in_namespace, NULL);

	EXPECT_EQ(0, process_end(pid, PATIENCE));
}

TEST_HARNESS_MAIN
