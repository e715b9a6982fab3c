// SPDX-License-Identifier: GPL-2.0-only
/* Bytes, rate and time left. */
#include "common/pace.h"

#include <inttypes.h>

#include "common/text.h"

#define WIDTH 30

uint64_t pace_rate(uint64_t bytes, uint64_t us)
{
	return us ? (double)bytes * 1000000 / us : 0;
}

bool pace_seconds_left(const struct pace *p, uint64_t *seconds)
{
	uint64_t left = p->done < p->total ? p->total - p->done : 0;

	if (left && !p->rate)
		return false;
	*seconds = left ? (left - 1) / p->rate + 1 : 0;
	return true;
}

void pace_print(FILE *f, const struct pace *p)
{
	uint64_t seconds;

	text_print_size(f, p->done);
	fprintf(f, " of ");
	text_print_size(f, p->total);
	fprintf(f, ", ");
	text_print_size(f, p->rate);
	fprintf(f, "/s");
	if (pace_seconds_left(p, &seconds))
		fprintf(f, ", %" PRIu64 " s left", seconds);
}

void pace_draw(FILE *f, const struct pace *p)
{
	int filled = p->done < p->total ? (double)p->done / p->total * WIDTH : WIDTH;

	fprintf(f, "\r[%.*s%*s] ", filled, "##############################", WIDTH - filled, "");
	pace_print(f, p);
}

void pace_show(FILE *f)
{
	fprintf(f, "\033[K");
	fflush(f);
}

void pace_erase(FILE *f)
{
	fprintf(f, "\r\033[K");
	fflush(f);
}
