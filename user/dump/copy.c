// SPDX-License-Identifier: GPL-2.0-only
/*
 * Units of two MiB are read into a buffer, stripped of zeros and of what the parent has, and written with one write().
 *
 * Read, and not mapped: a read allocates nothing in holes, also of hugetlb files; it needs no page table entries; and
 * nobody changes what is in the buffer between its checksum and its way to the disk.
 */
#include "dump/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/explain.h"
#include "image/checksum.h"
#include "image/label.h"
#include "image/layout.h"

#define UNIT (2u<<20)		/* of what is dense, a huge page is in one piece in the file, too */
#define UNIT_PAGES (UNIT / LAYOUT_PAGE)
#define UNIT_CHUNKS (UNIT / LAYOUT_CHUNK)
#define MAX_THREADS 8
#define RESERVE (256ull << 20)
#define TICK_NS 100000000

/* a chunk that is not zeros */
struct entry {
	uint64_t place;
	uint32_t file;
	uint16_t chunk;			/* of the unit */
	uint16_t pages;
	uint8_t checksum[CHECKSUM_SIZE];
};

/* a part of an object, aligned to its size */
struct unit {
	uint64_t offset;
	uint32_t source;
	uint32_t n;
	size_t extent;			/* the first that reaches into it */
	struct entry *entries;		/* when it is done */
};

struct copy {
	const struct copy_source *sources;
	size_t n_sources;
	int data;
	struct unit *units;
	size_t n_units, room;
	uint64_t total;
	atomic_size_t next;		/* unit to be taken */
	atomic_uint_fast64_t done, stored, in_parent;
	atomic_bool stop;

	pthread_mutex_t write_lock;	/* of data, of reserved, and of changes of stored */
	uint64_t reserved;		/* bytes of data that have blocks on the disk; UINT64_MAX: no more will be reserved */

	pthread_mutex_t lock;		/* of what follows */
	pthread_cond_t ended;
	size_t n_running;
	int ret;
	char *error;
	size_t error_size;
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int add_unit(struct copy *c, size_t source, uint64_t offset, size_t extent)
{
	if (c->n_units == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct unit *v = reallocarray(c->units, room, sizeof(*v));

		if (!v)
			return -ENOMEM;
		c->units = v;
		c->room = room;
	}
	c->units[c->n_units++] = (struct unit){ .offset = offset, .source = source, .extent = extent };
	return 0;
}

/* units for all of a source that is not a hole */
static int add_units(struct copy *c, size_t source)
{
	const struct copy_source *s = &c->sources[source];
	uint64_t next = 0;		/* where the next unit may begin */
	size_t i;

	for (i = 0; i < s->extents->n; i++) {
		const struct extent *e = &s->extents->v[i];
		uint64_t end = least(e->end, s->object->size), at;

		if (e->state == MEMFDCR_EXTENT_HOLE || e->start >= end)
			continue;
		c->total += end - e->start;
		at = e->start & ~(uint64_t)(UNIT - 1);
		for (at = at > next ? at : next; at < end; at += UNIT) {
			if (add_unit(c, source, at, i))
				return -ENOMEM;
			next = at + UNIT;
		}
	}
	return 0;
}

/* the first error stays, and ends all threads */
__attribute__((format(printf, 3, 4)))
static void fail(struct copy *c, int ret, const char *fmt, ...)
{
	va_list args;

	pthread_mutex_lock(&c->lock);
	if (!c->ret) {
		c->ret = ret;
		va_start(args, fmt);
		vsnprintf(c->error, c->error_size, fmt, args);
		va_end(args);
	}
	pthread_mutex_unlock(&c->lock);
	c->stop = true;
}

static int read_all(int fd, uint8_t *to, uint64_t size, uint64_t offset)
{
	while (size) {
		ssize_t n = pread(fd, to, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		to += n;
		size -= n;
		offset += n;
	}
	return 0;
}

/*
 * What is behind the size in its last page, which no read() gives: who maps the object may have put something there,
 * and a System V segment of a few bytes is used like this. to is where the page goes.
 */
static int read_tail(int fd, uint8_t *to, uint64_t size)
{
	size_t used = size % LAYOUT_PAGE;
	void *map = mmap(NULL, LAYOUT_PAGE, PROT_READ, MAP_SHARED, fd, size - used);
	struct iovec local = { to + used, LAYOUT_PAGE - used }, remote = { (char *)map + used, LAYOUT_PAGE - used };
	int ret = 0;

	if (map == MAP_FAILED)
		return -errno;
	/* unlike memcpy() it survives that somebody takes the page away meanwhile */
	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)local.iov_len)
		ret = -ENODATA;
	munmap(map, LAYOUT_PAGE);
	return ret;
}

