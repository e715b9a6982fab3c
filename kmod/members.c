// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which watch has which process.
 */
#include <linux/hashtable.h>
#include <linux/mmu_notifier.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <uapi/linux/memfdcr.h>

#include "compat/wrapper/mm.h"
#include "holder.h"
#include "member.h"
#include "members.h"
#include "space.h"

/* the table and memberships; taken in hooks */
static DEFINE_RAW_SPINLOCK(lock);
DEFINE_HASHTABLE(memfdcr_member_table, MEMFDCR_MEMBER_BITS);

static void member_free(struct rcu_head *rcu)
{
	struct memfdcr_member *m = container_of(rcu, struct memfdcr_member, rcu);

	put_user_ns(m->reach);
	memfdcr_watch_put(m->watch);
	kfree(m);
}

/**
 * memfdcr_member_put() - drop a reference
 * @m: the member. Whoever has found it in the table may still add to what its watch tells: both go after that
 *
 * Context: any.
 */
void memfdcr_member_put(struct memfdcr_member *m)
{
	if (refcount_dec_and_test(&m->refs))
		call_rcu(&m->rcu, member_free);
}

/**
 * memfdcr_member_event() - what every event begins with
 * @m: whose it is
 * @command: MEMFDCR_CMD_..._NTF
 *
 * Context: any; in the thread that does it.
 * Return: the event.
 */
struct memfdcr_event_ntf memfdcr_member_event(const struct memfdcr_member *m, u8 command)
{
	return (struct memfdcr_event_ntf){
		.command = command,
		.pid = m->pid,
		/* whoever does it may be a stranger, who drops pages of a file that is mapped here */
		.tid = current->signal == m->process ? task_pid_nr_ns(current, m->watch->ns) : 0,
	};
}

/**
 * memfdcr_member_unmap() - an unmap-ntf
 * @m: whose it is
 * @start: from this address
 * @end: to this one
 * @cause: enum memfdcr_cause
 *
 * Context: any; in the thread that does it.
 * Return: the event.
 */
struct memfdcr_event_ntf memfdcr_member_unmap(const struct memfdcr_member *m, unsigned long start, unsigned long end,
					      u32 cause)
{
	struct memfdcr_event_ntf event = memfdcr_member_event(m, MEMFDCR_CMD_UNMAP_NTF);

	event.unmap.start = start;
	event.unmap.end = end;
	event.unmap.cause = cause;
	return event;
}

/**
 * memfdcr_member_new() - a process that is to be in a watch
 * @w: the watch
 * @process: thread group leader
 * @reach: whatever belongs to this user namespace or to one below may be watched
 * @gfp: whether it may sleep
 *
 * Context: as @gfp says.
 * Return: it, with one reference; NULL: no memory.
 */
struct memfdcr_member *memfdcr_member_new(struct memfdcr_watch *w, struct task_struct *process,
					  struct user_namespace *reach, gfp_t gfp)
{
	struct memfdcr_member *m = kzalloc(sizeof(*m), gfp);

	if (!m)
		return NULL;
	m->process = process->signal;
	m->pid = task_tgid_nr_ns(process, w->ns);
	m->watch = w;
	refcount_inc(&w->refs);
	refcount_set(&m->refs, 1);
	m->reach = get_user_ns(reach);
	INIT_LIST_HEAD(&m->calls);
	memfdcr_space_prepare(m);
	return m;
}

/**
 * memfdcr_member_enter() - put a new member into the table
 * @m: the member; the table takes over the reference unless it fails
 * @process: the process
 *
 * Context: any.
 * Return: 0; -ESRCH the watch ends, or the process has; -EEXIST it is a member already.
 */
int memfdcr_member_enter(struct memfdcr_member *m, const struct task_struct *process)
{
	struct memfdcr_member *other;
	unsigned long flags;
	int err = 0;

	raw_spin_lock_irqsave(&lock, flags);
	if (m->watch->ending)
		err = -ESRCH;
	hash_for_each_possible(memfdcr_member_table, other, hash, (unsigned long)m->process)
		if (other->process == m->process && other->watch == m->watch)
			err = -EEXIST;
	if (!err) {
		hash_add_rcu(memfdcr_member_table, &m->hash, (unsigned long)m->process);
		/* pairs with the decrement in do_exit(): either this sees it, or the hook behind it sees the member */
		smp_mb();
		if (atomic_read(&process->signal->live)) {
			list_add(&m->of_watch, &m->watch->all);
			m->watch->members++;
		} else {
			m->gone = true;
			hash_del_rcu(&m->hash);
			err = -ESRCH;
		}
	}
	raw_spin_unlock_irqrestore(&lock, flags);
	return err;
}

/**
 * memfdcr_member_leave() - take a member out of the table and tell that, in order: nothing comes after the last one
 * @m: the member
 * @unmap: what is told first
 * @end: what is told last; NULL: nothing is told
 *
 * Context: any.
 * Return: whether nobody did before: the caller has the table's reference then.
 */
bool memfdcr_member_leave(struct memfdcr_member *m, const struct memfdcr_event_ntf *unmap,
			  struct memfdcr_event_ntf *end)
{
	unsigned long flags;
	bool was_in;

