// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of a watch, from where something happens to the socket that wants to know.
 *
 * Whoever is watched only writes into a ring of fixed size, and never waits. A worker makes messages of it. When the
 * socket takes no more, the ring fills; when the ring is full, what happens is counted and told as lost, at the place
 * where it is missing.
 *
 * Some things are known in part when they happen (where mremap() moves something is known when it returns). Their
 * place is reserved, and nobody is told what came later before it is filled. Whoever hangs in the middle of such a
 * thing does not hold up the others for long: its place counts as lost then, and what is known in the end gets a new
 * one.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <uapi/linux/memfdcr.h>

#include "events.h"
#include "netlink.h"

/* more than any notification takes */
#define MAX_SIZE 320

/* how long a socket that takes no more is left alone */
#define PAUSE msecs_to_jiffies(10)

/* how long a reserved place is waited for */
#define PATIENCE HZ

static struct workqueue_struct *workers;

static bool put_u64(struct sk_buff *skb, int type, u64 value)
{
	return nla_put_u64_64bit(skb, type, value, MEMFDCR_A_WATCH_PAD);
}

static bool put_fork(struct sk_buff *skb, const struct memfdcr_event_ntf *e)
{
	unsigned int i;

	if (nla_put_u32(skb, MEMFDCR_A_WATCH_CHILD, e->child.pid) ||
	    put_u64(skb, MEMFDCR_A_WATCH_START_TIME, e->child.start_time) ||
	    (e->child.same_memory && nla_put_flag(skb, MEMFDCR_A_WATCH_SAME_MEMORY)) ||
	    (e->child.hidden && nla_put_flag(skb, MEMFDCR_A_WATCH_HIDDEN)))
		return true;
	for (i = 0; i < e->child.n_uffds; i++)
		if (put_u64(skb, MEMFDCR_A_WATCH_UFFD_ID, e->child.uffd[i]))
			return true;
	return false;
}

static bool put_exit(struct sk_buff *skb, const struct memfdcr_event_ntf *e)
{
	return nla_put_u32(skb, MEMFDCR_A_WATCH_CODE, e->exit.code) ||
	       nla_put_u32(skb, MEMFDCR_A_WATCH_SIGNAL, e->exit.signal);
}

static bool put_mremap(struct sk_buff *skb, const struct memfdcr_event_ntf *e)
{
	return put_u64(skb, MEMFDCR_A_WATCH_OLD, e->mremap.old) ||
	       put_u64(skb, MEMFDCR_A_WATCH_NEW, e->mremap.new) ||
	       put_u64(skb, MEMFDCR_A_WATCH_OLD_LENGTH, e->mremap.old_length) ||
	       put_u64(skb, MEMFDCR_A_WATCH_NEW_LENGTH, e->mremap.new_length) ||
	       nla_put_u32(skb, MEMFDCR_A_WATCH_FLAGS, e->mremap.flags);
}

static bool put_unmap(struct sk_buff *skb, const struct memfdcr_event_ntf *e)
{
	return put_u64(skb, MEMFDCR_A_WATCH_START, e->unmap.start) ||
	       put_u64(skb, MEMFDCR_A_WATCH_END, e->unmap.end) ||
	       nla_put_u32(skb, MEMFDCR_A_WATCH_CAUSE, e->unmap.cause);
}

static bool put_event(struct sk_buff *skb, const struct memfdcr_event_ntf *e)
{
	if (e->last && nla_put_flag(skb, MEMFDCR_A_WATCH_LAST))
		return true;
	if (e->command == MEMFDCR_CMD_OVERRUN_NTF)
		return put_u64(skb, MEMFDCR_A_WATCH_LOST, e->lost);
	if (nla_put_u32(skb, MEMFDCR_A_WATCH_PID, e->pid) || nla_put_u32(skb, MEMFDCR_A_WATCH_TID, e->tid))
		return true;
	switch (e->command) {
	case MEMFDCR_CMD_FORK_NTF:
		return put_fork(skb, e);
	case MEMFDCR_CMD_EXEC_NTF:
		return e->exec.hidden && nla_put_flag(skb, MEMFDCR_A_WATCH_HIDDEN);
	case MEMFDCR_CMD_EXIT_NTF:
		return put_exit(skb, e);
	case MEMFDCR_CMD_MREMAP_NTF:
		return put_mremap(skb, e);
	case MEMFDCR_CMD_UNMAP_NTF:
		return put_unmap(skb, e);
	default:
		return false;
	}
}

