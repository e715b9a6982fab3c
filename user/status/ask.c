// SPDX-License-Identifier: GPL-2.0-only
/* Questions to all daemons and what comes back, with one poll(2) for all of them and an end to the patience. */
#include "status/ask.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/explain.h"
#include "serve/channel.h"

#define PATIENCE_NS	(2 * NS_PER_S)	/* with one part of an answer */
#define ALL_NS		(10 * NS_PER_S)	/* with all of it */
#define AGAIN_MS	20
#define MAX_TRIES	5
#define MAX_MESSAGE	(1 << 20)

/* one daemon while it is asked */
struct asking {
	struct pager_answer answer;
	int fd;			/* -1: not connected */
	unsigned int tries;	/* that ended without an answer, since the last one */
	int64_t until, all_until;	/* of the monotonic clock */
	bool over, gone;	/* gone: there is no daemon (any more) */
};

struct round {
	const char *root;
	struct asking *v;
	size_t n;
};

static void hang_up(struct asking *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
}

static void end(struct asking *a, const char *error)
{
	hang_up(a);
	a->over = true;
	if (!error)
		return;
	snprintf(a->answer.error, sizeof(a->answer.error), "%s", error);
}

/* connects and asks for the next part. Where too many want to connect, that is tried again. */
static void ask(struct round *r, struct asking *a)
{
	char directory[PATH_MAX];
	int ret = -ENAMETOOLONG;

	if ((size_t)snprintf(directory, sizeof(directory), "%s/%s", r->root, a->answer.channel) < sizeof(directory))
		ret = channel_connect_now(directory);
	if (ret >= 0) {
		a->fd = ret;
		if (!a->answer.status.pid)
			a->answer.status.pid = channel_peer(a->fd);
		ret = channel_send(a->fd, "status %u", a->answer.status.next);
	}
	/* no channel; or one that nobody listens to, of a daemon that has ended or only just begins */
	if (ret == -ENOENT || ret == -ECONNREFUSED || ret == -ENOTDIR || ret == -ENAMETOOLONG) {
		a->gone = true;
		end(a, NULL);
	} else if (ret == -EPIPE || ret == -ECONNRESET) {
		hang_up(a);
	} else if (ret && ret != -EAGAIN) {
		end(a, strerror(-ret));
	}
}

