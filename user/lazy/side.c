// SPDX-License-Identifier: GPL-2.0-only
/* Making sides: messages of an image back into what the module tells, and processes from /proc. */
#include "lazy/side.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/process.h"

static struct holder holder_of(const Memfdcr__Holder *from)
{
	struct holder h = { .pid = from->pid, .tid = from->tid, .outside = from->outside, .file_id = from->file_id };

	if (from->descriptor) {
		h.fd = from->descriptor->fd;
		h.flags = from->descriptor->flags;
		h.position = from->descriptor->position;
		h.cloexec = from->descriptor->cloexec;
	} else if (from->mapping) {
		h.is_mapping = true;
		h.start = from->mapping->start;
		h.end = from->mapping->end;
		h.offset = from->mapping->offset;
		h.prot = from->mapping->prot;
		h.shared = from->mapping->shared;
		h.locked = from->mapping->locked;
		h.may_write = from->mapping->may_write;
	}
	return h;
}

static int object_of(const Memfdcr__Object *from, struct object *o)
{
	struct holder *holders = calloc(from->n_holders + 1, sizeof(*holders));
	size_t i;

	*o = (struct object){
		.id = from->id, .dev = from->dev, .ino = from->ino, .generation = from->generation, .kind = from->kind,
		.size = from->size, .allocated = from->allocated, .swapped = from->swapped, .page_size = from->page_size,
		.has_seals = from->has_seals, .seals = from->seals, .sealing_allowed = from->sealing_allowed,
		.noexec = from->noexec, .hugetlb = from->hugetlb, .mode = from->mode, .uid = from->uid, .gid = from->gid,
		.unexplained = from->unexplained, .holders = holders, .n_holders = from->n_holders,
	};
	if (!holders)
		return -ENOMEM;
	for (i = 0; i < from->n_holders; i++)
		holders[i] = holder_of(from->holders[i]);
	if (!from->has_name)
		return 0;
	o->name = strndup((const char *)from->name.data, from->name.len);
	return o->name ? 0 : -ENOMEM;
}

int side_of_image(const Memfdcr__Image *image, struct side *side)
{
	int ret = 0;
	size_t i;

	*side = (struct side){
		.objects = calloc(image->n_objects + 1, sizeof(*side->objects)),
		.records = calloc(image->n_objects + 1, sizeof(*side->records)),
		.members = calloc(image->n_processes + 1, sizeof(*side->members)),
		.n_members = image->n_processes,
	};
	if (!side->objects || !side->records || !side->members)
		ret = -ENOMEM;
	for (i = 0; !ret && i < image->n_objects; i++) {
		if (image->objects[i]->refused)
			continue;
		side->records[side->n_objects] = image->objects[i];
		ret = object_of(image->objects[i], &side->objects[side->n_objects++]);
	}
	for (i = 0; !ret && i < image->n_processes; i++) {
		const Memfdcr__Process *p = image->processes[i];
		struct member *m = &side->members[i];

		m->pid = p->pid;
		m->parent = p->parent;
		snprintf(m->name, sizeof(m->name), "%.*s", p->name.len < sizeof(m->name) ? (int)p->name.len :
			 (int)sizeof(m->name) - 1, (const char *)p->name.data);
	}
	if (ret)
		side_free(side);
	return ret;
}

int side_of_tree(uint32_t root, const struct snapshot *snapshot, struct side *side)
{
	struct process_list tree;
	int ret = process_tree((pid_t)root, &tree);
	size_t i;

	*side = (struct side){ 0 };
	if (ret)
		return ret;
	side->members = calloc(tree.n, sizeof(*side->members));
	if (!side->members)
		ret = -ENOMEM;
	for (i = 0; !ret && i < tree.n; i++) {
		struct member *m = &side->members[side->n_members++];

		m->pid = (uint32_t)tree.v[i].pid;
		m->parent = (uint32_t)process_parent(tree.v[i].pid);
		process_name(tree.v[i].pid, m->name, sizeof(m->name));
	}
	process_list_free(&tree);
	side->objects = snapshot->objects;
	side->n_objects = snapshot->n_objects;
	return ret;
}

void side_free(struct side *side)
{
	size_t i;

	/* those of a tree are the snapshot's */
	for (i = 0; side->records && i < side->n_objects; i++) {
		free(side->objects[i].name);
		free((void *)side->objects[i].holders);
	}
	if (side->records)
		free(side->objects);
	free(side->records);
	free(side->members);
	*side = (struct side){ 0 };
}

const struct member *side_member(const struct side *side, uint32_t pid)
{
	size_t i;

	for (i = 0; i < side->n_members; i++)
		if (side->members[i].pid == pid)
			return &side->members[i];
	return NULL;
}
