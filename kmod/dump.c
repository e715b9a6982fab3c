// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dumps of object-get and holder-get: process by process, holder by holder.
 *
 * holder-get tells holders as they are found. object-get has to have seen all of them before it can say how many there
 * are: it tallies them, tells them only when asked to, and then tells the objects. Where a message is full, the next
 * call goes on with the holder that had no room.
 */
#include <linux/err.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <uapi/linux/memfdcr.h>

#include "compat/wrapper/genetlink.h"
#include "dump.h"
#include "holder.h"
#include "id.h"
#include "netlink.h"
#include "put.h"
#include "tally.h"
#include "walk.h"

enum stage { FIRST, INSIDE, OUTSIDE, RECHECK, OBJECTS, LAST, END };

/**
 * struct filter - which objects count
 * @kinds: 1 << kind for each; 0: all
 * @one: only the one with this @dev and @ino
 * @by_id: only the one with this @id
 * @exact: and this @generation
 * @dev: as above
 * @generation: as above
 * @ino: as above
 * @id: as above
 */
struct filter {
	u32 kinds;
	bool one, exact, by_id;
	u32 dev, generation;
	u64 ino, id;
};

/**
 * struct dump - a dump under way; lives from start to done
 * @walk: over the processes
 * @filter: which objects count
 * @tally: objects found
 * @command: MEMFDCR_CMD_OBJECT_GET or MEMFDCR_CMD_HOLDER_GET
 * @tells: holders are told
 * @tallies: objects are tallied
 * @outside: holders outside the processes asked for are wanted, too
 * @stage: what is being done
 * @process: being visited; with a reference
 * @visit: how far
 * @visits: number of this visit, from 1 on; unlike addresses, numbers are not used twice
 * @moved: a process ran while it was looked at
 * @next: object to be told next
 * @skb: the message being filled
 * @cb: the netlink dump
 */
struct dump {
	struct memfdcr_walk walk;
	struct filter filter;
	struct memfdcr_tally tally;
	u8 command;
	bool tells, tallies, outside;
	enum stage stage;
	struct task_struct *process;
	struct memfdcr_visit visit;
	unsigned long visits;
	bool moved;
	struct list_head *next;
	struct sk_buff *skb;
	struct netlink_callback *cb;
};

static void *message(struct dump *d)
{
	return genlmsg_put(d->skb, NETLINK_CB(d->cb->skb).portid, d->cb->nlh->nlmsg_seq, &memfdcr_family, NLM_F_MULTI,
			   d->command);
}

static bool passes(const struct filter *f, const struct memfdcr_holder *h)
{
	const struct inode *inode = file_inode(h->file);

	if (f->kinds && !(f->kinds & 1U << h->kind))
		return false;
	if (f->by_id && memfdcr_id(inode) != f->id)
		return false;
	return !f->one || (inode->i_ino == f->ino && memfdcr_object_dev(h->file) == f->dev &&
			   (!f->exact || inode->i_generation == f->generation));
}

/* which object a holder has; the attributes of the two operations have numbers of their own */
static int put_identity(struct sk_buff *skb, const struct memfdcr_holder *h, bool object)
{
	const struct inode *inode = file_inode(h->file);
	int pad = object ? MEMFDCR_A_OBJECT_PAD : MEMFDCR_A_HOLDER_PAD;

	if (memfdcr_put_u64(skb, object ? MEMFDCR_A_OBJECT_ID : MEMFDCR_A_HOLDER_ID, memfdcr_id(inode), pad) ||
	    memfdcr_put_u32(skb, object ? MEMFDCR_A_OBJECT_DEV : MEMFDCR_A_HOLDER_DEV, memfdcr_object_dev(h->file)) ||
	    memfdcr_put_u64(skb, object ? MEMFDCR_A_OBJECT_INO : MEMFDCR_A_HOLDER_INO, inode->i_ino, pad) ||
	    memfdcr_put_u32(skb, object ? MEMFDCR_A_OBJECT_GENERATION : MEMFDCR_A_HOLDER_GENERATION, inode->i_generation))
		return -EMSGSIZE;
	return 0;
}

static int tell_holder(struct dump *d, const struct memfdcr_holder *h)
{
	bool nested = d->command == MEMFDCR_CMD_OBJECT_GET;
	struct sk_buff *skb = d->skb;
	struct nlattr *nest = NULL;

	if (put_identity(skb, h, nested))
		return -EMSGSIZE;
	if (nested) {
		nest = nla_nest_start(skb, MEMFDCR_A_OBJECT_HOLDER);
		if (!nest)
			return -EMSGSIZE;
	}
	if (memfdcr_holder_put(skb, h) || (d->stage == OUTSIDE && memfdcr_put_flag(skb, MEMFDCR_A_HOLDER_OUTSIDE)))
		return -EMSGSIZE;
	if (nested)
		nla_nest_end(skb, nest);
	return 0;
}

