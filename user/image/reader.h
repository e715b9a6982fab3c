/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading an image: what is in it, and where the bytes are. */
#ifndef MEMFDCR_IMAGE_READER_H
#define MEMFDCR_IMAGE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "image/memfdcr.pb-c.h"
#include "pager/pager.h"

struct imgdir {
	Memfdcr__Image *image;
	char *path;		/* as path_absolute() has it */
	/* memfdcr.data of this image and, behind it, of each that it builds on */
	struct imgdir_file {
		char *path;
		int fd;
	} *files;
};

/*
 * Opens the image in a directory. On success all metadata, also of the images that it builds on, is undamaged and all
 * data files are as long as they should be; their bytes have not been looked at. 0, or a negative errno and a sentence
 * in error.
 */
int imgdir_open(const char *path, struct imgdir *dir, char *error, size_t error_size);
void imgdir_close(struct imgdir *dir);

/*
 * Whether the metadata and the data file of the image in a directory are there and as long as they should be, whatever may
 * be with the images that it builds on: 1, 0 (missing, cut, damaged or none of ours), or a negative errno and a sentence in
 * error: not known.
 */
int imgdir_is_whole(const char *path, char *error, size_t error_size);

/*
 * Where the bytes of an object lie, as the pager wants to know it: ascending, holes and pages of zeros left out, as few as
 * possible. The descriptors are borrowed. 0 or -ENOMEM; *extents is to be freed.
 */
int imgdir_extents(const struct imgdir *dir, const Memfdcr__Object *o, struct pager_extent **extents, size_t *n);

/*
 * The stored pages of the chunk that has this place in the object's lists, one behind the other, into buffer, which
 * has room for a chunk. 0; -EBADMSG: they are not what was dumped; another negative errno: they cannot be read.
 */
int imgdir_read(const struct imgdir *dir, const Memfdcr__Object *o, size_t chunk, void *buffer);

/*
 * The pager's question: bytes are a chunk of the object, LAYOUT_CHUNK of them from offset on, with its stored pages
 * where they belong. Are these what was dumped? 0 or -EBADMSG; -EINVAL: nothing of this chunk is stored.
 */
int imgdir_check(const Memfdcr__Object *o, uint64_t offset, const void *bytes);

#endif
