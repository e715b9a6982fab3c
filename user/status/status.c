// SPDX-License-Identifier: GPL-2.0-only
/* Answers of daemons: made, joined, freed, and what follows from their numbers. */
#include "status/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* room for one more element, zeroed; NULL: no memory */
static void *grow(void *array, size_t n, size_t size)
{
	void *grown = reallocarray(array, n + 1, size);

	if (grown)
		memset((char *)grown + n * size, 0, size);
	return grown;
}

struct status_object *status_add_object(struct status *s)
{
	struct status_object *objects = grow(s->objects, s->n_objects, sizeof(*objects));

	if (!objects)
		return NULL;
	s->objects = objects;
	return &objects[s->n_objects++];
}

struct status_space *status_add_space(struct status *s)
{
	struct status_space *spaces = grow(s->spaces, s->n_spaces, sizeof(*spaces));

	if (!spaces)
		return NULL;
	s->spaces = spaces;
	return &spaces[s->n_spaces++];
}

/* what has been moved is empty where it was: freed once, whatever happens */
static int move_elements(struct status *s, struct status *part)
{
	size_t i;

	for (i = 0; i < part->n_objects; i++) {
		struct status_object *o = status_add_object(s);

		if (!o)
			return -ENOMEM;
		*o = part->objects[i];
		part->objects[i] = (struct status_object){ 0 };
	}
	for (i = 0; i < part->n_spaces; i++) {
		struct status_space *space = status_add_space(s);

		if (!space)
			return -ENOMEM;
		*space = part->spaces[i];
		part->spaces[i] = (struct status_space){ 0 };
	}
	return 0;
}

int status_append(struct status *s, struct status *part)
{
	struct status whole;
	int ret = move_elements(s, part);

	if (ret)
		return ret;
	whole = *part;
	whole.objects = s->objects;
	whole.n_objects = s->n_objects;
	whole.spaces = s->spaces;
	whole.n_spaces = s->n_spaces;
	/* all of the part that is not in the whole, and the other way round */
	free(part->objects);
	free(part->spaces);
	free(s->command);
	free(s->directory);
	*s = whole;
	*part = (struct status){ 0 };
	return 0;
}

void status_free(struct status *s)
{
	size_t i;

	for (i = 0; i < s->n_objects; i++) {
		free(s->objects[i].name);
		free(s->objects[i].why);
	}
	for (i = 0; i < s->n_spaces; i++) {
		free(s->spaces[i].name);
		free(s->spaces[i].command);
	}
	free(s->objects);
	free(s->spaces);
	free(s->command);
	free(s->directory);
	*s = (struct status){ 0 };
}

uint64_t status_done(const struct status_counts *c)
{
	return c->total - c->left - c->damaged;
}

void status_pace(const struct status *s, struct pace *pace)
{
	uint64_t done = status_done(&s->counts);

	*pace = (struct pace){ done, s->counts.total - s->counts.damaged, pace_rate(done, s->elapsed_us) };
}
