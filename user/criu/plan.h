/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a directory of CRIU images to a plan: which shared memory objects there are, where they are mapped, where
 * their bytes lie, and which of them can be restored lazily.
 *
 * Reads pstree, ids-*, mm-*, fdinfo-*, files, memfd and pagemap-shmem-* as CRIU 3.17 to 4.2 write them. What it does
 * not know it does not touch: such an object is eager and says why. Never writes.
 */
#ifndef MEMFDCR_CRIU_PLAN_H
#define MEMFDCR_CRIU_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* [offset, offset + length) of the object, bytes, is at file_offset of its pages file */
struct plan_extent {
	uint64_t offset;
	uint64_t length;
	uint64_t file_offset;
};

/* one mapping of the object in one task, as it was and will be */
struct plan_mapping {
	uint32_t pid;		/* in the tree's own pid namespace, as in pstree.img */
	uint64_t start;		/* addresses */
	uint64_t end;
	uint64_t offset;	/* of start in the object, bytes */
	bool is_private;	/* MAP_PRIVATE */
};

struct plan_object {
	char *name;		/* as memfd_create() had it; "/dev/zero" for MAP_SHARED|MAP_ANONYMOUS; not unique */
	uint64_t inode_id;	/* CRIU's number of the object: the key */
	uint32_t shmid;		/* N of pagemap-shmem-N.img */
	uint32_t pages_id;	/* N of pages-N.img; 0 when the object is empty or eager before that was read */
	uint64_t size;		/* bytes */
	uint64_t page_size;	/* 4096, or the size of its huge pages */
	uint64_t bytes;		/* of these in the image, the rest are holes; 0 when not known */
	char *eager;		/* why it is eager, one clause for the log; NULL: lazy */
	bool damaged;		/* the image has lost bytes (eager says how): CRIU would restore zeros without a word */
	struct plan_extent *extents;	/* sorted by offset; only when lazy */
	size_t n_extents;
	struct plan_mapping *mappings;
	size_t n_mappings;
};

/* whether its pages are huge pages of hugetlbfs */
static inline bool plan_is_huge(const struct plan_object *o)
{
	return o->page_size > 4096;
}

struct plan {
	struct plan_object *objects;	/* sorted by inode_id */
	size_t n_objects;
};

struct plan_options {
	uint64_t min_size;	/* objects smaller than this many bytes are eager */
};

/*
 * Reads the images in the directory dirfd. On success 0 and *out, to be freed with plan_free(). An image set that
 * cannot be read as a whole (no pstree.img, cut files, unknown version, a foreign file) is a negative errno, nothing in
 * *out, and a sentence in error (up to error_size bytes, always terminated) that names the file.
 */
int plan_read(int dirfd, const struct plan_options *options, struct plan **out, char *error, size_t error_size);

void plan_free(struct plan *plan);

/* name of an object's pagemap file in the image directory, in a buffer of at least 40 bytes */
void plan_pagemap_name(const struct plan_object *o, char *name, size_t size);

#endif
