// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to the address space of a process in a watch.
 *
 * Its mmu_notifier tells, under the lock that orders such things; other address spaces are not touched. A new address
 * space gets its notifier from work that its process does before it first returns to user mode: nothing can have
 * happened in it by then.
 */
#include <linux/completion.h>
#include <linux/list.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <uapi/linux/memfdcr.h>

#include "call.h"
#include "drop.h"
#include "member.h"
#include "space.h"

/**
 * struct memfdcr_space - an address space that members have
 * @mn: its notifier, shared by all members
 * @lock: @members
 * @members: who has it
 */
struct memfdcr_space {
	struct mmu_notifier mn;
	spinlock_t lock;
	struct list_head members;
};

static const struct mmu_notifier_ops notifier_ops;

static struct mmu_notifier *space_new(struct mm_struct *mm)
{
	struct memfdcr_space *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);

	if (!s)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&s->lock);
	INIT_LIST_HEAD(&s->members);
	/* to wait for space_free() the kernel offers nothing: mmu_notifier_synchronize() may return before */
	__module_get(THIS_MODULE);
	return &s->mn;
}

static void space_free(struct mmu_notifier *mn)
{
	kfree(container_of(mn, struct memfdcr_space, mn));
	module_put(THIS_MODULE);
}

/* takes the member out of its address space, if it has any: its notifier is to be put; with the member's lock held */
static struct memfdcr_space *leave_space(struct memfdcr_member *m)
{
	struct memfdcr_space *s = m->space;

	if (!s)
		return NULL;
	spin_lock(&s->lock);
	list_del(&m->in_space);
	spin_unlock(&s->lock);
	m->space = NULL;
	return s;
}

/**
 * memfdcr_space_detach() - the member's memory is not watched (any more)
 * @m: the member
 *
 * Context: any but interrupts.
 */
void memfdcr_space_detach(struct memfdcr_member *m)
{
	struct memfdcr_space *s;

	spin_lock(&m->space_lock);
	s = leave_space(m);
	spin_unlock(&m->space_lock);
	if (s)
		mmu_notifier_put(&s->mn);
}

/*
 * From now on the notifier tells of this member, too; consumes the reference. When the member has an address space
 * already, then that is newer, unless this one is said to be the newest.
 */
static void attach(struct memfdcr_member *m, struct mmu_notifier *mn, bool newest)
{
	struct memfdcr_space *s = container_of(mn, struct memfdcr_space, mn), *put = NULL;

	spin_lock(&m->space_lock);
	if (newest)
		put = leave_space(m);
	/* who makes it leave detaches it after that */
	if (!m->space && !READ_ONCE(m->gone)) {
		spin_lock(&s->lock);
		list_add(&m->in_space, &s->members);
		spin_unlock(&s->lock);
		m->space = s;
		mn = NULL;
	}
	spin_unlock(&m->space_lock);
	if (put)
		mmu_notifier_put(&put->mn);
	if (mn)
		mmu_notifier_put(mn);
}

/* getting an address space its notifier, shared by the worker that does it and whoever waits for that */
struct attach_job {
	struct list_head node;	/* among those of requests */
	struct work_struct work;
	struct completion done;
	refcount_t refs;
	struct memfdcr_member *member;	/* with a reference */
	struct mm_struct *mm;	/* user reference */
	bool newest;
	int err;
};

/*
 * For requests, and for processes that are watched: whoever has requests wait for memory that stays locked holds up
 * other requests, but no process.
 */
static struct workqueue_struct *requests, *workers;

/* what requests have asked for: one job an address space, or whoever has one locked could have any number of them */
static LIST_HEAD(jobs);
static DEFINE_SPINLOCK(jobs_lock);

/* whether nobody has asked for that before, and still waits */
static bool is_first_job(struct attach_job *job)
{
	struct attach_job *other;
	bool first = true;

	spin_lock(&jobs_lock);
	list_for_each_entry(other, &jobs, node)
		first &= other->mm != job->mm;
	if (first)
		list_add(&job->node, &jobs);
	spin_unlock(&jobs_lock);
	return first;
}

static void job_put(struct attach_job *job)
{
	if (!refcount_dec_and_test(&job->refs))
		return;
	mmput_async(job->mm);
	memfdcr_member_put(job->member);
	kfree(job);
}

/* waits for the lock of the address space as long as it takes */
static void job_work(struct work_struct *work)
{
	struct attach_job *job = container_of(work, struct attach_job, work);
	struct mmu_notifier *mn = mmu_notifier_get(&notifier_ops, job->mm);

	if (IS_ERR(mn))
		job->err = PTR_ERR(mn);
	else
		attach(job->member, mn, job->newest);
	spin_lock(&jobs_lock);
	list_del(&job->node);
	spin_unlock(&jobs_lock);
	complete(&job->done);
	job_put(job);
}

