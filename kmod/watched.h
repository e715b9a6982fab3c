/* SPDX-License-Identifier: GPL-2.0-only */
/* uffd-get: what a userfaultfd watches. */
#ifndef MEMFDCR_WATCHED_H
#define MEMFDCR_WATCHED_H

struct genl_info;
struct netlink_callback;
struct sk_buff;

int memfdcr_watched_do(struct sk_buff *skb, struct genl_info *info);
int memfdcr_watched_start(struct netlink_callback *cb);
int memfdcr_watched_dump(struct sk_buff *skb, struct netlink_callback *cb);
int memfdcr_watched_done(struct netlink_callback *cb);

#endif
