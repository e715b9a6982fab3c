// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which watch has which process, and the hooks that tell what it does.
 *
 * fork, exec and exit are tracepoints. What happens to an address space, its mmu_notifier tells, under the lock that
 * orders such things; other address spaces are not touched. A new address space gets its notifier from work that its
 * process does before it first returns to user mode: nothing can have happened in it by then.
 *
 * Two things are told in the place where they begin and are known when they end. fork() copies the address space,
 * other threads go on to change the parent's, and only then there is a child with a pid. mremap() begins to change the
 * address space, and where it has moved something is what it returns. Probes that are reached with the address space
 * locked reserve the place: one on what fork() calls, and those on what only mremap() calls, for a mapping that grows
 * where it is tells nobody.
 */
#include <linux/completion.h>
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <linux/tracepoint.h>
#include <linux/userfaultfd_k.h>
#include <linux/user_namespace.h>
#include <asm/syscall.h>
#include <uapi/linux/memfdcr.h>

#include "compat/wrapper/mm.h"
#include "drop.h"
#include "holder.h"
#include "id.h"
#include "members.h"
#include "worker.h"

/* the table, memberships, and member.calls; taken in probes */
static DEFINE_RAW_SPINLOCK(lock);
/* every process that forks looks for itself here: one reason why a user has no more than so many watches */
static DEFINE_HASHTABLE(table, 12);

/**
 * struct space - an address space that members have
 * @mn: its notifier, shared by all members
 * @lock: @members
 * @members: who has it
 */
struct space {
	struct mmu_notifier mn;
	spinlock_t lock;
	struct list_head members;
};

/**
 * struct member - a process in a watch
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
 * @calls: mremap() and fork() calls under way
 * @n_calls: their number
 * @rcu: for the end
 */
struct member {
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
	struct space *space;
	struct callback_head attach;
	bool attaching;
	struct delayed_work again;
	struct mm_struct *again_mm;
	struct list_head calls;
	unsigned int n_calls;
	struct rcu_head rcu;
};

/**
 * struct call - an mremap() or fork() under way, which has begun to change or to copy the address space
 * @node: among the member's
 * @member: with a reference
 * @work: for its end
 * @task: who calls
 * @event: what is known so far
 * @place: reserved
 * @begun: mremap(): pages are being moved
 * @told: fork(): the place has been filled
 */
struct call {
	struct list_head node;
	struct member *member;
	struct callback_head work;
	const struct task_struct *task;
	struct memfdcr_event_ntf event;
	u64 place;
	bool begun, told;
};

static void member_free(struct rcu_head *rcu)
{
	struct member *m = container_of(rcu, struct member, rcu);

	put_user_ns(m->reach);
	memfdcr_watch_put(m->watch);
	kfree(m);
}

/* whoever has found the member in the table may still add to what its watch tells: both go after that */
static void member_put(struct member *m)
{
	if (refcount_dec_and_test(&m->refs))
		call_rcu(&m->rcu, member_free);
}

/* what every event begins with */
static struct memfdcr_event_ntf event_of(const struct member *m, u8 command)
{
	return (struct memfdcr_event_ntf){
		.command = command,
		.pid = m->pid,
		/* whoever does it may be a stranger, who drops pages of a file that is mapped here */
		.tid = current->signal == m->process ? task_pid_nr_ns(current, m->watch->ns) : 0,
	};
}

/* ---- address spaces ---- */

static const struct mmu_notifier_ops notifier_ops;

static struct mmu_notifier *space_new(struct mm_struct *mm)
{
	struct space *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);

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
	kfree(container_of(mn, struct space, mn));
	module_put(THIS_MODULE);
}

/* takes the member out of its address space, if it has any: its notifier is to be put; with the member's lock held */
static struct space *leave_space(struct member *m)
{
	struct space *s = m->space;

	if (!s)
		return NULL;
	spin_lock(&s->lock);
	list_del(&m->in_space);
	spin_unlock(&s->lock);
	m->space = NULL;
	return s;
}

