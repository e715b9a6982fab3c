/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables for people, and raw ones for shells. */
#ifndef MEMFDCR_LIST_TABLE_H
#define MEMFDCR_LIST_TABLE_H

#include "list/columns.h"

/*
 * Prints a row for each object; or, if which is not 0, for each of its holders that are OF_DESCRIPTOR, OF_MAPPING or
 * either. 0 or a negative errno.
 */
int table_print(FILE *f, const struct column_list *list, const struct object *objects, size_t n, unsigned int which,
		bool raw);

#endif
