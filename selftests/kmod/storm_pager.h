/* SPDX-License-Identifier: GPL-2.0-only */
/* The pager of a tree in a storm. */
#ifndef STORM_PAGER_H
#define STORM_PAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storm.h"

/* somebody who waits for a page */
struct waiting {
	int uffd;
	unsigned long address;
};

struct storm_pager {
	const struct storm_tree *tree;
	int *uffds;			/* one for each address space */
	size_t n, room;
	struct waiting waiting[256];
	size_t n_waiting;
	uint64_t *children;		/* uffd ids of the children that fork events told of */
	size_t n_children;
};

/* opens a guard on the tree's root, which waits; 0, or a negative errno that storm_may_fail() knows */
int storm_pager_begin(struct storm_pager *pager, const struct storm_tree *tree);
/* one round: reads what has come in that many milliseconds, and fills what is missing */
void storm_pager_serve(struct storm_pager *pager, int milliseconds);
/* closes what watches nobody any more; true: that was all */
bool storm_pager_sweep(struct storm_pager *pager);
/* asks the module what one of them watches */
void storm_pager_inspect(struct storm_pager *pager);
/* whether a fork event told of the userfaultfd with this number */
bool storm_pager_knows(const struct storm_pager *pager, uint64_t uffd_id);
/* fills everything that is missing, and lets go of everybody */
void storm_pager_complete(struct storm_pager *pager);
/* closes one of them, or all, whatever is missing: its processes are killed */
void storm_pager_drop_one(struct storm_pager *pager);
void storm_pager_end(struct storm_pager *pager);

#endif
