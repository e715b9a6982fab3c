/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line of monitor. */
#ifndef MEMFDCR_MONITOR_OPTIONS_H
#define MEMFDCR_MONITOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct monitor_options {
	uint32_t pid;
	bool tree;	/* and all its descendants */
	bool json, help;
};

/* 0, or -EINVAL and a sentence in error. json and help are right in both cases. With help the rest need not be. */
int monitor_options_parse(int argc, char **argv, struct monitor_options *o, char *error, size_t error_size);

#endif
