// SPDX-License-Identifier: GPL-2.0-only
/* Where an object's bytes lie: pagemap-shmem-N.img, and whether pages-N.img has them all. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "criu/build.h"
#include "criu/images.pb-c.h"

#define FLAG_LAZY 0x2
#define FLAG_PRESENT 0x4

struct reader {
	struct plan_build *b;
	struct plan_object *o;
	uint64_t limit;		/* the object's size, in whole pages */
	uint64_t end;		/* of the last run */
};

static int add_extent(struct reader *r, uint64_t offset, uint64_t length)
{
	struct plan_object *o = r->o;
	struct plan_extent *extents;

	/* what an eager object has is only counted */
	if (o->eager)
		return 0;
	if (o->n_extents) {
		struct plan_extent *last = &o->extents[o->n_extents - 1];

		/* the bytes of all runs follow each other in the file */
		if (last->offset + last->length == offset) {
			last->length += length;
			return 0;
		}
	}
	if (!r->b->extents_left)
		return plan_eager(r->b, o, "its memory is in too many pieces");
	extents = plan_grow(r->b, o->extents, o->n_extents, sizeof(*extents));
	if (!extents)
		return -ENOMEM;
	r->b->extents_left--;
	o->extents = extents;
	extents[o->n_extents++] = (struct plan_extent){ offset, length, o->bytes };
	return 0;
}

/*
 * CRIU (do_restore_shmem_content) stops without an error at a run that ends beyond the object: what this one and those
 * behind it describe would be zeros. That is bytes lost; everything else here is only not understood.
 */
static int read_run(struct reader *r, const Criu__PagemapRun *run)
{
	const uint64_t pages = run->has_nr_pages ? run->nr_pages : run->compat_nr_pages;
	const uint64_t page_size = r->b->page_size;
	uint64_t length;
	int ret;

	if (run->base.n_unknown_fields)
		return plan_eager(r->b, r->o, "its pagemap at %#" PRIx64 " has something that is not known", run->vaddr);
	if (run->in_parent || (run->has_flags && (run->flags & ~FLAG_LAZY) != FLAG_PRESENT))
		return plan_eager(r->b, r->o, "its pagemap at %#" PRIx64 " has flags %#" PRIx32
				  " and not just bytes in this image", run->vaddr, run->flags | run->in_parent);
	if (!pages || pages > UINT32_MAX)
		return plan_eager(r->b, r->o, "its pagemap at %#" PRIx64 " has %" PRIu64 " pages", run->vaddr, pages);
	if (run->vaddr & (page_size - 1))
		return plan_eager(r->b, r->o, "its pagemap at %#" PRIx64 " is not at a page", run->vaddr);
	length = pages * page_size;
	if (run->vaddr > r->limit || length > r->limit - run->vaddr)
		return plan_damaged(r->b, r->o, "its pagemap at %#" PRIx64 " goes beyond its size of %" PRIu64 " bytes",
				    run->vaddr, r->o->size);
	if (run->vaddr < r->end)
		return plan_eager(r->b, r->o, "its pagemap at %#" PRIx64 " is not sorted", run->vaddr);

	ret = add_extent(r, run->vaddr, length);
	r->end = run->vaddr + length;
	r->o->bytes += length;
	return ret;
}

/*
 * The errors end in set, and are not those of the image set: the caller makes a reason of them. *whole is false when
 * the pagemap has something that is not understood, so that bytes is not what pages-N.img should have.
 */
