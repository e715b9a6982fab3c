// SPDX-License-Identifier: GPL-2.0-only
/* How pages get into an object: bytes of the image, zeros, and all of the object before anybody runs. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "pager/object-internal.h"

#define FILL_TRIES	100

/* pages beyond the object's present end are gone for good: truncated by somebody who knew what he did */
bool object_drop_truncated(struct pager *p, struct object *o, uint64_t page)
{
	struct stat st;
	uint64_t pages;

	if (fstat(o->fd, &st))
		return false;
	pages = to_pages(o, (uint64_t)st.st_size);
	if (page < pages)
		return false;
	object_drop(p, o, pages, o->needed_pages);
	return true;
}

/* newer kernels (7.3, not 6.12) answer EEXIST as well where there is no huge page to be had */
static int true_error(struct pager *p, struct object *o, uint64_t page, int err)
{
	int present;

	if (err != EEXIST || !object_is_huge(o))
		return err;
	present = object_is_present(p, o, page);
	object_forget_ptes(o, page, 1);
	return present < 0 ? -present : present ? EEXIST : ENOMEM;
}

static bool is_to_come(const struct object *o, uint64_t page)
{
	return object_needs(o, page) && !object_is_damaged(o, page);
}

/*
 * Brings in [first, first + count) from source; pages that are not needed (any more) are skipped, and damaged ones.
 * *bytes grows by what was really copied. A page that somebody else has put there ends the pager while it runs.
 */
int object_copy(struct pager *p, struct object *o, uint64_t first, uint64_t count, const void *source, uint64_t *bytes)
{
	uint64_t i = 0;
	unsigned int again = 0;

	while (i < count) {
		struct uffdio_copy copy = { .mode = UFFDIO_COPY_MODE_DONTWAKE };
		uint64_t n = 0;
		int err;

		while (i < count && !is_to_come(o, first + i))
			i++;
		while (i + n < count && is_to_come(o, first + i + n))
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
				object_clear_needed(p, o, first + i + k);
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
			if (p->running) {
				o->stats.bytes_found += page_bytes(o);
				pager_log(p, LOG_ERR, "%s: byte %llu was instantiated past the pager, perhaps with zeros",
					  o->name, (unsigned long long)((first + i) << o->shift));
				return -EEXIST;
			}
			/* before anybody runs: khugepaged, or a process that is none of ours and uses the object already */
			err = object_overwrite_page(p, o, first + i, (const unsigned char *)source + (i << o->shift));
			if (err)
				return err;
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
			if (object_drop_truncated(p, o, first + i) || ++again < 100)
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
		rc = object_grow_map(p, o, to_pages(o, (uint64_t)st.st_size));
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
			if (object_drop_truncated(p, o, page))
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
	if (!object_is_huge(o) || object_is_damaged(o, page) || memcmp(bytes, p->zeros, page_bytes(o)) ||
	    !object_clear_needed(p, o, page))
		return false;
	o->stats.bytes_holes += page_bytes(o);
	return true;
}

/* reads and brings in the pages that are needed from *page on, at most max, and moves *page behind them */
static int fill_step(struct pager *p, struct object *o, uint64_t *page, uint64_t max, uint64_t *bytes)
{
	const unsigned char *source;
	struct run run;
	int rc;

	*page = object_next_needed(o, *page);
	if (*page >= o->needed_pages)
		return 0;
	run = object_run(p, o, *page, *page, *page + max);
	rc = object_read(p, o, run, &source);
	if (!rc)
		rc = object_copy(p, o, run.first, run.count, source, bytes);
	object_forget_ptes(o, run.first, run.count);
	if (!rc)
		*page = run.first + run.count;
	return rc;
}

static int fill(struct pager *p, struct object *o)
{
	uint64_t page = 0, bytes = 0;
	unsigned int tries = 0;

	/* found while pager_run() worked */
	if (o->n_damaged)
		return -EBADMSG;
	while (o->left) {
		int rc;

		if (p->ops.unwanted && p->ops.unwanted(p->data))
			return -ECANCELED;
		rc = fill_step(p, o, &page, p->buffer_size >> o->shift, &bytes);

		if (rc < 0)
			return rc;
		/* nobody waits yet, so the owner is better off with an error than with a pager that tries for ever */
		if (rc == PAGER_LATER) {
			if (++tries == FILL_TRIES)
				return -ENOMEM;
			pager_sleep_ms(10);
			continue;
		}
		tries = 0;
		object_release_cache(o, page);
	}
	return 0;
}

int pager_fill(struct pager *p, unsigned int object)
{
	if (object >= p->n_objects || p->running)
		return -EINVAL;
	return fill(p, p->objects[object]);
}
