// SPDX-License-Identifier: GPL-2.0-only
/* Who reads what a watch tells, and what is looked for in it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libmnl/libmnl.h>

#include "reader.h"
#include "watched.h"

void each_told(const struct nlmsghdr *nlh, void *arg)
{
	struct told t = told_parse(nlh);
	struct reader *r = arg;

	r->faults += t.strange;
	if (t.cmd == MEMFDCR_CMD_WATCH_START) {
		r->watch = A(&t, WATCH);
		return;
	}
	if (r->n == r->room) {
		r->room = r->room * 2 ?: 1024;
		r->told = realloc(r->told, r->room * sizeof(*r->told));
	}
	r->told[r->n++] = t;
}

/* reads what is there, or waits for it; false: nothing came */
bool read_some(struct reader *r, int milliseconds)
{
	int got = told_receive(r->sock, milliseconds, each_told, r);

	if (got < 0) {
		fprintf(stderr, "# recv: %s\n", strerror(-got));
		r->faults++;
		return got == -ENOBUFS;
	}
	return got;
}

struct answer watch(struct reader *r, const struct attribute *attributes)
{
	struct answer answer = { .error = -EMFILE };

	if (!r->sock)
		r->sock = request_socket();
	/* somebody else has the process's memory locked */
	for (int i = 0; r->sock && i < 20; i++) {
		answer = request_do(r->sock, MEMFDCR_CMD_WATCH_START, attributes, each_told, r);
		if (answer.error != -EBUSY)
			break;
	}
	return answer;
}

struct answer stop(struct reader *r)
{
	return request_do(r->sock, MEMFDCR_CMD_WATCH_STOP, LIST({ MEMFDCR_A_WATCH_WATCH, 4, r->watch }), each_told, r);
}

void reader_close(struct reader *r)
{
	if (r->sock)
		mnl_socket_close(r->sock);
	free(r->told);
	*r = (struct reader){ 0 };
}

/* until nobody is watched any more */
bool read_all(struct reader *r)
{
	do {
		if (r->n && A(&r->told[r->n - 1], LAST))
			return true;
	} while (read_some(r, PATIENCE));
	fprintf(stderr, "# after %zu notifications the last one did not come\n", r->n);
	return false;
}

/* without gaps, of one watch, and with all that belongs there; prints and counts what is wrong */
int faults(const struct reader *r)
{
	static const uint64_t all = HAS(WATCH_WATCH) | HAS(WATCH_SEQUENCE) | HAS(WATCH_TIME);
	static const uint64_t who = HAS(WATCH_PID) | HAS(WATCH_TID);
	const struct { int cmd; uint64_t has, may; } belongs[] = {
		{ FORK, all | who | HAS(WATCH_CHILD) | HAS(WATCH_START_TIME),
		  HAS(WATCH_UFFD_ID) | HAS(WATCH_SAME_MEMORY) | (r->starved ? HAS(WATCH_HIDDEN) : 0) },
		{ EXEC, all | who, HAS(WATCH_HIDDEN) | HAS(WATCH_LAST) },
		{ EXIT, all | who | HAS(WATCH_CODE) | HAS(WATCH_SIGNAL), HAS(WATCH_LAST) },
		{ MREMAP, all | who | HAS(WATCH_OLD) | HAS(WATCH_NEW) | HAS(WATCH_OLD_LENGTH) |
			  HAS(WATCH_NEW_LENGTH) | HAS(WATCH_FLAGS), 0 },
		{ UNMAP, all | who | HAS(WATCH_START) | HAS(WATCH_END) | HAS(WATCH_CAUSE), 0 },
		{ OVERRUN, all | HAS(WATCH_LOST), HAS(WATCH_LAST) },
	};
	int n = r->faults;

	for (size_t i = 0; i < r->n; i++) {
		const struct told *t = &r->told[i];
		bool known = false;

		for (size_t j = 0; j < sizeof(belongs) / sizeof(*belongs); j++)
			known |= t->cmd == belongs[j].cmd && (t->has & ~belongs[j].may) == belongs[j].has;
		if (known && A(t, SEQUENCE) == i + 1 && A(t, WATCH) == r->watch &&
		    (!i || A(t, TIME) >= A(t - 1, TIME)))
			continue;
		if (n++ < 10)
			fprintf(stderr, "# notification %zu: command %d, sequence %lu, watch %lu, attributes %lx\n", i + 1,
				t->cmd, (long)A(t, SEQUENCE), (long)A(t, WATCH), (long)t->has);
	}
	return n;
}

void print(const struct reader *r)
{
	static const char *const names[] = { "fork", "exec", "exit", "mremap", "unmap", "overrun" };

	for (size_t i = 0; i < r->n; i++) {
		const struct told *t = &r->told[i];

		fprintf(stderr, "# %zu: %s pid %ld tid %ld child %ld code %ld signal %ld %lx-%lx cause %ld "
			"%lx+%lx -> %lx+%lx flags %lx lost %ld\n", i + 1,
			t->cmd >= FORK && t->cmd <= OVERRUN ? names[t->cmd - FORK] : "?", (long)A(t, PID),
			(long)A(t, TID), (long)A(t, CHILD), (long)A(t, CODE), (long)A(t, SIGNAL), (long)A(t, START),
			(long)A(t, END), (long)A(t, CAUSE), (long)A(t, OLD), (long)A(t, OLD_LENGTH), (long)A(t, NEW),
			(long)A(t, NEW_LENGTH), (long)A(t, FLAGS), (long)A(t, LOST));
	}
}

/* the next one of this kind of this process (0: any), from *at on, which is left behind it; NULL: none */
const struct told *next_of(const struct reader *r, size_t *at, int cmd, pid_t pid)
{
	while (*at < r->n) {
		const struct told *t = &r->told[(*at)++];

		if (t->cmd == cmd && (!pid || A(t, PID) == pid))
			return t;
	}
	return NULL;
}

/* the next one about the arena, where nobody does anything by itself */
const struct told *next_there(const struct reader *r, size_t *at, pid_t pid)
{
	while (*at < r->n) {
		const struct told *t = &r->told[(*at)++];
		uint64_t where = t->cmd == UNMAP ? A(t, START) : t->cmd == MREMAP ? A(t, OLD) : 0;

		if (A(t, PID) == pid && where >= (uint64_t)ARENA && where < (uint64_t)PLACE(ARENA_PAGES))
			return t;
	}
	return NULL;
}
