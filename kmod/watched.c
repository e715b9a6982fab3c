// SPDX-License-Identifier: GPL-2.0-only
/* uffd-get: which processes and which of their ranges a userfaultfd watches. */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include <net/genetlink.h>
#include <uapi/linux/memfdcr.h>

#include "compat/wrapper/genetlink.h"
#include "compat/wrapper/thread.h"
#include "guard.h"
#include "holder.h"
#include "id.h"
#include "netlink.h"
#include "object.h"
#include "uffd.h"
#include "walk.h"
#include "watched.h"

/* it is time to let the lock go */
#define LET_GO 1

/**
 * struct ranges - a dump of ranges under way
 * @ctx: the userfaultfd; only compared, so after it has been closed another one of the same memory may be told for it
 * @mm: the address space it watches; pinned
 * @at: address to go on with
 * @begun: the first message has been told
 */
struct ranges {
	const struct userfaultfd_ctx *ctx;
	struct mm_struct *mm;
	unsigned long at;
	bool begun;
};

/* the userfaultfd behind a descriptor of the sender, with a reference to its file */
static struct file *find(const struct nlattr *attr, const struct userfaultfd_ctx **ctx, bool *guarded,
			 struct netlink_ext_ack *extack)
{
	struct file *file;

	if (!attr) {
		NL_SET_ERR_MSG(extack, "fd is missing");
		NL_SET_ERR_ATTR_MISS(extack, NULL, MEMFDCR_A_UFFD_FD);
		return ERR_PTR(-EINVAL);
	}
	file = fget(nla_get_u32(attr));
	if (!file) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "no such descriptor");
		return ERR_PTR(-EBADF);
	}
	*ctx = memfdcr_guard_ctx(file);
	*guarded = *ctx;
	if (!*ctx)
		*ctx = memfdcr_uffd_ctx(file);
	if (*ctx)
		return file;
	fput(file);
	NL_SET_ERR_MSG_ATTR(extack, attr, "not a userfaultfd");
	return ERR_PTR(-EINVAL);
}

static bool uses(struct task_struct *process, const struct mm_struct *mm)
{
	struct task_struct *t;
	bool found = false;

	rcu_read_lock();
	memfdcr_for_each_thread(process, t)
		found |= READ_ONCE(t->mm) == mm;
	rcu_read_unlock();
	return found;
}

/* the processes that use the memory and that the sender may see */
static int put_processes(struct sk_buff *msg, struct sk_buff *skb, struct genl_info *info, const struct mm_struct *mm)
{
	struct task_struct *process;
	struct memfdcr_walk walk;
	int err;

	err = memfdcr_walk_begin(&walk, skb, info->nlhdr, MEMFDCR_A_UFFD_PID, NULL, info->extack);
	if (err)
		return err;
	while (!err && (process = memfdcr_walk_any(&walk))) {
		if (IS_ERR(process)) {
			err = PTR_ERR(process);
			break;
		}
		if (uses(process, mm) && memfdcr_access_to(&walk.access, process))
			err = nla_put_u32(msg, MEMFDCR_A_UFFD_PID, task_tgid_nr_ns(process, walk.ns));
		put_task_struct(process);
	}
	if (err == -EMSGSIZE)
		NL_SET_ERR_MSG(info->extack, "more processes use the memory than go into one message");
	memfdcr_walk_end(&walk);
	return err;
}

/**
 * memfdcr_watched_do() - number, guard and processes of a userfaultfd
 * @skb: the request
 * @info: the request
 *
 * Context: process context of the sender; sleeps, killable.
 * Return: 0; -EINVAL, -EBADF not a userfaultfd; -EMSGSIZE more processes than go into a message; -ENOMEM; -EINTR.
 */
int memfdcr_watched_do(struct sk_buff *skb, struct genl_info *info)
{
	const struct userfaultfd_ctx *ctx;
	struct sk_buff *msg;
	struct file *file;
	bool guarded;
	void *hdr;
	int err;

	file = find(info->attrs[MEMFDCR_A_UFFD_FD], &ctx, &guarded, info->extack);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = -ENOMEM;
	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		goto put;
	hdr = genlmsg_put_reply(msg, info, &memfdcr_family, 0, MEMFDCR_CMD_UFFD_GET);
	err = -EMSGSIZE;
	if (!hdr || nla_put_u64_64bit(msg, MEMFDCR_A_UFFD_UFFD_ID, memfdcr_id(ctx), MEMFDCR_A_UFFD_PAD) ||
	    (guarded && nla_put_flag(msg, MEMFDCR_A_UFFD_GUARD)))
		goto free;
	err = put_processes(msg, skb, info, ctx->mm);
	if (err)
		goto free;
	genlmsg_end(msg, hdr);
	fput(file);
	return genlmsg_reply(msg, info);

free:
	nlmsg_free(msg);
put:
	fput(file);
	return err;
}

