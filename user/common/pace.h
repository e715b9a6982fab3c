/* SPDX-License-Identifier: GPL-2.0-only */
/* How far something is and how fast it goes, in bytes: rate and time left, as text and as a bar. */
#ifndef MEMFDCR_COMMON_PACE_H
#define MEMFDCR_COMMON_PACE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct pace {
	uint64_t done, total;
	uint64_t rate;		/* bytes a second; 0: not known */
};

/* so many bytes in so many microseconds */
uint64_t pace_rate(uint64_t bytes, uint64_t us);

/* how long the rest takes at this rate, rounded up; false: not known */
bool pace_seconds_left(const struct pace *p, uint64_t *seconds);

/* 12M of 1G, 100M/s, 11 s left */
void pace_print(FILE *f, const struct pace *p);

/* The same behind a bar, over what was in this line of a terminal before, and without the end of the line. */
void pace_draw(FILE *f, const struct pace *p);

/* what is left of a longer line goes, and the line shows; pace_erase(): all of it goes */
void pace_show(FILE *f);
void pace_erase(FILE *f);

#endif
