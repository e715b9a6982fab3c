// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairing: what --map says, then what is alone of its name and size, then by holders, from the surest likeness to the least.
 *
 * A likeness counts only where it leaves one choice on both sides: what two objects claim, or what is like two, stays open.
 * What is open in the end is an error, because a wrong pair would be somebody else's bytes.
 */
#include "lazy/pairing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/explain.h"
#include "common/names.h"

#define OPEN SIZE_MAX
#define MAX_SHOWN 8

struct pairing {
	const struct side *image, *tree;
	size_t *pairs;
	bool *taken;		/* of the tree's objects */
	size_t *same;		/* of the image's processes: its place among the tree's; OPEN: none */
	char *error;
	size_t error_size;
};

/* --- processes --- */

/* the children of members[parent] with this name; the number-th of them, or if there are not so many OPEN */
static size_t named_child(const struct side *s, size_t parent, const char *name, size_t number, size_t *n)
{
	size_t i, found = OPEN;

	*n = 0;
	for (i = 0; i < s->n_members; i++) {
		if (i == parent || s->members[i].parent != s->members[parent].pid || strcmp(s->members[i].name, name))
			continue;
		if ((*n)++ == number)
			found = i;
	}
	return found;
}

/* the first of a name is the first of that name, if there are as many; who is called otherwise now, nobody can know */
static void pair_children(struct pairing *p, size_t parent)
{
	const struct side *image = p->image, *tree = p->tree;
	size_t i, n, n_there, before;

	for (i = 0; i < image->n_members; i++) {
		const struct member *m = &image->members[i];

		if (i == parent || m->parent != image->members[parent].pid)
			continue;
		for (before = 0; named_child(image, parent, m->name, before, &n) != i; before++)
			;
		p->same[i] = named_child(tree, p->same[parent], m->name, before, &n_there);
		if (n != n_there)
			p->same[i] = OPEN;
	}
}

static void pair_processes(struct pairing *p)
{
	size_t i;

	for (i = 0; i < p->image->n_members; i++)
		p->same[i] = OPEN;
	if (!p->image->n_members || !p->tree->n_members)
		return;
	p->same[0] = 0;
	for (i = 0; i < p->image->n_members; i++)
		if (p->same[i] != OPEN)
			pair_children(p, i);
}

/* the pid in the tree of a process of the image; 0: none */
static uint32_t same_pid(const struct pairing *p, uint32_t pid)
{
	const struct member *m = side_member(p->image, pid);

	if (!m || p->same[m - p->image->members] == OPEN)
		return 0;
	return p->tree->members[p->same[m - p->image->members]].pid;
}

/* --- likeness --- */

static bool same_shape(const struct object *a, const struct object *b)
{
	return a->size == b->size && a->page_size == b->page_size;
}

static bool same_name(const struct object *a, const struct object *b)
{
	return a->kind == b->kind && !a->name == !b->name && (!a->name || !strcmp(a->name, b->name));
}

static bool alike(const struct object *a, const struct object *b)
{
	return same_name(a, b) && same_shape(a, b);
}

static bool mapped_alike(const struct holder *a, const struct holder *b)
{
	return a->offset == b->offset && a->end - a->start == b->end - b->start && a->shared == b->shared;
}

/* one process has both at the same place: address or descriptor */
static bool at_one_place(const struct pairing *p, const struct object *old, const struct object *new)
{
	size_t i, k;

	for (i = 0; i < old->n_holders; i++) {
		const struct holder *a = &old->holders[i];
		uint32_t pid = a->outside || a->tid ? 0 : same_pid(p, a->pid);

		for (k = 0; pid && k < new->n_holders; k++) {
			const struct holder *b = &new->holders[k];

			if (b->outside || b->tid || b->pid != pid || a->is_mapping != b->is_mapping)
				continue;
			if (a->is_mapping ? a->start == b->start && mapped_alike(a, b) : a->fd == b->fd)
				return true;
		}
	}
	return false;
}

/* how many holders of an object, in process pid, are like h; exact: not only of the same process */
static size_t count_like(const struct object *o, uint32_t pid, const struct holder *h, bool exact)
{
	size_t i, n = 0;

	for (i = 0; i < o->n_holders; i++) {
		const struct holder *other = &o->holders[i];

		if (other->outside || other->pid != pid)
			continue;
		if (!exact)
			return 1;
		n += other->is_mapping == h->is_mapping && (!h->is_mapping || mapped_alike(other, h));
	}
	return n;
}

static size_t count_inside(const struct object *o)
{
	size_t i, n = 0;

	for (i = 0; i < o->n_holders; i++)
		n += !o->holders[i].outside;
	return n;
}

