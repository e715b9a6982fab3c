// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches in a storm: by readers who are quick, slow, or gone in the middle; and whether what they are told can be
 * true.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>

#include "storm.h"
#include "storm_watch.h"
#include "told.h"

#define PIDS (4U << 20)			/* more than there are */

/* of a process; what is not KNOWN may still be, if the watch began in the middle */
enum { KNOWN = 1, ALL_GONE = 2, EXEC_NEXT = 4, ENDED = 8 };

static void wrong(const struct storm_watch *w, const struct told *t, const char *what)
{
	storm_fault("watch %u, notification %lu, command %d of %lu (child %lu, cause %lu): %s", w->number,
		    (long)w->sequence, t->cmd, (long)A(t, PID), (long)A(t, CHILD), (long)A(t, CAUSE), what);
}

static void forget(struct storm_watch *w)
{
	memset(w->pids, 0, w->highest + 1);
	w->complete = false;
}

static uint8_t *state_of(struct storm_watch *w, uint64_t pid)
{
	if (pid >= PIDS)
		pid = 0;
	if (pid > w->highest)
		w->highest = pid;
	return &w->pids[pid];
}

static void is_born(struct storm_watch *w, const struct told *t)
{
	uint8_t *child = state_of(w, A(t, CHILD));

	if (*child & KNOWN && w->complete)
		wrong(w, t, "the child is there already");
	/* one that could not be watched: nothing more comes of it */
	if (t->has & HAS(WATCH_HIDDEN)) {
		*child = ENDED;
		return;
	}
	*child = KNOWN;
	w->alive++;
	if (w->knows_uffd && t->has & HAS(WATCH_UFFD_ID) && !w->knows_uffd(w->data, A(t, UFFD_ID)))
		wrong(w, t, "the child has a userfaultfd that no event told of");
}

static void has_ended(struct storm_watch *w, const struct told *t, uint8_t *who)
{
	if (w->complete && !(*who & ALL_GONE))
		wrong(w, t, "it ends with its memory");
	*who = ENDED;
	w->alive--;
	if (w->complete && w->from_the_start && w->last != !w->alive)
		wrong(w, t, w->last ? "others have not ended" : "nobody is left");
}

/* nothing is known of what happened before an overrun, or before a watch that began in the middle */
static void judge(struct storm_watch *w, const struct told *t)
{
	uint8_t *who = state_of(w, A(t, PID));

	if (w->last)
		wrong(w, t, "there was a last one before");
	if (A(t, WATCH) != w->number || A(t, SEQUENCE) != ++w->sequence)
		wrong(w, t, "sequence");
	w->sequence = A(t, SEQUENCE);
	if (A(t, TIME) < w->time)
		wrong(w, t, "earlier than the one before");
	w->time = A(t, TIME);
	w->last = t->has & HAS(WATCH_LAST);
	storm->n.notifications++;
	if (t->cmd == OVERRUN) {
		storm->n.overruns++;
		if (!A(t, LOST))
			wrong(w, t, "nothing was lost");
		forget(w);
		return;
	}
	if (*who & ENDED)
		wrong(w, t, "of a process that has ended");
	if (w->complete && w->from_the_start && !(*who & KNOWN))
		wrong(w, t, "of a process that nobody has forked");
	if (*who & ALL_GONE && t->cmd != EXIT)
		wrong(w, t, "after the end of its memory");
	if (*who & EXEC_NEXT && t->cmd != EXEC)
		wrong(w, t, "between the end of its memory and exec");
	if (w->complete && t->cmd == EXEC && !(*who & EXEC_NEXT))
		wrong(w, t, "exec with memory that is still there");
	*who &= ~EXEC_NEXT;
	switch (t->cmd) {
	case FORK:
		is_born(w, t);
		break;
	case EXIT:
		has_ended(w, t, who);
		break;
	case UNMAP:
		if (A(t, CAUSE) == MEMFDCR_CAUSE_EXIT)
			*who |= ALL_GONE;
		else if (A(t, CAUSE) == MEMFDCR_CAUSE_EXEC)
			*who |= EXEC_NEXT;
		else if (A(t, START) >= A(t, END))
			wrong(w, t, "an empty range");
		break;
	case MREMAP:
	case EXEC:
		break;
	default:
		wrong(w, t, "what is that?");
	}
}

