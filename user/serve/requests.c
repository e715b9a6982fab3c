// SPDX-License-Identifier: GPL-2.0-only
/* What others ask of a restore by its channel: how far it is, or to be told when its last page is in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/process.h"
#include "serve/channel.h"
#include "serve/serving.h"

/* what the next message asks for: its length, 0 when nobody is there any more, or a negative errno */
static ssize_t read_request(int fd, char *verb, size_t verb_size, pid_t *pid)
{
	char text[CHANNEL_MESSAGE_MAX], word[16];
	ssize_t n = channel_receive(fd, text, sizeof(text));
	int number;

	if (n <= 0)
		return n;
	if (sscanf(text, "%15s %d", word, &number) != 2)
		return -EBADMSG;
	snprintf(verb, verb_size, "%s", word);
	*pid = number;
	return n;
}

int serving_take_request(struct serving *s, char *verb, size_t verb_size, pid_t *pid)
{
	const struct timeval patience = { .tv_sec = 1 };
	int fd;

	fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* who connects has a request at hand; we must not wait for one who does not */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (read_request(fd, verb, verb_size, pid) <= 0) {
		close(fd);
		return -EBADMSG;
	}
	return fd;
}

/* All of them are let go of together, at the end. If there is none, because of damage, who has only others need not wait. */
static bool matters(void *data, uint64_t dev, uint64_t ino)
{
	const struct serving *s = data;
	int object = serving_find_object(s, dev, ino);
	struct pager_stats stats;

	if (object < 0 || !s->is_settled)
		return object >= 0;
	return pager_get_object_stats(s->pager, (unsigned int)object, &stats) || stats.bytes_damaged;
}

/* whether a process at or below root has an object that it has to wait for: 1, 0, or a negative errno: not known */
static int concerns(struct serving *s, pid_t root)
{
	struct process_list tree;
	int ret = process_tree(root, &tree);
	size_t i;

	for (i = 0; !ret && i < tree.n; i++) {
		ret = process_has(tree.v[i].pid, matters, s);
		if (ret == -ESRCH)
			ret = 0;	/* it has just ended */
	}
	process_list_free(&tree);
	return ret;
}

/* does what a request asks for; fd is taken over */
static void answer_request(struct serving *s, int fd, const char *verb, pid_t pid)
{
	int *finishers, ret;

	if (!strcmp(verb, "status")) {
		serving_tell_status(s, fd, pid);
		return;
	}
	if (strcmp(verb, "finish")) {
		/* armed already: the hook may be in two configuration files, and then runs twice */
		channel_send(fd, "result %d", strcmp(verb, "arm") ? CHANNEL_FAILED : CHANNEL_DONE);
		close(fd);
		return;
	}
	ret = concerns(s, pid);
	finishers = ret > 0 && !s->is_settled ? reallocarray(s->finishers, s->n_finishers + 1, sizeof(*finishers)) : NULL;
	if (!finishers) {
		/* not known, or never, or no memory to remember: whoever asks must not go on */
		channel_send(fd, "result %d", ret ? CHANNEL_FAILED : CHANNEL_NOT_CONCERNED);
		close(fd);
		return;
	}
	s->finishers = finishers;
	finishers[s->n_finishers++] = fd;
}

static int poll_too(struct serving *s, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(s->requests_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/*
 * There are no descriptors left. Who waits to be accepted would wake us again and again: the oldest that has said nothing
 * goes for him, and if there is none he is hung up on.
 */
static void make_room(struct serving *s)
{
	unsigned int i;

	for (i = 0; i < SERVING_MAX_SILENT; i++) {
		int *place = &s->silent[(s->next_silent + i) % SERVING_MAX_SILENT];

		if (*place < 0)
			continue;
		close(*place);
		*place = -1;
		return;
	}
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	s->spare_fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Who connects may be stopped before he says why. Of very many such connections the oldest are closed. */
static void take_connection(struct serving *s)
{
	int *place = &s->silent[s->next_silent], fd;

	fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			make_room(s);
		return;
	}
	if (poll_too(s, fd)) {
		close(fd);
		return;
	}
	if (*place >= 0)
		close(*place);
	*place = fd;
	s->next_silent = (s->next_silent + 1) % SERVING_MAX_SILENT;
}

static void take_request(struct serving *s, int fd)
{
	char verb[16];
	ssize_t n;
	pid_t pid;
	size_t i;

	n = read_request(fd, verb, sizeof(verb), &pid);
	if (n == -EAGAIN)
		return;
	for (i = 0; i < SERVING_MAX_SILENT; i++)
		if (s->silent[i] == fd)
			s->silent[i] = -1;
	epoll_ctl(s->requests_fd, EPOLL_CTL_DEL, fd, NULL);
	if (n > 0)
		answer_request(s, fd, verb, pid);
	else
		close(fd);
}

/* one at a time: those who wait for pages have their turn in between, and no event is of a descriptor closed since */
static void take_event(void *data, int requests_fd)
{
	struct serving *s = data;
	struct epoll_event event;

	if (epoll_wait(requests_fd, &event, 1, 0) != 1)
		return;
	if (event.data.fd == s->listen_fd)
		take_connection(s);
	else
		take_request(s, event.data.fd);
}

int serving_listen(struct serving *s)
{
	size_t i;
	int ret;

	for (i = 0; i < SERVING_MAX_SILENT; i++)
		s->silent[i] = -1;
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->requests_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->requests_fd < 0)
		return -errno;
	ret = fcntl(s->listen_fd, F_SETFL, O_NONBLOCK) ? -errno : poll_too(s, s->listen_fd);
	return ret ? ret : pager_watch_fd(s->pager, s->requests_fd, take_event, s);
}

void serving_answer(struct serving *s, int result)
{
	while (s->n_finishers) {
		int fd = s->finishers[--s->n_finishers];

		channel_send(fd, "result %d", result);
		close(fd);
	}
}

/* who has asked to be told of the end, and has not been heard yet; -1: nobody */
static void answer_unheard(int fd, int result)
{
	char verb[16];
	pid_t pid;

	if (fd < 0)
		return;
	if (read_request(fd, verb, sizeof(verb), &pid) > 0 && !strcmp(verb, "finish"))
		channel_send(fd, "result %d", result);
	close(fd);
}

void serving_answer_all(struct serving *s, int result)
{
	size_t i;
	int fd;

	serving_answer(s, result);
	for (i = 0; i < SERVING_MAX_SILENT; i++) {
		answer_unheard(s->silent[i], result);
		s->silent[i] = -1;
	}
	while ((fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		answer_unheard(fd, result);
}
