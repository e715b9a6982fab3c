/* SPDX-License-Identifier: GPL-2.0-only */
/* extent-get: which parts of an object are there. */
#ifndef MEMFDCR_EXTENT_H
#define MEMFDCR_EXTENT_H

struct netlink_callback;
struct sk_buff;

int memfdcr_extent_start(struct netlink_callback *cb);
int memfdcr_extent_dump(struct sk_buff *skb, struct netlink_callback *cb);
int memfdcr_extent_done(struct netlink_callback *cb);

#endif