/*
 * Trying to put in what does not fit would be an error that the reader is told (ENOBUFS), but nothing is lost. A
 * quarter is left free: answers to what the reader asks meanwhile go into the same buffer, and are not tried again.
 */
static bool has_room(const struct sock *sk, const struct sk_buff *skb)
{
	int taken = atomic_read(&sk->sk_rmem_alloc), size = READ_ONCE(sk->sk_rcvbuf);

	return !taken || taken + skb->truesize <= size - size / 4;
}

/* one notification to the socket; -EAGAIN: it takes no more now; -ECONNREFUSED: it is gone */
static int tell(struct memfdcr_events *q, const struct memfdcr_event_ntf *e)
{
	struct sk_buff *skb = genlmsg_new(MAX_SIZE, GFP_KERNEL);
	void *msg;

	if (!skb)
		return -EAGAIN;
	if (!has_room(q->sk, skb)) {
		nlmsg_free(skb);
		return -EAGAIN;
	}
	msg = genlmsg_put(skb, q->portid, 0, &memfdcr_family, 0, e->command);
	if (!msg || nla_put_u32(skb, MEMFDCR_A_WATCH_WATCH, q->watch) ||
	    put_u64(skb, MEMFDCR_A_WATCH_SEQUENCE, q->sequence + 1) ||
	    put_u64(skb, MEMFDCR_A_WATCH_TIME, e->time) || put_event(skb, e)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, msg);
	/* it is being closed: somebody else may have its number from now on */
	if (sock_flag(q->sk, SOCK_DEAD)) {
		nlmsg_free(skb);
		return -ECONNREFUSED;
	}
	return genlmsg_unicast(q->net, skb, q->portid);
}

static struct memfdcr_queued *at(struct memfdcr_events *q, u64 place)
{
	return &q->ring[place & (q->size - 1)];
}

/* what was lost becomes an event, for which there is room; under the lock */
static void push_lost(struct memfdcr_events *q)
{
	*at(q, q->head++) = (struct memfdcr_queued){
		.event = {
			.command = MEMFDCR_CMD_OVERRUN_NTF,
			.time = ktime_get_ns(),
			.last = q->lost_last,
			.lost = q->lost,
		},
		.place = MEMFDCR_PLACE_FILLED,
	};
	q->lost = 0;
	q->lost_last = false;
}

/* what has this place, if anything, counts as lost; under the lock */
static void lose_in_place(struct memfdcr_queued *place)
{
	place->event = (struct memfdcr_event_ntf){
		.command = MEMFDCR_CMD_OVERRUN_NTF,
		.time = place->event.time,
		.last = place->place == MEMFDCR_PLACE_FILLED && place->event.last,
		.lost = 1,
	};
	place->place = MEMFDCR_PLACE_FILLED;
}

/*
 * The oldest event, if it can be told: its place stays taken until told(). Otherwise, if *open, it is waited for, as
 * long as there is patience.
 */
static bool next_event(struct memfdcr_events *q, struct memfdcr_event_ntf *e, bool *open)
{
	struct memfdcr_queued *oldest;
	bool found = false;

	*open = false;
	raw_spin_lock_irq(&q->lock);
	while (q->tail != q->head && at(q, q->tail)->place == MEMFDCR_PLACE_VOID)
		q->tail++;
	/* nothing came after what was lost */
	if (q->tail == q->head && q->lost)
		push_lost(q);
	if (q->tail != q->head) {
		oldest = at(q, q->tail);
		if (oldest->place == MEMFDCR_PLACE_OPEN &&
		    ktime_get_ns() - oldest->event.time >= jiffies_to_nsecs(PATIENCE))
			lose_in_place(oldest);
		found = oldest->place == MEMFDCR_PLACE_FILLED;
		*open = !found;
		if (found)
			*e = oldest->event;
	}
	raw_spin_unlock_irq(&q->lock);
	return found;
}