static int read_runs(struct reader *r, struct image *img, bool *whole)
{
	ProtobufCMessage *message;
	int ret;

	*whole = false;
	ret = image_next(img, &criu__pagemap_head__descriptor, &message);
	if (!ret)
		return image_fail(img->set, -EBADMSG, "%s: has no head", img->name);
	if (ret < 0)
		return ret;
	r->o->pages_id = ((Criu__PagemapHead *)message)->pages_id;
	if (!r->o->pages_id || message->n_unknown_fields) {
		image_free(message);
		return image_fail(img->set, -ENOTSUP, "%s: head is not understood", img->name);
	}
	image_free(message);

	while ((ret = image_next(img, &criu__pagemap_run__descriptor, &message)) == 1) {
		const uint64_t end = r->end;

		ret = read_run(r, (Criu__PagemapRun *)message);
		image_free(message);
		if (ret)
			return ret;
		if (r->end == end)	/* refused */
			return 0;
	}
	*whole = !ret;
	return ret;
}

/*
 * CRIU ignores that a page cannot be read: do_restore_shmem_content() drops the result of read_pages(), and a pages file
 * that is cut or gone gives zeros. Nor can it notice runs that are missing at the end of the pagemap, as a cut between two
 * records leaves it, or the killed daemon of a lazy restore. Both show in the size of the pages file, which CRIU writes
 * anew for each pagemap and never longer than this says.
 */
static int check_pages(struct plan_build *b, struct plan_object *o)
{
	struct stat st;
	char name[32];

	snprintf(name, sizeof(name), "pages-%" PRIu32 ".img", o->pages_id);
	if (fstatat(b->set.dirfd, name, &st, AT_SYMLINK_NOFOLLOW)) {
		if (errno != ENOENT)
			return plan_eager(b, o, "%s: cannot be read: %s", name, strerror(errno));
		return o->bytes ? plan_damaged(b, o, "%s with %" PRIu64 " bytes of it is missing", name, o->bytes)
				: plan_eager(b, o, "it has no bytes in the image");
	}
	if (!S_ISREG(st.st_mode))
		return plan_eager(b, o, "%s: is not a regular file", name);
	if ((uint64_t)st.st_size < o->bytes)
		return plan_damaged(b, o, "%s is cut: it has %" PRIu64 " of %" PRIu64 " bytes", name,
				    (uint64_t)st.st_size, o->bytes);
	if ((uint64_t)st.st_size > o->bytes)
		return plan_damaged(b, o, "%s has %" PRIu64 " bytes but its pagemap only %" PRIu64, name,
				    (uint64_t)st.st_size, o->bytes);
	if (!o->bytes)
		return plan_eager(b, o, "it has no bytes in the image");
	return 0;
}

static void drop_extents(struct plan_build *b, struct plan_object *o)
{
	b->extents_left += o->n_extents;
	free(o->extents);
	o->extents = NULL;
	o->n_extents = 0;
}

/*
 * A pagemap that is missing, has foreign magics or ends within a record makes CRIU's restore fail (open_page_read() and
 * init_pagemaps() return errors that restore_memfd_shmem_content() passes on), so an eager object is safe then.
 */
int plan_build_pages(struct plan_build *b, struct plan_object *o)
{
	struct reader r = { .b = b, .o = o };
	char text[160] = "", name[40];
	struct image_set quiet = { .dirfd = b->set.dirfd, .error = text, .error_size = sizeof(text) };
	struct image img;
	bool whole = false;
	int ret;

	/* CRIU writes no pagemap for an empty one; of two that share theirs nobody knows whose it is */
	if (!o->size || o->size > INT64_MAX - b->page_size || o->damaged)
		return 0;
	r.limit = (o->size + b->page_size - 1) & ~(b->page_size - 1);

	plan_pagemap_name(o, name, sizeof(name));
	ret = image_open(&img, &quiet, IMAGE_MAGIC_PAGEMAP, "%s", name);
	if (!ret) {
		ret = read_runs(&r, &img, &whole);
		image_close(&img);
	}
	if (ret == -ENOMEM)
		return image_fail(&b->set, ret, "%s: out of memory", name);
	if (ret)
		ret = plan_eager(b, o, "%s", text);
	else if (whole)
		ret = check_pages(b, o);
	if (!whole)
		o->bytes = 0;
	if (o->eager)
		drop_extents(b, o);
	return ret;
}
