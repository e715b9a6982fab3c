/* SPDX-License-Identifier: GPL-2.0-only */
/* The content of objects that nobody can write to any more, or that is not wanted. */
#ifndef MEMFDCR_LAZY_CONTENT_H
#define MEMFDCR_LAZY_CONTENT_H

#include "image/reader.h"

/* whether the object behind fd has the content that record has in the image: 1, 0, or a negative errno */
int content_is_same(const struct imgdir *image, const Memfdcr__Object *record, int fd);

/* takes everything out of an object of so many bytes, in pages of so many: zeros are left. 0 or a negative errno */
int content_drop(int fd, uint64_t size, uint64_t page_size);

#endif
