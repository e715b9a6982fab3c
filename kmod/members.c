// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which watch has which process, and the hooks that tell what it does.
 *
 * fork, exec and exit are tracepoints. What happens to an address space, its mmu_notifier tells, under the lock that
 * orders such things; other address spaces are not touched. A new address space gets its notifier from work that its
 * process does before it first returns to user mode: nothing can have happened in it by then. Only mremap() needs a probe,
 * for a mapping that grows where it is tells nobody. Where something was moved to is what mremap() returns, so its
 * place among the events is reserved when the move begins.
 */
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
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
#include <asm/syscall.h>
#include <asm/unistd.h>
#include <uapi/linux/memfdcr.h>

#include "holder.h"
#include "id.h"
#include "members.h"

/* the table, memberships, and member.moves; taken in probes */
static DEFINE_RAW_SPINLOCK(lock);
static DEFINE_HASHTABLE(table, 10);

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
 * @process: what all its threads have in common
 * @watch: with a reference
 * @refs: one for the table, one for each work pending
 * @gone: not in the table any more
 * @pid: in the watch's pid namespace
 * @in_space: among the members of @space
 * @space: its address space; NULL: none yet, or gone
 * @attach: work that gets a new address space its notifier
 * @attaching: it is pending
 * @moves: mremap() calls under way
 * @rcu: for the end
 */
struct member {
	struct hlist_node hash;
	const struct signal_struct *process;
	struct memfdcr_watch *watch;
	refcount_t refs;
	bool gone;
	pid_t pid;
	struct list_head in_space;
	struct space *space;
	struct callback_head attach;
	bool attaching;
	struct list_head moves;
	struct rcu_head rcu;
};

/**
 * struct move - an mremap() under way
 * @node: among the member's
 * @member: with a reference
 * @work: tells the result
 * @task: who calls
 * @event: what is known so far
 * @place: reserved, if @begun
 * @begun: pages are being moved
 */
struct move {
	struct list_head node;
	struct member *member;
	struct callback_head work;
	const struct task_struct *task;
	struct memfdcr_event_ntf event;
	u64 place;
	bool begun;
};

static void member_put(struct member *m)
{
	if (!refcount_dec_and_test(&m->refs))
		return;
	memfdcr_watch_put(m->watch);
	kfree_rcu(m, rcu);
}

/* what every event begins with */
static struct memfdcr_event_ntf event_of(const struct member *m, u8 command)
{
	return (struct memfdcr_event_ntf){
		.command = command,
		.pid = m->pid,
		/* whoever does it may be a stranger, who drops pages of a file that is mapped here */
		.tid = current->signal == m->process ? task_pid_nr_ns(current, m->watch->ns) : 0,
		.time = ktime_get_ns(),
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
	return &s->mn;
}

static void space_free(struct mmu_notifier *mn)
{
	kfree(container_of(mn, struct space, mn));
}

/* the member's memory is not watched (any more) */
static void detach(struct member *m)
{
	struct space *s = m->space;

	if (!s)
		return;
	spin_lock(&s->lock);
	list_del(&m->in_space);
	m->space = NULL;
	spin_unlock(&s->lock);
	mmu_notifier_put(&s->mn);
}

/* the notifier of an address space, whose mmap_lock the caller has for writing; consumes the reference */
static void attach_to(struct member *m, struct mmu_notifier *mn)
{
	struct space *s;

	if (IS_ERR(mn)) {
		memfdcr_events_lose(&m->watch->events);
		return;
	}
	s = container_of(mn, struct space, mn);
	spin_lock(&s->lock);
	m->space = s;
	list_add(&m->in_space, &s->members);
	spin_unlock(&s->lock);
}

static void attach_work(struct callback_head *work)
{
	struct member *m = container_of(work, struct member, attach);
	struct mm_struct *mm = current->mm;

	detach(m);
	WRITE_ONCE(m->attaching, false);
	if (mm && !READ_ONCE(m->gone))
		attach_to(m, mmu_notifier_get(&notifier_ops, mm));
	/* it may have left in between, and then nobody else takes it off */
	if (READ_ONCE(m->gone))
		detach(m);
	member_put(m);
	module_put(THIS_MODULE);
}
