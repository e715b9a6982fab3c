// SPDX-License-Identifier: GPL-2.0-only
/* The pager's own mapping of an object, through which the kernel fills the object. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>

#include "pager/object-internal.h"

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
int object_map(struct pager *p, struct object *o)
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
int object_grow_map(struct pager *p, struct object *o, uint64_t pages)
{
	void *map;
	int rc;

	if (!o->map) {
		o->pages = pages;
		return object_map(p, o);
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

/* whether a huge page is there: 1, 0 or a negative errno; asking neither makes one nor touches it */
int object_is_present(struct pager *p, struct object *o, uint64_t page)
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

/*
 * A fill leaves a page table entry in the pager's own mapping. Taken out again, so that the pager's resident size does
 * not grow to that of all objects and pages that a watched process punches or swaps have one mapping less to visit.
 */
void object_forget_ptes(struct object *o, uint64_t first, uint64_t count)
{
	if (first < o->map_pages && count <= o->map_pages - first)
		madvise(own_page(o, first), count << o->shift, MADV_DONTNEED);
}
