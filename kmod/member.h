/* SPDX-License-Identifier: GPL-2.0-only */
/* A process in a watch, for those that see what it does. */
#ifndef MEMFDCR_MEMBER_H
#define MEMFDCR_MEMBER_H

#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "members.h"

struct memfdcr_space;
struct mm_struct;

/* every process that forks looks for itself in the table: one reason why a user has no more than so many watches */
#define MEMFDCR_MEMBER_BITS 12
extern DECLARE_HASHTABLE(memfdcr_member_table, MEMFDCR_MEMBER_BITS);

/**
 * struct memfdcr_member - a process in a watch
 * @hash: in the table, by @process
 * @of_watch: among the members of @watch, while in the table
 * @process: what all its threads have in common
 * @watch: with a reference
 * @refs: one for the table, one for each work pending
 * @gone: not in the table any more
 * @pid: in the watch's pid namespace
 * @reach: whatever belongs to this user namespace or to one below may be watched; with a reference
 * @space_lock: @space, and whether it is among its members; @again_mm
 * @in_space: among the members of @space
 * @space: its address space; NULL: none yet, or gone
 * @attach: work that gets a new address space its notifier
 * @attaching: it is pending
 * @again: work that tries again to get one its notifier, after there was no memory for that
 * @again_mm: that address space, with a reference to it but not to what is mapped there; NULL: none
 * @calls: mremap() and fork() calls under way, for call.c alone, as is
 * @n_calls: their number
 * @rcu: for the end
 */
struct memfdcr_member {
	struct hlist_node hash;
	struct list_head of_watch;
	const struct signal_struct *process;
	struct memfdcr_watch *watch;
	refcount_t refs;
	bool gone;
	pid_t pid;
	struct user_namespace *reach;
	spinlock_t space_lock;
	struct list_head in_space;
	struct memfdcr_space *space;
	struct callback_head attach;
	bool attaching;
	struct delayed_work again;
	struct mm_struct *again_mm;
	struct list_head calls;
	unsigned int n_calls;
	struct rcu_head rcu;
};

/* the members that a process is; under RCU */
#define memfdcr_for_each_member(m, p) \
	hash_for_each_possible_rcu(memfdcr_member_table, m, hash, (unsigned long)(p)) \
		if ((m)->process == (p) && !READ_ONCE((m)->gone))

struct memfdcr_member *memfdcr_member_new(struct memfdcr_watch *w, struct task_struct *process,
					  struct user_namespace *reach, gfp_t gfp);
void memfdcr_member_put(struct memfdcr_member *m);
int memfdcr_member_enter(struct memfdcr_member *m, const struct task_struct *process);
bool memfdcr_member_leave(struct memfdcr_member *m, const struct memfdcr_event_ntf *unmap,
			  struct memfdcr_event_ntf *end);
void memfdcr_member_expel(struct memfdcr_member *m);
bool memfdcr_member_reaches(const struct memfdcr_member *m, struct task_struct *p);
struct memfdcr_event_ntf memfdcr_member_event(const struct memfdcr_member *m, u8 command);
struct memfdcr_event_ntf memfdcr_member_unmap(const struct memfdcr_member *m, unsigned long start, unsigned long end,
					      u32 cause);

#endif
