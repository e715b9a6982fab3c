/* SPDX-License-Identifier: GPL-2.0-only */
/* An image that builds on another. */
#ifndef MEMFDCR_DUMP_PARENT_H
#define MEMFDCR_DUMP_PARENT_H

#include <stdbool.h>
#include <stddef.h>

#include "image/reader.h"

/*
 * What the parent has of an object, to be compared with; NULL: nothing. It may be the wrong one without harm: only what
 * has the same checksum is taken.
 */
const Memfdcr__Object *parent_object(const struct imgdir *parent, const Memfdcr__Object *o);

/* 0; or -EMLINK and a sentence in error: it builds on as many images as is allowed, so nothing can build on it */
int parent_check(const struct imgdir *parent, char *error, size_t error_size);

/*
 * The content of image is complete, with file numbers as copy_run() has made them: names the images that it really
 * builds on, by their paths relative to its directory. parent_check() was content. 0, or a negative errno and a sentence
 * in error.
 */
int parent_name_files(Memfdcr__Image *image, const struct imgdir *parent, const char *directory, char *error,
		      size_t error_size);

/*
 * Before parent_name_files(): what image takes from the parent is there as it was dumped. interrupted(data) is asked
 * again and again, and ends it if it says so. 0, or a negative errno and a sentence in error: -EBADMSG and others about
 * what cannot be read, -EINTR.
 */
int parent_verify(const Memfdcr__Image *image, const struct imgdir *parent, bool (*interrupted)(void *data), void *data,
		  char *error, size_t error_size);

#endif
