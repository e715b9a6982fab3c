// SPDX-License-Identifier: GPL-2.0-only
/* Pairing objects with the parent's, verifying what is taken from it, and naming the images that it is in. */
#include "dump/parent.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/explain.h"
#include "image/label.h"
#include "image/layout.h"
#include "image/path.h"

static bool same_name(const Memfdcr__Object *a, const Memfdcr__Object *b)
{
	return a->has_name == b->has_name && a->name.len == b->name.len &&
	       (!a->name.len || !memcmp(a->name.data, b->name.data, a->name.len));
}

const Memfdcr__Object *parent_object(const struct imgdir *parent, const Memfdcr__Object *o)
{
	const Memfdcr__Object *alike = NULL;
	size_t i;

	for (i = 0; i < parent->image->n_objects; i++) {
		const Memfdcr__Object *p = parent->image->objects[i];

		if (p->kind != o->kind || !same_name(p, o))
			continue;
		if (p->dev == o->dev && p->ino == o->ino && p->generation == o->generation)
			return p;
		/* after a restore it is another one with the same name and size */
		if (p->size == o->size && !alike)
			alike = p;
	}
	return alike;
}

/*
 * Before anybody is stopped. The chain may turn out to be shorter, if all that the oldest have has changed, but that is
 * known only when all has been copied.
 */
int parent_check(const struct imgdir *parent, char *error, size_t error_size)
{
	if (parent->image->n_ancestors < LAYOUT_ANCESTORS)
		return 0;
	return explain(-EMLINK, error, error_size, "%s builds on %d images already: dump without --parent", parent->path,
		       LAYOUT_ANCESTORS);
}

static bool is_still(const char *path, int fd)
{
	char *name = NULL;
	struct stat there, ours;
	bool still;

	still = asprintf(&name, "%s/" LAYOUT_DATA, path) >= 0 && !stat(name, &there) && !fstat(fd, &ours) &&
		there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
	free(name);
	return still;
}

/* file number of a chunk, as copy_run() makes them -> number in the new image; 0: not used */
static size_t number_files(const Memfdcr__Image *image, uint32_t *numbers)
{
	size_t used = 0, i, k;

	for (i = 0; i < image->n_objects; i++)
		for (k = 0; k < image->objects[i]->n_chunks; k++) {
			uint32_t *file = &image->objects[i]->files[k];

			if (*file && !numbers[*file])
				numbers[*file] = ++used;
			*file = numbers[*file];
		}
	return used;
}

static int set_bytes(ProtobufCBinaryData *to, const ProtobufCBinaryData *from)
{
	to->data = malloc(from->len);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, from->data, from->len);
	to->len = from->len;
	return 0;
}

/* file 1 is the parent itself, file N + 1 what the parent calls file N */
static Memfdcr__Ancestor *new_ancestor(const struct imgdir *parent, uint32_t file, const char *directory)
{
	const Memfdcr__Ancestor *from = file > 1 ? parent->image->ancestors[file - 2] : NULL;
	Memfdcr__Ancestor *a = malloc(sizeof(*a));
	char *data = strdup(parent->files[file - 1].path), *path = NULL, *relative = NULL;

	if (a)
		memfdcr__ancestor__init(a);
	/* the parent's own name for it may lead over links and dots */
	if (a && data)
		path = realpath(dirname(data), NULL);
	/* nor be what it was when it was opened */
	if (path && !is_still(path, parent->files[file - 1].fd))
		errno = ESTALE;
	else if (path)
		relative = path_relative(directory, path);
	if (!relative || set_bytes(&a->id, from ? &from->id : &parent->image->id)) {
		free(relative);
		free(a);
		a = NULL;
	} else {
		a->path.data = (uint8_t *)relative;
		a->path.len = strlen(relative);
		a->data_pages = from ? from->data_pages : parent->image->data_pages;
	}
	free(path);
	free(data);
	return a;
}

int parent_name_files(Memfdcr__Image *image, const struct imgdir *parent, const char *directory, char *error,
		      size_t error_size)
{
	size_t n_files = parent->image->n_ancestors + 2, used, i;
	uint32_t *numbers = calloc(n_files, sizeof(*numbers));
	int ret = 0;

	if (!numbers)
		return explain(-ENOMEM, error, error_size, "out of memory");
	used = number_files(image, numbers);
	image->ancestors = calloc(used + 1, sizeof(*image->ancestors));
	if (!image->ancestors)
		ret = -ENOMEM;
	for (i = 1; !ret && i < n_files; i++)
		if (numbers[i]) {
			image->ancestors[numbers[i] - 1] = new_ancestor(parent, i, directory);
			if (!image->ancestors[numbers[i] - 1])
				ret = -errno;
		}
	/* all or none: the numbers are not in the order of the files */
	if (!ret)
		image->n_ancestors = used;
	else
		for (i = 0; image->ancestors && i < used; i++)
			if (image->ancestors[i])
				memfdcr__ancestor__free_unpacked(image->ancestors[i], NULL);
	free(numbers);
	if (ret == -ESTALE)
		return explain(ret, error, error_size, "%s, or what it builds on, was moved meanwhile", parent->path);
	return ret ? explain(ret, error, error_size, "cannot name what %s builds on: %s", parent->path, strerror(-ret)) : 0;
}

/* reads what object o takes from the parent; files are numbered as copy_run() does. As parent_verify(). */
static int verify_object(const Memfdcr__Object *o, const struct imgdir *numbered, uint8_t *buffer,
			 bool (*interrupted)(void *data), void *data, char *error, size_t error_size)
{
	char label[LABEL_SIZE];
	size_t i;
	int ret;

	for (i = 0; i < o->n_chunks; i++) {
		if (!o->files[i])
			continue;
		if (interrupted(data))
			return explain(-EINTR, error, error_size, "interrupted");
		ret = imgdir_read(numbered, o, i, buffer);
		if (ret)
			return explain(ret, error, error_size, "%s byte %" PRIu64 ", where the content of %s has not changed, "
				       "%s%s: dump without --parent", numbered->files[o->files[i]].path,
				       o->places[i] * LAYOUT_PAGE, label_object(o, label),
				       ret == -EBADMSG ? "is damaged" : "cannot be read: ",
				       ret == -EBADMSG ? "" : ret == -ENODATA ? "the file is cut" : strerror(-ret));
	}
	return 0;
}

int parent_verify(const Memfdcr__Image *image, const struct imgdir *parent, bool (*interrupted)(void *data), void *data,
		  char *error, size_t error_size)
{
	size_t n = parent->image->n_ancestors + 1, i;
	struct imgdir numbered = { .files = calloc(n + 1, sizeof(*numbered.files)) };
	uint8_t *buffer = malloc(LAYOUT_CHUNK);
	int ret = 0;

	if (!numbered.files || !buffer)
		ret = explain(-ENOMEM, error, error_size, "out of memory");
	else
		memcpy(numbered.files + 1, parent->files, n * sizeof(*numbered.files));
	for (i = 0; !ret && i < image->n_objects; i++)
		ret = verify_object(image->objects[i], &numbered, buffer, interrupted, data, error, error_size);
	free(buffer);
	free(numbered.files);
	return ret;
}
