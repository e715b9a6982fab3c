/* SPDX-License-Identifier: GPL-2.0-only */
/* The one object that a request names by a descriptor or an address. */
#ifndef MEMFDCR_FIND_H
#define MEMFDCR_FIND_H

struct file;
struct netlink_ext_ack;
struct nlattr;
struct sk_buff;

/**
 * struct memfdcr_place - the attributes that say where an object is found; each may be NULL
 * @fd: a descriptor of the sender
 * @pid: a process, and of that
 * @target_fd: a descriptor, or
 * @address: an address in its memory
 */
struct memfdcr_place {
	const struct nlattr *fd, *pid, *target_fd, *address;
};

struct file *memfdcr_find(struct sk_buff *skb, const struct memfdcr_place *place, struct netlink_ext_ack *extack);

#endif
