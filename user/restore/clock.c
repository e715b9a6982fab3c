// SPDX-License-Identifier: GPL-2.0-only
/* When the restore began by the clock that inode times are from, and whether that was set back since. */
#include <stdint.h>
#include <time.h>

#include "common/clock.h"
#include "restore/session.h"

/* less than the two can be apart by rounding, more than reading them takes */
#define TOLERANCE_NS 1000000

/* how far the wall clock is ahead of the one that nobody sets, ns; adjtime() and the like change the pace of both */
static int64_t ahead(void)
{
	int64_t best = INT64_MAX, result = 0;

	/* another process may have had its turn between two readings: the quickest of some is right */
	for (int i = 0; i < 16; i++) {
		int64_t first = clock_ns(CLOCK_BOOTTIME);
		int64_t wall = clock_ns(CLOCK_REALTIME);
		int64_t took = clock_ns(CLOCK_BOOTTIME) - first;

		if (took < best) {
			best = took;
			result = wall - (first + best / 2);
		}
	}
	return result;
}

void session_note_time(struct session *s)
{
	clock_gettime(CLOCK_REALTIME_COARSE, &s->began);
	s->began_ahead = ahead();
}

bool session_time_went_back(const struct session *s)
{
	return ahead() < s->began_ahead - TOLERANCE_NS;
}
