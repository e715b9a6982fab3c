/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the hook's short runs talk to the daemon that lives from pre-restore to the last page: a socket in a directory of
 * /run/memfdcr named after the CRIU process, and one line of text a message.
 *
 * Requests:	arm PID		the tasks exist below PID: put the images back, take over
 *		finish PID	if a task below PID is served here, answer when its last page is in
 * Answers:	log LEVEL TEXT	for the log of whoever asks
 *		result N	0: done; 1: failed; 2: nothing here concerns PID
 */
#ifndef MEMFDCR_RESTORE_CHANNEL_H
#define MEMFDCR_RESTORE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHANNEL_ROOT "/run/memfdcr"
#define CHANNEL_MESSAGE_MAX 2048

enum channel_result {
	CHANNEL_DONE = 0,
	CHANNEL_FAILED = 1,
	CHANNEL_NOT_CONCERNED = 2,
};

/* the directory for the restore by this CRIU process, made with all above it. 0 or a negative errno */
int channel_make_directory(pid_t criu, char *path, size_t size);

/* name of that directory, which may not exist. 0 or a negative errno (ESRCH: no such process) */
int channel_directory(pid_t criu, char *path, size_t size);

/*
 * A mark in the directory: CRIU has been shown stubs instead of images, so that without the daemon this restore must not
 * go on. Set: 0 or a negative errno.
 */
int channel_mark_hidden(const char *directory);
void channel_unmark_hidden(const char *directory);
bool channel_hidden(const char *directory);

/* a listening socket in directory, close-on-exec, or a negative errno */
int channel_listen(const char *directory);

/* removes the directory and what is in it */
void channel_remove(const char *directory);

/* removes the directories of daemons that were killed */
void channel_sweep(void);

/* connects to the socket in directory; a negative errno (ENOENT, ECONNREFUSED: nobody listens) */
int channel_connect(const char *directory);

/* one message, formatted; 0 or a negative errno */
__attribute__((format(printf, 2, 3))) int channel_send(int fd, const char *fmt, ...);

/* one message, terminated; its length, 0 when the other side has gone, or a negative errno */
ssize_t channel_receive(int fd, char *text, size_t size);

/* Sends a request, logs the log answers, and returns the result, or a negative errno when there was none. */
int channel_request(int fd, const char *verb, pid_t pid);

#endif