/* with locks held; -ENOMEM: the tally needs memory reserved */
static int found(void *data, const struct memfdcr_holder *h)
{
	struct dump *d = data;
	struct memfdcr_tally_object *o = NULL;
	void *msg = NULL;
	int err = 0;

	if (!passes(&d->filter, h))
		return 0;
	if (d->stage == OUTSIDE) {
		o = memfdcr_tally_find(&d->tally, h);
		if (!o)
			return 0;
	} else if (d->tallies) {
		o = memfdcr_tally_get(&d->tally, h);
		if (!o)
			return -ENOMEM;
	}
	if (d->tells) {
		msg = message(d);
		if (!msg)
			return -EMSGSIZE;
		err = tell_holder(d, h);
	}
	if (!err && o && d->command == MEMFDCR_CMD_OBJECT_GET)
		err = memfdcr_tally_count(&d->tally, o, h, d->stage == OUTSIDE, d->process);
	if (msg && err)
		genlmsg_cancel(d->skb, msg);
	else if (msg)
		genlmsg_end(d->skb, msg);
	return err;
}

/* threads of a process may have descriptors of their own, and some of these together: each table is told once */
static int wants_table(void *data, const void *table, pid_t tid)
{
	struct dump *d = data;
	int first = memfdcr_tally_mark(&d->tally, table, (void *)d->visits, (void *)(long)tid);

	return first < 0 ? first : first != MEMFDCR_FIRST_OTHER;
}

/* a thread that executes a program takes the place of the first one: goes on with that; false: nobody is there */
static bool follow(struct dump *d)
{
	struct task_struct *leader;

	rcu_read_lock();
	leader = pid_task(task_tgid(d->process), PIDTYPE_TGID);
	if (leader == d->process)
		leader = NULL;
	if (leader)
		get_task_struct(leader);
	rcu_read_unlock();
	if (!leader)
		return false;
	memfdcr_visit_end(&d->visit);
	put_task_struct(d->process);
	d->process = leader;
	return true;
}

static void leave(struct dump *d)
{
	memfdcr_visit_end(&d->visit);
	if (d->process)
		put_task_struct(d->process);
	d->process = NULL;
}

/* the process that is being visited, as far as there is room; 0: it is done */
static int visit_process(struct dump *d)
{
	const struct memfdcr_visitor visitor = { .holder = found, .table = wants_table, .data = d };
	int err;

	do {
		err = memfdcr_access_lock(&d->walk.access, d->process);
	} while (err == -ESRCH && follow(d));
	if (err == -EPERM || err == -EBUSY)
		d->walk.hidden[d->stage == OUTSIDE]++;
	/* what it has is not known, so the answer is not of one moment */
	if (err == -EBUSY)
		d->walk.ran = true;
	if (err == -EPERM || err == -EBUSY || err == -ESRCH)
		return 0;
	if (err)
		return err;
	err = memfdcr_visit(&d->visit, d->process, d->walk.ns, &visitor);
	memfdcr_access_unlock(d->process);
	return err == -ENOMEM ? memfdcr_tally_reserve(&d->tally) ?: -EAGAIN : err;
}

/* the rest of the processes of this stage; 0: all of them are done */
static int visit_processes(struct dump *d)
{
	int err = 0;

	while (!err) {
		if (!d->process) {
			struct task_struct *process = memfdcr_walk_next(&d->walk);

			if (IS_ERR_OR_NULL(process))
				return PTR_ERR_OR_ZERO(process);
			d->process = process;
			d->visits++;
		}
		err = visit_process(d);
		if (!err)
			leave(d);
		else if (err == -EAGAIN)
			err = 0;
	}
	return err;
}

static u32 unexplained(const struct memfdcr_tally_object *o)
{
	s64 n = o->references - o->explained;

	/* what was counted may be older than what was not */
	return n < 0 ? 0 : min_t(s64, n, U32_MAX);
}

static int tell_object(struct dump *d, const struct memfdcr_tally_object *o)
{
	struct sk_buff *skb = d->skb;
	void *msg = message(d);

	if (!msg)
		return -EMSGSIZE;
	if (memfdcr_object_put(skb, &o->object, o->has_name ? o->name : NULL, d->walk.access.cred->user_ns) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_DESCRIPTORS, o->descriptors) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_MAPPINGS, o->mappings) ||
	    (d->outside && memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_OUTSIDE_HOLDERS, o->outside)) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_UNEXPLAINED, unexplained(o))) {
		genlmsg_cancel(skb, msg);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, msg);
	return 0;
}

