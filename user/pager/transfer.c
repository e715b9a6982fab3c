// SPDX-License-Identifier: GPL-2.0-only
/* The background transfer: what nobody has asked for, in steps that are small while somebody faults. */
#include <sys/epoll.h>

#include "pager/pager-internal.h"

/* size of the steps so long after a fault */
#define BUSY_US			300
#define BUSY_PAGES		4
#define QUIET_US		20000
#define QUIET_PAGES		16
#define SLICE_PAGES		16	/* copied between two looks at who waits */
#define RELEASE_BYTES		(1ULL << 20)

/*
 * Who faults while a step reads has to wait for it, and for all that the disk has been asked for already. On a slow
 * disk steps stay as small as need be for that to take so long at most, and less is asked for ahead; while somebody
 * faults nothing is, and the disk is left to the faults for REST times as long as a step that took SHORT_US or more.
 */
#define LONG_US			10000
#define SHORT_US		1000
#define REST			3
#define AHEAD_PAGES		128	/* at least: a disk may be slow to begin, and fast then */

/* somebody waits: a background step ends early */
static bool is_ready(struct pager *p)
{
	struct epoll_event event;

	return epoll_wait(p->epoll, &event, 1, 0) > 0;
}

static bool is_busy(const struct pager *p, uint64_t now)
{
	return p->fault_us && now < p->fault_us + QUIET_US;
}

uint64_t transfer_due(const struct pager *p, uint64_t now)
{
	uint64_t quiet = p->fault_us + QUIET_US;

	if (!is_busy(p, now))
		return 0;
	return p->rest_until_us < quiet ? p->rest_until_us : quiet;
}

static uint64_t step_size(struct pager *p, uint64_t now)
{
	if (p->fault_us && now - p->fault_us < BUSY_US)
		p->step_pages = BUSY_PAGES;
	else if (is_busy(p, now) || (p->watch_us && now - p->watch_us < QUIET_US))
		p->step_pages = QUIET_PAGES;
	else if (p->step_us < LONG_US)
		p->step_pages *= 2;
	else
		p->step_pages /= 2;
	if (p->step_pages < BUSY_PAGES)
		p->step_pages = BUSY_PAGES;
	if (p->step_pages > p->chunk_pages)
		p->step_pages = p->chunk_pages;
	return p->step_pages;
}

/* has the disk at work on what comes next while the pager copies what it has */
static void read_ahead(struct pager *p, struct object *o, uint64_t page)
{
	uint64_t window = p->step_pages * 2 > AHEAD_PAGES ? p->step_pages * 2 : AHEAD_PAGES;

	object_read_ahead(o, page, object_is_huge(o) ? 2 : window);
}

/*
 * One step of the background transfer, object by object from front to end. The bits are looked at again after every
 * slice (object_copy() does), and nothing reads events in between.
 */
int transfer_step(struct pager *p)
{
	uint64_t now = pager_now_us(), max, page, done = 0;
	struct object *o = p->objects[p->current];
	const unsigned char *bytes;
	struct run run;
	int rc;

	while (!object_to_come(o)) {
		object_release_cache(o, o->needed_pages);
		p->current = (p->current + 1) % p->n_objects;
		o = p->objects[p->current];
	}
	page = object_next_to_come(o, o->cursor);
	if (page >= o->needed_pages)
		page = object_next_to_come(o, 0);

	max = object_pages(o, step_size(p, now));
	run = object_run(p, o, page, page, page + max);
	if (!is_busy(p, now) && (run.count > QUIET_PAGES || run.count >= max))
		read_ahead(p, o, page);
	rc = object_read(p, o, run, &bytes);
	if (!rc && object_leave_hole(p, o, page, bytes))
		done = run.count;
	while (!rc && done < run.count) {
		uint64_t n = run.count - done < SLICE_PAGES ? run.count - done : SLICE_PAGES;

		rc = object_copy(p, o, run.first + done, n, bytes + (done << o->shift),
				 &o->stats.bytes_background);
		if (!rc) {
			done += n;
			if (done < run.count && is_ready(p))
				break;
		}
	}
	object_forget_ptes(o, run.first, done ? done : 1);
	o->cursor = run.first + done;
	p->step_us = pager_now_us() - now;
	p->rest_until_us = p->step_us < SHORT_US ? 0 : now + p->step_us * (1 + REST);
	if (o->cursor >= o->released + (RELEASE_BYTES >> o->shift))
		object_release_cache(o, o->cursor);
	return rc;
}

void transfer_begin(struct pager *p)
{
	p->step_pages = QUIET_PAGES;
	p->step_us = p->rest_until_us = 0;
}
