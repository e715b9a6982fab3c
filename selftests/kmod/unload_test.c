// SPDX-License-Identifier: GPL-2.0-only
/*
 * What holds the module: while any of it is there unloading is refused, and when it has gone unloading succeeds. Wants
 * to be alone with the module.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/memfdcr.h>

#include "harness.h"
#include "factory.h"
#include "module.h"
#include "process.h"
#include "request.h"

#define LONG (60000 * SLOWNESS)	/* ms: longer than anything takes, even on an emulated machine */

/* what a holder is made of; what is not there is 0 */
struct scene {
	pid_t target, helper;
	int uffd;		/* on the target */
	int other;		/* another descriptor that holds */
	struct mnl_socket *sock;
};

/* ---- what targets do ---- */

enum { FORK = 1, MOVE, END };

static int follows_orders(void *arg)
{
	for (;;) {
		int step = board->step;

		if (step == FORK && !fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			return target_wait(NULL);
		}
		if (step == MOVE)
			mremap(region, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, region + 2 * PAGES * PAGE);
		if (step == END)
			return 0;
		if (step > 0)
			board->step = -step;
		usleep(1000);
	}
}

static int looks_from_outside(void *pid)
{
	struct iovec from = { region, 1 }, to = { &(char){ 0 }, 1 };

	/* the guard is not ours */
	close_range(3, ~0U, 0);
	process_vm_readv((long)pid, &to, 1, &from, 1, 0);
	return 0;
}

/* ---- the holders ---- */

static bool guard(struct scene *s)
{
	s->uffd = open_guarded(s->target, O_CLOEXEC | O_NONBLOCK);
	return s->uffd >= 0;
}

static bool guard_that_watches(struct scene *s)
{
	return guard(s) && !uffd_register(s->uffd, region, PAGES * PAGE);
}

static bool guard_that_is_complete(struct scene *s)
{
	return guard_that_watches(s) && !uffd_complete(s->uffd).error;
}

/* nobody has it open, but somebody may get it */
static bool guard_in_flight(struct scene *s)
{
	if (!guard(s))
		return false;
	s->other = factory_in_flight(s->uffd);
	close(s->uffd);
	s->uffd = 0;
	return s->other >= 0;
}

/* of a forked child, whose parent's is closed */
static bool guard_of_a_child(struct scene *s)
{
	struct uffd_msg msg;

	if (!guard_that_watches(s))
		return false;
	board->step = FORK;
	if (uffd_read(s->uffd, &msg, LONG) || msg.event != UFFD_EVENT_FORK)
		return false;
	s->other = msg.arg.fork.ufd;
	return !uffd_complete(s->uffd).error && !uffd_complete(s->other).error && !close(s->uffd) && !(s->uffd = 0);
}

/* the pager is lost and the process killed, but somebody else still waits for one of its pages */
static bool killing(struct scene *s)
{
	struct pollfd pfd;

	if (!guard_that_watches(s))
		return false;
	s->helper = process_start(looks_from_outside, (void *)(long)s->target);
	pfd = (struct pollfd){ .fd = s->uffd, .events = POLLIN };
	if (poll(&pfd, 1, LONG) != 1)
		return false;
	close(s->uffd);
	s->uffd = 0;
	return process_end(s->target, LONG) == SIGKILL && !(s->target = 0);
}

static bool unfinished(struct scene *s, int cmd, const struct attribute *attributes)
{
	s->sock = request_socket();
	return s->sock && !request_send_dump(s->sock, cmd, attributes);
}

static bool objects(struct scene *s)
{
	return unfinished(s, MEMFDCR_CMD_OBJECT_GET, LIST({ 0 }));
}

static bool holders(struct scene *s)
{
	return unfinished(s, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_TREE, 4, 1 }));
}

static bool extents(struct scene *s)
{
	return unfinished(s, MEMFDCR_CMD_EXTENT_GET, LIST({ MEMFDCR_A_EXTENTS_PID, 4, s->target },
							  { MEMFDCR_A_EXTENTS_ADDRESS, 8, (unsigned long)region }));
}

/* one that holds nothing itself */
static bool plain(struct scene *s)
{
	int mem = open_mem(s->target, O_RDWR);
	struct answer answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, false);

	close(mem);
	s->uffd = answer.error ? 0 : answer.fd;
	return !answer.error && !uffd_api(s->uffd, ALL_EVENTS) && !uffd_register(s->uffd, region, PAGES * PAGE);
}

static bool ranges(struct scene *s)
{
	return plain(s) && unfinished(s, MEMFDCR_CMD_UFFD_GET, LIST({ MEMFDCR_A_UFFD_FD, 4, s->uffd }));
}

