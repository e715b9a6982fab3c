/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the source files about objects share: object.c, needed.c, extents.c, mapping.c, fill.c, overwrite.c, damage.c.
 *
 * While pager_run() works, nothing there may take the inode lock of an object: no read, write, fallocate, ftruncate,
 * nor lseek(SEEK_DATA) on it. A watched process that is in write() on the object holds that lock while its source
 * buffer, perhaps in the same object, waits for the pager. fstat(), UFFDIO_COPY and UFFDIO_ZEROPAGE do not take it.
 */
#ifndef MEMFDCR_PAGER_OBJECT_INTERNAL_H
#define MEMFDCR_PAGER_OBJECT_INTERNAL_H

#include "pager/pager-internal.h"

static inline uint64_t page_bytes(const struct object *o)
{
	return 1ULL << o->shift;
}

/* so many bytes as pages, the last one perhaps only in part */
static inline uint64_t to_pages(const struct object *o, uint64_t bytes)
{
	return (bytes >> o->shift) + !!(bytes & (page_bytes(o) - 1));
}

/* where the pager's own mapping has page */
static inline unsigned char *own_page(const struct object *o, uint64_t page)
{
	return o->map + (page << o->shift);
}

/* needed.c */
uint64_t object_next_needed(const struct object *o, uint64_t page);
int object_make_needed(struct pager *p, struct object *o);
bool object_set_damaged(struct pager *p, struct object *o, uint64_t page);
bool object_clear_needed(struct pager *p, struct object *o, uint64_t page);
void object_drop(struct pager *p, struct object *o, uint64_t first, uint64_t end);

/* extents.c */
int object_load_extents(struct pager *p, struct object *o, const struct pager_extent *extents, size_t n);

/* mapping.c */
int object_map(struct pager *p, struct object *o);
int object_grow_map(struct pager *p, struct object *o, uint64_t pages);
int object_is_present(struct pager *p, struct object *o, uint64_t page);

/* fill.c */
bool object_drop_truncated(struct pager *p, struct object *o, uint64_t page);

/* overwrite.c */
int object_overwrite(struct pager *p, struct object *o);
int object_overwrite_page(struct pager *p, struct object *o, uint64_t page, const unsigned char *bytes);

#endif
