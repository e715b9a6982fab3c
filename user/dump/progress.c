// SPDX-License-Identifier: GPL-2.0-only
/* The bar on a terminal and the lines of JSON. */
#include "dump/progress.h"

#include <inttypes.h>
#include <poll.h>

#include "common/clock.h"
#include "common/pace.h"

#define JSON_US 1000000

uint64_t progress_clock(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000;
}

void progress_begin(struct progress *p, FILE *bar, FILE *json)
{
	*p = (struct progress){ .bar = bar, .json = json, .began = progress_clock() };
}

/* while others are stopped because of us, we must not wait for somebody who does not read, or has stopped a terminal */
static bool has_room(FILE *f)
{
	struct pollfd p = { .fd = fileno(f), .events = POLLOUT };

	return poll(&p, 1, 0) == 1;
}

static void draw(struct progress *p, const struct pace *pace)
{
	pace_draw(p->bar, pace);
	pace_show(p->bar);
	p->drawn = true;
}

static void print_json(const struct progress *p, const struct pace *pace)
{
	uint64_t seconds;

	fprintf(p->json, "{\"done\":%" PRIu64 ",\"total\":%" PRIu64 ",\"rate\":%" PRIu64 ",\"left\":", pace->done,
		pace->total, pace->rate);
	if (pace_seconds_left(pace, &seconds))
		fprintf(p->json, "%" PRIu64 "}\n", seconds);
	else
		fprintf(p->json, "null}\n");
	fflush(p->json);
}

void progress_tell(struct progress *p, const struct copy_progress *c)
{
	uint64_t now = progress_clock();
	const struct pace pace = { c->done, c->total, pace_rate(c->done, now - p->began) };

	if (p->bar && has_room(p->bar))
		draw(p, &pace);
	if (!p->json || (p->told && now - p->told < JSON_US && c->done < c->total) || !has_room(p->json))
		return;
	print_json(p, &pace);
	p->told = now;
}

void progress_end(struct progress *p)
{
	if (!p->drawn || !has_room(p->bar))
		return;
	pace_erase(p->bar);
	p->drawn = false;
}
