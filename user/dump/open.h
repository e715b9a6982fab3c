/* SPDX-License-Identifier: GPL-2.0-only */
/* Getting at the content of objects that other processes hold. */
#ifndef MEMFDCR_DUMP_OPEN_H
#define MEMFDCR_DUMP_OPEN_H

#include "netlink/objects.h"

/*
 * An object, open with this access (O_RDONLY, O_RDWR), by way of one of its holders: nothing changes for them, their
 * positions and flags included. A descriptor, or a negative errno: -EOPNOTSUPP nobody can read it, others as for open(2).
 */
int open_object(const struct object *o, int access);

#endif
