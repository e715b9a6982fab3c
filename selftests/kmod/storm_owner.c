// SPDX-License-Identifier: GPL-2.0-only
/* Lives of trees in a storm: each has an owner, who may page and watch it, and lets it go in one way or another. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "request.h"
#include "storm.h"
#include "storm_pager.h"
#include "storm_watch.h"

#define LONG (120000 * SLOWNESS)		/* ms: longer than a tree takes to go, on a slow machine and in a storm */

/* one life */
struct life {
	struct storm_tree *tree;
	uint32_t number;
	bool paged, watched;
	struct storm_pager pager;
	struct storm_watch watch;
	bool root_ended;
	unsigned int rounds;
};

static bool knows_uffd(void *data, uint64_t id)
{
	return storm_pager_knows(data, id);
}

static void fill_lanes(const struct storm_tree *tree)
{
	for (unsigned int l = 0; l < LANES; l++)
		for (unsigned long page = 0; page < LANE_PAGES; page++) {
			uint64_t *words = (void *)(ARENA + l * LANE_SIZE + page * PAGE);

			for (unsigned int w = 0; w < PAGE / sizeof(*words); w++)
				words[w] = storm_word(tree->number, l, page, w);
		}
}

/* 0: the tree is there, and waits */
static int begin(struct life *life)
{
	struct storm_tree *tree = life->tree;
	pid_t owner = getpid(), root;
	int err = 0;

	tree->number = life->number;
	tree->punches = life->paged && storm_any(3);
	storm_map_lanes(storm_any(2));
	if (!life->paged)
		fill_lanes(tree);
	/* not process_start(): it has to outlive us, and be killed by the guard */
	root = fork();
	if (root < 0)
		return -errno;
	if (!root) {
		storm_seed(tree->number, 0);
		_exit(storm_tree_run(tree, owner));
	}
	tree->root = root;
	/* everybody else has time as long as somebody waits for a page */
	setpriority(PRIO_PROCESS, 0, -10);
	if (life->paged)
		err = storm_pager_begin(&life->pager, tree);
	if (!err && life->watched)
		err = storm_watch_begin(&life->watch, root, true, 65536);
	if (err) {
		kill(root, SIGKILL);
		return err;
	}
	if (life->paged && life->watched) {
		life->watch.knows_uffd = knows_uffd;
		life->watch.data = &life->pager;
	}
	tree->go = tree->number;
	return 0;
}

static void serve(struct life *life)
{
	bool idle = !life->paged;

	if (life->paged)
		storm_pager_serve(&life->pager, life->watched ? 1 : 20);
	if (life->paged && life->rounds % 50 == 49)
		storm_pager_sweep(&life->pager);
	if (life->paged && life->rounds % 50 == 24)
		storm_pager_inspect(&life->pager);
	/* after the fork event: that comes first */
	for (int i = 0; life->watched && i < 100 && storm_watch_read(&life->watch, idle ? 20 : 0); i++)
		idle = false;
	if (!life->watched && idle)
		storm_nap(20000);
	life->rounds++;
	if (!life->root_ended)
		life->root_ended = waitpid(life->tree->root, NULL, WNOHANG) != 0;
}

/* until nobody of the tree is left, and that has been told */
static void serve_out(struct life *life)
{
	time_t until = time(NULL) + LONG / 1000;

	while (time(NULL) <= until) {
		serve(life);
		if (life->root_ended && (!life->paged || storm_pager_sweep(&life->pager)) &&
		    (!life->watched || life->watch.last))
			return;
	}
	storm_fault("tree %u: %s, %zu address spaces, %u processes told of", life->number,
		    life->root_ended ? "its root has ended" : "its root has not ended", life->pager.n,
		    life->watched ? life->watch.alive : 0);
}

static void end(struct life *life)
{
	unsigned int how = storm_any(4);

	if (life->paged && how <= 1 && !(how && life->tree->punches)) {
		/* what it knew of children goes with it */
		life->watch.knows_uffd = NULL;
		if (how) {
			/* nothing is missing any more: they live on, as if nothing had happened */
			storm_pager_complete(&life->pager);
			life->paged = false;
			for (int i = 0; i < 20; i++)
				serve(life);
		} else {
			/* all guards at once: the kernel kills whoever may see a missing page */
			storm->n.lost_pagers++;
			storm_pager_end(&life->pager);
		}
	}
	if (!life->paged || how) {
		kill(-life->tree->root, SIGKILL);
		storm->n.killed++;
	}
	serve_out(life);
	if (life->paged)
		storm_pager_end(&life->pager);
	if (life->watched)
		storm_watch_end(&life->watch);
}

static int one_life(void *arg)
{
	unsigned long place = (long)arg % OWNERS;
	struct life life = { .tree = &storm->tree[place], .number = (long)arg };
	unsigned int until;

	storm_seed(5, life.number);
	life.paged = storm_any(4);
	life.watched = storm_any(2);
	until = 10 + storm_any(150);
	if (begin(&life))
		return 0;
	storm->n.lives++;
	while (storm->phase == STRICT && life.rounds < until && !life.root_ended) {
		serve(&life);
		if (life.paged && storm_any(200) == 0)
			storm_pager_drop_one(&life.pager);
	}
	end(&life);
	return 0;
}

int storm_owner(void *arg)
{
	struct storm_tree *tree = &storm->tree[(long)arg];
	pid_t pid;

	storm_seed(6, (long)arg);
	for (long i = 1; storm->phase != OVER; i++) {
		bool abruptly = storm_any(4) == 0;

		if (storm->phase == LOOSE) {
			storm_nap(10000);
			continue;
		}
		pid = process_start(one_life, (void *)(storm->round % 256L << 16 | (i * OWNERS + (long)arg) % 65536));
		if (abruptly) {
			storm_nap(1000000);
			kill(pid, SIGKILL);
			storm->n.lost_pagers++;
		}
		waitpid(pid, NULL, 0);
		tree->root = 0;
	}
	return 0;
}
