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
#include "netlink/genl.h"
#include "pager/pager.h"
#include "restore/channel.h"
#include "restore/hide.h"

/* a lazy object of the plan */
struct session_object {
	const struct plan_object *plan;
	int pages_fd;		/* pages-N.img, open since before CRIU began */
	int number;		/* the pager's; -1: not in the pager */
	uint64_t dev, ino;	/* of the object that CRIU made */
};

/* an address space that CRIU restored, by the pager's number of it; forked children have higher numbers */
struct session_space {
	int pagemap_fd;		/* its /proc/PID/pagemap, which tells whether it lives; -1: not open */
};

struct watch;

struct session {
	pid_t criu;
	struct timespec began;	/* before CRIU made any object; by the clock of inode times (CLOCK_REALTIME_COARSE) */
	int64_t began_ahead;	/* how far that was ahead of CLOCK_BOOTTIME, ns */
	int dirfd;		/* the image directory; its flock() says who reads from it */
	int listen_fd;		/* -1: no channel */
	char directory[PATH_MAX];	/* of the channel; empty: none */
	struct config config;
	struct plan *plan;
	struct session_object *objects;
	size_t n_objects;	/* 0: the restore is eager */
	struct hide *hide;
	struct genl *genl;
	struct pager *pager;
	struct session_space *spaces;
	size_t n_spaces;
	struct watch *watch;	/* on the tree; NULL: none */
	uint64_t n_lost;	/* of its notifications */
	bool cannot_ask;	/* whose a userfaultfd is; has been logged */
	size_t n_lazy, n_eager;	/* objects, for the summary */
	int *finishers;		/* connections that wait for the last page */
	size_t n_finishers;
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

/* restore/follow.c: whose memory is served, and what these processes do */

/* Watches the tree below root, or says in the log why that cannot be. The pager must have its spaces. */
void session_follow(struct session *s, pid_t root);
void session_unfollow(struct session *s);

/* a process as the pager knows it, by /proc. 0 or a negative errno (ESRCH) */
int session_process(pid_t pid, struct pager_process *process);

/* these answer the pager's questions of the same name */
int session_uffd_id(void *data, int uffd, uint64_t *id);
int session_user(void *data, int uffd, struct pager_process *process);

/* restore/serve.c: from there to the last page */

extern const struct pager_ops session_pager_ops;

/* Runs the pager, answers requests, writes the summary. Returns the daemon's exit status. */
int session_serve(struct session *s);

/* restore/daemon.c */

/* takes one request off the listening socket: its connection, its verb and pid; a negative errno if there is none */
int session_take_request(struct session *s, char *verb, size_t verb_size, pid_t *pid);

#endif
