/* SPDX-License-Identifier: GPL-2.0-only */
/* Dumps: the attributes of the request that is answered, and what it is told when it is refused. */
#ifndef MEMFDCR_COMPAT_WRAPPER_GENETLINK_H
#define MEMFDCR_COMPAT_WRAPPER_GENETLINK_H

#include <linux/version.h>
#include <net/genetlink.h>

/**
 * memfdcr_dump_attrs() - attributes of the request that a dump answers
 * @cb: the dump
 *
 * Context: within start and dumpit.
 * Return: the attributes by type.
 */
static inline struct nlattr **memfdcr_dump_attrs(struct netlink_callback *cb)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)	/* "genetlink: add a family pointer and genl_info to dumps" */
	return genl_dumpit_info(cb)->info.attrs;
#else
	return genl_dumpit_info(cb)->attrs;
#endif
}

/**
 * memfdcr_dump_start() - begin a dump, with a place for a sentence that says why not
 * @cb: the dump
 * @start: what begins it, and returns 0 or a negative errno
 *
 * Context: within start.
 * Return: what start is to return.
 */
static inline int memfdcr_dump_start(struct netlink_callback *cb, int (*start)(struct netlink_callback *cb))
{
	struct netlink_ext_ack extack = { 0 };
	int err;

	if (cb->extack)
		return start(cb);
	/* 6.1 has no such place before dumpit, where it is too late to name an attribute: refuse ourselves */
	cb->extack = &extack;
	err = start(cb);
	cb->extack = NULL;
	if (!err)
		return 0;
	netlink_ack(cb->skb, nlmsg_hdr(cb->skb), err, &extack);
	/* no second refusal, please */
	return -EINTR;
}

#endif