/* one after the other, so that zeros of a hole are never looked at: the bits of pages that were read */
struct unit_buffer {
	uint8_t bytes[UNIT];
	uint16_t read[UNIT_CHUNKS];	/* a bit a page */
};

static int read_unit(struct copy *c, const struct unit *u, struct unit_buffer *b)
{
	const struct copy_source *s = &c->sources[u->source];
	uint64_t size = s->object->size;
	size_t i;

	memset(b->read, 0, sizeof(b->read));
	for (i = u->extent; i < s->extents->n && s->extents->v[i].start < u->offset + UNIT; i++) {
		const struct extent *e = &s->extents->v[i];
		uint64_t start = e->start > u->offset ? e->start : u->offset;
		uint64_t end = least(least(e->end, u->offset + UNIT), size), page;
		uint8_t *to = b->bytes + (start - u->offset);
		int ret;

		if (e->state == MEMFDCR_EXTENT_HOLE || start >= end)
			continue;
		ret = read_all(s->fd, to, end - start, start);
		if (!ret && end == size && size % LAYOUT_PAGE)
			ret = read_tail(s->fd, b->bytes + (size - size % LAYOUT_PAGE - u->offset), size);
		if (ret)
			return ret;
		for (page = (start - u->offset) / LAYOUT_PAGE; page < (end - u->offset + LAYOUT_PAGE - 1) / LAYOUT_PAGE; page++)
			b->read[page / LAYOUT_CHUNK_PAGES] |= 1u << page % LAYOUT_CHUNK_PAGES;
		c->done += end - start;
	}
	return 0;
}

static bool is_zero(const uint8_t *page)
{
	static const uint8_t zeros[LAYOUT_PAGE];

	return !memcmp(page, zeros, LAYOUT_PAGE);
}

/* pages of a chunk that are not zeros, moved together to to; the bits of them */
static uint16_t gather(const struct unit_buffer *b, size_t chunk, uint8_t *to)
{
	const uint8_t *from = b->bytes + chunk * LAYOUT_CHUNK;
	uint16_t pages = 0;
	unsigned int i;

	for (i = 0; i < LAYOUT_CHUNK_PAGES; i++, from += LAYOUT_PAGE) {
		if (!(b->read[chunk] & 1u << i) || is_zero(from))
			continue;
		pages |= 1u << i;
		if (to != from)
			memmove(to, from, LAYOUT_PAGE);
		to += LAYOUT_PAGE;
	}
	return pages;
}

/* takes the chunk's place from the parent, if its content is the same there */
static bool find_in_parent(const Memfdcr__Object *parent, uint64_t chunk, struct entry *e)
{
	size_t low = 0, high = parent ? parent->n_chunks : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (parent->chunks[middle] < chunk)
			low = middle + 1;
		else
			high = middle;
	}
	if (!parent || low == parent->n_chunks || parent->chunks[low] != chunk || parent->pages[low] != e->pages ||
	    memcmp(parent->checksums.data + low * CHECKSUM_SIZE, e->checksum, CHECKSUM_SIZE))
		return false;
	e->file = parent->files[low] + 1;
	e->place = parent->places[low];
	return true;
}

