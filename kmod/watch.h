/* SPDX-License-Identifier: GPL-2.0-only */
/* Watches: which sockets want to know what which processes do. */
#ifndef MEMFDCR_WATCH_H
#define MEMFDCR_WATCH_H

struct genl_info;
struct sk_buff;

int memfdcr_watch_start(struct sk_buff *skb, struct genl_info *info);
int memfdcr_watch_stop(struct sk_buff *skb, struct genl_info *info);
int memfdcr_watch_init(void);
void memfdcr_watch_exit(void);

#endif
