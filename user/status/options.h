/* SPDX-License-Identifier: GPL-2.0-only */
/* The command line of status. */
#ifndef MEMFDCR_STATUS_OPTIONS_H
#define MEMFDCR_STATUS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

struct status_options {
	bool follow, json, help;
};

/* 0, or -EINVAL and a sentence in error. json and help are right in both cases. */
int status_options_parse(int argc, char **argv, struct status_options *o, char *error, size_t error_size);

#endif
