/* SPDX-License-Identifier: GPL-2.0-only */
/* Everything about the objects of a tree but their bytes: asked from the module, opened, recorded. */
#ifndef MEMFDCR_DUMP_COLLECT_H
#define MEMFDCR_DUMP_COLLECT_H

#include "dump/copy.h"
#include "dump/options.h"
#include "image/reader.h"
#include "netlink/genl.h"

struct collection {
	Memfdcr__Image *image;
	struct copy_source *sources;	/* of objects that are not refused; their extents and descriptors are ours */
	size_t n_sources;
	struct extents *extents;
	size_t n_refused;
};

/*
 * The objects that the options select, in the order in which the module tells them. parent: to be compared with; NULL:
 * none. 0, or a negative errno and a sentence in error, which is empty if the reason is in genl_error(); -ESRCH: nothing is
 * selected.
 */
int collect_objects(struct genl *g, const struct dump_options *o, const struct imgdir *parent, struct collection *c,
		    char *error, size_t error_size);

/* Notices of objects that are refused, and of those that others than the tree hold; writes, which may take its time. */
void collection_tell(const struct collection *c);

void collection_free(struct collection *c);

#endif
