// SPDX-License-Identifier: GPL-2.0-only
/* The answer that list_bench wants, and whether two ways have found the same. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "list_bench.h"

void picture_clear(struct picture *p)
{
	p->n = 0;
	p->has_files = false;
}

struct holder *picture_add(struct picture *p)
{
	if (p->n == p->room) {
		p->room = p->room ? 2 * p->room : 1024;
		p->holders = realloc(p->holders, p->room * sizeof(*p->holders));
		if (!p->holders)
			die("realloc");
	}
	return memset(&p->holders[p->n++], 0, sizeof(*p->holders));
}

struct object *table_find(struct table *t, uint64_t dev, uint64_t ino)
{
	size_t i = (ino * 0x9e3779b97f4a7c15 + dev) % OBJECTS;

	while (t->places[i].ino && (t->places[i].ino != ino || t->places[i].dev != dev))
		i = (i + 1) % OBJECTS;
	return &t->places[i];
}

static int by_place(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->fd != y->fd)
		return x->fd < y->fd ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

/* the first descriptor with the same open file */
static size_t first_of(const struct picture *p, size_t of)
{
	size_t i = 0;

	while (p->holders[i].fd < 0 || p->holders[i].file != p->holders[of].file)
		i++;
	return i;
}

static void print_holder(const char *what, const struct picture *p, size_t i)
{
	const struct holder *h = &p->holders[i];

	if (i >= p->n)
		printf("%s: nothing\n", what);
	else
		printf("%s: pid %d fd %d %" PRIx64 "-%" PRIx64 " dev %" PRIx64 " ino %" PRIu64 " seals %d huge %d\n",
		       what, h->pid, h->fd, h->start, h->end, h->dev, h->ino, h->seals, h->huge);
}

static bool same_holder(const struct picture *a, const struct picture *b, size_t i)
{
	struct holder x, y;

	if (i >= a->n || i >= b->n)
		return false;
	x = a->holders[i];
	y = b->holders[i];
	if (x.fd >= 0 && a->has_files && b->has_files && first_of(a, i) != first_of(b, i))
		return false;
	return !by_place(&x, &y) && x.end == y.end && x.dev == y.dev && x.ino == y.ino && x.seals == y.seals &&
	       x.huge == y.huge;
}

bool picture_same(struct picture *a, struct picture *b)
{
	qsort(a->holders, a->n, sizeof(*a->holders), by_place);
	qsort(b->holders, b->n, sizeof(*b->holders), by_place);
	for (size_t i = 0; i < a->n || i < b->n; i++) {
		if (same_holder(a, b, i))
			continue;
		print_holder("one", a, i);
		print_holder("the other", b, i);
		return false;
	}
	return true;
}