/* the same processes have both: mapped in the same way and by as many descriptors, or in whatever way */
static bool held_alike(const struct pairing *p, const struct object *old, const struct object *new, bool exact)
{
	size_t i, k;

	if (!count_inside(old) || (exact && count_inside(old) != count_inside(new)))
		return false;
	for (i = 0; i < old->n_holders; i++) {
		const struct holder *h = &old->holders[i];
		uint32_t pid = h->outside ? 0 : same_pid(p, h->pid);

		if (!h->outside && (!pid || count_like(old, h->pid, h, exact) != count_like(new, pid, h, exact)))
			return false;
	}
	/* and nobody else */
	for (k = 0; k < new->n_holders; k++) {
		const struct holder *h = &new->holders[k];

		for (i = 0; !h->outside && i < old->n_holders; i++)
			if (!old->holders[i].outside && same_pid(p, old->holders[i].pid) == h->pid)
				break;
		if (!h->outside && i == old->n_holders)
			return false;
	}
	return true;
}

static bool at_one_place_like(const struct pairing *p, const struct object *old, const struct object *new)
{
	return alike(old, new) && at_one_place(p, old, new);
}

static bool mapped_like(const struct pairing *p, const struct object *old, const struct object *new)
{
	return alike(old, new) && held_alike(p, old, new, true);
}

static bool held_like(const struct pairing *p, const struct object *old, const struct object *new)
{
	return alike(old, new) && held_alike(p, old, new, false);
}

static bool named_like(const struct pairing *p, const struct object *old, const struct object *new)
{
	(void)p;
	return alike(old, new);
}

typedef bool likeness(const struct pairing *p, const struct object *old, const struct object *new);

/* --- pairs --- */

static void pair(struct pairing *p, size_t old, size_t new)
{
	p->pairs[old] = new;
	p->taken[new] = true;
}

/* the only one that is like it; OPEN: none, or several */
static size_t only_new(const struct pairing *p, size_t old, likeness *like)
{
	size_t i, found = OPEN;

	for (i = 0; i < p->tree->n_objects; i++) {
		if (p->taken[i] || !like(p, &p->image->objects[old], &p->tree->objects[i]))
			continue;
		if (found != OPEN)
			return OPEN;
		found = i;
	}
	return found;
}

static bool is_only_old(const struct pairing *p, size_t old, size_t new, likeness *like)
{
	size_t i;

	for (i = 0; i < p->image->n_objects; i++)
		if (i != old && p->pairs[i] == OPEN && like(p, &p->image->objects[i], &p->tree->objects[new]))
			return false;
	return true;
}

/* all that this likeness leaves no choice for; whatever that settles may leave others no choice */
static void pair_by(struct pairing *p, likeness *like)
{
	bool again = true;
	size_t i;

	while (again) {
		again = false;
		for (i = 0; i < p->image->n_objects; i++) {
			size_t new = p->pairs[i] == OPEN ? only_new(p, i, like) : OPEN;

			if (new == OPEN || !is_only_old(p, i, new, like))
				continue;
			pair(p, i, new);
			again = true;
		}
	}
}

/* --- errors --- */

__attribute__((format(printf, 2, 3))) static void add_line(struct pairing *p, const char *fmt, ...)
{
	size_t n = strlen(p->error);
	va_list args;

	va_start(args, fmt);
	vsnprintf(p->error + n, p->error_size - n, fmt, args);
	va_end(args);
}

/* like: memfd "ring" of 4096 bytes (4711:0x7f0000001000 of python3) */
static const char *describe(const struct side *s, const struct object *o, char text[512])
{
	const struct holder *h = o->n_holders ? &o->holders[0] : NULL;
	const struct member *m = h ? side_member(s, h->pid) : NULL;
	int n;

	n = snprintf(text, 512, "%s %s%.256s%sof %" PRIu64 " bytes", kind_name(o->kind), o->name ? "\"" : "",
		     o->name ? o->name : "", o->name ? "\" " : "", o->size);
	if (!h)
		snprintf(text + n, 512 - (size_t)n, " (ino:%" PRIu64 ")", o->ino);
	else if (h->is_mapping)
		snprintf(text + n, 512 - (size_t)n, " (%u:0x%" PRIx64 "%s%s)", h->pid, h->start, m ? " of " : "",
			 m ? m->name : "");
	else
		snprintf(text + n, 512 - (size_t)n, " (%u:%u%s%s)", h->pid, h->fd, m ? " of " : "", m ? m->name : "");
	return text;
}

static void show(struct pairing *p, const char *what, const struct side *s, size_t number, size_t *shown)
{
	char text[512];

	if (++*shown <= MAX_SHOWN)
		add_line(p, "\n  %s %s", what, describe(s, &s->objects[number], text));
	else if (*shown == MAX_SHOWN + 1)
		add_line(p, "\n  and more");
}

