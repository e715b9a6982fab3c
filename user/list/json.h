/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects as JSON, as memfdcr(8) promises it. */
#ifndef MEMFDCR_LIST_JSON_H
#define MEMFDCR_LIST_JSON_H

#include <stdbool.h>
#include <stdio.h>

#include "netlink/objects.h"

/* {"objects":[...],"hidden":N,"consistent":BOOL}; outside: holders outside were looked for. 0 or -ENOMEM */
int json_print_list(FILE *f, const struct snapshot *s, bool outside);

/* {"object":{...,"extents":[...]},...}: of one object, which need not be in s, with its extents. 0 or -ENOMEM */
int json_print_object(FILE *f, const struct object *o, const struct extents *extents, const struct snapshot *s);

#endif
