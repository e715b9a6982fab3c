// SPDX-License-Identifier: GPL-2.0-only
/* Tests of what a watch tells when things overlap, hang, come by other ways, or find nobody who reads. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <linux/sock_diag.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>

#include "harness.h"
#include "held.h"
#include "hooks.h"
#include "module.h"
#include "process.h"
#include "ring.h"
#include "watching.h"

#define TRACING "/proc/sys/kernel/ftrace_enabled"

/* a negative errno, or 0 */
static int set_tracing(const char *on)
{
	int fd = open(TRACING, O_WRONLY), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, on, 1) == 1 ? 0 : -errno;
	close(fd);
	return ret;
}

#define TRACEFS "/sys/kernel/tracing/"
#define PROBE "memfdcr_test/moves"

/* what an administrator may have where the module has its hook, too */
static bool probe_moves(bool on)
{
	bool disabled;

	if (on)
		return write_file(TRACEFS "kprobe_events", "p:" PROBE " copy_vma") &&
		       write_file(TRACEFS "events/" PROBE "/enable", "1");
	disabled = write_file(TRACEFS "events/" PROBE "/enable", "0");
	return write_file(TRACEFS "kprobe_events", "-:" PROBE) && disabled;
}

FIXTURE(event)
{
	struct reader r, r2;
	pid_t pid;
	int fd;
};

FIXTURE_SETUP(event)
{
	self->fd = watching_begin(_metadata);
}

FIXTURE_TEARDOWN(event)
{
	/* of a test that did not come to its end */
	set_tracing("1");
	probe_moves(false);
	watching_end(&self->r, &self->r2, self->pid, self->fd);
}

static void *map_shared(int fd, unsigned long first, unsigned long n)
{
	return mmap(PLACE(first), n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0);
}

/* ---- nobody reads ---- */

/* the end is lost with the rest, but not that it is the end */
TEST_F_TIMEOUT(event, end_that_is_lost, 120)
{
	self->pid = start_storm();
	WATCH(&self->r, OF_PID(self->pid), LIMIT(16));
	board->step = 1;
	ASSERT_EQ(0, process_end(self->pid, PATIENCE));
	self->pid = 0;
	END_WELL(&self->r);
	ASSERT_LT(0, self->r.n);
	EXPECT_EQ(OVERRUN, self->r.told[self->r.n - 1].cmd);
	for (size_t i = 0; i + 1 < self->r.n; i++)
		EXPECT_FALSE(A(&self->r.told[i], LAST));
	EXPECT_FALSE(read_some(&self->r, 100));
}

/*
 * Until notifications have taken most of the socket's buffer, as the kernel counts, and it takes no more for longer
 * than the module leaves a full one alone. How many they are depends on how the kernel was built.
 */
static bool fills_up(const struct reader *r)
{
	uint32_t info[SK_MEMINFO_VARS], taken = 0;
	int still = 0;

	for (int i = 0; i < PATIENCE / 5 && still < 10; i++) {
		socklen_t size = sizeof(info);

		usleep(5000);
		if (getsockopt(mnl_socket_get_fd(r->sock), SOL_SOCKET, SO_MEMINFO, info, &size))
			return false;
		still = info[SK_MEMINFO_RMEM_ALLOC] == taken && taken > info[SK_MEMINFO_RCVBUF] / 2 ? still + 1 : 0;
		taken = info[SK_MEMINFO_RMEM_ALLOC];
	}
	return still == 10;
}

/* a socket that is full of notifications still has room for what its owner asks */
TEST_F_TIMEOUT(event, answers_have_room, 120)
{
	uint32_t number;

	self->pid = start_storm();
	WATCH(&self->r, OF_PID(self->pid), LIMIT(65536));
	number = self->r.watch;
	board->step = 1;
	for (int i = 0; i < 20; i++) {
		struct answer answer;

		ASSERT_TRUE(fills_up(&self->r)) TH_LOG("%d, after %zu notifications", i, self->r.n);
		answer = watch(&self->r, LIST(OF_PID(getpid()), LIMIT(16)));
		ASSERT_EQ(0, answer.error) TH_LOG("%d: %s", i, answer.message);
		ASSERT_TRUE(fills_up(&self->r)) TH_LOG("%d, after %zu notifications", i, self->r.n);
		answer = stop(&self->r);
		ASSERT_EQ(0, answer.error) TH_LOG("%d: %s", i, answer.message);
	}
	self->r.watch = number;
	EXPECT_EQ(0, self->r.faults);
}

