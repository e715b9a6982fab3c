/* SPDX-License-Identifier: GPL-2.0-only */
/* A watch in a storm, and whether what it tells can be true. */
#ifndef STORM_WATCH_H
#define STORM_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mnl_socket;

struct storm_watch {
	struct mnl_socket *sock;
	uint32_t number;
	uint64_t sequence, time;	/* of the last notification */
	bool from_the_start;		/* every process of the tree has been told of, or is its root */
	bool complete;			/* nothing was lost since then */
	bool last;
	bool shrunk;			/* its buffer has just become smaller */
	unsigned int alive;		/* processes told of and not yet ended */
	uint8_t *pids;			/* what is known of each, up to the highest */
	unsigned int highest;
	/* is asked about each userfaultfd that a child has inherited; may be NULL */
	bool (*knows_uffd)(void *data, uint64_t id);
	void *data;
};

/* watches a tree; from_the_start: it is one process, which waits. 0 or a negative errno */
int storm_watch_begin(struct storm_watch *w, pid_t root, bool from_the_start, unsigned int limit);
/* takes what is there, or comes within that time; false: nothing came */
bool storm_watch_read(struct storm_watch *w, int milliseconds);
int storm_watch_stop(struct storm_watch *w);
void storm_watch_end(struct storm_watch *w);

#endif
