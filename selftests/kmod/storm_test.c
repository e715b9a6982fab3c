// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storm over the module: trees that change all the time are paged, watched and dumped at once, everything is broken
 * off in the middle, and somebody tries to unload the module all the time. It wants to be alone with the module.
 *
 * It goes in rounds. In the first part of a round the module is in use all the time, and no unloading may succeed. In
 * the second it is in use now and then, is unloaded when it is not, and loaded again by whoever asks next. Then all is
 * torn down: nobody may be stuck, the module has to go, and to leave nothing behind.
 *
 * MEMFDCR_STORM_SECONDS	how long it takes (60)
 * MEMFDCR_STORM_SEED		which storm; printed at the beginning
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <linux/memfdcr.h>

#include "harness.h"
#include "caches.h"
#include "module.h"
#include "request.h"
#include "session.h"
#include "storm.h"
#include "storm_watch.h"

#define PATIENCE (120000 * SLOWNESS)	/* ms for everybody to end, on a slow machine */
#define ROUND 30			/* seconds of a round, at most; there are two at least */

static unsigned int setting(const char *name, unsigned int preset)
{
	const char *value = getenv(name);

	return value && *value ? strtoul(value, NULL, 0) : preset;
}

/* a role: has the module in use for the first part of a round, in one of the ways there are */
static int holder(void *arg)
{
	struct storm_watch watch;
	struct answer answer;
	int mem, err;

	switch (storm->round % 3) {
	case 0:
		mem = open_mem(getpid(), O_RDWR);
		answer = uffd_open(mem, O_CLOEXEC, true);
		if (answer.error)
			storm_fault("no guard: %d, %s", answer.error, answer.message);
		break;
	case 1:
		/* of which nobody reads a word; EBUSY: on a slow machine nothing is done at once */
		for (int i = 0; i < 60; i++) {
			err = storm_watch_begin(&watch, getppid(), false, 16);
			if (err != -EBUSY)
				break;
		}
		if (err)
			storm_fault("no watch: %d", err);
		break;
	case 2:
		if (request_send_dump(request_socket(), MEMFDCR_CMD_HOLDER_GET, (const struct attribute[]){ { 0 } }))
			storm_fault("no dump");
		break;
	}
	storm->held++;
	while (storm->phase == STRICT)
		usleep(1000);
	storm->held++;
	return 0;
}

/* one round, in a session of its own; 0: all of them ended */
static int conduct(void *arg)
{
	static int (*const roles[])(void *) = {
		storm_watcher, storm_watcher, storm_dumper, storm_dumper, storm_opener, storm_unloader
	};
	unsigned int held = storm->held, useconds = *(unsigned int *)arg * 100000;

	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	storm->phase = STRICT;
	process_start(holder, NULL);
	while (storm->held == held)
		usleep(1000);
	for (long i = 0; i < OWNERS; i++)
		process_start(storm_owner, (void *)i);
	for (size_t i = 0; i < sizeof(roles) / sizeof(*roles); i++)
		process_start(roles[i], (void *)i);
	usleep(useconds * 6);
	storm->phase = LOOSE;
	usleep(useconds * 4);
	storm->phase = OVER;
	/* in the middle of whatever they do */
	return !session_end(getpid(), PATIENCE);
}

static void print_counts(void)
{
#define X(name) printf("# %-20s %lu\n", #name, storm->n.name);
	STORM_COUNTS(X)
#undef X
	fflush(stdout);
}

FIXTURE(storm)
{
	long slab;
	struct caches before;
};

FIXTURE_SETUP(storm)
{
	process_prepare();
	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, storm);
	storm->seed = setting("MEMFDCR_STORM_SEED", time(NULL) ^ getpid() << 16);
	printf("# MEMFDCR_STORM_SEED=%u\n", storm->seed);
	fflush(stdout);
}

FIXTURE_TEARDOWN(storm)
{
	munmap(storm, sizeof(*storm));
}

/* everything is gone: so must the module be able to, and what it had */
static void clear_up(struct __test_metadata *_metadata)
{
	/* the last one who tried to unload it may have succeeded */
	EXPECT_EQ(0, module_is_loaded() ? module_unload_soon() : 0);
	EXPECT_FALSE(module_is_loaded());
	EXPECT_LT(0, request_family());
	EXPECT_TRUE(module_is_loaded());
}

TEST_F_TIMEOUT(storm, everything_at_once, 7200)
{
	unsigned int seconds = setting("MEMFDCR_STORM_SECONDS", 60), rounds = seconds / ROUND + 2;
	struct caches now;
	int leaks;

	seconds = seconds / rounds ?: 1;
	for (storm->round = 0; storm->round < rounds && !storm->faults; storm->round++) {
		pid_t pid = process_start(conduct, &seconds);
		int status = process_end(pid, seconds * 1000 + 2 * PATIENCE);

		if (status)
			session_print(pid);
		ASSERT_EQ(0, status) print_counts();
		clear_up(_metadata);
		/* what is allocated once is there after the first round */
		if (storm->round == 0) {
			self->slab = module_slab();
			caches_count(&self->before);
		}
	}
	print_counts();
	EXPECT_EQ(0, storm->faults);
	leaks = caches_leaks();
	EXPECT_GE(0, leaks);
	if (leaks < 0) {
		TH_LOG("no kmemleak in this kernel, objects are counted");
		EXPECT_TRUE(module_slab_soon(self->slab + 8192));
		caches_count(&now);
		EXPECT_EQ(0, caches_grown(&self->before, &now, 1000));
	}
	/* a storm in which nothing happened shows nothing */
	EXPECT_LT(0, storm->n.looks);
	EXPECT_LT(0, storm->n.moves);
	EXPECT_LT(0, storm->n.forks);
	EXPECT_LT(0, storm->n.fills);
	EXPECT_LT(0, storm->n.fork_events);
	EXPECT_LT(0, storm->n.lost_pagers);
	EXPECT_LT(0, storm->n.notifications);
	EXPECT_LT(0, storm->n.dumps);
	EXPECT_LT(0, storm->n.broken_off);
	EXPECT_LT(0, storm->n.killed_requests);
	EXPECT_LT(0, storm->n.refused_unloads);
}

TEST_HARNESS_MAIN
