// SPDX-License-Identifier: GPL-2.0-only
/* What a daemon tells of its pager, in messages of a bounded size. */
#include "status/tell.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGE_BYTES	(48 << 10)	/* for objects and spaces; the rest of a message is shorter than that */
#define ONE_BYTES	400		/* of one of these, without text */
#define ESCAPED		6		/* bytes that JSON may make of one */
#define SOCKET_BYTES	(256 << 10)

void status_room_begin(struct status_room *room)
{
	room->left = MESSAGE_BYTES;
}

bool status_room_take(struct status_room *room, const char *name, const char *text)
{
	int64_t bytes = ONE_BYTES + ESCAPED * (int64_t)(strlen(name) + (text ? strlen(text) : 0));

	if (room->left < bytes && room->left != MESSAGE_BYTES)
		return false;
	room->left -= bytes;
	return true;
}

void status_set_counts(struct status_counts *c, const struct pager_stats *stats)
{
	*c = (struct status_counts){
		.total = stats->bytes_total,
		.left = stats->bytes_left,
		.by_fault = stats->bytes_by_fault,
		.background = stats->bytes_background,
		.dropped = stats->bytes_dropped,
		.holes = stats->bytes_holes,
		.damaged = stats->bytes_damaged,
		.faults = stats->faults,
	};
}

int status_add_spaces(struct status *s, const struct pager *p, unsigned int first, struct status_room *room, int *next)
{
	for (*next = pager_next_space(p, first); *next >= 0; *next = pager_next_space(p, *next + 1U)) {
		const char *name = pager_space_name(p, *next);
		struct pager_process process = { 0 };
		struct status_space *space;

		pager_space_process(p, *next, &process);
		if (!status_room_take(room, name, process.name))
			return 0;
		space = status_add_space(s);
		if (!space)
			return -ENOMEM;
		space->pid = process.pid;
		space->generation = (uint32_t)*next;
		space->name = strdup(name);
		space->command = strdup(process.name);
		if (!space->name || !space->command)
			return -ENOMEM;
	}
	return 0;
}

int status_send(int fd, const struct status *s)
{
	struct json_object *json = status_to_json(s, true);
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	const int room = SOCKET_BYTES;
	char *message = NULL;
	int ret = 0, n;

	n = text ? asprintf(&message, "status %s", text) : -1;
	json_object_put(json);
	if (n < 0)
		return -ENOMEM;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	/* the pager must not be stopped by an asker that has gone or does not read */
	if (send(fd, message, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		ret = -errno;
	free(message);
	return ret;
}
