/* SPDX-License-Identifier: GPL-2.0-only */
/* Which object of the processes is which of the image: found, or doubted, never guessed. */
#ifndef MEMFDCR_LAZY_PAIRING_H
#define MEMFDCR_LAZY_PAIRING_H

#include <stddef.h>

#include "dump/select.h"
#include "lazy/side.h"

/* the image's object old is the processes' object new */
struct pairing_map {
	struct selector old, new;
};

/*
 * pairs[N] becomes the number of the processes' object that is the image's object N: no two the same, each of the same
 * size and page size, and unless a map says otherwise of the same kind and name. 0, or a negative errno and in error a
 * sentence, behind which there may be a line for each candidate.
 */
int pairing_make(const struct side *image, const struct side *tree, const struct pairing_map *maps, size_t n_maps,
		 size_t *pairs, char *error, size_t error_size);

#endif