static int tell_objects(struct dump *d)
{
	int err;

	for (; d->next != &d->tally.objects; d->next = d->next->next) {
		err = tell_object(d, list_entry(d->next, struct memfdcr_tally_object, all));
		if (err)
			return err;
	}
	return 0;
}

static int put_hidden(struct dump *d, bool object)
{
	if (nla_put_u32(d->skb, object ? MEMFDCR_A_OBJECT_HIDDEN : MEMFDCR_A_HOLDER_HIDDEN, d->walk.hidden[0]))
		return -EMSGSIZE;
	if (!d->outside)
		return 0;
	return nla_put_u32(d->skb, object ? MEMFDCR_A_OBJECT_HIDDEN_OUTSIDE : MEMFDCR_A_HOLDER_HIDDEN_OUTSIDE,
			   d->walk.hidden[1]);
}

/* the messages before all others and after them: when it was, and what cannot be said of a single holder or object */
static int tell_time(struct dump *d, bool last)
{
	bool object = d->command == MEMFDCR_CMD_OBJECT_GET;
	struct nlmsghdr *nlh = (struct nlmsghdr *)skb_tail_pointer(d->skb);
	void *msg = message(d);

	if (!msg)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(d->skb, object ? MEMFDCR_A_OBJECT_TIME : MEMFDCR_A_HOLDER_TIME, ktime_get_ns(),
			      object ? MEMFDCR_A_OBJECT_PAD : MEMFDCR_A_HOLDER_PAD) ||
	    (last && put_hidden(d, object))) {
		genlmsg_cancel(d->skb, msg);
		return -EMSGSIZE;
	}
	if (last && d->moved)
		nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	genlmsg_end(d->skb, msg);
	return 0;
}

static int recheck(struct dump *d)
{
	bool still = false;
	int err = memfdcr_walk_recheck(&d->walk, d->outside, &still);

	d->moved = !still;
	return err;
}

/* one stage, or what there is room for; 0: on to the next stage */
static int do_stage(struct dump *d)
{
	int err = 0;

	switch (d->stage) {
	case FIRST:
		err = tell_time(d, false);
		break;
	case INSIDE:
		err = visit_processes(d);
		if (!err)
			memfdcr_walk_rewind(&d->walk, true);
		break;
	case OUTSIDE:
		if (d->outside)
			err = visit_processes(d);
		break;
	case RECHECK:
		err = recheck(d);
		d->next = d->tally.objects.next;
		break;
	case OBJECTS:
		if (d->command == MEMFDCR_CMD_OBJECT_GET)
			err = tell_objects(d);
		break;
	case LAST:
		err = tell_time(d, true);
		break;
	case END:
		break;
	}
	return err;
}

/**
 * memfdcr_dump() - as much as goes into one message buffer
 * @skb: the buffer
 * @cb: the dump
 *
 * Context: process context of whoever reads; sleeps, killable.
 * Return: bytes; 0: that was all; -EINTR killed; -ENOMEM.
 */
int memfdcr_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump *d = (struct dump *)cb->args[0];
	int err;

	d->skb = skb;
	d->cb = cb;
	do {
		err = do_stage(d);
		if (err)
			break;
		/* the first call holds a lock that all generic netlink families need: nothing there may take its time */
		if (d->stage++ == FIRST) {
			d->walk.access.may_wait = true;
			return skb->len;
		}
	} while (d->stage != END);
	if (err == -EMSGSIZE && skb->len)
		return skb->len;
	return err;
}

/**
 * memfdcr_dump_done() - the dump is over, read to its end or not
 * @cb: the dump
 *
 * Context: process context.
 * Return: 0.
 */
int memfdcr_dump_done(struct netlink_callback *cb)
{
	struct dump *d = (struct dump *)cb->args[0];

	leave(d);
	memfdcr_tally_free(&d->tally);
	memfdcr_walk_end(&d->walk);
	kfree(d);
	return 0;
}

