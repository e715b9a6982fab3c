/* SPDX-License-Identifier: GPL-2.0-only */
/* What is known of objects and processes as messages of an image. */
#ifndef MEMFDCR_DUMP_RECORD_H
#define MEMFDCR_DUMP_RECORD_H

#include <sys/types.h>

#include "image/memfdcr.pb-c.h"
#include "netlink/objects.h"

/*
 * All of these make messages that memfdcr__image__free_unpacked() frees with the image; NULL, or -ENOMEM, where there is no
 * memory.
 */

/* an image of the tree, as of now, without objects; data_pages is still 0 */
Memfdcr__Image *record_image(pid_t tree);

/* an object with its holders, without content */
Memfdcr__Object *record_object(const struct object *o);

/* what of the object was allocated, up to the size in the message. -ENODATA: the extents are those of a shorter one */
int record_runs(Memfdcr__Object *record, const struct extents *extents);

/* there is no content, and why */
int record_refusal(Memfdcr__Object *record, const char *why);

#endif