/* after an overrun, holder-get has what is mapped, and what comes later is told again */
static int maps_and_moves(void *fd)
{
	at_step(1);
	for (int i = 0; i < 2000; i++) {
		unmap(i % 2 * 32, 16);
		map_shared((long)fd, (i + 1) % 2 * 32, 16);
	}
	unmap(4, 1);
	mremap(PLACE(8), 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(100));
	board->step = -1;
	at_step(2);
	unmap(100, 1);
	return 0;
}

/* pages of the arena that a process maps */
static void mapped(const struct held *held, pid_t pid, bool pages[ARENA_PAGES])
{
	for (size_t i = 0; i < held->n_holders; i++) {
		const struct holder *h = &held->holders[i];

		if (h->pid != pid || !(h->has & HAS(HOLDER_START)))
			continue;
		for (uint64_t at = h->start; at < h->end; at += PAGE)
			if (at >= (uint64_t)ARENA && at < (uint64_t)PLACE(ARENA_PAGES))
				pages[(at - (uint64_t)ARENA) / PAGE] = true;
	}
}

TEST_F_TIMEOUT(event, fresh_picture_after_an_overrun, 240)
{
	bool pages[ARENA_PAGES] = { false }, lost = false;
	struct held held = { 0 };
	struct answer answer;
	const struct told *t;
	size_t at;

	map_shared(self->fd, 0, 16);
	map_shared(self->fd, 32, 16);
	self->pid = process_start(maps_and_moves, (void *)(long)self->fd);
	WATCH(&self->r, OF_PID(self->pid), LIMIT(16));
	board->step = 1;
	ASSERT_TRUE(wait_for(&board->step, -1, 2 * PATIENCE));
	while (read_some(&self->r, 500))
		;
	for (size_t i = 0; i < self->r.n; i++)
		lost |= self->r.told[i].cmd == OVERRUN;
	EXPECT_TRUE(lost);
	/* it does not even sleep and wake up */
	kill(self->pid, SIGSTOP);
	ASSERT_EQ(self->pid, waitpid(self->pid, NULL, WUNTRACED));
	self->r2.sock = request_socket();
	answer = held_dump(self->r2.sock, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_PID, 4, self->pid }), &held);
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	EXPECT_FALSE(answer.interrupted);
	mapped(&held, self->pid, pages);
	for (unsigned long i = 0; i < 128; i++) {
		bool want = (i < 16 && i != 4 && i != 8 && i != 9) || i == 100 || i == 101;

		EXPECT_EQ(want, pages[i]) TH_LOG("page %lu", i);
	}
	held_free(&held);
	at = self->r.n;
	kill(self->pid, SIGCONT);
	board->step = 2;
	END_WELL(&self->r);
	t = next_there(&self->r, &at, self->pid);
	EXPECT_UNMAP(t, UNMAPPED, 100, 101);
}

/* ---- fork() while other threads unmap ---- */

#define FORKS 30
#define FORK_PAGES 400UL
#define NEXT_ROUND 900UL

static pthread_barrier_t gate;

static void *unmaps_one_by_one(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&gate);
		for (unsigned long i = 0; i < FORK_PAGES; i++)
			munmap(PLACE(i), PAGE);
		pthread_barrier_wait(&gate);
	}
	return NULL;
}

static bool is_mapped(unsigned long n)
{
	unsigned char in;

	return !mincore(PLACE(n), PAGE, &in);
}

