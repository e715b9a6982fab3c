// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an object holds already when it is added: the image's bytes are written over it. Only before pager_run(), for
 * this takes the inode lock.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#include "pager/object-internal.h"

/*
 * By a mapping that nobody watches, so that what somebody who is none of ours punches meanwhile comes back as what is
 * written; and not by memcpy(), so that what he cuts off is an error and not a signal. The last page is written as a
 * whole: write() would end at the object's size, and mappings see the rest of the page as well.
 */
static int write_pages(struct object *o, uint64_t first, uint64_t count, const unsigned char *bytes)
{
	size_t length = count << o->shift;
	struct iovec from = { .iov_base = (void *)bytes, .iov_len = length }, to = { .iov_len = length };
	ssize_t n;
	int rc = 0;

	to.iov_base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, (off_t)(first << o->shift));
	if (to.iov_base == MAP_FAILED)
		return -errno;
	n = process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	if (n != (ssize_t)length)
		rc = n < 0 && errno != EFAULT ? -errno : -ENOMEM;
	munmap(to.iov_base, length);
	return rc;
}

/* bytes over pages [first, first + count) */
static int overwrite_pages(struct pager *p, struct object *o, uint64_t first, uint64_t count, const unsigned char *bytes)
{
	int rc = write_pages(o, first, count, bytes);

	/* some of them are no more */
	if (rc == -ENOMEM && object_drop_truncated(p, o, first + count - 1)) {
		while (count && !object_needs(o, first + count - 1))
			count--;
		rc = count ? write_pages(o, first, count, bytes) : 0;
	}
	for (uint64_t k = 0; !rc && k < count; k++)
		object_clear_needed(p, o, first + k);
	return rc;
}

/* the image's bytes over what somebody already put into pages [first, end) */
static int overwrite(struct pager *p, struct object *o, uint64_t first, uint64_t end)
{
	uint64_t page;

	/* what lies beyond the image's last extent is not its business */
	if (end > o->needed_pages)
		end = o->needed_pages;
	for (page = object_next_needed(o, first); page < end; page = object_next_needed(o, page)) {
		uint64_t max = page + (p->buffer_size >> o->shift);
		struct run run = object_run(p, o, page, page, max < end ? max : end);
		const uint64_t run_end = run.first + run.count < end ? run.first + run.count : end;
		const unsigned char *bytes;
		int rc = object_read(p, o, run, &bytes);

		/* a run of checked chunks has pages that are not needed: holes, and what was written before */
		while (!rc && page < run_end) {
			uint64_t n = 1;

			while (page + n < run_end && object_needs(o, page + n))
				n++;
			rc = overwrite_pages(p, o, page, n, bytes + ((page - run.first) << o->shift));
			page = object_next_needed(o, page + n);
		}
		if (rc)
			return rc;
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
		rc = overwrite(p, o, first, end);
		if (rc)
			return rc;
	}
	if (errno != ENXIO)
		return -errno;

	/* which pages they are cannot be asked, so all are written; rare enough not to be clever about it */
	if ((uint64_t)st.st_blocks > blocks + slack) {
		pager_log(p, LOG_NOTICE, "%s: has preallocated pages and is restored at once", o->name);
		return overwrite(p, o, 0, o->needed_pages);
	}
	return 0;
}

/* the same for huge pages, of whose file nobody can ask what it holds, nor write() to it */
static int overwrite_huge(struct pager *p, struct object *o)
{
	uint64_t page;

	for (page = object_next_needed(o, 0); page < o->needed_pages; page = object_next_needed(o, page + 1)) {
		struct run run = { .first = page, .count = 1 };
		int rc = object_is_present(p, o, page);
		const unsigned char *bytes;

		if (rc > 0) {
			rc = object_read(p, o, run, &bytes);
			if (!rc)
				rc = overwrite_pages(p, o, page, 1, bytes);
			object_forget_ptes(o, page, 1);
		}
		if (rc)
			return rc;
	}
	return 0;
}

int object_overwrite_page(struct pager *p, struct object *o, uint64_t page, const unsigned char *bytes)
{
	return overwrite_pages(p, o, page, 1, bytes);
}

/* writes the image's bytes over what the object has of pages that are needed, which then are so no more */
int object_overwrite(struct pager *p, struct object *o)
{
	return object_is_huge(o) ? overwrite_huge(p, o) : overwrite_data(p, o);
}
