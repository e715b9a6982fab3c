/* SPDX-License-Identifier: GPL-2.0-only */
/* The daemon of one restore: what the hook's pre-restore run starts and its later runs talk to. */
#ifndef MEMFDCR_RESTORE_DAEMON_H
#define MEMFDCR_RESTORE_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Starts it for the restore by process criu from image_dir (a path that leads to the directory in this mount
 * namespace) and waits until it has prepared everything. With *decided, 0 means that CRIU may go on and a negative errno
 * that it must not, the log says why. Without, the negative errno says why there is no decision; -EPIPE: the daemon died.
 */
int daemon_start(pid_t criu, const char *image_dir, bool *decided);

#endif
