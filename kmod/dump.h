/* SPDX-License-Identifier: GPL-2.0-only */
/* The dumps of object-get and holder-get. */
#ifndef MEMFDCR_DUMP_H
#define MEMFDCR_DUMP_H

struct netlink_callback;
struct sk_buff;

int memfdcr_object_dump_start(struct netlink_callback *cb);
int memfdcr_holder_dump_start(struct netlink_callback *cb);
int memfdcr_dump(struct sk_buff *skb, struct netlink_callback *cb);
int memfdcr_dump_done(struct netlink_callback *cb);

#endif
