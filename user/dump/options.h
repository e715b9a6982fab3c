/* SPDX-License-Identifier: GPL-2.0-only */
/* The command lines of dump and verify. */
#ifndef MEMFDCR_DUMP_OPTIONS_H
#define MEMFDCR_DUMP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dump/select.h"

#define DUMP_MAX_SELECTORS 256

enum afterwards { LET_RUN, LEAVE_STOPPED, KILL };

struct dump_options {
	uint32_t tree;
	const char *directory;
	const char *parent;		/* NULL: none */
	struct selector selectors[DUMP_MAX_SELECTORS];	/* none: all objects */
	size_t n_selectors;
	enum afterwards afterwards;
	bool no_freeze;
	bool json, quiet, help;
};

struct verify_options {
	const char *directory;
	bool json, quiet, help;
};

/* 0, or -EINVAL and a sentence in error; json and help are right in both cases */
int dump_options_parse(int argc, char **argv, struct dump_options *o, char *error, size_t error_size);
int verify_options_parse(int argc, char **argv, struct verify_options *o, char *error, size_t error_size);

#endif