/* the member's memory is not watched (any more) */
static void detach(struct member *m)
{
	struct space *s;

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
static void attach(struct member *m, struct mmu_notifier *mn, bool newest)
{
	struct space *s = container_of(mn, struct space, mn), *put = NULL;

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
	struct work_struct work;
	struct completion done;
	refcount_t refs;
	struct member *member;	/* with a reference */
	struct mm_struct *mm;	/* user reference */
	bool newest;
	int err;
};

/*
 * For requests, and for processes that are watched: whoever has requests wait for memory that stays locked holds up other
 * requests, but no process.
 */
static struct workqueue_struct *requests, *workers;

static void job_put(struct attach_job *job)
{
	if (!refcount_dec_and_test(&job->refs))
		return;
	mmput_async(job->mm);
	member_put(job->member);
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
	complete(&job->done);
	job_put(job);
}

/*
 * Has a worker of that queue attach the member, and waits for it so many jiffies, of which some may be left; consumes
 * the reference to the address space.
 */
static int attach_by_worker(struct workqueue_struct *queue, struct member *m, struct mm_struct *mm, bool newest,
			    long *patience)
{
	struct attach_job *job = kzalloc(sizeof(*job), GFP_KERNEL_ACCOUNT);
	long left;
	int err;

	if (!job) {
		mmput_async(mm);
		return -ENOMEM;
	}
	INIT_WORK(&job->work, job_work);
	init_completion(&job->done);
	refcount_set(&job->refs, 2);
	refcount_inc(&m->refs);
	job->member = m;
	job->mm = mm;
	job->newest = newest;
	queue_work(queue, &job->work);
	left = wait_for_completion_killable_timeout(&job->done, *patience);
	err = left < 0 ? -EINTR : left ? job->err : -EBUSY;
	*patience = max(left, 0L);
	job_put(job);
	return err;
}

/* the address space that the current process has just got, and has not used yet */
static int attach_own(struct member *m)
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
static int attach_again(struct member *m, struct mm_struct *mm)
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
static void again_soon(struct member *m)
{
	refcount_inc(&m->refs);
	if (!queue_delayed_work(workers, &m->again, AGAIN))
		member_put(m);
}

/* exchanges the address space that is waited for, with its reference */
static struct mm_struct *set_again_mm(struct member *m, struct mm_struct *mm)
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
	struct member *m = container_of(to_delayed_work(work), struct member, again);
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
	member_put(m);
}

/* the current process's new address space has no notifier yet: until it has, nobody knows what happens there */
static void lose_sight(struct member *m)
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
	struct member *m = container_of(work, struct member, attach);

	smp_store_release(&m->attaching, false);
	/* not while it exits */
	if (current->mm && !READ_ONCE(m->gone) && attach_own(m))
		lose_sight(m);
	member_put(m);
	module_put(THIS_MODULE);
}

/* has the member's own thread get its address space a notifier; in a tracepoint */
static void attach_soon(struct member *m, struct task_struct *t)
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
	member_put(m);
	module_put(THIS_MODULE);
}

/* ---- mremap() and fork(), from their beginning to their end ---- */

/* of one process at a time; they are gone through with a lock held that everybody takes */
#define MAX_CALLS 64

static void call_end(struct call *call)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	list_del(&call->node);
	call->member->n_calls--;
	raw_spin_unlock_irqrestore(&lock, flags);
	member_put(call->member);
	kfree(call);
	module_put(THIS_MODULE);
}

/* mremap() is about to return to user mode */
static void move_ends(struct call *call)
{
	struct memfdcr_events *q = &call->member->watch->events;
	struct memfdcr_event_ntf *event = &call->event;
	unsigned long result = regs_return_value(task_pt_regs(current));
	bool done = !IS_ERR_VALUE(result);

	event->mremap.new = result;
	if (done) {
		done = event->mremap.old != result || event->mremap.old_length != event->mremap.new_length;
	} else if (call->begun) {
		/* of several mappings some may have been moved (6.17), or everything may be back: nobody knows */
		event->command = MEMFDCR_CMD_OVERRUN_NTF;
		event->lost = 1;
		done = true;
	}
	memfdcr_events_fill(q, call->place, done ? event : NULL);
}

static void call_work(struct callback_head *work)
{
	struct call *call = container_of(work, struct call, work);

	if (call->event.command == MEMFDCR_CMD_MREMAP_NTF)
		move_ends(call);
	else if (!call->told)
		/* there is no child after all */
		memfdcr_events_fill(&call->member->watch->events, call->place, NULL);
	call_end(call);
}

/* what the current thread calls, if it is under way; only the thread itself ends it */
static struct call *current_call(struct member *m, u8 command)
{
	struct call *call, *found = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	list_for_each_entry(call, &m->calls, node)
		if (call->task == current && call->event.command == command)
			found = call;
	raw_spin_unlock_irqrestore(&lock, flags);
	return found;
}

