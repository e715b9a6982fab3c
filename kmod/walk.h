/* SPDX-License-Identifier: GPL-2.0-only */
/* Going from process to process: a list of them, a tree, or all; and whether they stood still meanwhile. */
#ifndef MEMFDCR_WALK_H
#define MEMFDCR_WALK_H

#include <linux/types.h>

#include "access.h"

struct nlattr;
struct netlink_ext_ack;
struct nlmsghdr;
struct pid;
struct pid_namespace;
struct task_struct;

#define MEMFDCR_MAX_PIDS 4096

/**
 * struct memfdcr_walk - a walk over processes
 * @access: on whose behalf
 * @ns: pid namespace of the sender, whose pids count
 * @pids: the processes asked for, ascending; NULL: not a list
 * @n_pids: how many
 * @root: the root of the tree asked for; NULL: not a tree
 * @outside: those not asked for are walked, instead of those that are
 * @next: index into @pids, or pid, to go on with
 * @hidden: processes that were left out because the request may not see them, [1] of those not asked for
 * @still: sum over all threads walked that says whether one of them has run since
 * @ran: one of them was running when it was looked at, or cannot be said to have stood still
 * @budget: so many more threads are looked at for whether they share something with one that is walked
 */
struct memfdcr_walk {
	struct memfdcr_access access;
	struct pid_namespace *ns;
	struct pid **pids;
	unsigned int n_pids;
	struct pid *root;
	bool outside;
	unsigned int next;
	unsigned int hidden[2];
	u64 still;
	bool ran;
	unsigned int budget;
};

int memfdcr_walk_begin(struct memfdcr_walk *w, struct sk_buff *skb, const struct nlmsghdr *nlh, int pid_type,
		       const struct nlattr *tree, struct netlink_ext_ack *extack);
void memfdcr_walk_end(struct memfdcr_walk *w);
void memfdcr_walk_rewind(struct memfdcr_walk *w, bool outside);
struct task_struct *memfdcr_walk_next(struct memfdcr_walk *w);
struct task_struct *memfdcr_walk_any(struct memfdcr_walk *w);
int memfdcr_walk_recheck(struct memfdcr_walk *w, bool outside, bool *stood_still);
bool memfdcr_walk_covers(const struct memfdcr_walk *w, struct task_struct *process);

#endif
