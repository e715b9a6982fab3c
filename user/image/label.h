/* SPDX-License-Identifier: GPL-2.0-only */
/* What objects are called in messages. */
#ifndef MEMFDCR_IMAGE_LABEL_H
#define MEMFDCR_IMAGE_LABEL_H

#include <stddef.h>
#include <stdint.h>

#include "image/memfdcr.pb-c.h"

#define LABEL_SIZE 320

/* like: memfd "ring" (inode 1028); the name is its maker's bytes. Returns label. */
const char *label_object(const Memfdcr__Object *o, char label[LABEL_SIZE]);

/* the same of an object that is in no image; name may be NULL */
const char *label_make(uint32_t kind, const char *name, size_t length, uint64_t ino, char label[LABEL_SIZE]);

#endif