static bool watch(struct scene *s, int how)
{
	s->sock = request_socket();
	return s->sock && !request(s->sock, MEMFDCR_CMD_WATCH_START, LIST({ how, 4, s->target })).error;
}

static bool watch_of_a_process(struct scene *s)
{
	return watch(s, MEMFDCR_A_WATCH_PID);
}

static bool watch_of_a_tree(struct scene *s)
{
	return watch(s, MEMFDCR_A_WATCH_TREE);
}

static bool watch_of_nobody(struct scene *s)
{
	if (!watch_of_a_tree(s))
		return false;
	board->step = END;
	return process_end(s->target, LONG) == 0 && !(s->target = 0);
}

/* the watch is gone, but one of its processes is in the middle of what it was to tell, and waits for its pager */
static bool interrupted(struct scene *s, int step)
{
	struct pollfd pfd;

	if (!plain(s) || !watch_of_a_tree(s))
		return false;
	board->step = step;
	pfd = (struct pollfd){ .fd = s->uffd, .events = POLLIN };
	if (poll(&pfd, 1, LONG) != 1)
		return false;
	mnl_socket_close(s->sock);
	s->sock = NULL;
	return true;
}

static bool interrupted_mremap(struct scene *s)
{
	return interrupted(s, MOVE);
}

static bool interrupted_fork(struct scene *s)
{
	return interrupted(s, FORK);
}

/* then it goes on, and tells that there is nobody any more to be told */
static void read_events(struct scene *s)
{
	struct uffd_msg msg;

	for (int i = 0; i < LONG / 10 && board->step > 0; i++)
		uffd_read(s->uffd, &msg, 10);
}

static void stop_watch(struct scene *s)
{
	/* the first that was started since the module was loaded */
	request(s->sock, MEMFDCR_CMD_WATCH_STOP, LIST({ MEMFDCR_A_WATCH_WATCH, 4, 1 }));
}

/* closing what holds, and killing who does, is enough for most */
static void let_go(struct scene *s)
{
	if (s->helper) {
		kill(s->helper, SIGKILL);
		waitpid(s->helper, NULL, 0);
	}
	if (s->uffd)
		close(s->uffd);
	if (s->other)
		close(s->other);
	if (s->sock)
		mnl_socket_close(s->sock);
	s->uffd = s->other = s->helper = 0;
	s->sock = NULL;
}

FIXTURE(unload)
{
	struct scene scene;
};

FIXTURE_VARIANT(unload)
{
	bool (*make)(struct scene *s);
	void (*drop)(struct scene *s);
};

#define HOLDS(name, ...) FIXTURE_VARIANT_ADD(unload, name) { .make = name, __VA_ARGS__ }
HOLDS(guard);
HOLDS(guard_that_watches);
HOLDS(guard_that_is_complete);
HOLDS(guard_in_flight);
HOLDS(guard_of_a_child);
HOLDS(killing);
HOLDS(objects);
HOLDS(holders);
HOLDS(extents);
HOLDS(ranges);
HOLDS(watch_of_a_process);
HOLDS(watch_of_a_tree);
HOLDS(watch_of_nobody);
HOLDS(interrupted_mremap, .drop = read_events);
HOLDS(interrupted_fork, .drop = read_events);
FIXTURE_VARIANT_ADD(unload, watch_until_stopped) { .make = watch_of_a_tree, .drop = stop_watch };

FIXTURE_SETUP(unload)
{
	process_prepare();
	self->scene = (struct scene){ .target = process_start(follows_orders, NULL) };
	/* of earlier tests nothing is left, and watches are counted from 1 on */
	ASSERT_EQ(0, module_is_loaded() ? module_unload_soon() : 0);
	ASSERT_LT(0, request_family());
}

FIXTURE_TEARDOWN(unload)
{
	let_go(&self->scene);
	if (self->scene.target > 0)
		kill(self->scene.target, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	EXPECT_LT(0, request_family());
}

TEST_F_TIMEOUT(unload, refused_meanwhile, 300)
{
	time_t began;

	ASSERT_TRUE(variant->make(&self->scene));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(-EAGAIN, module_unload());	/* what rmmod calls "in use" */
		usleep(20000);
	}
	ASSERT_TRUE(module_is_loaded());
	if (variant->drop)
		variant->drop(&self->scene);
	else
		let_go(&self->scene);
	began = time(NULL);
	EXPECT_EQ(0, module_unload_soon());
	EXPECT_FALSE(module_is_loaded());
	/* it waits for nobody else: for the kernel to be done with its code, no more */
	EXPECT_GT(20, time(NULL) - began);
}

/* ---- a worker that waits for somebody's memory ---- */

#define PIECES 30000UL

