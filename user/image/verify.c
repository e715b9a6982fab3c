// SPDX-License-Identifier: GPL-2.0-only
/* Compares all that is stored with its checksums. */
#include "image/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>

#include "image/layout.h"

/* damage that may go on in the next chunk */
struct finder {
	struct damage damage;
	bool pending;
	void (*found)(void *data, const struct damage *damage);
	void *data;
};

static void flush(struct finder *f)
{
	if (f->pending)
		f->found(f->data, &f->damage);
	f->pending = false;
}

static void add(struct finder *f, const struct damage *d)
{
	if (f->pending && f->damage.object == d->object && f->damage.end == d->start && f->damage.file == d->file &&
	    f->damage.error == d->error) {
		f->damage.end = d->end;
		return;
	}
	flush(f);
	f->damage = *d;
	f->pending = true;
}

static void verify_object(const struct imgdir *dir, size_t object, uint8_t *buffer, struct finder *f)
{
	const Memfdcr__Object *o = dir->image->objects[object];
	size_t i;

	for (i = 0; i < o->n_chunks; i++) {
		uint64_t start = o->chunks[i] * LAYOUT_CHUNK;
		struct damage d = {
			.object = object,
			.start = start,
			.end = o->size - start < LAYOUT_CHUNK ? o->size : start + LAYOUT_CHUNK,
			.file = dir->files[o->files[i]].path,
			.offset = o->places[i] * LAYOUT_PAGE,
			.error = imgdir_read(dir, o, i, buffer),
		};

		if (d.error)
			add(f, &d);
	}
	flush(f);
}

int verify_data(const struct imgdir *dir, void (*found)(void *data, const struct damage *damage), void *data)
{
	struct finder f = { .found = found, .data = data };
	uint8_t *buffer = malloc(LAYOUT_CHUNK);
	size_t i;

	if (!buffer)
		return -ENOMEM;
	for (i = 0; i < dir->image->n_ancestors + 1; i++)
		posix_fadvise(dir->files[i].fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	for (i = 0; i < dir->image->n_objects; i++)
		verify_object(dir, i, buffer, &f);
	free(buffer);
	return 0;
}