/*
 * Has a worker of that queue attach the member, and waits for it so many jiffies, of which some may be left; consumes
 * the reference to the address space.
 */
static int attach_by_worker(struct workqueue_struct *queue, struct memfdcr_member *m, struct mm_struct *mm, bool newest,
			    long *patience)
{
	struct attach_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	long left;
	int err;

	if (!job) {
		mmput_async(mm);
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&job->node);
	INIT_WORK(&job->work, job_work);
	init_completion(&job->done);
	refcount_set(&job->refs, 1);
	refcount_inc(&m->refs);
	job->member = m;
	job->mm = mm;
	job->newest = newest;
	if (queue == requests && !is_first_job(job)) {
		job_put(job);
		return -EBUSY;
	}
	refcount_inc(&job->refs);
	queue_work(queue, &job->work);
	left = wait_for_completion_killable_timeout(&job->done, *patience);
	err = left < 0 ? -EINTR : left ? job->err : -EBUSY;
	*patience = max(left, 0L);
	job_put(job);
	return err;
}

/* the address space that the current process has just got, and has not used yet */
static int attach_own(struct memfdcr_member *m)
{
	struct mmu_notifier *mn = mmu_notifier_get(&notifier_ops, current->mm);
	long patience = MAX_SCHEDULE_TIMEOUT;
	int err;

	if (!IS_ERR(mn)) {
		attach(m, mn, true);
		return 0;
	}
	if (PTR_ERR(mn) != -EINTR)
		return PTR_ERR(mn);
	/* it has a signal pending, which workers have not. When it is killed it does not matter any more. */
	mmget(current->mm);
	err = attach_by_worker(workers, m, current->mm, true, &patience);
	return err == -EINTR ? 0 : err;
}

/* how long to wait for memory */
#define AGAIN (HZ / 10)

/* -EAGAIN: not yet */
static int attach_again(struct memfdcr_member *m, struct mm_struct *mm)
{
	struct mmu_notifier *mn;

	if (READ_ONCE(m->gone) || !mmget_not_zero(mm))
		return 0;
	mn = mmu_notifier_get(&notifier_ops, mm);
	if (!IS_ERR(mn)) {
		attach(m, mn, false);
		/* whatever has happened there until now */
		memfdcr_events_lose(&m->watch->events);
	}
	mmput(mm);
	return IS_ERR(mn) ? -EAGAIN : 0;
}

/* puts the work on its way with a reference; it may be already, with its own */
static void again_soon(struct memfdcr_member *m)
{
	refcount_inc(&m->refs);
	if (!queue_delayed_work(workers, &m->again, AGAIN))
		memfdcr_member_put(m);
}

/* exchanges the address space that is waited for, with its reference */
static struct mm_struct *set_again_mm(struct memfdcr_member *m, struct mm_struct *mm)
{
	struct mm_struct *old;

	spin_lock(&m->space_lock);
	old = m->again_mm;
	m->again_mm = mm;
	spin_unlock(&m->space_lock);
	return old;
}

static void again_work(struct work_struct *work)
{
	struct memfdcr_member *m = container_of(to_delayed_work(work), struct memfdcr_member, again);
	struct mm_struct *mm = set_again_mm(m, NULL);

	if (mm && attach_again(m, mm)) {
		mm = set_again_mm(m, mm);
		/* the process has got another one meanwhile: that one, then */
		if (mm)
			mm = set_again_mm(m, mm);
		again_soon(m);
	}
	if (mm)
		mmdrop(mm);
	memfdcr_member_put(m);
}

/* the current process's new address space has no notifier yet: until it has, nobody knows what happens there */
static void lose_sight(struct memfdcr_member *m)
{
	struct mm_struct *old;

	memfdcr_events_lose(&m->watch->events);
	mmgrab(current->mm);
	old = set_again_mm(m, current->mm);
	if (old)
		mmdrop(old);
	again_soon(m);
}

/* in the process itself, before it returns to user mode with a new address space */
static void attach_work(struct callback_head *work)
{
	struct memfdcr_member *m = container_of(work, struct memfdcr_member, attach);

	smp_store_release(&m->attaching, false);
	/* not while it exits */
	if (current->mm && !READ_ONCE(m->gone) && attach_own(m))
		lose_sight(m);
	memfdcr_member_put(m);
	module_put(THIS_MODULE);
}

