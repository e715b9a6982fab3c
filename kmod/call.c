// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a process in a watch begins and is known when it ends: mremap() and fork().
 *
 * fork() copies the address space, other threads go on to change the parent's, and only then there is a child with a
 * pid. mremap() begins to change the address space, and where it has moved something is what it returns. Their places
 * among what is told are reserved where they begin, with the address space locked.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/task_work.h>
#include <asm/syscall.h>
#include <uapi/linux/memfdcr.h>

#include "call.h"
#include "drop.h"
#include "member.h"

/* the calls of all members; taken in hooks */
static DEFINE_RAW_SPINLOCK(lock);

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
	struct memfdcr_member *member;
	struct callback_head work;
	const struct task_struct *task;
	struct memfdcr_event_ntf event;
	u64 place;
	bool begun, told;
};

/* of one process at a time; they are gone through with a lock held that everybody takes */
#define MAX_CALLS 64

static void call_end(struct call *call)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	list_del(&call->node);
	call->member->n_calls--;
	raw_spin_unlock_irqrestore(&lock, flags);
	memfdcr_member_put(call->member);
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
static struct call *current_call(struct memfdcr_member *m, u8 command)
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
static void call_begins(struct memfdcr_member *m, const struct memfdcr_event_ntf *event)
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

/**
 * memfdcr_call_mremap() - the current thread's mremap(), if it is in any, has begun to change the address space
 * @m: what the current process is in a watch
 *
 * Context: any but interrupts, under RCU, the address space locked for writing.
 */
void memfdcr_call_mremap(struct memfdcr_member *m)
{
	struct memfdcr_event_ntf event;
	unsigned long args[6];

	if (!memfdcr_in_mremap(args) || current_call(m, MEMFDCR_CMD_MREMAP_NTF))
		return;
	event = memfdcr_member_event(m, MEMFDCR_CMD_MREMAP_NTF);
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

/**
 * memfdcr_call_moves() - does a range go because the current thread's mremap() moves it, or something to where it was?
 * @m: what the current process is in a watch
 * @start: the range
 * @end: the range
 *
 * That is told by mremap-ntf alone. What is cut off or replaced before is told by itself.
 *
 * Context: as memfdcr_call_mremap().
 * Return: whether it does.
 */
bool memfdcr_call_moves(struct memfdcr_member *m, unsigned long start, unsigned long end)
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

/**
 * memfdcr_call_fork() - the current thread's fork() begins to copy the address space
 * @m: what the current process is in a watch
 *
 * Context: as memfdcr_call_mremap().
 */
void memfdcr_call_fork(struct memfdcr_member *m)
{
	struct memfdcr_event_ntf event = memfdcr_member_event(m, MEMFDCR_CMD_FORK_NTF);

	call_begins(m, &event);
}

/**
 * memfdcr_call_forked() - there is a child
 * @m: what the current process is in a watch
 * @event: fork-ntf; goes where copying the address space began, if it was copied
 *
 * Context: any but interrupts, under RCU.
 */
void memfdcr_call_forked(struct memfdcr_member *m, const struct memfdcr_event_ntf *event)
{
	struct call *call = current_call(m, MEMFDCR_CMD_FORK_NTF);

	if (call) {
		memfdcr_events_fill(&m->watch->events, call->place, event);
		call->told = true;
	} else {
		memfdcr_events_add(&m->watch->events, event);
	}
}
