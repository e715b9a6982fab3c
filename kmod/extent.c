// SPDX-License-Identifier: GPL-2.0-only
/*
 * extent-get: which parts of an object are there, in memory or in swap space.
 *
 * It is read off the page cache, which has an entry for all that is not a hole, for shmem and hugetlb alike; lseek()
 * with SEEK_HOLE cannot tell the holes of hugetlb files.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/math64.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include <net/genetlink.h>
#include <uapi/linux/memfdcr.h>

#include "compat/wrapper/genetlink.h"
#include "compat/wrapper/pagemap.h"
#include "extent.h"
#include "find.h"
#include "netlink.h"

/**
 * struct extents - a dump under way
 * @file: the object; with a reference
 * @at: byte to go on with
 * @stop: not beyond this byte
 * @begun: the first message has been told
 */
struct extents {
	struct file *file;
	u64 at;
	u64 stop;
	bool begun;
};

/* so many entries are looked at before others have their turn */
#define LOOKS_AT_ONCE 4096

/* a run of bytes in one and the same state */
struct run {
	u64 start, end;
	unsigned int state;
};

static u64 page_size_of(const struct inode *inode)
{
	return inode->i_sb->s_magic == HUGETLBFS_MAGIC ? huge_page_size(hstate_inode((struct inode *)inode)) :
							 PAGE_SIZE;
}

/*
 * The run that begins at byte start, up to byte limit. What others add and remove meanwhile may be in it or not.
 * 0, or -EINTR: killed.
 */
static int next_run(struct inode *inode, u64 start, u64 limit, struct run *run)
{
	unsigned int shift = memfdcr_index_shift(inode), looked = 0;
	struct address_space *mapping = inode->i_mapping;
	XA_STATE(xas, &mapping->i_pages, start >> shift);
	unsigned long last = (limit - 1) >> shift;
	void *entry;

	*run = (struct run){ .start = start, .end = start };
	rcu_read_lock();
	xas_for_each(&xas, entry, last) {
		unsigned int state = xa_is_value(entry) ? MEMFDCR_EXTENT_SWAPPED : MEMFDCR_EXTENT_ALLOCATED;
		unsigned int order;
		u64 first, pages;

		if (xas_retry(&xas, entry))
			continue;
		order = xa_get_order(&mapping->i_pages, xas.xa_index);
		pages = 1ULL << order;
		first = (xas.xa_index & ~(pages - 1)) << shift;
		if (first > run->end) {
			if (!run->state) {
				run->state = MEMFDCR_EXTENT_HOLE;
				run->end = first;
			}
			break;
		}
		if (run->state && run->state != state)
			break;
		run->state = state;
		run->end = first + (pages << shift);

		if (++looked % LOOKS_AT_ONCE)
			continue;
		xas_pause(&xas);
		rcu_read_unlock();
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		rcu_read_lock();
	}
	rcu_read_unlock();
	if (!run->state) {
		run->state = MEMFDCR_EXTENT_HOLE;
		run->end = limit;
	}
	/* a huge page may have been taken away while it was looked at: no run ends inside one */
	run->end = min(round_up(run->end, page_size_of(inode)), limit);
	return 0;
}

static void *message(struct sk_buff *skb, struct netlink_callback *cb)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &memfdcr_family, NLM_F_MULTI,
			   MEMFDCR_CMD_EXTENT_GET);
}

/* the first call holds a lock that all generic netlink families need, so it says no more than this */
static int put_first(struct sk_buff *skb, struct netlink_callback *cb, const struct inode *inode)
{
	void *msg = message(skb, cb);

	if (!msg || nla_put_u64_64bit(skb, MEMFDCR_A_EXTENTS_SIZE, i_size_read(inode), MEMFDCR_A_EXTENTS_PAD))
		return -EMSGSIZE;
	genlmsg_end(skb, msg);
	return skb->len;
}

