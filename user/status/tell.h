/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon's side of status: what the pager knows of itself, and the answer on its way. Nothing here waits for
 * whoever asks.
 */
#ifndef MEMFDCR_STATUS_TELL_H
#define MEMFDCR_STATUS_TELL_H

#include <stdbool.h>
#include <stdint.h>

#include "pager/pager.h"
#include "status/status.h"

/*
 * How much of a message is left for objects and spaces, in bytes of JSON. A socket takes what fits into a few pages at
 * once without a large allocation, and as long as others have sent nothing over it, without waiting.
 */
struct status_room {
	int64_t left;
};

void status_room_begin(struct status_room *room);

/* whether one more with that much text fits; if so it is counted. The first one always does. */
bool status_room_take(struct status_room *room, const char *name, const char *text);

/* what the pager has counted */
void status_set_counts(struct status_counts *c, const struct pager_stats *stats);

/* adds the living spaces from number first on; *next: the first one that did not fit, or -1. 0 or -ENOMEM */
int status_add_spaces(struct status *s, const struct pager *p, unsigned int first, struct status_room *room, int *next);

/* sends it as the answer; whoever asks may have gone. 0 or a negative errno */
int status_send(int fd, const struct status *s);

#endif
