/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stopping a tree of processes without a trace: by ptrace, which ends with us whatever becomes of us.
 *
 * All of these belong to the thread that has called freezer_start(): only it may ask the kernel about what it traces.
 */
#ifndef MEMFDCR_DUMP_FREEZE_H
#define MEMFDCR_DUMP_FREEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct freezer;

/*
 * Stops every thread of root and its descendants, also of those that are made meanwhile. Threads that somebody else
 * traces, and has stopped, or that the freezer of cgroups version 1 has frozen, are left as they are. may_stop(data), if
 * it is not NULL, is asked now and then: true gives up. 0, or a negative errno and a sentence in error; everybody runs
 * again then.
 */
int freezer_start(pid_t root, struct freezer **f, bool (*may_stop)(void *data), void *data, char *error,
		  size_t error_size);

/* whether nobody has run since: what others had stopped, they may have let go, and who is killed writes to its mutexes */
bool freezer_held(const struct freezer *f);

size_t freezer_threads(const struct freezer *f);

/*
 * ends it: they run on; they are stopped, as by SIGSTOP; they are killed, and gone on return, but for those that others
 * hold. f is freed.
 */
void freezer_release(struct freezer *f);
void freezer_leave_stopped(struct freezer *f);
void freezer_kill(struct freezer *f);

#endif
