// SPDX-License-Identifier: GPL-2.0-only
/* What the pager has done so far: counted for each object where it concerns one, and added up when somebody asks. */
#include <errno.h>

#include "pager/pager-internal.h"

/* what is to come is known now */
void stats_begin(struct pager *p)
{
	p->begin_us = pager_now_us();
	for (unsigned int i = 0; i < p->n_objects; i++)
		p->objects[i]->stats.bytes_total = p->objects[i]->left << p->objects[i]->shift;
}

int pager_get_object_stats(const struct pager *p, unsigned int object, struct pager_stats *stats)
{
	const struct object *o;

	if (object >= p->n_objects)
		return -EINVAL;
	o = p->objects[object];
	*stats = o->stats;
	stats->bytes_left = object_to_come(o) << o->shift;
	stats->bytes_damaged = o->n_damaged << o->shift;
	if (!p->begin_us)
		stats->bytes_total = stats->bytes_left;
	return 0;
}

void pager_get_stats(const struct pager *p, struct pager_stats *stats)
{
	struct pager_stats one;

	*stats = p->stats;
	for (unsigned int i = 0; !pager_get_object_stats(p, i, &one); i++) {
		stats->bytes_total += one.bytes_total;
		stats->bytes_left += one.bytes_left;
		stats->bytes_damaged += one.bytes_damaged;
		stats->bytes_dropped += one.bytes_dropped;
		stats->bytes_holes += one.bytes_holes;
		stats->bytes_found += one.bytes_found;
		stats->bytes_by_fault += one.bytes_by_fault;
		stats->bytes_background += one.bytes_background;
		stats->faults += one.faults;
		stats->faults_zero += one.faults_zero;
		stats->faults_damaged += one.faults_damaged;
	}
	if (p->begin_us)
		stats->elapsed_us = pager_now_us() - p->begin_us;
	stats->spaces = p->living;
}
