/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon of one restore: what the hook's pre-restore run starts and its later runs talk to. */
#ifndef MEMFDCR_RESTORE_DAEMON_H
#define MEMFDCR_RESTORE_DAEMON_H

#include <sys/types.h>

/*
 * Starts it for the restore by process criu from image_dir (a path that leads to the directory in this mount
 * namespace) and waits until it has prepared everything. 0: CRIU may go on. -EPIPE: the daemon died before it had
 * decided. Other negative errnos: CRIU must not go on; the log says why.
 */
int daemon_start(pid_t criu, const char *image_dir);

#endif