/* one of the image that could not be paired: why */
static int explain_open(struct pairing *p, size_t old)
{
	const struct object *o = &p->image->objects[old];
	size_t i, shown = 0, other = OPEN;
	char text[512], there[512];

	describe(p->image, o, text);
	for (i = 0; i < p->tree->n_objects; i++) {
		const struct object *t = &p->tree->objects[i];

		if (p->taken[i] || !same_name(o, t))
			continue;
		/* the one at its place, or else the first */
		if (!same_shape(o, t) && (other == OPEN || at_one_place(p, o, t)))
			other = i;
		if (!same_shape(o, t))
			continue;
		if (!shown)
			explain(0, p->error, p->error_size,
				"it is not clear what in the tree is the image's %s: say so with --map OLD=NEW", text);
		show(p, "may be", p->tree, i, &shown);
	}
	if (shown) {
		shown = 0;
		for (i = 0; i < p->image->n_objects; i++)
			if (i != old && p->pairs[i] == OPEN && alike(o, &p->image->objects[i]))
				show(p, "as may the image's", p->image, i, &shown);
		return -ENOTUNIQ;
	}
	if (other == OPEN)
		return explain(-ENOENT, p->error, p->error_size,
			       "the tree has no counterpart of the image's %s: make one before, or say with --map OLD=NEW what it is",
			       text);
	if (p->tree->objects[other].page_size != o->page_size)
		return explain(-EINVAL, p->error, p->error_size,
			       "the image's %s has pages of %" PRIu64 " bytes, its counterpart %s of %" PRIu64, text, o->page_size,
			       describe(p->tree, &p->tree->objects[other], there), p->tree->objects[other].page_size);
	return explain(-EINVAL, p->error, p->error_size, "the image's %s is of another size than its counterpart %s", text,
		       describe(p->tree, &p->tree->objects[other], there));
}

/* --- maps --- */

/* the one object that a selector means */
static int select_one(struct pairing *p, const struct selector *s, const struct side *side, const char *where, size_t *one)
{
	size_t i, shown = 0;

	*one = OPEN;
	for (i = 0; i < side->n_objects; i++) {
		if (!selector_matches(s, &side->objects[i]))
			continue;
		if (*one != OPEN && !shown) {
			explain(0, p->error, p->error_size, "--map: \"%s\" is more than one object %s", s->text, where);
			show(p, "it is", side, *one, &shown);
		}
		if (*one != OPEN)
			show(p, "and", side, i, &shown);
		*one = i;
	}
	if (*one == OPEN)
		return explain(-ENOENT, p->error, p->error_size, "--map: \"%s\" is nothing %s", s->text, where);
	return shown ? -ENOTUNIQ : 0;
}

static int take_map(struct pairing *p, const struct pairing_map *map)
{
	const struct object *a, *b;
	size_t old, new;
	int ret;

	ret = select_one(p, &map->old, p->image, "in the image", &old);
	if (!ret)
		ret = select_one(p, &map->new, p->tree, "that the processes hold", &new);
	if (ret)
		return ret;
	if (p->pairs[old] != OPEN || p->taken[new])
		return explain(-EEXIST, p->error, p->error_size, "--map: \"%s\" has a counterpart already",
			       p->taken[new] ? map->new.text : map->old.text);
	a = &p->image->objects[old];
	b = &p->tree->objects[new];
	if (!same_shape(a, b))
		return explain(-EINVAL, p->error, p->error_size, "--map: \"%s\" has %" PRIu64 " bytes in pages of %" PRIu64
			       ", \"%s\" %" PRIu64 " in pages of %" PRIu64, map->old.text, a->size, a->page_size, map->new.text,
			       b->size, b->page_size);
	pair(p, old, new);
	return 0;
}

static int make(struct pairing *p, const struct pairing_map *maps, size_t n_maps)
{
	size_t i;
	int ret;

	for (i = 0; i < n_maps; i++) {
		ret = take_map(p, &maps[i]);
		if (ret)
			return ret;
	}
	pair_processes(p);
	pair_by(p, named_like);
	pair_by(p, at_one_place_like);
	pair_by(p, mapped_like);
	pair_by(p, held_like);
	/* what is alone now that the others have theirs */
	pair_by(p, named_like);
	for (i = 0; i < p->image->n_objects; i++)
		if (p->pairs[i] == OPEN)
			return explain_open(p, i);
	return 0;
}

int pairing_make(const struct side *image, const struct side *tree, const struct pairing_map *maps, size_t n_maps,
		 size_t *pairs, char *error, size_t error_size)
{
	struct pairing p = {
		.image = image, .tree = tree, .pairs = pairs, .error = error, .error_size = error_size,
		.taken = calloc(tree->n_objects + 1, sizeof(*p.taken)),
		.same = calloc(image->n_members + 1, sizeof(*p.same)),
	};
	size_t i;
	int ret;

	for (i = 0; i < image->n_objects; i++)
		pairs[i] = OPEN;
	ret = p.taken && p.same ? make(&p, maps, n_maps) : explain(-ENOMEM, error, error_size, "out of memory");
	free(p.taken);
	free(p.same);
	return ret;
}
