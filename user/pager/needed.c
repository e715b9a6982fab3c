// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages of an object are needed: the image has some of each, and it is not in yet. One bit a page.
 *
 * A page whose bytes in the image are damaged stays needed: who takes "not needed" for "zeros" never sees it. It has a
 * second bit, by which nobody tries to bring it in any more.
 */
#include <errno.h>
#include <stdlib.h>

#include "pager/object-internal.h"

bool object_needs(const struct object *o, uint64_t page)
{
	return page < o->needed_pages && (o->needed[page / 64] >> (page % 64) & 1);
}

static void set_needed(struct object *o, uint64_t first, uint64_t end)
{
	while (first < end) {
		if (first % 64 == 0 && end - first >= 64) {
			o->needed[first / 64] = ~0ULL;
			first += 64;
		} else {
			o->needed[first / 64] |= 1ULL << (first % 64);
			first++;
		}
	}
}

bool object_is_damaged(const struct object *o, uint64_t page)
{
	return o->n_damaged && page < o->needed_pages && (o->damaged[page / 64] >> (page % 64) & 1);
}

/* notes that page is damaged; false: it is not needed, or that was known */
bool object_set_damaged(struct pager *p, struct object *o, uint64_t page)
{
	if (!object_needs(o, page) || object_is_damaged(o, page))
		return false;
	o->damaged[page / 64] |= 1ULL << (page % 64);
	o->n_damaged++;
	p->damaged += page_bytes(o);
	return true;
}

/* takes page off the list; false if it was not there */
bool object_clear_needed(struct pager *p, struct object *o, uint64_t page)
{
	if (!object_needs(o, page))
		return false;
	if (object_is_damaged(o, page)) {
		o->damaged[page / 64] &= ~(1ULL << (page % 64));
		o->n_damaged--;
		p->damaged -= page_bytes(o);
	}
	o->needed[page / 64] &= ~(1ULL << (page % 64));
	o->left--;
	p->left -= page_bytes(o);
	return true;
}

/* the first page from page on that has its bit in needed, and none in but */
static uint64_t next_bit(const struct object *o, uint64_t page, const uint64_t *but)
{
	while (page < o->needed_pages) {
		uint64_t word = o->needed[page / 64] & ~(but ? but[page / 64] : 0);

		word >>= page % 64;
		if (word)
			return page + __builtin_ctzll(word);
		page = (page / 64 + 1) * 64;
	}
	return o->needed_pages;
}

/* the first needed page from page on; needed_pages if there is none */
uint64_t object_next_needed(const struct object *o, uint64_t page)
{
	return next_bit(o, page, NULL);
}

/* the same of those that are still to come, which damaged ones are not */
uint64_t object_next_to_come(const struct object *o, uint64_t page)
{
	return next_bit(o, page, o->damaged);
}

/* the image's bytes of pages [first, end) are not wanted any more */
void object_drop(struct pager *p, struct object *o, uint64_t first, uint64_t end)
{
	uint64_t page;

	if (end > o->needed_pages)
		end = o->needed_pages;
	for (page = object_next_needed(o, first); page < end; page = object_next_needed(o, page + 1)) {
		object_clear_needed(p, o, page);
		o->stats.bytes_dropped += page_bytes(o);
	}
}

static void count_needed(struct pager *p, struct object *o)
{
	for (uint64_t i = 0; i <= o->needed_pages / 64; i++)
		o->left += (uint64_t)__builtin_popcountll(o->needed[i]);
	p->left += o->left << o->shift;
}

/* makes the bits from the extents; what an extent has only in part is needed as well */
int object_make_needed(struct pager *p, struct object *o)
{
	const struct pager_extent *last = o->n_extents ? &o->extents[o->n_extents - 1] : NULL;

	o->needed_pages = last ? to_pages(o, last->offset + last->length) : 0;
	o->needed = calloc(o->needed_pages / 64 + 1, sizeof(*o->needed));
	if (p->check_chunk)
		o->damaged = calloc(o->needed_pages / 64 + 1, sizeof(*o->damaged));
	if (!o->needed || (p->check_chunk && !o->damaged))
		return -ENOMEM;
	for (size_t i = 0; i < o->n_extents; i++) {
		const struct pager_extent *e = &o->extents[i];

		set_needed(o, e->offset >> o->shift, to_pages(o, e->offset + e->length));
	}
	count_needed(p, o);
	return 0;
}
