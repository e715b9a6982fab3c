/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One restore by CRIU, as the daemon sees it from pre-restore to the last page. Internal to user/restore/.
 *
 * Its life: prepare (decide, hide) - wait for post-restore or CRIU's death - arm (put back, open userfaultfds) - serve.
 */
#ifndef MEMFDCR_RESTORE_SESSION_H
#define MEMFDCR_RESTORE_SESSION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/config.h"
#include "criu/plan.h"
#include "restore/hide.h"
#include "serve/channel.h"
#include "serve/serving.h"

/* a lazy object of the plan */
struct session_object {
	const struct plan_object *plan;
	int pages_fd;		/* pages-N.img, open since before CRIU began */
	int number;		/* the pager's; -1: not in the pager */
	uint64_t dev, ino;	/* of the object that CRIU made */
};

struct session {
	pid_t criu;
	struct timespec began;	/* before CRIU made any object; by the clock of inode times (CLOCK_REALTIME_COARSE) */
	int64_t began_ahead;	/* how far that was ahead of CLOCK_BOOTTIME, ns */
	int dirfd;		/* the image directory; its flock() says who reads from it */
	char directory[PATH_MAX];	/* of the channel; empty: none */
	struct config config;
	struct plan *plan;
	struct session_object *objects;
	size_t n_objects;	/* 0: the restore is eager */
	struct hide *hide;
	struct serving serving;	/* its listen_fd is -1 if there is no channel */
};

/* restore/prepare.c: what pre-restore decides */

/*
 * Reads the images, decides, hides. 0: CRIU may go on (eagerly when n_objects is 0); a negative errno: it must not,
 * because it would restore wrong data; the log says why.
 */
int session_prepare(struct session *s);

/* restore/arm.c: what post-restore does, while every task sleeps */

/* Puts the images back, then takes over every lazy object below root. 0 or a negative errno; the log says why. */
int session_arm(struct session *s, pid_t root);

/* restore/clock.c: whether inode times can be compared with the restore's beginning */

void session_note_time(struct session *s);
bool session_time_went_back(const struct session *s);

#endif