static void told(struct memfdcr_events *q)
{
	q->sequence++;
	raw_spin_lock_irq(&q->lock);
	q->tail++;
	raw_spin_unlock_irq(&q->lock);
}

/* the oldest event cannot be told, ever; false: not even that it is lost */
static bool lose_oldest(struct memfdcr_events *q)
{
	bool can = false;

	raw_spin_lock_irq(&q->lock);
	if (at(q, q->tail)->event.command != MEMFDCR_CMD_OVERRUN_NTF) {
		lose_in_place(at(q, q->tail));
		can = true;
	}
	raw_spin_unlock_irq(&q->lock);
	return can;
}

static void deliver(struct work_struct *work)
{
	struct memfdcr_events *q = container_of(to_delayed_work(work), struct memfdcr_events, deliver);
	struct memfdcr_event_ntf e;
	bool open = false;

	while (!READ_ONCE(q->gone) && next_event(q, &e, &open)) {
		int err = tell(q, &e);

		/* it is being closed, which ends the watch */
		if (err == -ECONNREFUSED)
			return;
		if (err < 0 && (err == -EAGAIN || !lose_oldest(q))) {
			queue_delayed_work(workers, &q->deliver, PAUSE);
			return;
		}
		if (err >= 0)
			told(q);
		cond_resched();
	}
	if (open && !READ_ONCE(q->gone))
		queue_delayed_work(workers, &q->hurry, PATIENCE);
}

static void wake(struct memfdcr_events *q)
{
	if (READ_ONCE(q->begun) && !READ_ONCE(q->gone))
		queue_delayed_work(workers, &q->deliver, 0);
}

/* the oldest place may have been waited for */
static void hurry(struct work_struct *work)
{
	wake(container_of(to_delayed_work(work), struct memfdcr_events, hurry));
}

/**
 * memfdcr_events_init() - an empty queue
 * @q: result; memfdcr_events_stop(), then memfdcr_events_free() when done
 * @watch: number of the watch
 * @size: places; a power of two
 * @net: network namespace of the socket; the caller keeps it until memfdcr_events_stop()
 * @portid: the socket's number there
 * @sk: the socket; the caller keeps it until memfdcr_events_stop()
 *
 * Nothing is told before memfdcr_events_begin().
 *
 * Context: process context; sleeps.
 * Return: 0 or -ENOMEM.
 */