/* what the current thread calls begins to change or to copy the address space, with that locked: its place is here */
static void call_begins(struct member *m, const struct memfdcr_event_ntf *event)
{
	struct call *call = NULL;
	unsigned long flags;

	if (READ_ONCE(m->n_calls) < MAX_CALLS)
		call = kzalloc(sizeof(*call), GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	if (!call) {
		memfdcr_events_lose(&m->watch->events);
		return;
	}
	/* it has just left */
	if (!refcount_inc_not_zero(&m->refs)) {
		kfree(call);
		return;
	}
	call->event = *event;
	call->member = m;
	call->task = current;
	call->place = memfdcr_events_reserve(&m->watch->events);
	init_task_work(&call->work, call_work);
	__module_get(THIS_MODULE);
	raw_spin_lock_irqsave(&lock, flags);
	list_add(&call->node, &m->calls);
	m->n_calls++;
	raw_spin_unlock_irqrestore(&lock, flags);
	/* fails when the thread exits, and then it is not here */
	if (task_work_add(current, &call->work, TWA_RESUME)) {
		memfdcr_events_fill(&m->watch->events, call->place, NULL);
		call_end(call);
	}
}

/* the current thread's mremap(), if it is in any, has begun to change the address space */
static void move_begins(struct member *m)
{
	struct memfdcr_event_ntf event;
	unsigned long args[6];

	if (!memfdcr_in_mremap(args) || current_call(m, MEMFDCR_CMD_MREMAP_NTF))
		return;
	event = event_of(m, MEMFDCR_CMD_MREMAP_NTF);
	event.mremap.old = args[0];
	event.mremap.new = args[4];
	event.mremap.old_length = PAGE_ALIGN(args[1]);
	event.mremap.new_length = PAGE_ALIGN(args[2]);
	event.mremap.flags = args[3];
	call_begins(m, &event);
}

/* whether a range lies in another */
static bool lies_in(unsigned long start, unsigned long end, u64 address, u64 length)
{
	return start >= address && end <= address + length;
}

/*
 * Whether the range goes because mremap() moves it, or something else to where it was: told by mremap-ntf alone. What
 * is cut off or replaced before is told by itself.
 */
static bool is_moved(struct member *m, unsigned long start, unsigned long end)
{
	struct call *move = current_call(m, MEMFDCR_CMD_MREMAP_NTF);
	const struct memfdcr_event_ntf *event;

	if (!move)
		return false;
	event = &move->event;
	move->begun |= start == event->mremap.old;
	/* a range of several mappings is moved one by one */
	return move->begun &&
	       (lies_in(start, end, event->mremap.old, event->mremap.old_length) ||
		(event->mremap.flags & MREMAP_FIXED &&
		 lies_in(start, end, event->mremap.new, event->mremap.new_length)));
}

/* ---- what goes from an address space ---- */

static struct memfdcr_event_ntf unmap_event(const struct member *m, unsigned long start, unsigned long end, u32 cause)
{
	struct memfdcr_event_ntf event = event_of(m, MEMFDCR_CMD_UNMAP_NTF);

	event.unmap.start = start;
	event.unmap.end = end;
	event.unmap.cause = cause;
	return event;
}

static void tell_unmap(struct member *m, unsigned long start, unsigned long end, u32 cause)
{
	struct memfdcr_event_ntf event = unmap_event(m, start, end, cause);

	memfdcr_events_add(&m->watch->events, &event);
}

/* several processes may have the address space (CLONE_VM, vfork()): whose doing it is, if it is one of them */
static bool is_own_doing(const struct space *s)
{
	const struct member *m;

	list_for_each_entry(m, &s->members, in_space)
		if (m->process == current->signal)
			return true;
	return false;
}

static void tell_range(struct member *m, const struct mmu_notifier_range *range, enum memfdcr_drop drop)
{
	if (range->event == MMU_NOTIFY_CLEAR) {
		if (drop == MEMFDCR_DROP_YES)
			tell_unmap(m, range->start, range->end, MEMFDCR_CAUSE_DROPPED);
		else
			memfdcr_events_lose(&m->watch->events);
	} else if (!is_moved(m, range->start, range->end)) {
		tell_unmap(m, range->start, range->end, MEMFDCR_CAUSE_UNMAPPED);
		if (m->process == current->signal)
			move_begins(m);
	}
}

static int range_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct space *s = container_of(mn, struct space, mn);
	enum memfdcr_drop drop = MEMFDCR_DROP_NO;
	struct member *m;
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

/* ---- membership ---- */

static struct member *member_new(struct memfdcr_watch *w, struct task_struct *process, struct user_namespace *reach,
				 gfp_t gfp)
{
	struct member *m = kzalloc(sizeof(*m), gfp);

	if (!m)
		return NULL;
	m->process = process->signal;
	m->pid = task_tgid_nr_ns(process, w->ns);
	m->watch = w;
	refcount_inc(&w->refs);
	refcount_set(&m->refs, 1);
	m->reach = get_user_ns(reach);
	spin_lock_init(&m->space_lock);
	INIT_LIST_HEAD(&m->calls);
	INIT_DELAYED_WORK(&m->again, again_work);
	return m;
}

/* -ESRCH: the watch ends, or the process has; -EEXIST: it is a member already */
static int enter(struct member *m, const struct task_struct *process)
{
	struct member *other;
	unsigned long flags;
	int err = 0;

	raw_spin_lock_irqsave(&lock, flags);
	if (m->watch->ending)
		err = -ESRCH;
	hash_for_each_possible(table, other, hash, (unsigned long)m->process)
		if (other->process == m->process && other->watch == m->watch)
			err = -EEXIST;
	if (!err) {
		hash_add_rcu(table, &m->hash, (unsigned long)m->process);
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

/*
 * Takes a member out of the table and tells that, in order: nothing comes after the last one. true: nobody did before,
 * the caller has the table's reference now.
 */
static bool leave(struct member *m, const struct memfdcr_event_ntf *unmap, struct memfdcr_event_ntf *end)
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

static void expel(struct member *m)
{
	detach(m);
	member_put(m);
}

/* the members that a process is, with references; under RCU */
#define for_each_membership(m, p) \
	hash_for_each_possible_rcu(table, m, hash, (unsigned long)(p)) \
		if ((m)->process == (p) && !READ_ONCE((m)->gone))

/* ---- fork, exec, exit: tracepoints, with preemption off ---- */

/*
 * The userfaultfds that a new address space has inherited: their number; -1: more than there is room for, or somebody
 * who looks into it already has its lock.
 */
static int inherited_uffds(struct mm_struct *mm, u64 *ids, int max)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	int n = 0, i;

	if (!mmap_read_trylock(mm))
		return -1;
	for_each_vma(vmi, vma) {
		u64 id;

		if (!vma->vm_userfaultfd_ctx.ctx)
			continue;
		id = memfdcr_id(vma->vm_userfaultfd_ctx.ctx);
		for (i = 0; i < n && ids[i] != id; i++)
			;
		if (i < n)
			continue;
		if (n == max) {
			n = -1;
			break;
		}
		ids[n++] = id;
	}
	mmap_read_unlock(mm);
	return n;
}

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	struct memfdcr_event_ntf event;
	struct member *m, *new;
	struct call *call;
	u64 uffds[MEMFDCR_EVENT_UFFDS];
	bool looked = false;
	int n = 0;

	if (child->signal == parent->signal)
		return;
	rcu_read_lock();
	for_each_membership(m, parent->signal) {
		if (!looked && child->mm && child->mm != parent->mm)
			n = inherited_uffds(child->mm, uffds, ARRAY_SIZE(uffds));
		looked = true;
		event = event_of(m, MEMFDCR_CMD_FORK_NTF);
		event.child.pid = task_tgid_nr_ns(child, m->watch->ns);
		event.child.start_time = div_u64(child->start_boottime, NSEC_PER_SEC / USER_HZ);
		event.child.same_memory = child->mm && child->mm == parent->mm;
		new = NULL;
		if (m->watch->tree)
			new = member_new(m->watch, child, m->reach, GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
		event.child.hidden = m->watch->tree && !new;
		event.child.n_uffds = max(n, 0);
		memcpy(event.child.uffd, uffds, max(n, 0) * sizeof(*uffds));
		call = current_call(m, MEMFDCR_CMD_FORK_NTF);
		if (call) {
			memfdcr_events_fill(&m->watch->events, call->place, &event);
			call->told = true;
		} else {
			memfdcr_events_add(&m->watch->events, &event);
		}
		if (n < 0)
			memfdcr_events_lose(&m->watch->events);
		if (!new)
			continue;
		if (enter(new, child))
			member_put(new);
		else
			attach_soon(new, child);
	}
	rcu_read_unlock();
}

/*
 * Whether the watch may see what its member has become. Capabilities reach whatever is below, and credentials do not
 * leave their user namespace. But the memory of a program that may not be read belongs to an outer one.
 */
static bool is_in_reach(const struct member *m, struct task_struct *p)
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

static void on_exec(void *data, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	struct member *m;

	rcu_read_lock();
	for_each_membership(m, p->signal) {
		struct memfdcr_event_ntf unmap = unmap_event(m, 0, TASK_SIZE_MAX, MEMFDCR_CAUSE_EXEC);
		struct memfdcr_event_ntf event = event_of(m, MEMFDCR_CMD_EXEC_NTF);

		/* others may go on to have what it had: from vfork() on, or to look into it */
		detach(m);
		event.exec.hidden = !is_in_reach(m, p);
		if (event.exec.hidden) {
			if (leave(m, &unmap, &event))
				expel(m);
			continue;
		}
		memfdcr_events_add(&m->watch->events, &unmap);
		memfdcr_events_add(&m->watch->events, &event);
		attach_soon(m, p);
	}
	rcu_read_unlock();
}

/* as wait() would tell it: when the last thread has begun to exit, this is so for the whole process, and final */
static int exit_status(const struct task_struct *p)
{
	return p->signal->group_exit_code;
}

static void on_thread_exit(struct task_struct *p)
{
	struct member *m;

	if (atomic_read(&p->signal->live))
		return;
	rcu_read_lock();
	for_each_membership(m, p->signal) {
		struct memfdcr_event_ntf unmap = unmap_event(m, 0, TASK_SIZE_MAX, MEMFDCR_CAUSE_EXIT);
		struct memfdcr_event_ntf event = event_of(m, MEMFDCR_CMD_EXIT_NTF);
		int status = exit_status(p);

		event.exit.code = status >> 8 & 0xff;
		event.exit.signal = status & 0x7f;
		detach(m);
		if (leave(m, &unmap, &event))
			expel(m);
	}
	rcu_read_unlock();
}

#ifdef MEMFDCR_EXIT_TELLS_GROUP	/* 6.16: "tracing/sched: add group_dead" */
static void on_exit(void *data, struct task_struct *p, bool group_dead)
#else
static void on_exit(void *data, struct task_struct *p)
#endif
{
	on_thread_exit(p);
}

/* ---- where mremap() and fork() have the address space locked: probes ---- */

static void each_move_begins(void)
{
	struct member *m;

	rcu_read_lock();
	for_each_membership(m, current->signal)
		move_begins(m);
	rcu_read_unlock();
}

/* what only mremap() calls */
static int space_changes(struct kprobe *kp, struct pt_regs *regs)
{
	each_move_begins();
	return 0;
}

/* what many call: of these, an mremap() that may let a mapping grow where it is does nothing else before */
static int space_may_grow(struct kprobe *kp, struct pt_regs *regs)
{
	unsigned long args[6];

	if (memfdcr_in_mremap(args) && args[2] > args[1] && !(args[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		each_move_begins();
	return 0;
}

static int space_is_copied(struct kprobe *kp, struct pt_regs *regs)
{
	struct member *m;

	rcu_read_lock();
	for_each_membership(m, current->signal) {
		struct memfdcr_event_ntf event = event_of(m, MEMFDCR_CMD_FORK_NTF);

		call_begins(m, &event);
	}
	rcu_read_unlock();
	return 0;
}

/* ---- the hooks themselves ---- */

static struct hook {
	const char *name;
	void *fn;
	struct tracepoint *tp;
} hooks[] = {
	{ "sched_process_fork", on_fork },
	{ "sched_process_exec", on_exec },
	{ "sched_process_exit", on_exit },
};

static const struct probe {
	const char *symbol;
	kprobe_pre_handler_t handler;
	/* what newer kernels have: where that is, this is not needed, and where that is not, it is */
	const char *newer;
	bool may_lack;
} probes[] = {
	{ "uprobe_dup_mmap", space_is_copied },
	/* makes a mapping like another one elsewhere */
	{ "copy_vma", space_changes },
	/* lets a mapping grow; before 6.7 there is nothing that only mremap() calls for that */
	{ "vma_merge_extend", space_changes, .may_lack = true },
	{ "vma_merge", space_may_grow, .newer = "vma_merge_extend" },
	{ "__vma_adjust", space_may_grow, .newer = "vma_merge_extend" },
};

static struct kprobe kprobes[ARRAY_SIZE(probes)], *registered[ARRAY_SIZE(probes)];
static unsigned int n_registered;

static void find_tracepoint(struct tracepoint *tp, void *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!strcmp(tp->name, hooks[i].name))
			hooks[i].tp = tp;
}

static void probes_unregister(void)
{
	unregister_kprobes(registered, n_registered);
	n_registered = 0;
}

static bool is_registered(const char *symbol)
{
	unsigned int i;

	for (i = 0; i < n_registered; i++)
		if (!strcmp(registered[i]->symbol_name, symbol))
			return true;
	return false;
}

static int probes_register(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		if (probes[i].newer && is_registered(probes[i].newer))
			continue;
		/* a probe keeps state of its last registration: each begins afresh */
		kprobes[i] = (struct kprobe){ .symbol_name = probes[i].symbol, .pre_handler = probes[i].handler };
		err = register_kprobe(&kprobes[i]);
		if (!err) {
			registered[n_registered++] = &kprobes[i];
		} else if (err != -ENOENT || !probes[i].may_lack) {
			probes_unregister();
			return err;
		}
	}
	return 0;
}

static void tracepoints_unregister(unsigned int n)
{
	while (n--)
		tracepoint_probe_unregister(hooks[n].tp, hooks[n].fn, NULL);
}

static int tracepoints_register(void)
{
	unsigned int i;
	int err;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		err = hooks[i].tp ? tracepoint_probe_register(hooks[i].tp, hooks[i].fn, NULL) : -EOPNOTSUPP;
		if (err) {
			tracepoints_unregister(i);
			tracepoint_synchronize_unregister();
			return err;
		}
	}
	return 0;
}

/**
 * memfdcr_members_hook() - have the hooks in place
 *
 * Context: process context; sleeps. Not twice without memfdcr_members_unhook().
 * Return: 0, or why the kernel refuses them.
 */
int memfdcr_members_hook(void)
{
	int err;

	/* handlers run with preemption off and take locks that sleep there */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return -EOPNOTSUPP;
	err = memfdcr_worker_hook();
	if (err)
		return err;
	err = probes_register();
	if (err)
		goto err_probes;
	err = tracepoints_register();
	if (err)
		goto err_tracepoints;
	return 0;

err_tracepoints:
	probes_unregister();
err_probes:
	memfdcr_worker_unhook();
	return err;
}

/**
 * memfdcr_members_unhook() - undo memfdcr_members_hook()
 *
 * Context: process context; sleeps.
 */
void memfdcr_members_unhook(void)
{
	tracepoints_unregister(ARRAY_SIZE(hooks));
	tracepoint_synchronize_unregister();
	probes_unregister();
	memfdcr_worker_unhook();
}

/* the address space that the process has now; one that it gets by execve() meanwhile, it attaches itself */
static int attach_now(struct member *m, struct task_struct *process, long *patience)
{
	struct mm_struct *mm = memfdcr_process_mm(process);

	return mm ? attach_by_worker(requests, m, mm, false, patience) : 0;
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
	struct member *m = member_new(w, process, reach, GFP_KERNEL_ACCOUNT);
	int err;

	if (!m)
		return -ENOMEM;
	/* the table's own reference goes as soon as the process exits */
	refcount_inc(&m->refs);
	err = enter(m, process);
	if (err) {
		member_put(m);
	} else {
		/* execve() of what may not be watched: either it is seen here, or its hook finds the member */
		err = is_in_reach(m, process) ? attach_now(m, process, patience) : -EPERM;
		if (err && leave(m, NULL, NULL))
			expel(m);
	}
	member_put(m);
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
static struct member *take_one(struct memfdcr_watch *w)
{
	struct member *m;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	w->ending = true;
	m = list_first_entry_or_null(&w->all, struct member, of_watch);
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
	struct member *m;

	while ((m = take_one(w)))
		expel(m);
}

/**
 * memfdcr_members_init() - get ready for memfdcr_members_add()
 *
 * Context: process context; sleeps.
 * Return: 0 or -ENOMEM.
 */
int memfdcr_members_init(void)
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
 * memfdcr_members_drain() - no worker has a member any more on return
 *
 * Context: process context; sleeps. No watch gets members any more.
 */
void memfdcr_members_drain(void)
{
	destroy_workqueue(requests);
	destroy_workqueue(workers);
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
