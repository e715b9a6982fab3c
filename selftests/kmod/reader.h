/* SPDX-License-Identifier: GPL-2.0-only */
/* Who reads what a watch tells, and what is looked for in it. */
#ifndef READER_H
#define READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "told.h"

#define OF_PID(p) { MEMFDCR_A_WATCH_PID, 4, p }
#define OF_TREE(p) { MEMFDCR_A_WATCH_TREE, 4, p }
#define LIMIT(n) { MEMFDCR_A_WATCH_LIMIT, 4, n }

/* a socket and what it has been told */
struct reader {
	struct mnl_socket *sock;
	uint32_t watch;
	struct told *told;
	size_t n, room;
	int faults;
	bool starved;			/* memory runs out: there may be none to watch a child */
};

void each_told(const struct nlmsghdr *nlh, void *reader);	/* an each_message */

/* reads what is there, or waits for it; false: nothing came */
bool read_some(struct reader *r, int milliseconds);

/* with a socket of its own, if it has none yet */
struct answer watch(struct reader *r, const struct attribute *attributes);
struct answer stop(struct reader *r);
void reader_close(struct reader *r);

/* until nobody is watched any more */
bool read_all(struct reader *r);

/* without gaps, of one watch, in the order of time, and with all that belongs there; prints and counts what is wrong */
int faults(const struct reader *r);
void print(const struct reader *r);

/* the next one of this kind of this process (0: any), from *at on, which is left behind it; NULL: none */
const struct told *next_of(const struct reader *r, size_t *at, int cmd, pid_t pid);

/* the next one about the arena of watched.h, where nobody does anything by itself */
const struct told *next_there(const struct reader *r, size_t *at, pid_t pid);

#endif
