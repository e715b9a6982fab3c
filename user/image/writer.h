/* SPDX-License-Identifier: GPL-2.0-only */
/* Making an image: beside its directory, synced, and then renamed. */
#ifndef MEMFDCR_IMAGE_WRITER_H
#define MEMFDCR_IMAGE_WRITER_H

#include <stddef.h>

#include "image/memfdcr.pb-c.h"

struct writer;

/*
 * Begins an image in dir, which does not exist or is empty, and which only one writer at a time has. What a writer that
 * was killed has left is removed. 0, or a negative errno and a sentence in error.
 */
int writer_open(const char *dir, struct writer **w, char *error, size_t error_size);

/* the directory as path_absolute() has it */
const char *writer_path(const struct writer *w);

/* memfdcr.data, for pwrite(); borrowed */
int writer_data(const struct writer *w);

/*
 * Everything is in memfdcr.data: syncs it, writes image, and only then the directory has its name. 0, or a negative
 * errno and a sentence in error; writer_free() is due in both cases.
 */
int writer_commit(struct writer *w, const Memfdcr__Image *image, char *error, size_t error_size);

/* what was not committed goes */
void writer_free(struct writer *w);

#endif
