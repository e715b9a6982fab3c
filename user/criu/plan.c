// SPDX-License-Identifier: GPL-2.0-only
/* The plan of a restore: which objects of an image set can be restored lazily, and why the others cannot. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "criu/build.h"
#include "criu/images.pb-c.h"

/* inventory's img_version since CRIU 1.7: every image but the inventory begins with a common magic */
#define IMG_VERSION 2

/* 24 bytes each; this many belong to 32 GiB of which every other page is a hole */
#define MAX_EXTENTS (4u << 20)

static int set_reason(struct plan_build *b, struct plan_object *o, const char *fmt, va_list args)
{
	char *reason;

	if (vasprintf(&reason, fmt, args) < 0)
		return image_fail(&b->set, -ENOMEM, "out of memory");
	free(o->eager);
	o->eager = reason;
	return 0;
}

int plan_eager(struct plan_build *b, struct plan_object *o, const char *fmt, ...)
{
	va_list args;
	int ret;

	if (o->eager)
		return 0;
	va_start(args, fmt);
	ret = set_reason(b, o, fmt, args);
	va_end(args);
	return ret;
}

int plan_damaged(struct plan_build *b, struct plan_object *o, const char *fmt, ...)
{
	va_list args;
	int ret;

	if (o->damaged)
		return 0;
	va_start(args, fmt);
	ret = set_reason(b, o, fmt, args);
	va_end(args);
	if (!ret)
		o->damaged = true;
	return ret;
}

void *plan_grow(struct plan_build *b, void *array, size_t n, size_t size)
{
	void *grown;

	/* it is full when n is 0 or a power of two from 4 on */
	if (n && (n < 4 || n & (n - 1)))
		return array;
	grown = reallocarray(array, n ? n * 2 : 4, size);
	if (!grown)
		image_fail(&b->set, -ENOMEM, "out of memory");
	return grown;
}

static int check_inventory(struct plan_build *b)
{
	ProtobufCMessage *message;
	const Criu__Inventory *inventory;
	int ret;

	ret = image_read_one(&b->set, IMAGE_MAGIC_INVENTORY, &criu__inventory__descriptor, &message, "inventory.img");
	if (ret)
		return ret;
	inventory = (Criu__Inventory *)message;
	if (inventory->img_version != IMG_VERSION)
		ret = image_fail(&b->set, -ENOTSUP, "inventory.img: unknown version %" PRIu32 " of the images",
				 inventory->img_version);
	else if (!inventory->fdinfo_per_id)
		ret = image_fail(&b->set, -ENOTSUP, "inventory.img: is of an old format");
	image_free(message);
	return ret;
}

/* CRIU names an object's pagemap after its inode number, also when two file systems have the same */
static int check_shmids(struct plan_build *b)
{
	size_t i;
	int ret = 0;

	for (i = 1; i < b->n_shmids && !ret; i++) {
		struct plan_object *o = &b->plan->objects[b->shmids[i].object];
		struct plan_object *before = &b->plan->objects[b->shmids[i - 1].object];

		if (o->shmid != before->shmid)
			continue;
		ret = plan_damaged(b, o, "it shares pagemap-shmem-%" PRIu32 ".img with another object", o->shmid);
		if (!ret)
			ret = plan_damaged(b, before, "it shares pagemap-shmem-%" PRIu32 ".img with another object",
					   o->shmid);
	}
	return ret;
}

static int by_start(const void *a, const void *b)
{
	const struct plan_mapping *const *x = a, *const *y = b;

	return ((*x)->start > (*y)->start) - ((*x)->start < (*y)->start);
}

/*
 * CRIU gives a child the private mappings that its parent has at the same addresses, and writes a page that is the
 * child's own only where it differs from what is there (restore_priv_vma_content()). While the object's content is
 * hidden, zeros are there: a page of zeros that is the child's own would not be written, and become the object's
 * again.
 */
static int check_private(struct plan_build *b, struct plan_object *o)
{
	const struct plan_mapping **sorted;
	size_t i, n = 0;
	int ret = 0;

	if (o->eager || !o->n_mappings)
		return 0;
	sorted = malloc(o->n_mappings * sizeof(*sorted));
	if (!sorted)
		return image_fail(&b->set, -ENOMEM, "out of memory");
	for (i = 0; i < o->n_mappings; i++)
		if (o->mappings[i].is_private)
			sorted[n++] = &o->mappings[i];
	qsort(sorted, n, sizeof(*sorted), by_start);
	for (i = 1; i < n && !ret; i++)
		if (sorted[i]->start == sorted[i - 1]->start)
			ret = plan_eager(b, o, "tasks %" PRIu32 " and %" PRIu32 " both map it privately at %#" PRIx64,
					 sorted[i - 1]->pid, sorted[i]->pid, sorted[i]->start);
	free(sorted);
	return ret;
}