int memfdcr_events_init(struct memfdcr_events *q, u32 watch, u32 size, struct net *net, u32 portid,
			struct sock *sk)
{
	*q = (struct memfdcr_events){ .size = size, .watch = watch, .net = net, .portid = portid, .sk = sk };
	raw_spin_lock_init(&q->lock);
	INIT_DELAYED_WORK(&q->deliver, deliver);
	INIT_DELAYED_WORK(&q->hurry, hurry);
	q->ring = kvcalloc(size, sizeof(*q->ring), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	return q->ring ? 0 : -ENOMEM;
}

/**
 * memfdcr_events_begin() - from now on tell what is queued
 * @q: the queue
 *
 * Context: any.
 */
void memfdcr_events_begin(struct memfdcr_events *q)
{
	WRITE_ONCE(q->begun, true);
	wake(q);
}

/* each may have put the other on its way before it saw that the queue is gone */
static void cancel(struct memfdcr_events *q)
{
	cancel_delayed_work_sync(&q->hurry);
	cancel_delayed_work_sync(&q->deliver);
	cancel_delayed_work_sync(&q->hurry);
}

/**
 * memfdcr_events_stop() - nothing is told any more on return
 * @q: the queue; events may still be added, in vain
 *
 * Context: process context; sleeps.
 */
void memfdcr_events_stop(struct memfdcr_events *q)
{
	struct memfdcr_queued *ring;

	WRITE_ONCE(q->gone, true);
	cancel(q);
	/* whoever still has a place may keep the queue for long, but not this */
	raw_spin_lock_irq(&q->lock);
	ring = q->ring;
	q->ring = NULL;
	raw_spin_unlock_irq(&q->lock);
	kvfree(ring);
}

/**
 * memfdcr_events_free() - undo memfdcr_events_init()
 * @q: stopped, and nobody adds to it
 *
 * Context: process context; sleeps. Somebody who has just seen it stop may still have put the worker on its way.
 */
void memfdcr_events_free(struct memfdcr_events *q)
{
	cancel(q);
	kvfree(q->ring);
}

/* a place, if there is one, behind what has been lost before; under the lock */
static bool take_place(struct memfdcr_events *q, u64 *place)
{
	u64 room = q->ring ? q->size - (q->head - q->tail) : 0;

	if (room < (q->lost ? 2 : 1)) {
		q->lost++;
		return false;
	}
	if (q->lost)
		push_lost(q);
	*place = q->head++;
	at(q, *place)->place = MEMFDCR_PLACE_OPEN;
	/* here, so that time and place never contradict each other */
	at(q, *place)->event.time = ktime_get_ns();
	return true;
}

static void put_in_place(struct memfdcr_queued *place, const struct memfdcr_event_ntf *event)
{
	u64 time = place->event.time;

	if (event) {
		place->event = *event;
		place->event.time = time;
	}
	place->place = event ? MEMFDCR_PLACE_FILLED : MEMFDCR_PLACE_VOID;
}

/* under the lock */
static void add(struct memfdcr_events *q, const struct memfdcr_event_ntf *event)
{
	u64 place;

	if (take_place(q, &place))
		put_in_place(at(q, place), event);
	else
		q->lost_last |= event->last;
}

/**
 * memfdcr_events_add() - something has happened
 * @q: the queue
 * @event: what
 *
 * Context: any.
 */
void memfdcr_events_add(struct memfdcr_events *q, const struct memfdcr_event_ntf *event)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	add(q, event);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	wake(q);
}

/**
 * memfdcr_events_lose() - something has happened of which nothing can be told
 * @q: the queue
 *
 * Context: any.
 */
void memfdcr_events_lose(struct memfdcr_events *q)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	q->lost++;
	raw_spin_unlock_irqrestore(&q->lock, flags);
	wake(q);
}

/**
 * memfdcr_events_reserve() - something happens that can only be told later
 * @q: the queue
 *
 * Context: any.
 * Return: its place, for memfdcr_events_fill(); MEMFDCR_NO_PLACE: there was none, it counts as lost.
 */
u64 memfdcr_events_reserve(struct memfdcr_events *q)
{
	u64 place = MEMFDCR_NO_PLACE;
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	take_place(q, &place);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return place;
}

/**
 * memfdcr_events_fill() - now it can be told
 * @q: the queue
 * @place: as reserved
 * @event: what happened; NULL: nothing after all
 *
 * Context: any.
 */
void memfdcr_events_fill(struct memfdcr_events *q, u64 place, const struct memfdcr_event_ntf *event)
{
	unsigned long flags;

	if (place == MEMFDCR_NO_PLACE)
		return;
	raw_spin_lock_irqsave(&q->lock, flags);
	if (q->ring && place >= q->tail && at(q, place)->place == MEMFDCR_PLACE_OPEN)
		put_in_place(at(q, place), event);
	else if (event)
		/* it was not waited for: that something was lost has been told there */
		add(q, event);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	wake(q);
}

/**
 * memfdcr_events_module_init() - get ready for memfdcr_events_init()
 *
 * Context: process context; sleeps.
 * Return: 0 or -ENOMEM.
 */
int memfdcr_events_module_init(void)
{
	workers = alloc_workqueue("memfdcr_events", WQ_UNBOUND, 0);
	return workers ? 0 : -ENOMEM;
}

/**
 * memfdcr_events_module_exit() - undo memfdcr_events_module_init(); no queue exists any more
 *
 * Context: process context; sleeps.
 */
void memfdcr_events_module_exit(void)
{
	destroy_workqueue(workers);
}
