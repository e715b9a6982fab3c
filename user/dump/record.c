// SPDX-License-Identifier: GPL-2.0-only
/* Filling messages. */
#include "dump/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/process.h"
#include "image/layout.h"
#include "image/meta.h"

static int set_bytes(ProtobufCBinaryData *bytes, const void *data, size_t size)
{
	bytes->data = malloc(size + !size);
	if (!bytes->data)
		return -ENOMEM;
	memcpy(bytes->data, data, size);
	bytes->len = size;
	return 0;
}

static Memfdcr__Process *record_process(pid_t pid)
{
	Memfdcr__Process *p = malloc(sizeof(*p));
	char name[32];

	if (!p)
		return NULL;
	memfdcr__process__init(p);
	p->pid = pid;
	p->parent = process_parent(pid);
	process_name(pid, name, sizeof(name));
	if (set_bytes(&p->name, name, strlen(name))) {
		free(p);
		return NULL;
	}
	return p;
}

static int record_processes(Memfdcr__Image *image, pid_t tree)
{
	struct process_list list;
	int ret = process_tree(tree, &list);
	size_t i;

	if (ret)
		return ret;
	image->processes = calloc(list.n, sizeof(*image->processes));
	if (!image->processes)
		ret = -ENOMEM;
	for (i = 0; !ret && i < list.n; i++) {
		image->processes[i] = record_process(list.v[i].pid);
		if (!image->processes[i])
			ret = -ENOMEM;
		else
			image->n_processes++;
	}
	process_list_free(&list);
	return ret;
}

Memfdcr__Image *record_image(pid_t tree)
{
	Memfdcr__Image *image = malloc(sizeof(*image));
	uint8_t id[LAYOUT_ID];

	if (!image)
		return NULL;
	memfdcr__image__init(image);
	image->time = time(NULL);
	image->tree = tree;
	/* so few bytes come at once or, before the machine has any randomness, later */
	if (getrandom(id, sizeof(id), 0) != sizeof(id) || set_bytes(&image->id, id, sizeof(id)) ||
	    record_processes(image, tree)) {
		meta_free(image);
		return NULL;
	}
	return image;
}

static Memfdcr__Descriptor *record_descriptor(const struct holder *h)
{
	Memfdcr__Descriptor *d = malloc(sizeof(*d));

	if (!d)
		return NULL;
	memfdcr__descriptor__init(d);
	d->fd = h->fd;
	d->flags = h->flags;
	d->position = h->position;
	d->has_cloexec = d->cloexec = h->cloexec;
	return d;
}

static Memfdcr__Mapping *record_mapping(const struct holder *h)
{
	Memfdcr__Mapping *m = malloc(sizeof(*m));

	if (!m)
		return NULL;
	memfdcr__mapping__init(m);
	m->start = h->start;
	m->end = h->end;
	m->offset = h->offset;
	m->prot = h->prot;
	m->has_shared = m->shared = h->shared;
	m->has_locked = m->locked = h->locked;
	m->has_may_write = m->may_write = h->may_write;
	return m;
}

static Memfdcr__Holder *record_holder(const struct holder *from)
{
	Memfdcr__Holder *h = malloc(sizeof(*h));

	if (!h)
		return NULL;
	memfdcr__holder__init(h);
	h->pid = from->pid;
	h->tid = from->tid;
	h->has_tid = !!from->tid;
	h->has_outside = h->outside = from->outside;
	h->file_id = from->file_id;
	if (from->is_mapping)
		h->mapping = record_mapping(from);
	else
		h->descriptor = record_descriptor(from);
	if (!h->mapping && !h->descriptor) {
		free(h);
		return NULL;
	}
	return h;
}

static int record_holders(Memfdcr__Object *record, const struct object *o)
{
	size_t i;

	record->holders = calloc(o->n_holders + 1, sizeof(*record->holders));
	if (!record->holders)
		return -ENOMEM;
	for (i = 0; i < o->n_holders; i++) {
		record->holders[i] = record_holder(&o->holders[i]);
		if (!record->holders[i])
			return -ENOMEM;
		record->n_holders++;
	}
	return 0;
}

Memfdcr__Object *record_object(const struct object *o)
{
	Memfdcr__Object *r = malloc(sizeof(*r));

	if (!r)
		return NULL;
	memfdcr__object__init(r);
	r->id = o->id;
	r->kind = o->kind;
	r->dev = o->dev;
	r->ino = o->ino;
	r->generation = o->generation;
	r->size = o->size;
	r->allocated = o->allocated;
	r->swapped = o->swapped;
	r->page_size = o->page_size;
	r->has_seals = o->has_seals;
	r->seals = o->seals;
	r->has_sealing_allowed = r->sealing_allowed = o->sealing_allowed;
	r->has_noexec = r->noexec = o->noexec;
	r->has_hugetlb = r->hugetlb = o->hugetlb;
	r->mode = o->mode;
	r->uid = o->uid;
	r->gid = o->gid;
	r->unexplained = o->unexplained;
	r->has_name = !!o->name;
	if ((o->name && set_bytes(&r->name, o->name, strlen(o->name))) || record_holders(r, o)) {
		memfdcr__object__free_unpacked(r, NULL);
		return NULL;
	}
	return r;
}

int record_runs(Memfdcr__Object *r, const struct extents *extents)
{
	uint64_t limit = (r->size + r->page_size - 1) & ~(r->page_size - 1), at = 0;
	bool allocated = false;
	size_t i;

	/* one more for the hole that may be first */
	r->runs = calloc(extents->n + 1, sizeof(*r->runs));
	if (!r->runs)
		return -ENOMEM;
	for (i = 0; i < extents->n && at < limit; i++) {
		const struct extent *e = &extents->v[i];
		bool is = e->state != MEMFDCR_EXTENT_HOLE;

		if (!r->n_runs || is != allocated) {
			/* the first is a hole, if only of no pages */
			r->n_runs += r->n_runs || !is ? 1 : 2;
			allocated = is;
		}
		at = e->end < limit ? e->end : limit;
		r->runs[r->n_runs - 1] += (at - e->start) / LAYOUT_PAGE;
	}
	return at < limit ? -ENODATA : 0;
}

int record_refusal(Memfdcr__Object *r, const char *why)
{
	r->refused = strdup(why);
	return r->refused ? 0 : -ENOMEM;
}
