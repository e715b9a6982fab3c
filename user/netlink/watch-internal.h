/* SPDX-License-Identifier: GPL-2.0-only */
/* How notifications become events: internal to user/netlink/ and its tests. */
#ifndef MEMFDCR_NETLINK_WATCH_INTERNAL_H
#define MEMFDCR_NETLINK_WATCH_INTERNAL_H

#include "netlink/genl-internal.h"
#include "netlink/watch.h"

/* in one fork-ntf; a message that fits into one page has no room for so many */
#define WATCH_MAX_UFFDS 512

struct watch {
	struct genl *genl;
	uint32_t number;	/* 0: not started */
	uint64_t sequence;	/* of the last notification */
	watch_callback *callback;
	void *data;
	uint64_t uffds[WATCH_MAX_UFFDS];	/* of the event that is being given */
};

/* a genl_reply for notifications; data is a struct watch */
int watch_notification(const struct nlmsghdr *nlh, void *data);

/* a genl_reply for the answer to watch-start */
int watch_start_reply(const struct nlmsghdr *nlh, void *data);

#endif