	raw_spin_lock_irqsave(&lock, flags);
	was_in = !m->gone;
	if (was_in) {
		m->gone = true;
		hash_del_rcu(&m->hash);
		list_del(&m->of_watch);
		m->watch->members--;
		if (end) {
			end->last = m->watch->begun && !m->watch->members;
			memfdcr_events_add(&m->watch->events, unmap);
			memfdcr_events_add(&m->watch->events, end);
		}
	}
	raw_spin_unlock_irqrestore(&lock, flags);
	return was_in;
}

/**
 * memfdcr_member_expel() - a member that has left is not watched any more
 * @m: the member; the reference that memfdcr_member_leave() gave is consumed
 *
 * Context: any but interrupts.
 */
void memfdcr_member_expel(struct memfdcr_member *m)
{
	memfdcr_space_detach(m);
	memfdcr_member_put(m);
}

/**
 * memfdcr_member_reaches() - may the watch see what its member has become?
 * @m: the member
 * @p: one of its threads
 *
 * Capabilities reach whatever is below, and credentials do not leave their user namespace. But the memory of a program
 * that may not be read belongs to an outer one.
 *
 * Context: any.
 * Return: whether it may.
 */
bool memfdcr_member_reaches(const struct memfdcr_member *m, struct task_struct *p)
{
	struct user_namespace *theirs = memfdcr_task_user_ns(p);
	const struct user_namespace *ns;
	bool found = !theirs;

	for (ns = theirs; ns && !found; ns = ns->parent)
		found = ns == m->reach;
	if (theirs)
		put_user_ns(theirs);
	return found;
}

/* the address space that the process has now; one that it gets by execve() meanwhile, it attaches itself */
static int attach_now(struct memfdcr_member *m, struct task_struct *process, long *patience)
{
	struct mm_struct *mm = memfdcr_process_mm(process);

	return mm ? memfdcr_space_attach(m, mm, patience) : 0;
}

/**
 * memfdcr_members_add() - watch a process
 * @w: the watch
 * @process: thread group leader; the caller has a reference
 * @reach: whatever belongs to this user namespace or to one below may be watched
 * @patience: how many jiffies to wait for its memory to be unlocked; result: how many are left
 *
 * Context: process context; sleeps. The hooks are in place.
 * Return: 0; -EEXIST it is a member; -ESRCH it has exited; -EPERM it may not be watched any more; -EBUSY its memory is
 * locked for long; -ENOMEM; -EINTR killed.
 */
int memfdcr_members_add(struct memfdcr_watch *w, struct task_struct *process, struct user_namespace *reach,
			long *patience)
{
	struct memfdcr_member *m = memfdcr_member_new(w, process, reach, GFP_KERNEL_ACCOUNT);
	int err;

	if (!m)
		return -ENOMEM;
	/* the table's own reference goes as soon as the process exits */
	refcount_inc(&m->refs);
	err = memfdcr_member_enter(m, process);
	if (err) {
		memfdcr_member_put(m);
	} else {
		/* execve() of what may not be watched: either it is seen here, or its hook finds the member */
		err = memfdcr_member_reaches(m, process) ? attach_now(m, process, patience) : -EPERM;
		if (err && memfdcr_member_leave(m, NULL, NULL))
			memfdcr_member_expel(m);
	}
	memfdcr_member_put(m);
	return err;
}

/**
 * memfdcr_members_begin() - all who are to be watched are members now, or will be by themselves
 * @w: the watch
 *
 * Context: any.
 * Return: whether there are any.
 */
bool memfdcr_members_begin(struct memfdcr_watch *w)
{
	unsigned long flags;
	bool any;

	raw_spin_lock_irqsave(&lock, flags);
	w->begun = true;
	any = w->members;
	raw_spin_unlock_irqrestore(&lock, flags);
	return any;
}

/* one member of a watch, out of the table, with the table's reference; NULL: there is none */
static struct memfdcr_member *take_one(struct memfdcr_watch *w)
{
	struct memfdcr_member *m;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	w->ending = true;
	m = list_first_entry_or_null(&w->all, struct memfdcr_member, of_watch);
	if (m) {
		m->gone = true;
		hash_del_rcu(&m->hash);
		list_del(&m->of_watch);
		w->members--;
	}
	raw_spin_unlock_irqrestore(&lock, flags);
	return m;
}

/**
 * memfdcr_members_clear() - watch nobody any more
 * @w: the watch, which gets no new members
 *
 * Context: process context; sleeps.
 */
void memfdcr_members_clear(struct memfdcr_watch *w)
{
	struct memfdcr_member *m;

	while ((m = take_one(w)))
		memfdcr_member_expel(m);
}

/**
 * memfdcr_members_exit() - wait for what members have left behind
 *
 * Context: process context; sleeps. No watch exists any more.
 */
void memfdcr_members_exit(void)
{
	mmu_notifier_synchronize();
	/* what others did for us has put its reference to the module, and may still have to return */
	synchronize_rcu_tasks();
	rcu_barrier();
}

