/* SPDX-License-Identifier: GPL-2.0-only */
/* What can become of an object of the processes: filled lazily, or at once, or not at all. */
#ifndef MEMFDCR_LAZY_DECIDE_H
#define MEMFDCR_LAZY_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "netlink/objects.h"

#define DECIDE_HUGE (2ULL << 20)	/* the only huge pages that can be filled */

/* whether nobody can write to it, we neither */
bool decide_is_sealed(const struct object *o);

/*
 * Why its content cannot be brought in by anybody who is not in the tree, as a clause with a remedy in text; false: it can.
 * What is sealed is not asked here.
 */
bool decide_refuses(const struct object *o, char *text, size_t size);

/*
 * Why it must be filled before anybody runs, as a clause for the log in text; false: it can be lazy. The holders outside the
 * tree must be known if there are any (unexplained). trust: nobody reads it by a descriptor.
 */
bool decide_is_eager(const struct object *o, bool trust, char *text, size_t size);

#endif
