// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects: which of their pages are still needed, where these lie in the image, and how they get in.
 *
 * While pager_run() works, nothing here may take the inode lock of an object: no read, write, fallocate, ftruncate,
 * nor lseek(SEEK_DATA) on it. A watched process that is in write() on the object holds that lock while its source
 * buffer, perhaps in the same object, waits for the pager. fstat(), UFFDIO_COPY and UFFDIO_ZEROPAGE do not take it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "pager/pager-internal.h"

#define READ_TRIES	4
#define FILL_TRIES	100

static uint64_t page_bytes(const struct object *o)
{
	return 1ULL << o->shift;
}

static uint64_t to_pages(const struct object *o, uint64_t bytes)
{
	return (bytes >> o->shift) + !!(bytes & (page_bytes(o) - 1));
}

static unsigned char *own_page(const struct object *o, uint64_t page)
{
	return o->map + (page << o->shift);
}

static void sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

bool object_needs(const struct object *o, uint64_t page)
{
	return page < o->needed_pages && (o->needed[page / 64] >> (page % 64) & 1);
}

static void set_needed(struct object *o, uint64_t first, uint64_t end)
{
	while (first < end) {
		if (first % 64 == 0 && end - first >= 64) {
			o->needed[first / 64] = ~0ULL;
			first += 64;
		} else {
			o->needed[first / 64] |= 1ULL << (first % 64);
			first++;
		}
	}
}

/* takes page off the list; false if it was not there */
static bool clear_needed(struct pager *p, struct object *o, uint64_t page)
{
	if (!object_needs(o, page))
		return false;
	o->needed[page / 64] &= ~(1ULL << (page % 64));
	o->left--;
	p->left -= page_bytes(o);
	return true;
}

/* the first needed page from page on; needed_pages if there is none */
uint64_t object_next_needed(const struct object *o, uint64_t page)
{
	while (page < o->needed_pages) {
		uint64_t word = o->needed[page / 64] >> (page % 64);

		if (word)
			return page + __builtin_ctzll(word);
		page = (page / 64 + 1) * 64;
	}
	return o->needed_pages;
}

/* index of the first extent that ends beyond offset */
static size_t next_extent(const struct object *o, uint64_t offset)
{
	size_t low = 0, high = o->n_extents;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->extents[mid].offset + o->extents[mid].length <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/*
 * The needed pages around page, which is needed itself, that lie in [low, high) and in the same extent. Of huge pages
 * it is always one: more would only make whoever waits wait longer.
 */
struct run object_run(const struct object *o, uint64_t page, uint64_t low, uint64_t high)
{
	const struct pager_extent *e = &o->extents[next_extent(o, page << o->shift)];
	uint64_t first = page, end = page + 1;
	uint64_t e_first, e_end;

	if (object_is_huge(o))
		return (struct run){ .first = page, .count = 1 };
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
		if (++tries == READ_TRIES) {
			pager_log(p, LOG_ERR, "%s: image of bytes %llu to %llu cannot be read: %s", o->name,
				  (unsigned long long)(offset + done), (unsigned long long)(offset + length),
				  n ? strerror(-err) : "the image file is too short");
			return err;
		}
		sleep_ms(tries * 5);
	}
	return 0;
}

/* run's bytes from the image; of a huge page the image may have only parts, the rest is zeros */
int object_read(struct pager *p, struct object *o, struct run run, void *buffer)
{
	uint64_t offset = run.first << o->shift, end = offset + (run.count << o->shift);
	size_t i = next_extent(o, offset);
	int rc = 0;

	if (!object_is_huge(o)) {
		if (offset == end || i == o->n_extents || o->extents[i].offset > offset ||
		    o->extents[i].offset + o->extents[i].length < end)
			return -EINVAL;
	} else {
		memset(buffer, 0, end - offset);
	}
	for (; !rc && i < o->n_extents && o->extents[i].offset < end; i++) {
		const struct pager_extent *e = &o->extents[i];
		uint64_t from = e->offset > offset ? e->offset : offset;
		uint64_t to = e->offset + e->length < end ? e->offset + e->length : end;

		rc = read_extent(p, o, e, from, to - from, (char *)buffer + (from - offset));
	}
	return rc;
}