/**
 * memfdcr_space_attach_soon() - watch the address space that a member has just got
 * @m: the member
 * @t: its only thread, which has not used the address space yet: it is what gets it the notifier, before it does
 *
 * Context: any but interrupts, under RCU.
 */
void memfdcr_space_attach_soon(struct memfdcr_member *m, struct task_struct *t)
{
	if (xchg(&m->attaching, true))
		return;
	/* it has just left */
	if (!refcount_inc_not_zero(&m->refs))
		return;
	__module_get(THIS_MODULE);
	init_task_work(&m->attach, attach_work);
	if (!task_work_add(t, &m->attach, TWA_RESUME))
		return;
	/* it exits */
	m->attaching = false;
	memfdcr_member_put(m);
	module_put(THIS_MODULE);
}

/* ---- what goes ---- */

static void tell_unmap(struct memfdcr_member *m, unsigned long start, unsigned long end, u32 cause)
{
	struct memfdcr_event_ntf event = memfdcr_member_unmap(m, start, end, cause);

	memfdcr_events_add(&m->watch->events, &event);
}

/* several processes may have the address space (CLONE_VM, vfork()): whose doing it is, if it is one of them */
static bool is_own_doing(const struct memfdcr_space *s)
{
	const struct memfdcr_member *m;

	list_for_each_entry(m, &s->members, in_space)
		if (m->process == current->signal)
			return true;
	return false;
}

static void tell_range(struct memfdcr_member *m, const struct mmu_notifier_range *range, enum memfdcr_drop drop)
{
	if (range->event == MMU_NOTIFY_CLEAR) {
		if (drop == MEMFDCR_DROP_YES)
			tell_unmap(m, range->start, range->end, MEMFDCR_CAUSE_DROPPED);
		else
			memfdcr_events_lose(&m->watch->events);
	} else if (!memfdcr_call_moves(m, range->start, range->end)) {
		tell_unmap(m, range->start, range->end, MEMFDCR_CAUSE_UNMAPPED);
		if (m->process == current->signal)
			memfdcr_call_mremap(m);
	}
}

static int range_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct memfdcr_space *s = container_of(mn, struct memfdcr_space, mn);
	enum memfdcr_drop drop = MEMFDCR_DROP_NO;
	struct memfdcr_member *m;
	bool own;

	if (range->event == MMU_NOTIFY_CLEAR)
		drop = memfdcr_drop();
	if (range->event != MMU_NOTIFY_UNMAP && drop == MEMFDCR_DROP_NO)
		return 0;
	spin_lock(&s->lock);
	own = is_own_doing(s);
	list_for_each_entry(m, &s->members, in_space)
		if (!own || m->process == current->signal)
			tell_range(m, range, drop);
	spin_unlock(&s->lock);
	return 0;
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = range_start,
	.alloc_notifier = space_new,
	.free_notifier = space_free,
};

/**
 * memfdcr_space_prepare() - a new member has no address space yet
 * @m: the member, zeroed
 *
 * Context: any.
 */
void memfdcr_space_prepare(struct memfdcr_member *m)
{
	spin_lock_init(&m->space_lock);
	INIT_DELAYED_WORK(&m->again, again_work);
}

/**
 * memfdcr_space_attach() - watch the address space that a process has, for a request
 * @m: the process
 * @mm: the address space, with a reference that is consumed
 * @patience: how many jiffies to wait for it to be unlocked; result: how many are left
 *
 * Context: process context; sleeps.
 * Return: 0; -EBUSY it is locked for long; -ENOMEM; -EINTR killed.
 */
int memfdcr_space_attach(struct memfdcr_member *m, struct mm_struct *mm, long *patience)
{
	return attach_by_worker(requests, m, mm, false, patience);
}

/**
 * memfdcr_spaces_init() - get ready for address spaces to be watched
 *
 * Context: process context; sleeps.
 * Return: 0 or -ENOMEM.
 */
int memfdcr_spaces_init(void)
{
	workers = alloc_workqueue("memfdcr_attach", WQ_UNBOUND, 0);
	if (!workers)
		return -ENOMEM;
	requests = alloc_workqueue("memfdcr_requests", WQ_UNBOUND, 0);
	if (requests)
		return 0;
	destroy_workqueue(workers);
	return -ENOMEM;
}

/**
 * memfdcr_spaces_drain() - no worker has a member any more on return
 *
 * Context: process context; sleeps. No watch gets members any more.
 */
void memfdcr_spaces_drain(void)
{
	destroy_workqueue(requests);
	destroy_workqueue(workers);
}
