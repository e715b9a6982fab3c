/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line of lazy-restore. */
#ifndef MEMFDCR_LAZY_OPTIONS_H
#define MEMFDCR_LAZY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lazy/pairing.h"

#define LAZY_MAX_MAPS 256

struct lazy_options {
	uint32_t tree;
	const char *directory;
	struct pairing_map maps[LAZY_MAX_MAPS];
	size_t n_maps;
	bool trust_descriptors, wait, eager;
	bool json, quiet, help;
};

/* 0, or -EINVAL and a sentence in error; json and help are right in both cases. What --map has is cut in argv. */
int lazy_options_parse(int argc, char **argv, struct lazy_options *o, char *error, size_t error_size);

#endif
