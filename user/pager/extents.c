// SPDX-License-Identifier: GPL-2.0-only
/* The extents of an object: where its bytes lie in image files, and how they are read, ahead of need as well. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "pager/object-internal.h"

#define READ_TRIES	4

/* checks extents against the object and their files, and copies them with neighbours joined */
int object_load_extents(struct pager *p, struct object *o, const struct pager_extent *extents, size_t n)
{
	uint64_t end = 0;
	struct stat st;

	o->extents = calloc(n ? n : 1, sizeof(*o->extents));
	if (!o->extents)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct pager_extent *e = &extents[i];
		struct pager_extent *last = o->n_extents ? &o->extents[o->n_extents - 1] : NULL;

		if (!e->length || (e->offset | e->length) & ~PAGER_PAGE_MASK || e->offset < end ||
		    e->offset >= o->pages << o->shift || e->length > (o->pages << o->shift) - e->offset) {
			pager_log(p, LOG_ERR, "%s: extent %zu is out of order, not aligned or beyond the object's end",
				  o->name, i);
			return -EINVAL;
		}
		end = e->offset + e->length;
		if (fstat(e->fd, &st))
			return -errno;
		if (S_ISREG(st.st_mode) && (e->file_offset > (uint64_t)st.st_size ||
					    e->length > (uint64_t)st.st_size - e->file_offset)) {
			pager_log(p, LOG_ERR, "%s: extent %zu lies beyond the end of its image file", o->name, i);
			return -ENODATA;
		}
		if (last && last->fd == e->fd && last->offset + last->length == e->offset &&
		    last->file_offset + last->length == e->file_offset)
			last->length += e->length;
		else
			o->extents[o->n_extents++] = *e;
	}
	return 0;
}

