/* SPDX-License-Identifier: GPL-2.0-only */
/* From a tree that stands still to one whose missing pages come when they are touched. */
#ifndef MEMFDCR_LAZY_ARM_H
#define MEMFDCR_LAZY_ARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dump/freeze.h"
#include "image/reader.h"
#include "lazy/options.h"
#include "serve/serving.h"

struct arm_result {
	size_t objects, lazy, eager;	/* the others need nothing: they are empty, or sealed with the right content */
	size_t left_out;	/* of the image, because it has no content of them */
	uint64_t bytes, bytes_lazy;	/* in the image */
};

/*
 * Pairs what the image has with what the tree has, brings in what cannot be lazy, and has all else watched by the pager
 * that this makes in serving (whose genl is open). The tree is in freezer; if it is found to have run before anything was
 * changed, or too few huge pages are free, nothing is. may_stop(data) is asked now and then: true gives up. 0, or a
 * negative errno, and serving_give_up() has been called: -ECANCELED: may_stop; error has a sentence, behind which there
 * may be lines that belong to it, and is empty if the reason is in genl_error().
 */
int arm_tree(struct serving *serving, const struct freezer *freezer, const struct lazy_options *o,
	     const struct imgdir *image, bool (*may_stop)(void *data), void *data, struct arm_result *result, char *error,
	     size_t error_size);

#endif