/* each child says, by its name, how many pages were gone when it was made */
static int forks_while_unmapping(void *arg)
{
	pthread_t thread;

	pthread_barrier_init(&gate, NULL, 2);
	if (pthread_create(&thread, NULL, unmaps_one_by_one, NULL))
		return 97;
	at_step(1);
	for (int n = 0; n < FORKS; n++) {
		unsigned long gone = 0;
		pid_t pid;

		map(0, FORK_PAGES);
		map(NEXT_ROUND, 1);
		unmap(NEXT_ROUND, 1);
		pthread_barrier_wait(&gate);
		for (int spin = rand() % 200000; spin; spin--)
			asm volatile("");
		pid = fork();
		if (!pid) {
			while (gone < FORK_PAGES && !is_mapped(gone))
				gone++;
			map(FORK_PAGES + gone, 1);
			munmap(PLACE(FORK_PAGES + gone), PAGE);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
		pthread_barrier_wait(&gate);
	}
	return 0;
}

TEST_F_TIMEOUT(event, fork_has_its_place, 240)
{
	int forks = 0, within = 0;
	unsigned long gone = 0;
	const struct told *t;

	self->pid = process_start(forks_while_unmapping, NULL);
	WATCH(&self->r, OF_TREE(self->pid), LIMIT(65536));
	board->step = 1;
	END_WELL(&self->r);
	for (size_t i = 0; i < self->r.n; i++) {
		size_t at = i + 1;

		t = &self->r.told[i];
		if (t->cmd == UNMAP && A(t, PID) == self->pid && A(t, START) >= (uint64_t)ARENA &&
		    A(t, END) <= (uint64_t)PLACE(FORK_PAGES))
			gone = (A(t, END) - (uint64_t)ARENA) / PAGE;
		if (t->cmd == UNMAP && A(t, START) == (uint64_t)PLACE(NEXT_ROUND))
			gone = 0;
		if (t->cmd != FORK)
			continue;
		forks++;
		within += gone > 0 && gone < FORK_PAGES;
		/* what it says */
		t = next_there(&self->r, &at, A(t, CHILD));
		ASSERT_NE(NULL, t) print(&self->r);
		EXPECT_EQ((uint64_t)PLACE(FORK_PAGES + gone), A(t, START)) TH_LOG("fork %d", forks);
	}
	EXPECT_EQ(FORKS, forks);
	TH_LOG("%d of %d in the middle", within, forks);
	EXPECT_LT(0, within);
}

/* ---- somebody hangs ---- */

/* has a child, and then hangs in fork() until somebody reads the userfaultfd's event */
static int hangs_in_fork(void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		at_step(2);
		unmap(3, 1);
		board->child_step = 1;
		for (;;)
			pause();
	}
	board->child = pid;
	at_step(1);
	if (!fork())
		_exit(0);
	kill(pid, SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}

TEST_F_TIMEOUT(event, fork_that_hangs, 240)
{
	const struct told *t;
	struct uffd_msg msg;
	size_t at = 0, end;
	pid_t other;
	int uffd;

	map(3, 1);
	self->pid = process_start(hangs_in_fork, NULL);
	other = child_of_watched();
	uffd = uffd_of(_metadata, self->pid);
	WATCH(&self->r, OF_TREE(self->pid));
	board->step = 1;
	/* it is in fork() by then, or else nothing is shown */
	sleep(1);
	board->step = 2;
	ASSERT_TRUE(wait_for(&board->child_step, 1, PATIENCE));
	/* what the others do is told all the same, behind a note that something is missing */
	do
		t = next_there(&self->r, &at, other);
	while (!t && read_some(&self->r, PATIENCE));
	EXPECT_UNMAP(t, UNMAPPED, 3, 4);
	at = 0;
	t = next_of(&self->r, &at, OVERRUN, 0);
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_EQ(1, A(t, LOST));
	end = self->r.n;
	at = 0;
	EXPECT_EQ(NULL, next_of(&self->r, &at, FORK, self->pid));
	ASSERT_EQ(0, uffd_read(uffd, &msg, PATIENCE));
	ASSERT_EQ(UFFD_EVENT_FORK, msg.event);
	END_WELL(&self->r);
	/* and in the end this, too */
	t = next_of(&self->r, &end, FORK, self->pid);
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_EQ(1, t->n_uffds);
	ASSERT_NE(NULL, next_of(&self->r, &end, EXIT, A(t, CHILD)));
	close(msg.arg.fork.ufd);
	close(uffd);
}

/* ---- pages dropped in other ways than by madvise() and fallocate() ---- */

static int drops_by_ring(void *fd)
{
	const struct io_uring_sqe punch = {
		.opcode = IORING_OP_FALLOCATE,
		.fd = (long)fd,
		.len = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		.off = 2 * PAGE,
		.addr = PAGE,
	};
	int err;

	at_step(1);
	err = ring_madvise(PLACE(0), PAGE, MADV_DONTNEED) ?: ring_do(&punch);
	ring_madvise(PLACE(4), PAGE, MADV_COLD);
	ring_madvise(PLACE(4), PAGE, 21 /* MADV_PAGEOUT */);
	unmap(4, 1);
	return err;
}

TEST_F_TIMEOUT(event, dropped_by_io_uring, 120)
{
	const struct told *t;
	size_t at = 0;
	int status;

	ASSERT_EQ(PLACE(0), map_shared(self->fd, 0, 8));
	self->pid = process_start(drops_by_ring, (void *)(long)self->fd);
	WATCH(&self->r, OF_PID(self->pid));
	board->step = 1;
	status = process_end(self->pid, PATIENCE);
	self->pid = 0;
	ASSERT_TRUE(WIFEXITED(status));
	if (WEXITSTATUS(status) == ENOSYS || WEXITSTATUS(status) == EPERM)
		SKIP(return, "no io_uring here");
	ASSERT_EQ(0, WEXITSTATUS(status));
	END_WELL(&self->r);
	t = next_there(&self->r, &at, A(&self->r.told[0], PID));
	EXPECT_UNMAP(t, DROPPED, 0, 1);
	EXPECT_NE(0, A(t, TID));
	t = next_there(&self->r, &at, A(t, PID));
	EXPECT_UNMAP(t, DROPPED, 2, 3);
	t = next_there(&self->r, &at, A(t, PID));
	EXPECT_UNMAP(t, UNMAPPED, 4, 5);
}

#ifndef UFFDIO_MOVE	/* 6.8 */
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif
#define MOVES (1ULL << 16)	/* UFFD_FEATURE_MOVE */

static int opens_and_moves(void *arg)
{
	long fd = syscall(SYS_userfaultfd, O_CLOEXEC | 1 /* UFFD_USER_MODE_ONLY */);
	struct uffdio_move move = { .dst = (unsigned long)PLACE(10), .src = (unsigned long)PLACE(0), .len = 2 * PAGE };
	struct uffdio_api api = { .api = UFFD_API, .features = MOVES };

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
		return errno;
	/* its own: what it has in common with its parent is not moved */
	map(0, 2);
	map(10, 2);
	memset(PLACE(0), 1, 2 * PAGE);
	if (uffd_register(fd, PLACE(10), 2 * PAGE))
		return 95;
	board->step = -1;
	at_step(1);
	return ioctl(fd, UFFDIO_MOVE, &move) ? errno : 0;
}

static int punches_by_ioctl(void *fd)
{
	/* struct space_resv of the kernel's: type, whence, start, length, ... */
	struct {
		short type, whence;
		long long start, len;
		int sysid;
		unsigned int pid;
		int pad[4];
	} range = { .start = PAGE, .len = PAGE };

	at_step(1);
	return ioctl((long)fd, _IOC(_IOC_WRITE, 'X', 43, sizeof(range)), &range) ? errno : 0;
}

TEST_F_TIMEOUT(event, moved_by_userfaultfd, 120)
{
	const struct told *t;
	uint64_t next = (uint64_t)PLACE(0);
	size_t at = 0;
	pid_t pid;
	int status;

	self->pid = pid = process_start(opens_and_moves, NULL);
	if (!wait_for(&board->step, -1, 5000)) {
		status = process_end(pid, PATIENCE);
		self->pid = 0;
		ASSERT_EQ(EINVAL, WEXITSTATUS(status));
		SKIP(return, "no UFFDIO_MOVE in this kernel");
	}
	WATCH(&self->r, OF_PID(pid));
	board->step = 1;
	EXPECT_EQ(0, process_end(pid, PATIENCE));
	self->pid = 0;
	END_WELL(&self->r);
	/* page by page, or all at once, and again when the kernel has to try again */
	while ((t = next_there(&self->r, &at, pid))) {
		EXPECT_EQ(MEMFDCR_CAUSE_DROPPED, A(t, CAUSE));
		EXPECT_GE(next, A(t, START)) print(&self->r);
		if (A(t, END) > next)
			next = A(t, END);
	}
	EXPECT_EQ((uint64_t)PLACE(2), next);
}

TEST_F_TIMEOUT(event, punched_by_ioctl, 120)
{
	size_t at = 0;
	pid_t pid;

	ASSERT_EQ(PLACE(0), map_shared(self->fd, 0, 8));
	self->pid = pid = process_start(punches_by_ioctl, (void *)(long)self->fd);
	WATCH(&self->r, OF_PID(pid));
	board->step = 1;
	EXPECT_EQ(0, process_end(pid, PATIENCE));
	self->pid = 0;
	END_WELL(&self->r);
	EXPECT_UNMAP(next_there(&self->r, &at, pid), DROPPED, 1, 2);
}

/* ---- shared memory, hidden programs ---- */

static int thread_like(void *arg)
{
	munmap(PLACE(3), PAGE);
	_exit(0);
}

static int shares_and_forks(void *arg)
{
	static char stack[65536];
	pid_t pid;

	at_step(1);
	pid = clone(thread_like, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	waitpid(pid, NULL, 0);
	pid = fork();
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	return 0;
}

TEST_F_TIMEOUT(event, who_shares_memory, 120)
{
	const struct told *t;
	size_t at = 0;

	map(3, 1);
	self->pid = process_start(shares_and_forks, NULL);
	WATCH(&self->r, OF_TREE(self->pid));
	board->step = 1;
	END_WELL(&self->r);
	t = next_of(&self->r, &at, FORK, self->pid);
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_TRUE(t->has & HAS(WATCH_SAME_MEMORY));
	EXPECT_UNMAP(next_there(&self->r, &at, A(t, CHILD)), UNMAPPED, 3, 4);
	t = next_of(&self->r, &at, FORK, self->pid);
	ASSERT_NE(NULL, t) print(&self->r);
	EXPECT_FALSE(t->has & HAS(WATCH_SAME_MEMORY));
}

/* in a user namespace of its own: watches a child that executes a program which neither may read */
#define UNREADABLE "/tmp/unreadable"

/* a shell, whose memory belongs to our user namespace, and that goes on once a line comes */
static pid_t start_shell(int *line)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	*line = ends[1];
	pid = fork();
	if (pid)
		return pid;
	dup2(ends[0], STDIN_FILENO);
	execl("/bin/sh", "sh", "-c", "read line; exec " UNREADABLE, NULL);
	_exit(90);
}

static int watches_unreadable(void *arg)
{
	struct answer answer = { 0 };
	const struct told *t;
	struct reader r = { 0 };
	size_t at = 0;
	int line = -1;
	pid_t pid;

	/* /proc/self is its own again, of which a change of user has taken it */
	if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000) || prctl(PR_SET_DUMPABLE, 1) ||
	    unshare(CLONE_NEWUSER) || !map_ids(1000))
		return 80;
	pid = start_shell(&line);
	/* its memory is not within reach before it is the shell */
	for (int i = 0; i < 500; i++) {
		answer = watch(&r, LIST(OF_TREE(pid)));
		if (answer.error != -EPERM)
			break;
		usleep(10000);
	}
	if (answer.error) {
		fprintf(stderr, "# %s\n", answer.message);
		return 81;
	}
	if (write(line, "\n", 1) != 1 || !read_all(&r) || faults(&r))
		return 82;
	/* the shell's own may have been told, too */
	do
		t = next_of(&r, &at, EXEC, pid);
	while (t && !A(t, LAST));
	if (!t || !(t->has & HAS(WATCH_HIDDEN)) || at != r.n) {
		print(&r);
		return 83;
	}
	if (process_end(pid, PATIENCE) || read_some(&r, 100))
		return 84;
	return 0;
}

