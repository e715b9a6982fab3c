/* SPDX-License-Identifier: GPL-2.0-only */
/* Which objects of a tree are meant. */
#ifndef MEMFDCR_DUMP_SELECT_H
#define MEMFDCR_DUMP_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "netlink/objects.h"

struct selector {
	const char *text;	/* as it was given, borrowed */
	enum { SELECT_FD, SELECT_ADDRESS, SELECT_INO, SELECT_NAME, SELECT_KIND } by;
	uint32_t pid, fd;
	uint64_t number;	/* the address, or the inode number */
	const char *word;	/* the name or the kind: in text */
};

/* PID:FD, PID:0xADDRESS, ino:N, name:NAME, kind:KIND; false: it is none of these */
bool selector_parse(const char *text, struct selector *s);

/* whether an object that has its holders is meant */
bool selector_matches(const struct selector *s, const struct object *o);

#endif