static void take(const struct nlmsghdr *nlh, void *arg)
{
	struct told t = told_parse(nlh);
	struct storm_watch *w = arg;

	if (t.cmd == MEMFDCR_CMD_WATCH_START)
		w->number = A(&t, WATCH);
	else
		judge(w, &t);
}

int storm_watch_begin(struct storm_watch *w, pid_t root, bool from_the_start, unsigned int limit)
{
	const struct attribute attributes[] = {
		{ MEMFDCR_A_WATCH_TREE, 4, root }, { MEMFDCR_A_WATCH_LIMIT, 4, limit }, { 0 }
	};
	struct answer answer;

	*w = (struct storm_watch){ .from_the_start = from_the_start, .complete = true };
	w->sock = request_socket();
	w->pids = calloc(1, PIDS);
	if (!w->sock || !w->pids) {
		storm_watch_end(w);
		return -ENOMEM;
	}
	if (from_the_start) {
		*state_of(w, root) = KNOWN;
		w->alive = 1;
	} else {
		w->complete = false;
	}
	answer = request_do(w->sock, MEMFDCR_CMD_WATCH_START, attributes, take, w);
	if (answer.error) {
		if (!storm_may_fail(answer.error))
			storm_fault("watch-start: %d, %s", answer.error, answer.message);
		request_forget();
		storm_watch_end(w);
	} else {
		storm->n.watches++;
	}
	return answer.error;
}

bool storm_watch_read(struct storm_watch *w, int milliseconds)
{
	int got = told_receive(w->sock, milliseconds, take, w);

	/* a notification was on its way into the buffer when that became too small for it: it comes later */
	if (got == -ENOBUFS && w->shrunk) {
		w->shrunk = false;
		return false;
	}
	if (got < 0)
		storm_fault("watch %u: recv: error %d", w->number, -got);
	return got > 0;
}

int storm_watch_stop(struct storm_watch *w)
{
	const struct attribute attributes[] = { { MEMFDCR_A_WATCH_WATCH, 4, w->number }, { 0 } };
	struct answer answer = request_do(w->sock, MEMFDCR_CMD_WATCH_STOP, attributes, take, w);

	/* an answer may find no room where notifications wait to be read */
	if (answer.error && answer.error != -ENOBUFS)
		storm_fault("watch-stop: %d, %s", answer.error, answer.message);
	return answer.error;
}

void storm_watch_end(struct storm_watch *w)
{
	if (w->sock)
		mnl_socket_close(w->sock);
	free(w->pids);
	w->sock = NULL;
	w->pids = NULL;
}

/* a watch that begins in the middle, of a reader who takes his time, or leaves */
static void watch_for_a_while(pid_t root)
{
	unsigned int slowness = storm_any(3), reads = storm_any(storm->phase == LOOSE ? 3 : slowness == 2 ? 6 : 60);
	struct storm_watch w;
	int small = 1;

	if (storm_watch_begin(&w, root, false, slowness == 2 ? 16 : 16U << storm_any(13)))
		return;
	if (slowness == 2) {
		setsockopt(mnl_socket_get_fd(w.sock), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		w.shrunk = true;
	}
	while (reads-- && !w.last) {
		if (slowness)
			storm_nap(slowness == 2 ? 1000000 : 20000);
		storm_watch_read(&w, 20);
	}
	/* what was lost is told behind what was not */
	for (int i = 0; slowness == 2 && i < 100 && !w.last; i++)
		storm_watch_read(&w, 0);
	if (storm_any(3) == 0 && !storm_watch_stop(&w)) {
		uint64_t told = w.sequence;

		storm->n.ended_watches++;
		if (storm_watch_read(&w, 1) && w.sequence != told)
			storm_fault("watch %u tells more after watch-stop", w.number);
	}
	storm_watch_end(&w);
}

int storm_watcher(void *arg)
{
	storm_seed(1, (long)arg);
	setpriority(PRIO_PROCESS, 0, 5);
	while (storm->phase != OVER) {
		pid_t root = storm->tree[storm_any(OWNERS)].root;

		if (storm->phase == LOOSE)
			storm_nap(300000);
		if (!root)
			root = getppid();
		watch_for_a_while(root);
	}
	return 0;
}