TEST_F_TIMEOUT(event, program_that_may_not_be_read, 120)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, system("cp /bin/true " UNREADABLE " && chmod 0111 " UNREADABLE));
	pid = process_start(watches_unreadable, NULL);
	status = process_end(pid, PATIENCE);
	EXPECT_EQ(0, WEXITSTATUS(status));
	unlink(UNREADABLE);
}

/* ---- how many, and what is hooked ---- */

TEST_F_TIMEOUT(event, too_many, 120)
{
	struct answer answer;
	int n;

	self->pid = process_start(target_wait, NULL);
	for (n = 0; n < 128; n++) {
		answer = watch(&self->r, LIST(OF_PID(self->pid), LIMIT(16)));
		ASSERT_EQ(0, answer.error) TH_LOG("%d: %s", n, answer.message);
	}
	answer = watch(&self->r, LIST(OF_PID(self->pid), LIMIT(16)));
	EXPECT_EQ(-EUSERS, answer.error);
	EXPECT_NE(0, *answer.message);
	/* whoever asks */
	answer = watch(&self->r2, LIST(OF_PID(self->pid), LIMIT(16)));
	EXPECT_EQ(-EUSERS, answer.error);
	EXPECT_EQ(0, stop(&self->r).error);
	WATCH(&self->r2, OF_PID(self->pid));
	reader_close(&self->r);
	reader_close(&self->r2);
	EXPECT_TRUE(module_unused_soon());
}

