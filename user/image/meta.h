/* SPDX-License-Identifier: GPL-2.0-only */
/* memfdcr.img as bytes: what is put around the message, and whether one that was read holds together. */
#ifndef MEMFDCR_IMAGE_META_H
#define MEMFDCR_IMAGE_META_H

#include <stddef.h>
#include <stdint.h>

#include "image/memfdcr.pb-c.h"

/* the whole file, to be freed; NULL with errno: ENOMEM, EFBIG */
uint8_t *meta_pack(const Memfdcr__Image *image, size_t *size);

/*
 * The image in a file of size bytes, to be freed with meta_free(). Everything that the format promises has been checked
 * on return, except what other files are about. 0, or a negative errno and a sentence in error: -EBADMSG damaged,
 * -EPROTONOSUPPORT another version, -ENOMSG no image of ours at all.
 */
int meta_parse(const uint8_t *file, size_t size, Memfdcr__Image **image, char *error, size_t error_size);

/* whether meta_parse() would take it. 0, or -EBADMSG and what is wrong */
int meta_check(const Memfdcr__Image *image, char *error, size_t error_size);

void meta_free(Memfdcr__Image *image);

#endif
