// SPDX-License-Identifier: GPL-2.0-only
/* What all parts of a storm need: what they share, chance, and saying what went wrong. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "storm.h"

struct storm *storm;
static uint64_t chance;

void storm_fault(const char *format, ...)
{
	char line[512];
	va_list args;

	/* one thing gone wrong may go wrong a thousand times */
	if (storm->faults++ >= 20)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	dprintf(1, "# %d: %s\n", getpid(), line);
}

bool storm_may_fail(int error)
{
	switch (error) {
	case -ESRCH:		/* they die all the time */
	case -EBUSY:		/* and are in the middle of something */
		return true;
	case -ENOENT:
	case -ENODEV:
	case -EOPNOTSUPP:
	case -EPROTONOSUPPORT:
		/* it is being unloaded, or has been */
		return storm->phase != STRICT;
	default:
		return false;
	}
}

/* splitmix64 */
static uint64_t next(void)
{
	uint64_t z = chance += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

void storm_seed(unsigned int a, unsigned int b)
{
	chance = (uint64_t)storm->seed << 32 | storm->round;
	chance = next() + ((uint64_t)a << 32 | b);
	chance = next();
}

unsigned int storm_any(unsigned int below)
{
	return next() % below;
}

void storm_nap(unsigned int most_us)
{
	usleep(storm_any(most_us) + 1);
}
