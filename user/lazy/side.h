/* SPDX-License-Identifier: GPL-2.0-only */
/* The two sides of a restore, what the image has and what the processes have, in the same words. */
#ifndef MEMFDCR_LAZY_SIDE_H
#define MEMFDCR_LAZY_SIDE_H

#include <stddef.h>
#include <stdint.h>

#include "image/memfdcr.pb-c.h"
#include "netlink/objects.h"

/* a process of a tree */
struct member {
	uint32_t pid, parent;
	char name[32];		/* of its command */
};

struct side {
	struct object *objects;	/* with their holders */
	size_t n_objects;
	struct member *members;	/* the first is the root; parents come before their children, these in order of age */
	size_t n_members;
	Memfdcr__Object **records;	/* of an image: where each object is from */
};

/*
 * What an image has, but for objects without content because they were refused. It must stay as long as the side. 0 or
 * -ENOMEM.
 */
int side_of_image(const Memfdcr__Image *image, struct side *side);

/* What the tree below root has, by a snapshot that must stay as long as the side. 0 or a negative errno. */
int side_of_tree(uint32_t root, const struct snapshot *snapshot, struct side *side);

/* of one made by these two functions */
void side_free(struct side *side);

/* the process, or NULL: it is not in the tree */
const struct member *side_member(const struct side *side, uint32_t pid);

#endif