static int write_all(int fd, const uint8_t *from, size_t size, uint64_t offset)
{
	while (size) {
		ssize_t n = pwrite(fd, from, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		from += n;
		size -= n;
		offset += n;
	}
	return 0;
}

/* Blocks in large pieces, which makes writing faster. Without them it is only slower, also where the disk is nearly full. */
static void reserve(struct copy *c, uint64_t end)
{
	uint64_t size;

	if (end <= c->reserved)
		return;
	/* as much as there is already; in all not more than what is read, and a part of a page for each object */
	size = least(least(RESERVE, c->stored > end - c->stored ? c->stored : end - c->stored),
		     c->total + c->n_sources * LAYOUT_PAGE - c->stored);
	if (c->stored + size < end || fallocate(c->data, 0, c->stored, size))
		c->reserved = UINT64_MAX;
	else
		c->reserved = c->stored + size;
}

/* strips the buffer, and writes what is left. 0, -ENOMEM, or -EIO after fail() */
static int store_unit(struct copy *c, struct unit *u, struct unit_buffer *b)
{
	const struct copy_source *s = &c->sources[u->source];
	struct entry entries[UNIT_CHUNKS];
	uint64_t place;
	size_t used = 0, i;
	int ret;

	for (i = 0; i < UNIT_CHUNKS; i++) {
		struct entry *e = &entries[u->n];
		size_t size;

		*e = (struct entry){ .chunk = i, .pages = gather(b, i, b->bytes + used) };
		if (!e->pages)
			continue;
		size = __builtin_popcount(e->pages) * LAYOUT_PAGE;
		checksum(b->bytes + used, size, e->checksum);
		if (find_in_parent(s->parent, u->offset / LAYOUT_CHUNK + i, e)) {
			c->in_parent += size;
		} else {
			e->place = used / LAYOUT_PAGE;
			used += size;
		}
		u->n++;
	}
	u->entries = malloc(u->n * sizeof(*entries));
	if (u->n && !u->entries)
		return -ENOMEM;
	/* file systems write a file by one thread at a time anyway, and best from its beginning to its end */
	pthread_mutex_lock(&c->write_lock);
	place = c->stored;
	reserve(c, place + used);
	ret = write_all(c->data, b->bytes, used, place);
	c->stored += used;
	pthread_mutex_unlock(&c->write_lock);
	for (i = 0; i < u->n; i++) {
		if (!entries[i].file)
			entries[i].place += place / LAYOUT_PAGE;
		u->entries[i] = entries[i];
	}
	if (ret)
		fail(c, ret, "cannot write " LAYOUT_DATA ": %s", strerror(-ret));
	return ret;
}

static void copy_unit(struct copy *c, struct unit *u, struct unit_buffer *b)
{
	const struct copy_source *s = &c->sources[u->source];
	char label[LABEL_SIZE];
	int ret = read_unit(c, u, b);

	if (ret) {
		label_object(s->object, label);
		if (ret == -ENODATA)
			fail(c, ret, "%s became shorter while it was read", label);
		else
			fail(c, ret, "cannot read %s from byte %" PRIu64 " on: %s", label, u->offset, strerror(-ret));
		return;
	}
	ret = store_unit(c, u, b);
	if (ret == -ENOMEM)
		fail(c, ret, "out of memory");
}

static void *work(void *data)
{
	struct copy *c = data;
	/* aligned for the largest vectors, and zeroed once so that no bytes of ours are ever taken for content */
	struct unit_buffer *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (b == MAP_FAILED)
		fail(c, -ENOMEM, "out of memory");
	while (!c->stop && (i = atomic_fetch_add(&c->next, 1)) < c->n_units)
		copy_unit(c, &c->units[i], b);
	if (b != MAP_FAILED)
		munmap(b, sizeof(*b));
	pthread_mutex_lock(&c->lock);
	c->n_running--;
	pthread_cond_signal(&c->ended);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

static void get_progress(struct copy *c, struct copy_progress *p)
{
	*p = (struct copy_progress){
		.total = c->total, .done = c->done, .stored = c->stored, .in_parent = c->in_parent,
	};
}

/* with the lock held until the last thread has ended */
static void watch(struct copy *c, bool (*tick)(void *tick_data, const struct copy_progress *progress), void *tick_data)
{
	struct copy_progress p;

	while (c->n_running) {
		int64_t next = clock_ns(CLOCK_MONOTONIC) + TICK_NS;

		pthread_cond_timedwait(&c->ended, &c->lock,
				       &(struct timespec){ next / NS_PER_S, next % NS_PER_S });
		pthread_mutex_unlock(&c->lock);
		get_progress(c, &p);
		if (tick && tick(tick_data, &p))
			fail(c, -EINTR, "interrupted");
		pthread_mutex_lock(&c->lock);
	}
}

static void run_threads(struct copy *c, bool (*tick)(void *tick_data, const struct copy_progress *progress),
			void *tick_data)
{
	size_t wanted = least(least(sysconf(_SC_NPROCESSORS_ONLN), MAX_THREADS), c->n_units), n, i;
	pthread_t threads[MAX_THREADS];
	int ret = 0;

	pthread_mutex_lock(&c->lock);
	for (n = 0; n < wanted && !ret; n += !ret) {
		ret = pthread_create(&threads[n], NULL, work, c);
		c->n_running += !ret;
	}
	watch(c, tick, tick_data);
	pthread_mutex_unlock(&c->lock);
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	/* fewer are slower, none is an error */
	if (wanted && !n)
		fail(c, -ret, "cannot start a thread: %s", strerror(ret));
}

/* brings what the units have found into the lists of their object */
static int collect(struct copy *c, const struct unit *units, size_t n_units, Memfdcr__Object *o)
{
	size_t n = 0, i, k;

	for (i = 0; i < n_units; i++)
		n += units[i].n;
	if (!n)
		return 0;
	o->chunks = calloc(n, sizeof(*o->chunks));
	o->pages = calloc(n, sizeof(*o->pages));
	o->files = calloc(n, sizeof(*o->files));
	o->places = calloc(n, sizeof(*o->places));
	o->checksums.data = malloc(n * CHECKSUM_SIZE);
	o->has_checksums = !!o->checksums.data;
	if (!o->chunks || !o->pages || !o->files || !o->places || !o->checksums.data)
		return explain(-ENOMEM, c->error, c->error_size, "out of memory");
	o->n_chunks = o->n_pages = o->n_files = o->n_places = n;
	o->checksums.len = n * CHECKSUM_SIZE;
	for (n = i = 0; i < n_units; i++)
		for (k = 0; k < units[i].n; k++, n++) {
			const struct entry *e = &units[i].entries[k];

			o->chunks[n] = units[i].offset / LAYOUT_CHUNK + e->chunk;
			o->pages[n] = e->pages;
			o->files[n] = e->file;
			o->places[n] = e->place;
			memcpy(o->checksums.data + n * CHECKSUM_SIZE, e->checksum, CHECKSUM_SIZE);
		}
	return 0;
}

/* the units of one source are in a row */
static int collect_all(struct copy *c)
{
	size_t first, last;
	int ret = 0;

	for (first = 0; !ret && first < c->n_units; first = last) {
		for (last = first; last < c->n_units && c->units[last].source == c->units[first].source; last++)
			;
		ret = collect(c, c->units + first, last - first, c->sources[c->units[first].source].object);
	}
	return ret;
}

int copy_run(const struct copy_source *sources, size_t n, int data, struct copy_progress *progress,
	     bool (*tick)(void *tick_data, const struct copy_progress *progress), void *tick_data, char *error,
	     size_t error_size)
{
	struct copy c = {
		.sources = sources, .n_sources = n, .data = data, .error = error, .error_size = error_size,
		.write_lock = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_condattr_t monotonic;
	struct statfs where;
	size_t i;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c.ended, &monotonic);
	/* there it would be memory, and nothing faster */
	if (!fstatfs(data, &where) && (where.f_type == TMPFS_MAGIC || where.f_type == RAMFS_MAGIC))
		c.reserved = UINT64_MAX;
	for (i = 0; !c.ret && i < n; i++)
		c.ret = add_units(&c, i);
	if (c.ret)
		explain(c.ret, error, error_size, "out of memory");
	else
		run_threads(&c, tick, tick_data);
	/* what was reserved and not needed */
	if (!c.ret && c.reserved && ftruncate(data, c.stored))
		c.ret = explain(-errno, error, error_size, "cannot cut " LAYOUT_DATA ": %s", strerror(errno));
	if (!c.ret)
		c.ret = collect_all(&c);
	get_progress(&c, progress);
	for (i = 0; i < c.n_units; i++)
		free(c.units[i].entries);
	free(c.units);
	pthread_cond_destroy(&c.ended);
	pthread_condattr_destroy(&monotonic);
	return c.ret;
}
