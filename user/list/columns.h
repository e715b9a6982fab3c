/* SPDX-License-Identifier: GPL-2.0-only */
/* The columns of list and show: one table for text, raw text, JSON, completion and the man page. */
#ifndef MEMFDCR_LIST_COLUMNS_H
#define MEMFDCR_LIST_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/names.h"
#include "netlink/objects.h"

enum column_flags {
	OF_OBJECT = 1,
	OF_DESCRIPTOR = 2,
	OF_MAPPING = 4,
	OF_HOLDER = OF_DESCRIPTOR | OF_MAPPING,
	NEEDS_HOLDERS = 8,	/* although of an object */
	NEEDS_OUTSIDE = 16,
	NO_KEY = 32,		/* not in JSON, or in another shape there */
	ALIGN_RIGHT = 64,
	TRUNCATE = 128,		/* when the terminal is too narrow */
};

/* what a column is about: an object, or one holder of it */
struct row {
	const struct object *object;
	const struct holder *holder;	/* may be NULL */
};

struct value {
	enum {
		VALUE_NONE,	/* there is none */
		VALUE_NUMBER,
		VALUE_SIZE,	/* bytes */
		VALUE_ADDRESS,	/* or an id: hexadecimal */
		VALUE_BOOL,
		VALUE_TEXT,	/* any bytes */
		VALUE_NAMES,
		VALUE_PIDS,	/* of the object's holders that are not outside */
	} type;
	uint64_t number;		/* all but TEXT */
	const char *text;
	const struct bit_name *names;	/* of the bits in number */
	const struct object *object;	/* PIDS */
	char buffer[32];		/* room for text that has to be made */
};

struct column {
	const char *name;
	unsigned int flags;
	void (*get)(const struct row *row, struct value *v);	/* v is all zeros, VALUE_NONE, before */
	const char *help;
};

/* the columns, in order; the last one has no name */
extern const struct column columns[];

#define COLUMNS_MAX 64	/* in one table */

struct column_list {
	const struct column *v[COLUMNS_MAX];
	size_t n;
	unsigned int flags;	/* of all of them */
};

/* of a row without holder all that is not OF_OBJECT is VALUE_NONE, and so on */
void column_value(const struct column *c, const struct row *row, struct value *v);

/* prints a value for people, or raw: numbers and bytes */
void value_print(FILE *f, const struct value *v, bool raw);

/*
 * Puts the columns in names, separated by commas, into list, or with + before them behind those of the default, which
 * is given in the same way. 0, or -EINVAL and a sentence in error.
 */
int column_list_parse(struct column_list *list, const char *names, const char *preset, char *error, size_t error_size);

/* one line a column: its name and what it means */
void columns_describe(FILE *f);

#endif
