/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding damage in an image's data. */
#ifndef MEMFDCR_IMAGE_VERIFY_H
#define MEMFDCR_IMAGE_VERIFY_H

#include "image/reader.h"

/* bytes that cannot be had as they were dumped */
struct damage {
	size_t object;		/* its place in the image */
	uint64_t start, end;	/* in the object; they are whole chunks but for its end */
	const char *file;	/* path of the file that has them ... */
	uint64_t offset;	/* ... from this byte on */
	int error;		/* -EBADMSG: they are others now; another negative errno: they cannot be read */
};

/* Reads everything; found(data, damage) is called for each damage, in order. 0 or -ENOMEM. */
int verify_data(const struct imgdir *dir, void (*found)(void *data, const struct damage *damage), void *data);

#endif
