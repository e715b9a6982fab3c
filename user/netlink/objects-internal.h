/* SPDX-License-Identifier: GPL-2.0-only */
/* How messages of the module become structures: internal to user/netlink/ and its tests. */
#ifndef MEMFDCR_NETLINK_OBJECTS_INTERNAL_H
#define MEMFDCR_NETLINK_OBJECTS_INTERNAL_H

#include "netlink/genl-internal.h"
#include "netlink/objects.h"

/* take one message each: a genl_reply; data is a struct snapshot, an empty struct object, a struct extents */
int snapshot_reply(const struct nlmsghdr *nlh, void *data);
int object_reply(const struct nlmsghdr *nlh, void *data);
int extents_reply(const struct nlmsghdr *nlh, void *data);

/* after the last message: gives each object its holders */
void snapshot_join(struct snapshot *s);

#endif
