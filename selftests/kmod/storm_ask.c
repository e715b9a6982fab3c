// SPDX-License-Identifier: GPL-2.0-only
/* Those who ask in a storm: for dumps, read to the end or not; for userfaultfds, until killed; for the module to go. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/memfdcr.h>

#include "module.h"
#include "request.h"
#include "storm.h"
#include "stream.h"

/* in a loose phase there are moments when nobody has the module in use */
static void rest(void)
{
	if (storm->phase == LOOSE)
		storm_nap(150000);
}

static pid_t any_root(void)
{
	pid_t root = storm->tree[storm_any(OWNERS)].root;

	/* the storm itself: everybody is below that */
	return root && storm_any(4) ? root : getppid();
}

static void ask_for_objects(struct stream *s)
{
	stream_begin(s, MEMFDCR_CMD_OBJECT_GET, NLM_F_DUMP);
	if (storm_any(4))
		mnl_attr_put_u32(s->request, MEMFDCR_A_OBJECT_TREE, any_root());
	if (storm_any(2))
		mnl_attr_put(s->request, MEMFDCR_A_OBJECT_HOLDERS, 0, NULL);
	if (storm_any(2))
		mnl_attr_put(s->request, MEMFDCR_A_OBJECT_OUTSIDE, 0, NULL);
}

static void ask_for_holders(struct stream *s)
{
	stream_begin(s, MEMFDCR_CMD_HOLDER_GET, NLM_F_DUMP);
	if (storm_any(4))
		mnl_attr_put_u32(s->request, storm_any(2) ? MEMFDCR_A_HOLDER_TREE : MEMFDCR_A_HOLDER_PID, any_root());
}

static void ask_for_extents(struct stream *s)
{
	stream_begin(s, MEMFDCR_CMD_EXTENT_GET, NLM_F_DUMP);
	mnl_attr_put_u32(s->request, MEMFDCR_A_EXTENTS_PID, any_root());
	mnl_attr_put_u64(s->request, MEMFDCR_A_EXTENTS_ADDRESS, ARENA + storm_any(LANES) * LANE_SIZE +
			 storm_any(SLOTS) * OBJECT_SIZE + storm_any(LANE_PAGES) * PAGE);
}

static bool may_end(const struct stream *s, int error)
{
	/* nothing is mapped there, or of a program that knows no storm */
	if (s->request && ((const struct genlmsghdr *)(s->request + 1))->cmd == MEMFDCR_CMD_EXTENT_GET &&
	    (error == -ENOENT || error == -EOPNOTSUPP))
		return true;
	return !error || storm_may_fail(error);
}

static void break_off(struct stream *s)
{
	unsigned int datagrams = storm_any(4);

	if (send(s->sock, s->request, s->request->nlmsg_len, 0) < 0)
		return;
	while (datagrams-- && recv(s->sock, s->buffer, s->size, MSG_DONTWAIT) > 0)
		;
	storm->n.broken_off++;
}

static void dump_once(void)
{
	static void (*const asks[])(struct stream *s) = { ask_for_objects, ask_for_holders, ask_for_extents };
	struct stream s;
	int error;

	/* small ones take more turns */
	if (stream_open(&s, 4096U << storm_any(4)))
		return;
	for (unsigned int n = 1 + storm_any(5); n; n--) {
		asks[storm_any(3)](&s);
		if (storm_any(3) == 0) {
			break_off(&s);
			break;
		}
		error = stream_run(&s, NULL, NULL);
		if (!may_end(&s, error))
			storm_fault("a dump ends with %d, %s", error, s.message);
		storm->n.dumps++;
	}
	stream_close(&s);
}

int storm_dumper(void *arg)
{
	storm_seed(2, (long)arg);
	setpriority(PRIO_PROCESS, 0, 10);
	while (storm->phase != OVER) {
		rest();
		dump_once();
	}
	return 0;
}

static void open_and_close(void)
{
	int mem = open_mem(any_root(), O_RDWR);
	struct answer answer;

	if (mem < 0)
		return;
	answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, storm_any(2));
	close(mem);
	if (!answer.error) {
		storm->n.opens++;
		if (storm_any(2))
			uffd_api(answer.fd, ALL_EVENTS);
		close(answer.fd);
	} else if (!storm_may_fail(answer.error)) {
		storm_fault("uffd-open: %d, %s", answer.error, answer.message);
	} else {
		request_forget();
	}
}

static int opens_until_killed(void *seed)
{
	storm_seed(3, (long)seed);
	for (;;) {
		rest();
		open_and_close();
	}
	return 0;
}

/* killed in the middle of a request, its worker may still be about it */
int storm_opener(void *arg)
{
	for (long i = 0; storm->phase != OVER; i++) {
		pid_t pid = process_start(opens_until_killed, (void *)(i << 8 | (long)arg));

		storm_nap(200000);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		storm->n.killed_requests++;
	}
	return 0;
}

int storm_unloader(void *arg)
{
	storm_seed(4, (long)arg);
	while (storm->phase != OVER) {
		unsigned int held = storm->held;
		int err = module_unload();

		if (!err) {
			storm->n.unloads++;
			if (held % 2 && storm->held == held)
				storm_fault("the module went while it was in use");
		} else if (err == -EAGAIN) {	/* in use */
			storm->n.refused_unloads++;
		} else if (err != -ENOENT && err != -EBUSY) {	/* not there, or on its way in or out */
			storm_fault("unloading: error %d", err);
		}
		storm_nap(5000);
	}
	return 0;
}