static int put_run(struct sk_buff *skb, struct netlink_callback *cb, const struct run *run)
{
	void *msg = message(skb, cb);

	if (!msg)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, MEMFDCR_A_EXTENTS_START, run->start, MEMFDCR_A_EXTENTS_PAD) ||
	    nla_put_u64_64bit(skb, MEMFDCR_A_EXTENTS_END, run->end, MEMFDCR_A_EXTENTS_PAD) ||
	    nla_put_u32(skb, MEMFDCR_A_EXTENTS_STATE, run->state)) {
		genlmsg_cancel(skb, msg);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, msg);
	return 0;
}

/**
 * memfdcr_extent_dump() - as many extents as go into one message buffer
 * @skb: the buffer
 * @cb: the dump
 *
 * Context: process context of whoever reads; sleeps, killable.
 * Return: bytes; 0: that was all; -EINTR killed.
 */
int memfdcr_extent_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct extents *e = (struct extents *)cb->args[0];
	struct inode *inode = file_inode(e->file);
	/* a huge page size is a power of two */
	u64 limit = min_t(u64, round_up((u64)i_size_read(inode), page_size_of(inode)), e->stop);
	int err = 0;

	if (!e->begun) {
		e->begun = true;
		return put_first(skb, cb, inode);
	}
	while (!err && e->at < limit) {
		struct run run;

		err = next_run(inode, e->at, limit, &run);
		if (!err)
			err = put_run(skb, cb, &run);
		if (!err)
			e->at = run.end;
	}
	if (err == -EMSGSIZE && skb->len)
		return skb->len;
	return err;
}

/**
 * memfdcr_extent_done() - the dump is over, read to its end or not
 * @cb: the dump
 *
 * Context: process context.
 * Return: 0.
 */
int memfdcr_extent_done(struct netlink_callback *cb)
{
	struct extents *e = (struct extents *)cb->args[0];

	fput(e->file);
	kfree(e);
	return 0;
}

/* where the request begins and stops, widened to whole pages */
static int read_range(struct extents *e, const struct nlattr *start, const struct nlattr *end,
		      struct netlink_ext_ack *extack)
{
	u64 size = page_size_of(file_inode(e->file));

	e->at = start ? round_down(nla_get_u64(start), size) : 0;
	e->stop = U64_MAX;
	if (end && nla_get_u64(end) <= MAX_LFS_FILESIZE)
		e->stop = round_up(nla_get_u64(end), size);
	if (e->at < e->stop)
		return 0;
	NL_SET_ERR_MSG_ATTR(extack, end, "the range ends before it begins");
	return -EINVAL;
}

static int start(struct netlink_callback *cb)
{
	struct nlattr **a = memfdcr_dump_attrs(cb);
	const struct memfdcr_place place = {
		.fd = a[MEMFDCR_A_EXTENTS_FD],
		.pid = a[MEMFDCR_A_EXTENTS_PID],
		.target_fd = a[MEMFDCR_A_EXTENTS_TARGET_FD],
		.address = a[MEMFDCR_A_EXTENTS_ADDRESS],
	};
	struct extents *e;
	int err;

	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->file = memfdcr_find(cb->skb, &place, cb->extack);
	if (IS_ERR(e->file)) {
		err = PTR_ERR(e->file);
		goto free;
	}
	err = read_range(e, a[MEMFDCR_A_EXTENTS_START], a[MEMFDCR_A_EXTENTS_END], cb->extack);
	if (err)
		goto put;
	cb->args[0] = (long)e;
	return 0;

put:
	fput(e->file);
free:
	kfree(e);
	return err;
}

/**
 * memfdcr_extent_start() - begin a dump of extent-get
 * @cb: the dump
 *
 * Context: process context of the sender; sleeps.
 * Return: 0, or as memfdcr_find().
 */
int memfdcr_extent_start(struct netlink_callback *cb)
{
	return memfdcr_dump_start(cb, start);
}