/* the image's bytes of pages [first, end) are not wanted any more */
static void drop(struct pager *p, struct object *o, uint64_t first, uint64_t end)
{
	uint64_t page;

	if (end > o->needed_pages)
		end = o->needed_pages;
	for (page = object_next_needed(o, first); page < end; page = object_next_needed(o, page + 1)) {
		clear_needed(p, o, page);
		p->stats.bytes_dropped += page_bytes(o);
	}
}

/* pages beyond the object's present end are gone for good: truncated by somebody who knew what he did */
static bool drop_truncated(struct pager *p, struct object *o, uint64_t page)
{
	struct stat st;
	uint64_t pages;

	if (fstat(o->fd, &st))
		return false;
	pages = to_pages(o, (uint64_t)st.st_size);
	if (page < pages)
		return false;
	drop(p, o, pages, o->needed_pages);
	return true;
}

/* takes [start, end) out of the extents */
static int cut_extents(struct object *o, uint64_t start, uint64_t end)
{
	size_t i = next_extent(o, start), last;
	struct pager_extent *e = o->extents;

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
		drop(p, o, first, last);
	return rc;
}

/* whether a page of huge pages is there; asking neither makes one nor touches it */
static int is_present(struct pager *p, struct object *o, uint64_t page)
{
	for (unsigned int again = 0; again < 100; again++) {
		struct uffdio_continue probe = {
			.range.start = (uintptr_t)own_page(o, page),
			.range.len = page_bytes(o),
			.mode = UFFDIO_CONTINUE_MODE_DONTWAKE,
		};

		if (!ioctl(p->uffd, UFFDIO_CONTINUE, &probe) || errno == EEXIST)
			return 1;
		if (errno == EFAULT)
			return 0;
		if (errno != EAGAIN && errno != EINTR && errno != ENOMEM)
			return -errno;
	}
	return -EAGAIN;
}

/* newer kernels (7.3, not 6.12) answer EEXIST as well where there is no huge page to be had */
static int true_error(struct pager *p, struct object *o, uint64_t page, int err)
{
	int present;

	if (err != EEXIST || !object_is_huge(o))
		return err;
	present = is_present(p, o, page);
	object_forget_ptes(o, page, 1);
	return present < 0 ? -present : present ? EEXIST : ENOMEM;
}

/*
 * Brings in [first, first + count) from source; pages that are not needed (any more) are skipped. *bytes grows by what
 * was really copied. A page that somebody else has put there ends the pager while it runs.
 */
int object_copy(struct pager *p, struct object *o, uint64_t first, uint64_t count, const void *source, uint64_t *bytes)
{
	uint64_t i = 0;
	unsigned int again = 0;

	while (i < count) {
		struct uffdio_copy copy = { .mode = UFFDIO_COPY_MODE_DONTWAKE };
		uint64_t n = 0;
		int err;

		while (i < count && !object_needs(o, first + i))
			i++;
		while (i + n < count && object_needs(o, first + i + n))
			n++;
		if (!n)
			break;

		copy.dst = (uintptr_t)own_page(o, first + i);
		copy.src = (uintptr_t)source + (i << o->shift);
		copy.len = n << o->shift;
		err = ioctl(p->uffd, UFFDIO_COPY, &copy) ? errno : 0;

		/* a copy that stops in the middle says so with EAGAIN; the reason comes with the next try */
		if (copy.copy > 0 && (uint64_t)copy.copy <= copy.len) {
			uint64_t got = (uint64_t)copy.copy >> o->shift;

			for (uint64_t k = 0; k < got; k++)
				clear_needed(p, o, first + i + k);
			*bytes += (uint64_t)copy.copy;
			i += got;
			again = 0;
			continue;
		}

		switch (true_error(p, o, first + i, err)) {
		case EEXIST:
			/*
			 * Only the pager fills registered mappings, so this page came past it: there is a mapping that
			 * nobody watches, or somebody privileged used the object's own file. Whoever it was may have seen
			 * zeros, and nobody knows which bytes are right now.
			 */
			p->stats.bytes_found += page_bytes(o);
			if (p->running) {
				pager_log(p, LOG_ERR, "%s: byte %llu was instantiated past the pager, perhaps with zeros",
					  o->name, (unsigned long long)((first + i) << o->shift));
				return -EEXIST;
			}
			clear_needed(p, o, first + i);
			i++;
			break;
		case EAGAIN:
		case EINTR:
			if (++again > 100)
				return PAGER_LATER;
			break;
		case ENOMEM:
		case ENOSPC:
			return PAGER_LATER;
		case EFAULT:
			if (drop_truncated(p, o, first + i) || ++again < 100)
				break;
			/* fall through */
		default:
			pager_log(p, LOG_ERR, "%s: UFFDIO_COPY at byte %llu: %s", o->name,
				  (unsigned long long)((first + i) << o->shift), strerror(err));
			return err ? -err : -EIO;
		}
	}
	return 0;
}

