/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything about one object, for people. */
#ifndef MEMFDCR_LIST_SHOW_H
#define MEMFDCR_LIST_SHOW_H

#include <stdio.h>

#include "netlink/objects.h"

/* 0 or a negative errno */
int show_print(FILE *f, const struct object *o, const struct extents *extents);

#endif