static int read_filter(struct filter *f, const struct nlattr *kinds, const struct nlattr *id, const struct nlattr *dev,
		       const struct nlattr *ino, const struct nlattr *generation, struct netlink_ext_ack *extack)
{
	if (!dev != !ino || (generation && !ino)) {
		NL_SET_ERR_MSG_ATTR(extack, ino ?: dev ?: generation,
				    "an object is named by dev and ino together, and then perhaps generation");
		return -EINVAL;
	}
	if (kinds && !nla_get_u32(kinds)) {
		NL_SET_ERR_MSG_ATTR(extack, kinds, "no kind of object is asked for");
		return -EINVAL;
	}
	*f = (struct filter){
		.kinds = kinds ? nla_get_u32(kinds) : 0,
		.one = ino,
		.exact = generation,
		.by_id = id,
		.id = id ? nla_get_u64(id) : 0,
		.dev = dev ? nla_get_u32(dev) : 0,
		.ino = ino ? nla_get_u64(ino) : 0,
		.generation = generation ? nla_get_u32(generation) : 0,
	};
	return 0;
}

/* with command, tells and outside filled in; consumes d on error */
static int start(struct netlink_callback *cb, struct dump *d, int pid_type, const struct nlattr *tree)
{
	int err;

	d->tallies = d->outside || d->command == MEMFDCR_CMD_OBJECT_GET;
	err = memfdcr_tally_init(&d->tally);
	if (err)
		goto free;
	err = memfdcr_walk_begin(&d->walk, cb->skb, cb->nlh, pid_type, tree, cb->extack);
	if (err)
		goto free_tally;
	cb->args[0] = (long)d;
	return 0;

free_tally:
	memfdcr_tally_free(&d->tally);
free:
	kfree(d);
	return err;
}

static int object_dump_start(struct netlink_callback *cb)
{
	struct nlattr **a = memfdcr_dump_attrs(cb);
	const struct nlattr *one = a[MEMFDCR_A_OBJECT_FD] ?: a[MEMFDCR_A_OBJECT_TARGET_FD] ?: a[MEMFDCR_A_OBJECT_ADDRESS];
	struct dump *d;
	int err;

	if (one) {
		NL_SET_ERR_MSG_ATTR(cb->extack, one, "fd, target-fd and address name one object, for which there is do");
		return -EINVAL;
	}
	d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	if (!d)
		return -ENOMEM;
	err = read_filter(&d->filter, a[MEMFDCR_A_OBJECT_KINDS], a[MEMFDCR_A_OBJECT_ID], a[MEMFDCR_A_OBJECT_DEV],
			  a[MEMFDCR_A_OBJECT_INO], a[MEMFDCR_A_OBJECT_GENERATION], cb->extack);
	if (err) {
		kfree(d);
		return err;
	}
	d->command = MEMFDCR_CMD_OBJECT_GET;
	d->tells = a[MEMFDCR_A_OBJECT_HOLDERS];
	d->outside = a[MEMFDCR_A_OBJECT_OUTSIDE];
	return start(cb, d, MEMFDCR_A_OBJECT_PID, a[MEMFDCR_A_OBJECT_TREE]);
}

/**
 * memfdcr_object_dump_start() - begin a dump of object-get
 * @cb: the dump
 *
 * Context: process context of the sender; sleeps.
 * Return: 0, or as memfdcr_walk_begin().
 */
int memfdcr_object_dump_start(struct netlink_callback *cb)
{
	return memfdcr_dump_start(cb, object_dump_start);
}

static int holder_dump_start(struct netlink_callback *cb)
{
	struct nlattr **a = memfdcr_dump_attrs(cb);
	struct dump *d;
	int err;

	d = kzalloc(sizeof(*d), GFP_KERNEL_ACCOUNT);
	if (!d)
		return -ENOMEM;
	err = read_filter(&d->filter, a[MEMFDCR_A_HOLDER_KINDS], a[MEMFDCR_A_HOLDER_ID], a[MEMFDCR_A_HOLDER_DEV],
			  a[MEMFDCR_A_HOLDER_INO], a[MEMFDCR_A_HOLDER_GENERATION], cb->extack);
	if (err) {
		kfree(d);
		return err;
	}
	d->command = MEMFDCR_CMD_HOLDER_GET;
	d->tells = true;
	d->outside = a[MEMFDCR_A_HOLDER_OUTSIDE];
	return start(cb, d, MEMFDCR_A_HOLDER_PID, a[MEMFDCR_A_HOLDER_TREE]);
}

/**
 * memfdcr_holder_dump_start() - begin a dump of holder-get
 * @cb: the dump
 *
 * Context: process context of the sender; sleeps.
 * Return: 0, or as memfdcr_walk_begin().
 */
int memfdcr_holder_dump_start(struct netlink_callback *cb)
{
	return memfdcr_dump_start(cb, holder_dump_start);
}