/* so many mappings that copying them takes a while, with the memory locked */
static int forks_slowly(void *arg)
{
	char *room = mmap(NULL, 2 * PIECES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (unsigned long i = 0; i < PIECES; i++)
		mprotect(room + 2 * i * PAGE, PAGE, PROT_READ);
	board->step = 1;
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

FIXTURE(locked)
{
};

FIXTURE_SETUP(locked)
{
	process_prepare();
	ASSERT_LT(0, request_family());
}

FIXTURE_TEARDOWN(locked)
{
	EXPECT_LT(0, request_family());
}

/* the kernel's workers that wait, in a job of a request, for an address space to be unlocked */
static int waiting_jobs(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	while (proc && (entry = readdir(proc))) {
		char path[300], line[256];
		FILE *stack;

		snprintf(path, sizeof(path), "/proc/%s/stack", entry->d_name);
		stack = *entry->d_name >= '1' && *entry->d_name <= '9' ? fopen(path, "r") : NULL;
		while (stack && fgets(line, sizeof(line), stack))
			n += strstr(line, " job_work+") && strstr(line, "[memfdcr]");
		if (stack)
			fclose(stack);
	}
	if (proc)
		closedir(proc);
	return n;
}

/* one that begins is given up at once */
static int try_to_watch(struct scene *s)
{
	int err = request(s->sock, MEMFDCR_CMD_WATCH_START, LIST({ MEMFDCR_A_WATCH_PID, 4, s->target })).error;

	if (!err) {
		mnl_socket_close(s->sock);
		s->sock = request_socket();
	}
	return err;
}

TEST_F_TIMEOUT(locked, watch_is_refused, 600)
{
	struct scene s = { 0 };
	int tries, err = 0, most = 0;
	time_t until;

	s.target = process_start(forks_slowly, NULL);
	ASSERT_TRUE(wait_for(&board->step, 1, LONG));
	s.sock = request_socket();
	for (tries = 0; tries < 300 && err != -EBUSY; tries++)
		err = try_to_watch(&s);
	/* it was refused, and is still under way */
	if (err == -EBUSY) {
		EXPECT_EQ(-EAGAIN, module_unload());
		/* and who asks again and again does not have it done as often: one waits, and another may be about to end */
		until = time(NULL) + 60;
		for (tries = 0; tries < 16 || (!most && time(NULL) < until); tries++) {
			int waiting;

			try_to_watch(&s);
			waiting = waiting_jobs();
			if (waiting > most)
				most = waiting;
		}
		printf("# at most %d jobs waited\n", most);
		EXPECT_GE(2, most);
	}
	kill(s.target, SIGKILL);
	waitpid(s.target, NULL, 0);
	let_go(&s);
	EXPECT_EQ(0, module_unload_soon());
	if (err != -EBUSY)
		SKIP(return, "no fork() of %lu mappings took longer than a watch waits", 2 * PIECES);
	if (!most)
		SKIP(return, "no second fork() of %lu mappings was met under way in %d tries", 2 * PIECES, tries);
}

/* ---- those who are killed while they ask ---- */

FIXTURE(killed)
{
	pid_t target;
};

FIXTURE_VARIANT(killed)
{
	bool (*ask)(struct scene *s);
};

#define ASKS(name) FIXTURE_VARIANT_ADD(killed, name) { .ask = name }
ASKS(guard);
ASKS(plain);
ASKS(objects);
ASKS(watch_of_a_tree);

FIXTURE_SETUP(killed)
{
	process_prepare();
	self->target = process_start(target_wait, NULL);
	ASSERT_LT(0, request_family());
}

FIXTURE_TEARDOWN(killed)
{
	kill(self->target, SIGKILL);
	waitpid(self->target, NULL, 0);
	EXPECT_LT(0, request_family());
}

struct asker {
	bool (*ask)(struct scene *s);
	pid_t target;
};

static int asks(void *arg)
{
	const struct asker *asker = arg;

	for (;;) {
		struct scene s = { .target = asker->target };

		asker->ask(&s);
		board->step = 1;
		let_go(&s);
	}
	return 0;
}

/* a worker may still be about the request: unloading is refused until it is done, or waits for it */
TEST_F_TIMEOUT(killed, in_a_request, 600)
{
	struct asker asker = { variant->ask, self->target };
	unsigned int seed = 1;
	pid_t pid;
	int err;

	for (int i = 0; i < 12; i++) {
		ASSERT_LT(0, request_family());
		board->step = 0;
		pid = process_start(asks, &asker);
		ASSERT_TRUE(wait_for(&board->step, 1, LONG));
		usleep(rand_r(&seed) % 20000);
		kill(pid, SIGKILL);
		err = module_unload();
		EXPECT_TRUE(err == 0 || err == -EAGAIN) TH_LOG("error %d", err);
		waitpid(pid, NULL, 0);
		if (err)
			ASSERT_EQ(0, module_unload_soon());
	}
}

TEST_HARNESS_MAIN