/* one message, terminated, to be freed, and its length in ret; NULL: none, and there 0: nobody is there, or an errno */
static char *receive(int fd, ssize_t *ret)
{
	ssize_t n = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	char *text = NULL;

	if (n > MAX_MESSAGE) {
		*ret = -EMSGSIZE;
		return NULL;
	}
	if (n > 0)
		text = malloc(n + 1);
	*ret = n < 0 ? -errno : n && !text ? -ENOMEM : 0;
	if (!text)
		return NULL;
	*ret = channel_receive(fd, text, n + 1);
	if (*ret <= 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* a part of the answer has come */
static void take_part(struct asking *a, const char *text, size_t length)
{
	struct status part, *whole = &a->answer.status;
	char error[sizeof(a->answer.error) - 16], clause[sizeof(a->answer.error)];

	if (status_from_json(text, length, &part, error, sizeof(error))) {
		snprintf(clause, sizeof(clause), "its answer %s", error);
		end(a, clause);
		return;
	}
	if (part.next && part.next <= whole->next) {
		status_free(&part);
		end(a, "its answer has no end");
		return;
	}
	/* by the socket is more certain */
	part.pid = whole->pid ?: part.pid;
	if (status_append(whole, &part)) {
		status_free(&part);
		end(a, strerror(ENOMEM));
		return;
	}
	hang_up(a);
	a->tries = 0;
	a->until = clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
	a->over = !whole->next;
}

/* there is no message: why, as receive() has it */
static void take_nothing(struct asking *a, ssize_t why)
{
	const bool hung_up = !why || why == -ECONNRESET;

	if (why == -EAGAIN)
		return;
	/* it may have ended just now */
	if (hung_up && ++a->tries < MAX_TRIES)
		hang_up(a);
	else if (hung_up)
		end(a, "it hangs up without an answer");
	else
		end(a, why == -EMSGSIZE ? "its answer is too long" : strerror(-why));
}

static void take_message(struct asking *a)
{
	ssize_t length;
	char *text = receive(a->fd, &length);
	int result;

	if (!text) {
		take_nothing(a, length);
		return;
	}
	if (!strncmp(text, "status ", 7))
		take_part(a, text + 7, length - 7);
	else if (sscanf(text, "result %d", &result) == 1)
		end(a, "it is of a memfdcr that does not know status yet");
	else if (strncmp(text, "log ", 4))
		end(a, "its answer is none");
	free(text);
}

/* Returns how many are still to be waited for; fds has room for all. */
static size_t step(struct round *r, struct pollfd *fds)
{
	int64_t now = clock_ns(CLOCK_MONOTONIC);
	size_t i, waiting = 0;

	for (i = 0; i < r->n; i++) {
		struct asking *a = &r->v[i];

		if (!a->over && (now >= a->until || now >= a->all_until))
			end(a, "it does not answer");
		if (!a->over && a->fd < 0)
			ask(r, a);
		waiting += !a->over;
		fds[i] = (struct pollfd){ .fd = a->fd, .events = POLLIN };
	}
	/* not for longer: some may have to be connected to again, or for some the time may be over */
	if (waiting && poll(fds, r->n, AGAIN_MS) > 0)
		for (i = 0; i < r->n; i++)
			if (fds[i].fd >= 0 && fds[i].revents)
				take_message(&r->v[i]);
	return waiting;
}

static int add(struct round *r, const char *name)
{
	struct asking *v = reallocarray(r->v, r->n + 1, sizeof(*v)), *a;
	int64_t now = clock_ns(CLOCK_MONOTONIC);

	if (!v)
		return -ENOMEM;
	r->v = v;
	a = &v[r->n++];
	*a = (struct asking){ .fd = -1, .until = now + PATIENCE_NS, .all_until = now + ALL_NS };
	snprintf(a->answer.channel, sizeof(a->answer.channel), "%s", name);
	return 0;
}

/* all that may be channels: those that are none are noticed when they are connected to */
static int find_channels(struct round *r, char *error, size_t error_size)
{
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	dir = opendir(r->root);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return explain(-errno, error, error_size, "%s: %s%s", r->root, strerror(errno),
			       errno == EACCES ? ": run as root" : "");
	while (!ret && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			ret = add(r, entry->d_name);
	closedir(dir);
	return ret ? explain(ret, error, error_size, "%s", strerror(-ret)) : 0;
}

static int by_age(const void *one, const void *other)
{
	const struct pager_answer *a = one, *b = other;

	if (a->status.since != b->status.since)
		return a->status.since < b->status.since ? -1 : 1;
	return strcmp(a->channel, b->channel);
}

/* hands over what has come in of those that there are */
static int collect(struct round *r, struct pager_answers *answers)
{
	size_t i;

	answers->v = calloc(r->n + 1, sizeof(*answers->v));
	if (!answers->v)
		return -ENOMEM;
	for (i = 0; i < r->n; i++) {
		struct asking *a = &r->v[i];
		pid_t pid = a->answer.status.pid;

		/* half an answer would look like a whole one */
		if (*a->answer.error || a->gone) {
			status_free(&a->answer.status);
			a->answer.status.pid = pid;
		}
		if (a->gone)
			continue;
		answers->v[answers->n++] = a->answer;
		a->answer.status = (struct status){ 0 };
	}
	qsort(answers->v, answers->n, sizeof(*answers->v), by_age);
	return 0;
}

int pager_answers_get(const char *root, struct pager_answers *answers, char *error, size_t error_size)
{
	struct round r = { .root = root };
	struct pollfd *fds;
	int ret;
	size_t i;

	*answers = (struct pager_answers){ 0 };
	ret = find_channels(&r, error, error_size);
	fds = ret ? NULL : calloc(r.n + 1, sizeof(*fds));
	if (fds) {
		while (step(&r, fds))
			;
		ret = collect(&r, answers);
	} else if (!ret) {
		ret = -ENOMEM;
	}
	if (ret == -ENOMEM)
		explain(ret, error, error_size, "%s", strerror(ENOMEM));
	for (i = 0; i < r.n; i++) {
		hang_up(&r.v[i]);
		status_free(&r.v[i].answer.status);
	}
	free(r.v);
	free(fds);
	return ret;
}

void pager_answers_free(struct pager_answers *answers)
{
	size_t i;

	for (i = 0; i < answers->n; i++)
		status_free(&answers->v[i].status);
	free(answers->v);
	*answers = (struct pager_answers){ 0 };
}