TEST_F_TIMEOUT(event, nothing_is_hooked_without_a_watch, 120)
{
	/* what every mmap(), munmap(), madvise(), ... of others would run through */
	static const char *const forbidden[] = { "vm_stat_account", "do_mmap", "mmap_region", "do_munmap",
		"__x64_sys_mmap", "__x64_sys_munmap", "do_madvise", "vfs_fallocate", "do_truncate", NULL };

	static const char *const traced[] = { "uprobe_dup_mmap", "copy_vma", "vma_merge_extend", "vma_merge",
		"__vma_adjust", NULL };

	if (hooks_count(hooks_of_watches) < 0)
		SKIP(return, "this kernel does not tell what is hooked");
	EXPECT_TRUE(hooks_gone_soon(hooks_of_watches));
	WATCH(&self->r, OF_PID(getpid()));
	EXPECT_EQ(8, hooks_count(hooks_of_watches));
	/* what everybody runs through has no probes, which cost more */
	EXPECT_LE(3, hooks_count(traced));
	EXPECT_EQ(0, hooks_probes(traced));
	EXPECT_EQ(0, hooks_count(hooks_at_rest));
	EXPECT_EQ(0, hooks_count(forbidden));
	EXPECT_EQ(0, stop(&self->r).error);
	EXPECT_TRUE(hooks_gone_soon(hooks_of_watches));
	/* function tracing is not taken away, which others would wait for */
	EXPECT_EQ(1, hooks_count(hooks_at_rest));
}

