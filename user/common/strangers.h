/* SPDX-License-Identifier: GPL-2.0-only */
/* Snapshots of a tree that also tell of holders outside it, where there may be any. */
#ifndef MEMFDCR_COMMON_STRANGERS_H
#define MEMFDCR_COMMON_STRANGERS_H

#include "netlink/objects.h"

/* whether anybody has an object of that kind whom the holders that were found do not explain */
bool strangers_hold(uint32_t kind, uint32_t unexplained);

/*
 * What the tree holds, with holders, and if strangers hold one of the objects that are wanted (NULL: all are), with those
 * outside, too. As genl_snapshot_take().
 */
int strangers_snapshot(struct genl *g, uint32_t tree, bool (*wanted)(const void *data, const struct object *o),
		       const void *data, struct snapshot *s);

#endif