/* index of the first of n extents that ends beyond offset */
static size_t find_extent(const struct pager_extent *extents, size_t n, uint64_t offset)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (extents[mid].offset + extents[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static size_t next_extent(const struct object *o, uint64_t offset)
{
	return find_extent(o->extents, o->n_extents, offset);
}

/* what is to come of the chunks that [low, high) is part of, as much as the buffer holds of them */
static struct run checked_run(const struct pager *p, const struct object *o, uint64_t low, uint64_t high)
{
	const uint64_t mask = o->check_pages - 1, room = p->buffer_size >> o->shift;
	uint64_t first;

	low &= ~mask;
	high = (high + mask) & ~mask;
	if (high - low > room)
		high = low + room;
	if (high > o->needed_pages)
		high = o->needed_pages;
	first = object_next_to_come(o, low);
	while (high > first && object_next_to_come(o, high - 1) != high - 1)
		high--;
	return (struct run){ .first = first, .count = high - first };
}

/*
 * The needed pages around page, which is to come itself, that lie in [low, high) and in the same extent; where chunks
 * are checked, whole ones. Of huge pages it is always one: more would only make whoever waits wait longer.
 */
struct run object_run(const struct pager *p, const struct object *o, uint64_t page, uint64_t low, uint64_t high)
{
	const struct pager_extent *e = &o->extents[next_extent(o, page << o->shift)];
	uint64_t first = page, end = page + 1;
	uint64_t e_first, e_end;

	if (object_is_huge(o))
		return (struct run){ .first = page, .count = 1 };
	if (o->check_pages)
		return checked_run(p, o, low, high);
	/* a needed bit without an extent cannot be: the bits are made from the extents */
	if (e == o->extents + o->n_extents || e->offset > page << o->shift)
		return (struct run){ .first = page, .count = 0 };

	e_first = e->offset >> o->shift;
	e_end = (e->offset + e->length) >> o->shift;
	if (low < e_first)
		low = e_first;
	if (high > e_end)
		high = e_end;
	while (first > low && object_needs(o, first - 1))
		first--;
	while (end < high && object_needs(o, end))
		end++;
	return (struct run){ .first = first, .count = end - first };
}

/* bytes of one extent; a short file is an error like any other: nobody shall see zeros instead */
static int read_extent(struct pager *p, struct object *o, const struct pager_extent *e, uint64_t offset, size_t length,
		       void *buffer)
{
	unsigned int tries = 0;
	size_t done = 0;
	int err;

	while (done < length) {
		ssize_t n = pread(e->fd, (char *)buffer + done, length - done,
				  (off_t)(e->file_offset + (offset - e->offset) + done));

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		err = n ? -errno : -ENODATA;
		/* a file that is too short stays so */
		if (!n || ++tries == READ_TRIES) {
			pager_log(p, LOG_ERR, "%s: image of bytes %llu to %llu cannot be read: %s", o->name,
				  (unsigned long long)(offset + done), (unsigned long long)(offset + length),
				  n ? strerror(-err) : "the image file is too short");
			return err;
		}
		pager_sleep_ms(tries * 5);
	}
	return 0;
}

/* what n extents have of [offset, end), and zeros in between */
static int read_extents(struct pager *p, struct object *o, const struct pager_extent *extents, size_t n,
			uint64_t offset, uint64_t end, unsigned char *buffer)
{
	uint64_t at = offset;
	int rc = 0;

	for (size_t i = find_extent(extents, n, offset); !rc && i < n && extents[i].offset < end; i++) {
		const struct pager_extent *e = &extents[i];
		uint64_t from = e->offset > offset ? e->offset : offset;
		uint64_t to = e->offset + e->length < end ? e->offset + e->length : end;

		memset(buffer + (at - offset), 0, from - at);
		rc = read_extent(p, o, e, from, to - from, buffer + (from - offset));
		at = to;
	}
	memset(buffer + (at - offset), 0, end - at);
	return rc;
}

/* what was cut out of the extents is zeros */
static void clear_cuts(const struct object *o, uint64_t offset, uint64_t end, unsigned char *buffer)
{
	uint64_t at = offset;

	for (size_t i = next_extent(o, offset); i < o->n_extents && o->extents[i].offset < end; i++) {
		const struct pager_extent *e = &o->extents[i];

		if (e->offset > at)
			memset(buffer + (at - offset), 0, e->offset - at);
		at = e->offset + e->length;
	}
	if (at < end)
		memset(buffer + (at - offset), 0, end - at);
}

static int read_chunk(struct pager *p, struct object *o, uint64_t offset, uint64_t end, unsigned char *buffer)
{
	int rc;

	if (!o->stored)
		rc = read_extents(p, o, o->extents, o->n_extents, offset, end, buffer);
	else
		rc = read_extents(p, o, o->stored, o->n_stored, offset, end, buffer);
	if (!rc)
		rc = p->ops.check(p->data, o->number, offset, buffer);
	if (!rc && o->stored)
		clear_cuts(o, offset, end, buffer);
	return rc > 0 ? -EINVAL : rc;
}

/* whether the extents have something of [offset, end) that is to come */
static bool has_to_come(const struct object *o, uint64_t offset, uint64_t end)
{
	uint64_t page = object_next_to_come(o, offset >> o->shift);
	size_t i = next_extent(o, offset);

	return i < o->n_extents && o->extents[i].offset < end && page < o->needed_pages && page << o->shift < end;
}

/* chunk by chunk; what is not right is noted as damaged, so that nobody copies it */
static int read_checked(struct pager *p, struct object *o, uint64_t offset, uint64_t end,
			const unsigned char **bytes)
{
	const uint64_t size = p->check_chunk, start = offset & ~(size - 1);
	uint64_t at;
	int rc;

	for (at = start; at < end; at += size) {
		unsigned char *buffer = p->buffer + (at - start);

		if (!has_to_come(o, at, at + size)) {
			memset(buffer, 0, size);
			continue;
		}
		rc = read_chunk(p, o, at, at + size, buffer);
		if (damage_is(rc))
			rc = damage_found(p, o, at, at + size, rc);
		if (rc)
			return rc;
	}
	*bytes = p->buffer + (offset - start);
	return 0;
}

/*
 * run's bytes from the image, in the pager's buffer; of a huge page the image may have only parts, the rest is zeros.
 * Where chunks are checked, pages may be damaged when this returns: their bytes are not to be used.
 */
int object_read(struct pager *p, struct object *o, struct run run, const unsigned char **bytes)
{
	uint64_t offset = run.first << o->shift, end = offset + (run.count << o->shift);
	size_t i = next_extent(o, offset);

	if (offset == end)
		return -EINVAL;
	if (o->check_pages)
		return read_checked(p, o, offset, end, bytes);
	if (!object_is_huge(o) && (i == o->n_extents || o->extents[i].offset > offset ||
				   o->extents[i].offset + o->extents[i].length < end))
		return -EINVAL;
	*bytes = p->buffer;
	return read_extents(p, o, o->extents, o->n_extents, offset, end, p->buffer);
}

/* checked are whole chunks, whatever of them is still wanted */
static int keep_stored(struct object *o)
{
	if (!o->check_pages || o->stored)
		return 0;
	o->stored = calloc(o->n_extents ? o->n_extents : 1, sizeof(*o->stored));
	if (!o->stored)
		return -ENOMEM;
	memcpy(o->stored, o->extents, o->n_extents * sizeof(*o->stored));
	o->n_stored = o->n_extents;
	return 0;
}

/* takes [start, end) out of the extents */
static int cut_extents(struct object *o, uint64_t start, uint64_t end)
{
	size_t i = next_extent(o, start), last;
	struct pager_extent *e = o->extents;

	if (keep_stored(o))
		return -ENOMEM;
	if (i < o->n_extents && e[i].offset < start && e[i].offset + e[i].length > end) {
		e = realloc(e, (o->n_extents + 1) * sizeof(*e));
		if (!e)
			return -ENOMEM;
		o->extents = e;
		memmove(&e[i + 1], &e[i], (o->n_extents - i) * sizeof(*e));
		o->n_extents++;
	}
	if (i < o->n_extents && e[i].offset < start) {
		e[i].length = start - e[i].offset;
		i++;
	}
	for (last = i; last < o->n_extents && e[last].offset + e[last].length <= end; last++)
		;
	memmove(&e[i], &e[last], (o->n_extents - last) * sizeof(*e));
	o->n_extents -= last - i;
	if (i < o->n_extents && e[i].offset < end) {
		uint64_t cut = end - e[i].offset;

		e[i].offset += cut;
		e[i].file_offset += cut;
		e[i].length -= cut;
	}
	return 0;
}

/*
 * Somebody punches [offset, offset + length). Of a huge page that is touched only in part the kernel clears that part
 * if the page is there; if it is still to come, it comes with that part as zeros.
 */
int object_punch(struct pager *p, struct object *o, uint64_t offset, uint64_t length)
{
	uint64_t end = offset + length, first = to_pages(o, offset), last = end >> o->shift;
	int rc = 0;

	if (offset < first << o->shift && object_needs(o, first - 1))
		rc = cut_extents(o, offset, first << o->shift < end ? first << o->shift : end);
	if (!rc && last >= first && last << o->shift < end && object_needs(o, last))
		rc = cut_extents(o, last << o->shift, end);
	if (!rc)
		object_drop(p, o, first, last);
	return rc;
}

static void advise(struct object *o, uint64_t first, uint64_t end, int advice)
{
	uint64_t start_byte = first << o->shift, end_byte = end << o->shift;

	for (size_t i = next_extent(o, start_byte); i < o->n_extents && o->extents[i].offset < end_byte; i++) {
		const struct pager_extent *e = &o->extents[i];
		uint64_t from = e->offset > start_byte ? e->offset : start_byte;
		uint64_t to = e->offset + e->length < end_byte ? e->offset + e->length : end_byte;

		posix_fadvise(e->fd, (off_t)(e->file_offset + (from - e->offset)), (off_t)(to - from), advice);
	}
}

/* the page cache of the image up to page end would stay charged to the cgroup that the pager serves */
void object_release_cache(struct object *o, uint64_t end)
{
	if (end <= o->released)
		return;
	advise(o, o->released, end, POSIX_FADV_DONTNEED);
	o->released = end;
}

/* what comes behind page, window pages of it at least by half */
void object_read_ahead(struct object *o, uint64_t page, uint64_t window)
{
	if (o->ahead < page)
		o->ahead = page;
	if (o->ahead >= page + window / 2 || o->ahead >= o->needed_pages)
		return;
	advise(o, o->ahead, o->ahead + window, POSIX_FADV_WILLNEED);
	o->ahead += window;
}