/* the module has it from the first watch on, until it is unloaded: only before can it be switched off */
TEST_F_TIMEOUT(event, needs_function_tracing, 120)
{
	struct answer answer;
	char value[8];
	int err;

	if (access(TRACING, W_OK))
		SKIP(return, "no " TRACING);
	ASSERT_EQ(0, module_unload_soon());
	err = set_tracing("0");
	if (err != -EOPNOTSUPP) {	/* 7.3 does not switch it off any more */
		ASSERT_EQ(0, err);
		answer = watch(&self->r, LIST(OF_PID(getpid())));
		EXPECT_EQ(0, set_tracing("1"));
		EXPECT_EQ(-EOPNOTSUPP, answer.error);
		EXPECT_NE(NULL, strstr(answer.message, "kernel.ftrace_enabled"));
		err = -EBUSY;
	}

	/* nobody can make a watch blind */
	WATCH(&self->r, OF_PID(getpid()));
	EXPECT_EQ(err, set_tracing("0"));
	ASSERT_TRUE(read_line(TRACING, "", value, sizeof(value)));
	EXPECT_STREQ("1", value);
	EXPECT_EQ(0, stop(&self->r).error);
	EXPECT_TRUE(hooks_gone_soon(hooks_of_watches));
	EXPECT_EQ(err, set_tracing("0"));
}

static int moves_by_steps(void *arg)
{
	map(0, 1);
	for (int i = 1; i <= 3; i++) {
		at_step(i);
		mremap(PLACE(i - 1), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(i));
		board->child_step = i;
	}
	return 0;
}

static bool moved(int steps)
{
	for (int i = 0; i < PATIENCE && board->child_step < steps; i++)
		usleep(1000);
	return board->child_step == steps;
}

/* when somebody else comes to the same function, or has been there, or goes, the kernel calls us in other ways */
TEST_F_TIMEOUT(event, others_hook_the_same, 240)
{
	if (hooks_count(hooks_of_watches) < 0 || access(TRACEFS "kprobe_events", W_OK))
		SKIP(return, "no " TRACEFS "kprobe_events");
	for (int first = 0; first < 2; first++) {
		size_t at = 0;

		/* so that it looks for its functions again */
		ASSERT_EQ(0, module_unload_soon());
		if (first)
			ASSERT_TRUE(probe_moves(true));
		board->step = board->child_step = 0;
		self->pid = process_start(moves_by_steps, NULL);
		WATCH(&self->r, OF_PID(self->pid));
		board->step = 1;
		EXPECT_TRUE(moved(1));
		EXPECT_TRUE(probe_moves(!first));
		EXPECT_EQ(!first, hooks_probes((const char *const[]){ "copy_vma", NULL }));
		board->step = 2;
		EXPECT_TRUE(moved(2));
		if (!first)
			EXPECT_TRUE(probe_moves(false));
		board->step = 3;
		ASSERT_EQ(0, process_end(self->pid, PATIENCE));
		self->pid = 0;
		END_WELL(&self->r);
		for (int i = 1; i <= 3; i++)
			EXPECT_MREMAP(next_of(&self->r, &at, MREMAP, 0), i - 1, 1, PLACE(i), 1,
				      MREMAP_MAYMOVE | MREMAP_FIXED);
		reader_close(&self->r);
	}
}

TEST_HARNESS_MAIN
