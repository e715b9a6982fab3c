// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of a watch, from where something happens to the socket that wants to know.
 *
 * Whoever is watched only writes into a ring of fixed size, and never waits. A worker makes messages of it. When the
 * socket takes no more, the ring fills; when the ring is full, what happens is counted and told as lost, at the place
 * where it is missing.
 *
 * Some things are known in part when they happen (where mremap() moves something is known when it returns). Their
 * place is reserved, and nobody is told what came later before it is filled.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>
#include <uapi/linux/memfdcr.h>

#include "events.h"
#include "netlink.h"

/* how long a socket that takes no more is left alone */
#define PAUSE msecs_to_jiffies(10)

static bool put_u64(struct sk_buff *skb, int type, u64 value)
{
	return nla_put_u64_64bit(skb, type, value, MEMFDCR_A_WATCH_PAD);
}

static bool put_fork(struct sk_buff *skb, const struct memfdcr_event_ntf *e)
{
	unsigned int i;

	if (nla_put_u32(skb, MEMFDCR_A_WATCH_CHILD, e->child.pid) ||
	    put_u64(skb, MEMFDCR_A_WATCH_START_TIME, e->child.start_time))
		return true;
	for (i = 0; i < e->child.n_uffds; i++)
		if (put_u64(skb, MEMFDCR_A_WATCH_UFFD_ID, e->child.uffd[i]))
			return true;
	return false;
}

static bool put_exit(struct sk_buff *skb, const struct memfdcr_event_ntf *e)
{
	return nla_put_u32(skb, MEMFDCR_A_WATCH_CODE, e->exit.code) ||
	       nla_put_u32(skb, MEMFDCR_A_WATCH_SIGNAL, e->exit.signal) ||
	       (e->last && nla_put_flag(skb, MEMFDCR_A_WATCH_LAST));
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
	if (e->command == MEMFDCR_CMD_OVERRUN_NTF)
		return put_u64(skb, MEMFDCR_A_WATCH_LOST, e->lost);
	if (nla_put_u32(skb, MEMFDCR_A_WATCH_PID, e->pid) || nla_put_u32(skb, MEMFDCR_A_WATCH_TID, e->tid))
		return true;
	switch (e->command) {
	case MEMFDCR_CMD_FORK_NTF:
		return put_fork(skb, e);
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

/* one notification to the socket; -EAGAIN: it takes no more now; other errors: it is gone */
static int tell(struct memfdcr_events *q, const struct memfdcr_event_ntf *e)
{
	struct sk_buff *skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *msg;

	if (!skb)
		return -EAGAIN;
	msg = genlmsg_put(skb, q->portid, 0, &memfdcr_family, 0, e->command);
	if (!msg || nla_put_u32(skb, MEMFDCR_A_WATCH_WATCH, q->watch) ||
	    put_u64(skb, MEMFDCR_A_WATCH_SEQUENCE, q->sequence + 1) ||
	    put_u64(skb, MEMFDCR_A_WATCH_TIME, e->time) || put_event(skb, e)) {
		nlmsg_free(skb);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, msg);
	return genlmsg_unicast(q->net, skb, q->portid);
}

/* the next event that can be told; false: there is none now */
static bool next_event(struct memfdcr_events *q, struct memfdcr_event_ntf *e)
{
	bool found = false;

	raw_spin_lock_irq(&q->lock);
	while (!found && q->tail != q->head) {
		struct memfdcr_queued *place = &q->ring[q->tail & (q->size - 1)];

		if (place->place == MEMFDCR_PLACE_OPEN)
			break;
		if (place->place == MEMFDCR_PLACE_VOID) {
			q->tail++;
			continue;
		}
		*e = place->event;
		found = true;
	}
	/* nothing came after what was lost */
	if (!found && q->tail == q->head && q->lost) {
		*e = (struct memfdcr_event_ntf){
			.command = MEMFDCR_CMD_OVERRUN_NTF, .time = ktime_get_ns(), .lost = q->lost,
		};
		found = true;
	}
	raw_spin_unlock_irq(&q->lock);
	return found;
}

/* e, which next_event() has given, was told */
static void told(struct memfdcr_events *q, const struct memfdcr_event_ntf *e)
{
	q->sequence++;
	raw_spin_lock_irq(&q->lock);
	/* its place is still the oldest one, unless it had none */
	if (q->tail != q->head && q->ring[q->tail & (q->size - 1)].place == MEMFDCR_PLACE_FILLED &&
	    q->ring[q->tail & (q->size - 1)].event.command == e->command &&
	    (e->command != MEMFDCR_CMD_OVERRUN_NTF ||
	     q->ring[q->tail & (q->size - 1)].event.time == e->time))
		q->tail++;
	else
		q->lost -= e->lost;
	raw_spin_unlock_irq(&q->lock);
}

static void deliver(struct work_struct *work)
{
	struct memfdcr_events *q = container_of(to_delayed_work(work), struct memfdcr_events, deliver);
	struct memfdcr_event_ntf e;

	while (!READ_ONCE(q->gone) && next_event(q, &e)) {
		int err = tell(q, &e);

		if (err == -EAGAIN) {
			schedule_delayed_work(&q->deliver, PAUSE);
			return;
		}
		if (err < 0)
			return;
		told(q, &e);
		cond_resched();
	}
}
