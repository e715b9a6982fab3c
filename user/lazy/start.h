/* SPDX-License-Identifier: GPL-2.0-only */
/* The process that arms a tree and, where something is left to bring, serves it until the last page. */
#ifndef MEMFDCR_LAZY_START_H
#define MEMFDCR_LAZY_START_H

#include <sys/types.h>

#include "lazy/arm.h"
#include "lazy/options.h"

struct start_outcome {
	int status;		/* an exit status; if it is not EXIT_DONE, why has been said */
	struct arm_result result;
	uint64_t stopped_us;	/* for so long nobody in the tree ran */
	pid_t pager;		/* 0: everything is in */
	int news_fd;		/* with --wait, for start_wait(); -1: none */
};

/*
 * Does what the options say, in a process of its own that stays if there is something to serve. On return everything is
 * armed, or undone. 0, or a negative errno: nothing was begun.
 */
int start_restore(const struct lazy_options *o, struct start_outcome *outcome);

/*
 * Waits until the pager has ended; an exit status: EXIT_PARTIAL if the processes ended before the last page. Or until all is in
 * but what is damaged in the image: then *damaged becomes true, and the pager goes on.
 */
int start_wait(const struct start_outcome *outcome, bool *damaged);

#endif
