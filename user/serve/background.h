/* SPDX-License-Identifier: GPL-2.0-only */
/* What makes a process one that serves a restore until the last page, whoever has started it. */
#ifndef MEMFDCR_SERVE_BACKGROUND_H
#define MEMFDCR_SERVE_BACKGROUND_H

/* a session of its own, the name memfdcr-pager, and deaf to requests to end */
void background_begin(void);

/* from here on others are lost without us: last in line for the OOM killer, room for many descriptors */
void background_insure(void);

/* whoever has started us is left alone: his pipes, terminal and directory must not stay in use because of us */
void background_leave(void);

/*
 * The log from now on: memfdcr-restore.log in a directory, or with -1 the one in /run/memfdcr, and if that fails, too, a
 * warning. 0 or a negative errno.
 */
int background_open_log(int dirfd);

#endif
