/* SPDX-License-Identifier: GPL-2.0-only */
/* A plan while it is being made: what the steps of plan_read() pass to each other. */
#ifndef MEMFDCR_CRIU_BUILD_H
#define MEMFDCR_CRIU_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "criu/image.h"
#include "criu/plan.h"

/* a file entry of an object: an open file description of the dumped tree, or what stands for one behind a mapping */
struct plan_file {
	uint32_t id;
	uint32_t object;	/* index in the plan */
	bool mapped;
};

struct plan_shmid {
	uint32_t shmid;
	uint32_t object;
};

struct plan_build {
	struct image_set set;
	uint64_t page_size;
	struct plan *plan;
	struct plan_file *files;	/* sorted by id */
	size_t n_files;
	struct plan_shmid *shmids;	/* sorted by shmid; may have equal ones */
	size_t n_shmids;
	size_t extents_left;		/* how many extents the plan may still get */
};

/*
 * The steps, in their order. Each returns 0, or a negative errno with the sentence in set: then nothing may be lazy.
 * plan_build_objects: memfd.img and files.img, to objects and files.
 * plan_build_tree: every task's mappings and descriptors, to mappings; and every other reference to an object.
 * plan_build_pages: pagemap-shmem-* and the size of pages-*, to pages_id, bytes and, if the object is lazy, extents.
 */
int plan_build_objects(struct plan_build *b);
int plan_build_tree(struct plan_build *b);
int plan_build_pages(struct plan_build *b, struct plan_object *o);

/* the file entry with this id, or NULL: it is no memfd */
struct plan_file *plan_find_file(struct plan_build *b, uint64_t id);

static inline struct plan_object *plan_file_object(struct plan_build *b, const struct plan_file *f)
{
	return &b->plan->objects[f->object];
}

/* makes the object eager, if it is not yet, for this reason; 0 or -ENOMEM with the sentence written */
__attribute__((format(printf, 3, 4))) int plan_eager(struct plan_build *b, struct plan_object *o, const char *fmt, ...);

/* makes the object damaged, and the reason this one unless it was damaged before; 0 or -ENOMEM with the sentence written */
__attribute__((format(printf, 3, 4))) int plan_damaged(struct plan_build *b, struct plan_object *o, const char *fmt, ...);

/*
 * Room for element n in an array that had n elements and grows by this function only: the array, perhaps moved, or NULL
 * with the sentence written and the old one still there.
 */
void *plan_grow(struct plan_build *b, void *array, size_t n, size_t size);

#endif
