// SPDX-License-Identifier: GPL-2.0-only
/* The answer to how far a restore is: what it consists of, and what the pager has counted. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "serve/serving.h"
#include "status/tell.h"

static void free_entry(struct serving_entry *e)
{
	free(e->name);
	free(e->why);
}

/* without memory for it, status does not tell of this object: no reason for a restore to fail */
void serving_list(struct serving *s, const char *name, uint64_t size, uint64_t bytes, const char *why, int number)
{
	struct serving_entry e = { .size = size, .bytes = bytes, .number = number };
	struct serving_entry *entries = reallocarray(s->entries, s->n_entries + 1, sizeof(*entries));

	if (!entries)
		return;
	s->entries = entries;
	e.name = strdup(name);
	e.why = why ? strdup(why) : NULL;
	if (e.name && !e.why == !why)
		entries[s->n_entries++] = e;
	else
		free_entry(&e);
}

void serving_list_eager(struct serving *s, int number, const char *why)
{
	size_t i;

	for (i = 0; i < s->n_entries; i++) {
		struct serving_entry *e = &s->entries[i];

		if (e->number == number && !e->why)
			e->why = strdup(why);
	}
}

void serving_unlist_lazy(struct serving *s)
{
	size_t i, kept = 0;

	for (i = 0; i < s->n_entries; i++) {
		if (s->entries[i].why || s->entries[i].number >= 0)
			s->entries[kept++] = s->entries[i];
		else
			free_entry(&s->entries[i]);
	}
	s->n_entries = kept;
}

void serving_unlist(struct serving *s)
{
	while (s->n_entries)
		free_entry(&s->entries[--s->n_entries]);
	free(s->entries);
	s->entries = NULL;
}

/* what is to come of an object, or has */
static void count_object(const struct serving *s, const struct serving_entry *e, struct status_counts *c)
{
	struct pager_stats stats;

	if (s->pager && e->number >= 0 && !pager_get_object_stats(s->pager, e->number, &stats))
		status_set_counts(c, &stats);
	else if (!e->why)
		*c = (struct status_counts){ .total = e->bytes, .left = e->bytes };
}

static int add_object(const struct serving *s, const struct serving_entry *e, struct status *status)
{
	struct status_object *o = status_add_object(status);

	if (!o)
		return -ENOMEM;
	o->name = strdup(e->name);
	o->why = e->why ? strdup(e->why) : NULL;
	if (!o->name || !o->why != !e->why)
		return -ENOMEM;
	o->size = e->size;
	if (e->number >= 0) {
		o->dev = s->objects[e->number].dev;
		o->ino = s->objects[e->number].ino;
	}
	count_object(s, e, &o->counts);
	return 0;
}

static void count_all(const struct serving *s, struct status *status)
{
	struct status_counts one;
	struct pager_stats stats;
	size_t i;

	if (s->pager) {
		pager_get_stats(s->pager, &stats);
		status_set_counts(&status->counts, &stats);
		status->elapsed_us = stats.elapsed_us;
		return;
	}
	for (i = 0; i < s->n_entries; i++) {
		one = (struct status_counts){ 0 };
		count_object(s, &s->entries[i], &one);
		status->counts.total += one.total;
		status->counts.left += one.left;
	}
}

/* the name that the root has now, or else had at last */
static int name_root(const struct serving *s, struct status *status)
{
	unsigned long long start;
	char name[sizeof(s->root.name)];

	status->root = s->root.pid;
	snprintf(name, sizeof(name), "%s", s->root.name);
	if (!process_start_time(s->root.pid, &start) && start == s->root.start_time)
		process_name(s->root.pid, name, sizeof(name));
	status->command = strdup(name);
	return status->command ? 0 : -ENOMEM;
}

/* objects, then spaces, from there on as many as one message has room for */
static int list_all(const struct serving *s, uint32_t first, struct status *status)
{
	struct status_room room;
	int ret, next = -1;
	size_t i;

	status_room_begin(&room);
	for (i = first; i < s->n_entries; i++) {
		const struct serving_entry *e = &s->entries[i];

		if (!status_room_take(&room, e->name, e->why)) {
			status->next = i;
			return 0;
		}
		ret = add_object(s, e, status);
		if (ret)
			return ret;
	}
	first = first > s->n_entries ? first - s->n_entries : 0;
	ret = s->pager ? status_add_spaces(status, s->pager, first, &room, &next) : 0;
	if (!ret && next >= 0)
		status->next = s->n_entries + next;
	return ret;
}

void serving_tell_status(const struct serving *s, int fd, uint32_t first)
{
	struct status status = { .pid = getpid(), .serving = s->pager, .since = s->since };
	int ret = s->root.pid ? name_root(s, &status) : 0;

	count_all(s, &status);
	if (!ret && s->images) {
		status.directory = strdup(s->images);
		ret = status.directory ? 0 : -ENOMEM;
	}
	if (!ret)
		ret = list_all(s, first, &status);
	if (!ret)
		ret = status_send(fd, &status);
	/* no answer is one that whoever asks names; those that have gone do not count */
	if (ret && ret != -EPIPE && ret != -ECONNRESET)
		log_warning("cannot tell how far the restore is: %s", strerror(-ret));
	status_free(&status);
	close(fd);
}
