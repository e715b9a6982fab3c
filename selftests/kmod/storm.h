/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A storm: trees of processes that fork, move, unmap, exec and die as fast as they can, and others that page, watch and
 * dump them meanwhile, and break off in the middle. What the parts of it share.
 *
 * Every page of a tree's objects says which page of which object it is. An object is mapped in a lane of its own, and
 * wherever in the lane that is, the address alone tells the page: so any process can check any page, and the pager
 * needs no tables, which could be wrong themselves.
 */
#ifndef STORM_H
#define STORM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"

#define OWNERS 4			/* of trees, at a time */
#define LANES 3				/* objects of a tree */
#define LANE_PAGES 256UL		/* of an object */
#define SLOTS 16UL			/* places for it in its lane */
#define OBJECT_SIZE (LANE_PAGES * PAGE)
#define LANE_SIZE (SLOTS * OBJECT_SIZE)
#define ARENA 0x300000000UL

/* STRICT: the module is in use all the time; LOOSE: it may be unloaded at any moment */
enum storm_phase { STRICT, LOOSE, OVER };

/* a tree, as its owner and all its processes see it */
struct storm_tree {
	uint32_t number;		/* of which its pages speak; no other tree has had it */
	bool punches;			/* MADV_REMOVE is among what it does */
	atomic_uint go;			/* the tree with this number begins */
	atomic_int root;		/* pid; 0: none just now */
};

#define STORM_COUNTS(X) \
	X(lives) X(forks) X(execs) X(moves) X(unmaps) X(drops) X(punches) X(looks) X(remap_file_pages) \
	X(fills) X(fork_events) X(lost_pagers) X(closed_guards) X(completed) X(killed) \
	X(watches) X(notifications) X(overruns) X(ended_watches) \
	X(dumps) X(broken_off) X(opens) X(killed_requests) \
	X(refused_unloads) X(unloads)

struct storm {
	atomic_int phase;
	unsigned int seed, round;
	atomic_int faults;		/* things that must never happen; each is printed */
	atomic_uint held;		/* odd: somebody has the module in use and does not let go */
	struct storm_tree tree[OWNERS];
#define X(name) atomic_ulong name;
	struct { STORM_COUNTS(X) } n;
#undef X
};

extern struct storm *storm;

/* something that must not happen */
void storm_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* whether a request may end so just now */
bool storm_may_fail(int error);

/* each process has a sequence of its own, which depends on the seed and these numbers alone */
void storm_seed(unsigned int a, unsigned int b);
unsigned int storm_any(unsigned int below);
void storm_nap(unsigned int most_us);

/* storm_tree.c: what the processes of a tree do */
uint64_t storm_word(uint32_t tree, unsigned int lane, unsigned long page, unsigned int i);
void storm_map_lanes(bool memfd);		/* all of them, at their first places, all missing */
void storm_unmap_lanes(void);
int storm_tree_run(const struct storm_tree *tree, pid_t owner);

/* storm_owner.c: a role: lives of trees, one after the other; arg: which of storm->tree */
int storm_owner(void *arg);

/* storm_ask.c: roles; arg: a number of their own */
int storm_dumper(void *arg);
int storm_opener(void *arg);
int storm_unloader(void *arg);

/* storm_watch.c: a role */
int storm_watcher(void *arg);

#endif