static int register_map(struct pager *p, const struct object *o, void *map, uint64_t pages)
{
	struct uffdio_register reg = {
		.range.start = (uintptr_t)map,
		.range.len = pages << o->shift,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	uint64_t ioctls = 1ULL << _UFFDIO_COPY;

	/* nobody touches this mapping, so there are no faults of either mode: it is what the kernel fills for */
	if (object_is_huge(o)) {
		reg.mode |= UFFDIO_REGISTER_MODE_MINOR;
		ioctls |= 1ULL << _UFFDIO_CONTINUE;
	} else {
		ioctls |= 1ULL << _UFFDIO_ZEROPAGE;
	}
	if (ioctl(p->uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return (reg.ioctls & ioctls) == ioctls ? 0 : -EOPNOTSUPP;
}

/*
 * Of huge pages the mapping reserves what is not reserved yet, and the reservation stays with the object: a page that
 * the image has in it, and a hole that is left a hole, can be had when it is touched, as after an eager restore. CRIU
 * has mapped the object in the same way before, so there is nothing left to reserve.
 */
static int map_object(struct pager *p, struct object *o)
{
	int flags = MAP_SHARED | (object_is_huge(o) ? 0 : MAP_NORESERVE);
	void *map;

	if (!o->pages)
		return 0;
	map = mmap(NULL, o->pages << o->shift, PROT_READ | PROT_WRITE, flags, o->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	o->map = map;
	o->map_pages = o->pages;
	/* a child of the pager, or its core dump, must not touch what only the pager itself could fill */
	madvise(map, o->pages << o->shift, MADV_DONTFORK);
	madvise(map, o->pages << o->shift, MADV_DONTDUMP);
	return register_map(p, o, map, o->pages);
}

/* the own mapping covers the object as it was; a process may have made the object longer and mapped the rest */
static int grow_map(struct pager *p, struct object *o, uint64_t pages)
{
	void *map;
	int rc;

	if (!o->map) {
		o->pages = pages;
		return map_object(p, o);
	}
	map = mremap(o->map, o->map_pages << o->shift, pages << o->shift, MREMAP_MAYMOVE);
	if (map == MAP_FAILED)
		return errno == ENOMEM ? PAGER_LATER : -errno;
	o->map = map;
	o->map_pages = pages;
	rc = register_map(p, o, map, pages);
	if (rc)
		pager_log(p, LOG_ERR, "%s: UFFDIO_REGISTER after growing: %s", o->name, strerror(-rc));
	return rc;
}

/* zeros that nobody has mapped before: 0, or what was wrong. Huge pages have to be copied. */
static int try_zero(struct pager *p, struct object *o, uint64_t page)
{
	struct uffdio_zeropage zero = {
		.range.start = (uintptr_t)own_page(o, page),
		.range.len = PAGER_PAGE,
		.mode = UFFDIO_ZEROPAGE_MODE_DONTWAKE,
	};
	struct uffdio_copy copy = {
		.dst = (uintptr_t)own_page(o, page),
		.src = (uintptr_t)p->zeros,
		.len = page_bytes(o),
		.mode = UFFDIO_COPY_MODE_DONTWAKE,
	};

	if (!object_is_huge(o))
		return ioctl(p->uffd, UFFDIO_ZEROPAGE, &zero) ? errno : 0;
	return ioctl(p->uffd, UFFDIO_COPY, &copy) ? true_error(p, o, page, errno) : 0;
}

/* makes page, which the image does not have (any more), a page of zeros; *done: it was not there before */
int object_zero(struct pager *p, struct object *o, uint64_t page, bool *done)
{
	unsigned int again = 0;
	struct stat st;
	int rc;

	*done = false;
	if (page >= o->map_pages) {
		if (fstat(o->fd, &st) || page >= to_pages(o, (uint64_t)st.st_size))
			return 0;	/* beyond the end: the thread gets its SIGBUS when it is woken */
		/* a mapping of huge pages cannot grow, so none that is watched leads here: the table is wrong */
		if (object_is_huge(o))
			return 0;
		rc = grow_map(p, o, to_pages(o, (uint64_t)st.st_size));
		if (rc)
			return rc;
	}
	for (;;) {
		int err = try_zero(p, o, page);

		switch (err) {
		case 0:
			*done = true;
			return 0;
		case EEXIST:
			return 0;
		case EAGAIN:
		case EINTR:
			if (++again > 100)
				return PAGER_LATER;
			break;
		case ENOMEM:
		case ENOSPC:
			/*
			 * No huge page, and none reserved, for this one was punched. Without us the thread would get
			 * SIGBUS. It tries again until there is a page or we have gone; to wait for it here would keep
			 * pages from coming in that can.
			 */
			return object_is_huge(o) ? 0 : PAGER_LATER;
		case EFAULT:
			if (drop_truncated(p, o, page))
				return 0;
			if (++again < 100)
				break;
			/* fall through */
		default:
			pager_log(p, LOG_ERR, "%s: page of zeros at byte %llu: %s", o->name,
				  (unsigned long long)(page << o->shift), strerror(err));
			return -err;
		}
	}
}

/*
 * CRIU's dump makes huge pages of zeros of the holes in an object with huge pages, and nothing in the image tells them
 * from others. All pages of zeros are left out again until somebody touches them; their huge pages stay reserved.
 */
bool object_leave_hole(struct pager *p, struct object *o, uint64_t page, const void *bytes)
{
	if (!object_is_huge(o) || memcmp(bytes, p->zeros, page_bytes(o)) || !clear_needed(p, o, page))
		return false;
	p->stats.bytes_holes += page_bytes(o);
	return true;
}

/*
 * A fill leaves a page table entry in the pager's own mapping. Taken out again, so that the pager's resident size does
 * not grow to that of all objects and pages that a watched process punches or swaps have one mapping less to visit.
 */
void object_forget_ptes(struct object *o, uint64_t first, uint64_t count)
{
	if (first < o->map_pages && count <= o->map_pages - first)
		madvise(own_page(o, first), count << o->shift, MADV_DONTNEED);
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

/* has the disk at work on what comes next while the pager copies what it has */
void object_read_ahead(struct object *o, uint64_t page)
{
	const uint64_t window = object_is_huge(o) ? 2 : 512;

	if (o->ahead < page)
		o->ahead = page;
	if (o->ahead >= page + window / 2 || o->ahead >= o->needed_pages)
		return;
	advise(o, o->ahead, o->ahead + window, POSIX_FADV_WILLNEED);
	o->ahead += window;
}

/* reads and brings in the pages that are needed from *page on, at most max, and moves *page behind them */
static int fill_step(struct pager *p, struct object *o, uint64_t *page, uint64_t max, uint64_t *bytes)
{
	struct run run;
	int rc;

	*page = object_next_needed(o, *page);
	if (*page >= o->needed_pages)
		return 0;
	run = object_run(o, *page, *page, *page + max);
	rc = object_read(p, o, run, p->buffer);
	if (!rc)
		rc = object_copy(p, o, run.first, run.count, p->buffer, bytes);
	object_forget_ptes(o, run.first, run.count);
	if (!rc)
		*page = run.first + run.count;
	return rc;
}

static int fill(struct pager *p, struct object *o)
{
	uint64_t page = 0, bytes = 0;
	unsigned int tries = 0;

	while (o->left) {
		int rc = fill_step(p, o, &page, p->buffer_size >> o->shift, &bytes);

		if (rc < 0)
			return rc;
		/* nobody waits yet, so the owner is better off with an error than with a pager that tries for ever */
		if (rc == PAGER_LATER) {
			if (++tries == FILL_TRIES)
				return -ENOMEM;
			sleep_ms(10);
			continue;
		}
		tries = 0;
		object_release_cache(o, page);
	}
	return 0;
}

static int write_all(int fd, const void *buffer, size_t length, uint64_t offset)
{
	while (length) {
		ssize_t n = pwrite(fd, buffer, length, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		buffer = (const char *)buffer + n;
		length -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* the last page as a whole: write() ends at the object's size, mappings see the rest of the page as well */
static int write_tail(struct object *o, uint64_t page, const void *buffer)
{
	void *map = mmap(NULL, PAGER_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd,
			 (off_t)(page << o->shift));

	if (map == MAP_FAILED)
		return -errno;
	memcpy(map, buffer, PAGER_PAGE);
	munmap(map, PAGER_PAGE);
	return 0;
}

/* the image's bytes over what somebody already put into pages [first, end) */
static int overwrite(struct pager *p, struct object *o, uint64_t first, uint64_t end, uint64_t size)
{
	uint64_t page;
	int rc;

	for (page = object_next_needed(o, first); page < end; page = object_next_needed(o, page)) {
		uint64_t max = page + (p->buffer_size >> o->shift);
		struct run run = object_run(o, page, page, max < end ? max : end);
		uint64_t offset = run.first << o->shift, length = run.count << o->shift;

		rc = object_read(p, o, run, p->buffer);
		if (rc)
			return rc;
		if (offset + length > size) {
			length -= PAGER_PAGE;
			rc = write_tail(o, run.first + run.count - 1, p->buffer + length);
			if (rc)
				return rc;
		}
		rc = write_all(o->fd, p->buffer, length, offset);
		if (rc)
			return rc;
		for (uint64_t k = 0; k < run.count; k++)
			clear_needed(p, o, run.first + k);
	}
	return 0;
}

/*
 * What the object holds already. SEEK_DATA finds every page that was written or read through a mapping, but not what
 * fallocate() put there and nobody used yet; such a page raises no fault either, and shows up only in st_blocks.
 */
static int overwrite_data(struct pager *p, struct object *o)
{
	uint64_t blocks = 0, slack = 0, huge = 2ULL << 20;
	struct stat st;
	off_t data, hole;
	int rc;

	if (fstat(o->fd, &st))
		return -errno;
	for (data = lseek(o->fd, 0, SEEK_DATA); data >= 0; data = lseek(o->fd, hole, SEEK_DATA)) {
		uint64_t first, end;

		hole = lseek(o->fd, data, SEEK_HOLE);
		if (hole <= data)
			return hole < 0 ? -errno : -EIO;
		first = (uint64_t)data >> PAGER_PAGE_SHIFT;
		end = to_pages(o, (uint64_t)hole);
		blocks += (end - first) << (PAGER_PAGE_SHIFT - 9);
		/* a huge page may reach beyond the end of the object */
		if (hole >= st.st_size)
			slack = (huge - (uint64_t)st.st_size % huge) / 512;
		rc = overwrite(p, o, first, end, (uint64_t)st.st_size);
		if (rc)
			return rc;
	}
	if (errno != ENXIO)
		return -errno;

	/* which pages they are cannot be asked, so all are written; rare enough not to be clever about it */
	if ((uint64_t)st.st_blocks > blocks + slack) {
		pager_log(p, LOG_NOTICE, "%s: has preallocated pages and is restored at once", o->name);
		return overwrite(p, o, 0, o->needed_pages, (uint64_t)st.st_size);
	}
	return 0;
}

/* the same for huge pages, of whose file nobody can ask what it holds, nor write() to it */
static int overwrite_huge(struct pager *p, struct object *o)
{
	uint64_t page;

	for (page = object_next_needed(o, 0); page < o->needed_pages; page = object_next_needed(o, page + 1)) {
		struct run run = { .first = page, .count = 1 };
		int rc = is_present(p, o, page);

		if (rc > 0) {
			rc = object_read(p, o, run, p->buffer);
			if (!rc) {
				/* asking has mapped it */
				memcpy(own_page(o, page), p->buffer, page_bytes(o));
				clear_needed(p, o, page);
			}
			object_forget_ptes(o, page, 1);
		}
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Room for a huge page on its way, and one of zeros. All in memory now: where UFFDIO_COPY has to wait for its source,
 * it takes a second huge page meanwhile, which may not be to be had.
 */
static int prepare_huge(struct pager *p, const struct object *o)
{
	const size_t size = page_bytes(o);
	void *map;

	if (p->buffer_size < size) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (map == MAP_FAILED)
			return -errno;
		munmap(p->buffer, p->buffer_size);
		p->buffer = map;
		p->buffer_size = size;
	}
	if (!p->zeros) {
		map = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (map == MAP_FAILED)
			return -errno;
		p->zeros = map;
	}
	return 0;
}

static void count_needed(struct pager *p, struct object *o)
{
	for (uint64_t i = 0; i <= o->needed_pages / 64; i++)
		o->left += (uint64_t)__builtin_popcountll(o->needed[i]);
	p->left += o->left << o->shift;
}

/* checks extents against the object and their files, copies them with neighbours joined, and sets the bits */
static int load_extents(struct pager *p, struct object *o, const struct pager_extent *extents, size_t n)
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

	o->needed_pages = to_pages(o, end);
	o->needed = calloc(o->needed_pages / 64 + 1, sizeof(*o->needed));
	if (!o->needed)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_extents; i++) {
		const struct pager_extent *e = &o->extents[i];

		set_needed(o, e->offset >> o->shift, to_pages(o, e->offset + e->length));
	}
	count_needed(p, o);
	return 0;
}

/*
 * An open file of the pager's own: with a mere duplicate, lseek() would move the file position of whoever gave the
 * descriptor, perhaps of a restored process. Where reopening is refused, the position is put back.
 */
static int reopen(int fd, off_t *position)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*position = -1;
	own = open(path, O_RDWR | O_CLOEXEC);
	if (own >= 0)
		return own;
	*position = lseek(fd, 0, SEEK_CUR);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return own < 0 ? -errno : own;
}

static int check_object(struct pager *p, struct object *o, uint64_t size)
{
	struct statfs fs;
	struct stat st;

	if (fstat(o->fd, &st) || fstatfs(o->fd, &fs))
		return -errno;
	if (S_ISREG(st.st_mode) && fs.f_type == TMPFS_MAGIC) {
		o->shift = PAGER_PAGE_SHIFT;
	} else if (S_ISREG(st.st_mode) && fs.f_type == HUGETLBFS_MAGIC && fs.f_bsize == 1L << PAGER_HUGE_SHIFT) {
		o->shift = PAGER_HUGE_SHIFT;
	} else {
		pager_log(p, LOG_ERR, "%s: not a shmem object, nor one with huge pages of 2 MiB", o->name);
		return -EOPNOTSUPP;
	}
	if (size > INT64_MAX || to_pages(o, (uint64_t)st.st_size) < to_pages(o, size)) {
		pager_log(p, LOG_ERR, "%s: has %lld bytes, %llu are to be restored", o->name, (long long)st.st_size,
			  (unsigned long long)size);
		return -EINVAL;
	}
	return 0;
}

void object_free(struct pager *p, struct object *o)
{
	if (o->map)
		munmap(o->map, o->map_pages << o->shift);
	if (o->fd >= 0)
		close(o->fd);
	p->left -= o->left << o->shift;
	free(o->needed);
	free(o->extents);
	free(o->name);
	free(o);
}

int pager_add_object(struct pager *p, const char *name, int fd, uint64_t size,
		     const struct pager_extent *extents, size_t n_extents)
{
	struct object **objects, *o;
	off_t position = -1;
	int rc;

	objects = realloc(p->objects, (p->n_objects + 1) * sizeof(*objects));
	if (!objects)
		return -ENOMEM;
	p->objects = objects;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->fd = -1;
	o->name = strdup(name ? name : "");
	rc = o->name ? 0 : -ENOMEM;
	if (!rc) {
		o->fd = reopen(fd, &position);
		rc = o->fd < 0 ? o->fd : 0;
	}
	if (!rc)
		rc = check_object(p, o, size);
	if (!rc) {
		o->pages = to_pages(o, size);
		rc = load_extents(p, o, extents, n_extents);
	}
	if (!rc && object_is_huge(o))
		rc = prepare_huge(p, o);
	if (!rc)
		rc = map_object(p, o);
	if (!rc)
		rc = object_is_huge(o) ? overwrite_huge(p, o) : overwrite_data(p, o);
	if (position >= 0)
		lseek(fd, position, SEEK_SET);
	if (rc) {
		object_free(p, o);
		return rc;
	}
	p->objects[p->n_objects] = o;
	return (int)p->n_objects++;
}

int pager_fill(struct pager *p, unsigned int object)
{
	if (object >= p->n_objects || p->running)
		return -EINVAL;
	return fill(p, p->objects[object]);
}