static int check_references(struct plan_build *b, const struct plan_options *options)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < b->n_files && !ret; i++)
		/* something has it that we have not read */
		if (!b->files[i].mapped)
			ret = plan_eager(b, plan_file_object(b, &b->files[i]), "its file %" PRIu32
					 " is in use, but not by a mapping", b->files[i].id);

	for (i = 0; i < b->plan->n_objects && !ret; i++) {
		struct plan_object *o = &b->plan->objects[i];

		if (!o->n_mappings)
			ret = plan_eager(b, o, "no task maps it");
		else if (o->size < options->min_size)
			ret = plan_eager(b, o, "it is smaller than %" PRIu64 " bytes", options->min_size);
		if (!ret)
			ret = check_private(b, o);
	}
	return ret;
}

static int by_pages_id(const void *a, const void *b)
{
	const struct plan_object *const *x = a, *const *y = b;

	return ((*x)->pages_id > (*y)->pages_id) - ((*x)->pages_id < (*y)->pages_id);
}

static void make_eager_again(struct plan_object *o)
{
	free(o->extents);
	o->extents = NULL;
	o->n_extents = 0;
}

static int check_pages_ids(struct plan_build *b)
{
	const size_t n = b->plan->n_objects;
	struct plan_object **sorted;
	size_t i;
	int ret = 0;

	sorted = malloc(n * sizeof(*sorted));
	if (!sorted)
		return image_fail(&b->set, -ENOMEM, "out of memory");
	for (i = 0; i < n; i++)
		sorted[i] = &b->plan->objects[i];
	qsort(sorted, n, sizeof(*sorted), by_pages_id);
	for (i = 1; i < n && !ret; i++) {
		struct plan_object *o = sorted[i], *before = sorted[i - 1];

		if (!o->pages_id || o->pages_id != before->pages_id)
			continue;
		ret = plan_eager(b, o, "it shares pages-%" PRIu32 ".img with another object", o->pages_id);
		if (!ret)
			ret = plan_eager(b, before, "it shares pages-%" PRIu32 ".img with another object", o->pages_id);
		make_eager_again(o);
		make_eager_again(before);
	}
	free(sorted);
	return ret;
}

static int build(struct plan_build *b, const struct plan_options *options)
{
	size_t i;
	int ret;

	ret = check_inventory(b);
	if (!ret)
		ret = plan_build_objects(b);
	if (!ret)
		ret = plan_build_tree(b);
	if (ret || !b->plan->n_objects)
		return ret;

	ret = check_shmids(b);
	if (!ret)
		ret = check_references(b, options);
	/* also of objects that are eager by now: a damaged one must be found in any case */
	for (i = 0; i < b->plan->n_objects && !ret; i++)
		ret = plan_build_pages(b, &b->plan->objects[i]);
	return ret ? ret : check_pages_ids(b);
}

int plan_read(int dirfd, const struct plan_options *options, struct plan **out, char *error, size_t error_size)
{
	struct plan_build b = {
		.set = { .dirfd = dirfd, .error = error, .error_size = error_size },
		.page_size = sysconf(_SC_PAGESIZE),
		.extents_left = MAX_EXTENTS,
	};
	int ret;

	if (error_size)
		error[0] = '\0';
	b.plan = calloc(1, sizeof(*b.plan));
	ret = b.plan ? build(&b, options) : image_fail(&b.set, -ENOMEM, "out of memory");
	free(b.files);
	free(b.shmids);
	if (ret) {
		plan_free(b.plan);
		return ret;
	}
	/* a file that may be missing has left its sentence */
	if (error_size)
		error[0] = '\0';
	*out = b.plan;
	return 0;
}

void plan_free(struct plan *plan)
{
	size_t i;

	if (!plan)
		return;
	for (i = 0; i < plan->n_objects; i++) {
		free(plan->objects[i].name);
		free(plan->objects[i].eager);
		free(plan->objects[i].extents);
		free(plan->objects[i].mappings);
	}
	free(plan->objects);
	free(plan);
}

void plan_pagemap_name(const struct plan_object *o, char *name, size_t size)
{
	snprintf(name, size, "pagemap-shmem-%" PRIu32 ".img", o->shmid);
}
