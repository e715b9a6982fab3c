/* SPDX-License-Identifier: GPL-2.0-only */
/* The command lines of list and show. */
#ifndef MEMFDCR_LIST_OPTIONS_H
#define MEMFDCR_LIST_OPTIONS_H

#include "list/columns.h"
#include "netlink/objects.h"

struct list_options {
	struct scope scope;		/* its pids are those below */
	uint32_t pids[OBJECTS_MAX_PIDS];
	struct column_list columns;
	unsigned int rows;		/* 0: a row for each object; OF_HOLDER: for each holder */
	bool json, raw, help, list_columns;
};

struct show_options {
	const char *path;		/* to be opened for ref; NULL: ref says it all */
	struct object_ref ref;
	bool json, help;
};

/*
 * 0, or -EINVAL and a sentence in error. json and help are right in both cases. With help, and with list_columns, the
 * rest need not be.
 */
int list_options_parse(int argc, char **argv, struct list_options *o, char *error, size_t error_size);
int show_options_parse(int argc, char **argv, struct show_options *o, char *error, size_t error_size);

#endif
