// SPDX-License-Identifier: GPL-2.0-only
/* Comparing with an image, chunk by chunk, and punching. */
#include "lazy/content.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "image/layout.h"

/* the bytes of the chunk that begins at offset, which has the place *next in the object's lists, or none */
static int read_chunk(const struct imgdir *image, const Memfdcr__Object *o, uint64_t offset, size_t *next, uint8_t *chunk)
{
	uint8_t stored[LAYOUT_CHUNK];
	unsigned int page, n = 0;
	int ret;

	memset(chunk, 0, LAYOUT_CHUNK);
	if (*next == o->n_chunks || o->chunks[*next] != offset / LAYOUT_CHUNK)
		return 0;
	ret = imgdir_read(image, o, *next, stored);
	for (page = 0; !ret && page < LAYOUT_CHUNK_PAGES; page++)
		if (o->pages[*next] & 1u << page)
			memcpy(chunk + page * LAYOUT_PAGE, stored + n++ * LAYOUT_PAGE, LAYOUT_PAGE);
	(*next)++;
	return ret;
}

/* up to a chunk from offset on; how many bytes there are, or a negative errno */
static ssize_t read_object(int fd, uint64_t offset, uint8_t *chunk)
{
	size_t done = 0;

	while (done < LAYOUT_CHUNK) {
		ssize_t n = pread(fd, chunk + done, LAYOUT_CHUNK - done, (off_t)(offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* the next chunk at or behind offset of which the object or the image has something */
static uint64_t next_chunk(int fd, const Memfdcr__Object *o, uint64_t offset, size_t next)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
	/* huge pages know no holes; where there are no more, the end is as good as any */
	uint64_t there = data >= 0 ? (uint64_t)data : errno == ENXIO ? o->size : offset;

	if (next < o->n_chunks && o->chunks[next] * LAYOUT_CHUNK < there)
		there = o->chunks[next] * LAYOUT_CHUNK;
	return there < o->size ? there / LAYOUT_CHUNK * LAYOUT_CHUNK : o->size;
}

int content_is_same(const struct imgdir *image, const Memfdcr__Object *o, int fd)
{
	uint8_t want[LAYOUT_CHUNK], have[LAYOUT_CHUNK];
	uint64_t offset;
	size_t next = 0;

	for (offset = next_chunk(fd, o, 0, next); offset < o->size; offset = next_chunk(fd, o, offset + LAYOUT_CHUNK, next)) {
		int ret = read_chunk(image, o, offset, &next, want);
		ssize_t n = ret ? ret : read_object(fd, offset, have);

		if (n < 0)
			return (int)n;
		if (memcmp(want, have, (size_t)n))
			return 0;
	}
	return 1;
}

int content_drop(int fd, uint64_t size, uint64_t page_size)
{
	/* with what is mapped of the last page behind the end */
	uint64_t length = (size + page_size - 1) / page_size * page_size;

	if (!length)
		return 0;
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)length) ? -errno : 0;
}
