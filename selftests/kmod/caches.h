/* SPDX-License-Identifier: GPL-2.0-only */
/* How many objects of which kind the kernel has, and whether there are more than before. */
#ifndef CACHES_H
#define CACHES_H

#include <stdbool.h>
#include <stddef.h>

struct cache {
	char name[48];
	unsigned long objects;
};

struct caches {
	struct cache cache[512];
	size_t n;
};

/* what /proc/slabinfo says, after everything that can be freed was */
void caches_count(struct caches *caches);
/* prints those with that many more objects than before, of what comes and goes with processes, and returns how many */
int caches_grown(const struct caches *before, const struct caches *now, unsigned long most);
/* prints what kmemleak says of the module, and returns how many lines that were; -1: there is no kmemleak */
int caches_leaks(void);
/*
 * Nothing has leaked: kmemleak says so or, where there is none, the kernel's own memory is soon no more than most KiB.
 * A kernel that looks for leaks itself keeps what was freed for a while (KASAN): to count says nothing there.
 */
bool caches_nothing_leaked(long most);

#endif
