/* SPDX-License-Identifier: GPL-2.0-only */
/* The attributes of the request that a dump answers. */
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

#endif