static int start(struct netlink_callback *cb)
{
	const struct userfaultfd_ctx *ctx;
	struct ranges *r;
	struct file *file;
	bool guarded;

	file = find(memfdcr_dump_attrs(cb)[MEMFDCR_A_UFFD_FD], &ctx, &guarded, cb->extack);
	if (IS_ERR(file))
		return PTR_ERR(file);
	r = kzalloc(sizeof(*r), GFP_KERNEL_ACCOUNT);
	if (r) {
		/* not the file: a dump that nobody reads must not keep a userfaultfd open */
		mmgrab(ctx->mm);
		r->mm = ctx->mm;
		r->ctx = ctx;
		cb->args[0] = (long)r;
	}
	fput(file);
	return r ? 0 : -ENOMEM;
}

/**
 * memfdcr_watched_start() - begin a dump of uffd-get
 * @cb: the dump
 *
 * Context: process context of the sender; sleeps.
 * Return: 0; -EINVAL, -EBADF not a userfaultfd; -ENOMEM.
 */
int memfdcr_watched_start(struct netlink_callback *cb)
{
	return memfdcr_dump_start(cb, start);
}

static void *message(struct sk_buff *skb, struct netlink_callback *cb)
{
	return genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq, &memfdcr_family, NLM_F_MULTI,
			   MEMFDCR_CMD_UFFD_GET);
}

/* the first call holds a lock that all generic netlink families need, so it says no more than this */
static int put_first(struct sk_buff *skb, struct netlink_callback *cb, const struct ranges *r)
{
	void *msg = message(skb, cb);

	if (!msg || nla_put_u64_64bit(skb, MEMFDCR_A_UFFD_UFFD_ID, memfdcr_id(r->ctx), MEMFDCR_A_UFFD_PAD))
		return -EMSGSIZE;
	genlmsg_end(skb, msg);
	return skb->len;
}

static int put_range(struct sk_buff *skb, struct netlink_callback *cb, struct vm_area_struct *vma)
{
	const struct file *mapped = memfdcr_is_private(vma) ? NULL : vma->vm_file;
	void *msg = message(skb, cb);

	if (!msg)
		return -EMSGSIZE;
	if (nla_put_u64_64bit(skb, MEMFDCR_A_UFFD_START, vma->vm_start, MEMFDCR_A_UFFD_PAD) ||
	    nla_put_u64_64bit(skb, MEMFDCR_A_UFFD_END, vma->vm_end, MEMFDCR_A_UFFD_PAD) ||
	    nla_put_u32(skb, MEMFDCR_A_UFFD_MODES, memfdcr_uffd_modes(vma)) ||
	    (mapped && (nla_put_u64_64bit(skb, MEMFDCR_A_UFFD_OFFSET, (u64)vma->vm_pgoff << PAGE_SHIFT,
					  MEMFDCR_A_UFFD_PAD) ||
			nla_put_u32(skb, MEMFDCR_A_UFFD_DEV, memfdcr_object_dev(mapped)) ||
			nla_put_u64_64bit(skb, MEMFDCR_A_UFFD_INO, file_inode(mapped)->i_ino, MEMFDCR_A_UFFD_PAD) ||
			nla_put_u32(skb, MEMFDCR_A_UFFD_GENERATION, file_inode(mapped)->i_generation)))) {
		genlmsg_cancel(skb, msg);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, msg);
	return 0;
}

/* the ranges from r->at on, under the lock; 0: that was all, LET_GO: others want the lock or the processor */
static int put_ranges(struct sk_buff *skb, struct netlink_callback *cb, struct ranges *r)
{
	VMA_ITERATOR(vmi, r->mm, r->at);
	struct vm_area_struct *vma;
	bool progress = false;
	int err = 0;

	for_each_vma(vmi, vma) {
		r->at = vma->vm_start;
		if (progress && (need_resched() || mmap_lock_is_contended(r->mm)))
			return LET_GO;
		progress = true;
		if (vma->vm_userfaultfd_ctx.ctx == r->ctx)
			err = put_range(skb, cb, vma);
		if (err)
			return err;
	}
	return 0;
}

/**
 * memfdcr_watched_dump() - as many ranges as go into one message buffer
 * @skb: the buffer
 * @cb: the dump
 *
 * Context: process context of whoever reads; sleeps, killable.
 * Return: bytes; 0: that was all; -EINTR killed.
 */
int memfdcr_watched_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct ranges *r = (struct ranges *)cb->args[0];
	int err;

	if (!r->begun) {
		r->begun = true;
		return put_first(skb, cb, r);
	}
	if (!mmget_not_zero(r->mm))
		return 0;
	do {
		err = -EINTR;
		if (mmap_read_lock_killable(r->mm))
			break;
		err = put_ranges(skb, cb, r);
		mmap_read_unlock(r->mm);
		cond_resched();
	} while (err == LET_GO);
	mmput_async(r->mm);
	if (err == -EMSGSIZE && skb->len)
		return skb->len;
	return err;
}

/**
 * memfdcr_watched_done() - the dump is over, read to its end or not
 * @cb: the dump
 *
 * Context: process context.
 * Return: 0.
 */
int memfdcr_watched_done(struct netlink_callback *cb)
{
	struct ranges *r = (struct ranges *)cb->args[0];

	mmdrop(r->mm);
	kfree(r);
	return 0;
}
