/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How others talk to the daemon that lives until the last page: a socket in a directory of /run/memfdcr, named after the
 * process that owns the restore (CRIU, or the daemon itself), and one line of text a message.
 *
 * Requests:	arm PID		the tasks exist below PID: take over
 *		finish PID	if a task below PID is served here, answer when its last page is in
 *		status N	how far it is, from its part N on; 0: from the beginning (see status/status.h)
 * Answers:	log LEVEL TEXT	for the log of whoever asks
 *		status JSON	a part; the only one that may have more than CHANNEL_MESSAGE_MAX bytes
 *		result N	0: done; 1: failed; 2: nothing here concerns PID
 */
#ifndef MEMFDCR_SERVE_CHANNEL_H
#define MEMFDCR_SERVE_CHANNEL_H

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

/* the directory for the restore that this process owns, made with all above it. 0 or a negative errno */
int channel_make_directory(pid_t owner, char *path, size_t size);

/* name of that directory, which may not exist. 0 or a negative errno (ESRCH: no such process) */
int channel_directory(pid_t owner, char *path, size_t size);

/* a listening socket in directory, close-on-exec, or a negative errno */
int channel_listen(const char *directory);

/* removes the directory and what is in it */
void channel_remove(const char *directory);

/* removes the directories of daemons that were killed */
void channel_sweep(void);

/* connects to the socket in directory; a negative errno (ENOENT, ECONNREFUSED: nobody listens) */
int channel_connect(const char *directory);

/*
 * The same for those who cannot wait until somebody takes the connection: -EAGAIN if too many want that already. Nor does
 * receiving from it wait.
 */
int channel_connect_now(const char *directory);

/* the process that listens at the other end; 0: not known */
pid_t channel_peer(int fd);

/* one message, formatted; 0 or a negative errno */
__attribute__((format(printf, 2, 3))) int channel_send(int fd, const char *fmt, ...);

/* one message, terminated; its length, 0 when the other side has gone, or a negative errno */
ssize_t channel_receive(int fd, char *text, size_t size);

/* Sends a request, logs the log answers, and returns the result, or a negative errno when there was none. */
int channel_request(int fd, const char *verb, pid_t pid);

/*
 * Waits until no daemon has anything to do with the tree below root: what a lazy restore has still to bring, others read
 * as zeros. 0, or -EIO with the reason logged.
 */
int channel_finish_all(pid_t root);

#endif
