/* SPDX-License-Identifier: GPL-2.0-only */
/* Which watch has which process. */
#ifndef MEMFDCR_MEMBERS_H
#define MEMFDCR_MEMBERS_H

#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#include "events.h"

struct mm_struct;
struct pid_namespace;
struct signal_struct;
struct task_struct;
struct user_namespace;

/**
 * struct memfdcr_watch - a watch; its members and pending work have references
 * @node: in the list of all
 * @refs: references
 * @owner: the user whose watches it counts among
 * @ns: whose pids are told
 * @tree: children of members become members
 * @members: processes watched now, their number
 * @all: and they
 * @events: what is to be told
 * @begun: all who are to be watched are members, so the last of them is the last
 * @ending: nobody becomes a member any more
 * @free: when the last reference is gone
 */
struct memfdcr_watch {
	struct list_head node;
	refcount_t refs;
	kuid_t owner;
	struct pid_namespace *ns;
	bool tree;
	unsigned int members;
	struct list_head all;
	struct memfdcr_events events;
	bool begun, ending;
	struct work_struct free;
};

void memfdcr_watch_put(struct memfdcr_watch *w);

int memfdcr_members_add(struct memfdcr_watch *w, struct task_struct *process, struct user_namespace *reach,
			long *patience);
bool memfdcr_members_begin(struct memfdcr_watch *w);
void memfdcr_members_clear(struct memfdcr_watch *w);
void memfdcr_members_exit(void);

#endif
