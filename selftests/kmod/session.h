/* SPDX-License-Identifier: GPL-2.0-only */
/* All processes of one session: to end them, and to say where in the kernel those are that do not end. */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <sys/types.h>

/* SIGKILL for every member but the caller; returns how many that were */
int session_kill(pid_t session);
/* kills again and again, and reaps children, until none is left; false: after that time some are, and it says where */
bool session_end(pid_t session, int milliseconds);
/* prints what the kernel says of each member but the caller */
void session_print(pid_t session);

#endif
