/* SPDX-License-Identifier: GPL-2.0-only */
/* Copying the content of objects into memfdcr.data, by several threads. */
#ifndef MEMFDCR_DUMP_COPY_H
#define MEMFDCR_DUMP_COPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/memfdcr.pb-c.h"
#include "netlink/objects.h"

/* an object to copy */
struct copy_source {
	int fd;				/* open for reading */
	const struct extents *extents;	/* what is not a hole there is read */
	const Memfdcr__Object *parent;	/* its content in the parent image; NULL: none */
	Memfdcr__Object *object;	/* has its size; gets chunks, pages, files, places and checksums */
};

struct copy_progress {
	uint64_t total, done;		/* bytes to read, bytes read */
	uint64_t stored;		/* bytes in memfdcr.data */
	uint64_t in_parent;		/* bytes that the parent has */
};

/*
 * Copies n sources to the empty file data. File numbers of what a parent has are those that it has there, plus 1. tick,
 * if it is not NULL, is called by this thread ten times a second, and at the end: true stops with -EINTR. 0, or a negative
 * errno and a sentence in error; progress is right in both cases.
 */
int copy_run(const struct copy_source *sources, size_t n, int data, struct copy_progress *progress,
	     bool (*tick)(void *tick_data, const struct copy_progress *progress), void *tick_data, char *error,
	     size_t error_size);

#endif
