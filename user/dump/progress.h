/* SPDX-License-Identifier: GPL-2.0-only */
/* How far a dump is, for people and for programs. */
#ifndef MEMFDCR_DUMP_PROGRESS_H
#define MEMFDCR_DUMP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dump/copy.h"

struct progress {
	FILE *bar;		/* a terminal; NULL: none */
	FILE *json;		/* gets a line a second; NULL: none */
	uint64_t began;		/* microseconds, CLOCK_MONOTONIC */
	uint64_t told;		/* when json had its last line */
	bool drawn;
};

void progress_begin(struct progress *p, FILE *bar, FILE *json);
void progress_tell(struct progress *p, const struct copy_progress *copied);

/* the bar goes */
void progress_end(struct progress *p);

/* microseconds, CLOCK_MONOTONIC */
uint64_t progress_clock(void);

#endif
