/* SPDX-License-Identifier: GPL-2.0-only */
/* Clocks in nanoseconds. */
#ifndef MEMFDCR_COMMON_CLOCK_H
#define MEMFDCR_COMMON_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

/* what clock shows */
static inline int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

#endif
