// SPDX-License-Identifier: GPL-2.0-only
/* What the processes do, by the module's watch on their tree: forks, execs and exits told to the pager. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/process.h"
#include "netlink/watch.h"
#include "serve/serving.h"

#define READ_NS		2000000	/* so long, then those who fault have their turn */

int serving_process(pid_t pid, struct pager_process *process)
{
	unsigned long long start, again;
	int ret = process_start_time(pid, &start);

	if (ret)
		return ret;
	*process = (struct pager_process){ .pid = pid, .start_time = start };
	process_name(pid, process->name, sizeof(process->name));
	/* the name is that of this process, and not of another one that got the pid */
	if (process_start_time(pid, &again) || again != start)
		return -ESRCH;
	return 0;
}

/* the module writes it there; uffd-get would look at every process of the machine for it, at every fork */
int serving_uffd_id(void *data, int uffd, uint64_t *id)
{
	char path[48], line[128];
	int ret = -ENODATA;
	FILE *f;

	(void)data;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", uffd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (ret && fgets(line, sizeof(line), f))
		if (sscanf(line, "uffd-id: %" SCNu64, id) == 1)
			ret = 0;
	fclose(f);
	return ret;
}

int serving_user(void *data, int uffd, struct pager_process *process)
{
	struct pager_process found = { 0 }, one;
	struct serving *s = data;
	pid_t pids[64];
	size_t n;
	int ret = genl_uffd_processes(s->genl, uffd, pids, sizeof(pids) / sizeof(*pids), &n);

	if (ret) {
		if (!s->cannot_ask)
			log_warning("whose memory a userfaultfd watches cannot be found out: %s", genl_error());
		s->cannot_ask = true;
		return ret;
	}
	for (size_t i = 0; i < n; i++) {
		if (serving_process(pids[i], &one))
			continue;
		if (one.pid == process->pid && one.start_time == process->start_time)
			return 1;
		if (!found.pid)
			found = one;
	}
	if (!found.pid)
		return 0;
	*process = found;
	return 1;
}

static void forked(const struct serving *s, const struct watch_event *e)
{
	struct pager_process child;

	/* it has no memory of its own, or none that we serve; or its end will not be told, so that it is to be asked for */
	if (!e->child.n_uffds || e->child.hidden)
		return;
	/* it may be over already, and its pid another one's: then it has the name of its parent, as it had at first */
	if (serving_process(e->child.pid, &child) || child.start_time != e->child.start_time)
		child = (struct pager_process){ .pid = e->child.pid, .start_time = e->child.start_time };
	pager_told_fork(s->pager, &child, e->child.uffds, e->child.n_uffds);
}

static void lost(struct serving *s, const struct watch_event *e)
{
	if (!s->n_lost)
		log_warning("%" PRIu64 " notifications of what the processes do were lost: finding out by asking", e->lost);
	s->n_lost += e->lost;
	pager_told_lost(s->pager);
}

/*
 * Moves and unmappings are not taken from here: their events come by the userfaultfds, in an order with the faults, and
 * what these leave out is looked up when somebody faults there.
 */
static void take_event(const struct watch_event *e, void *data)
{
	struct serving *s = data;

	switch (e->command) {
	case MEMFDCR_CMD_FORK_NTF:
		forked(s, e);
		break;
	case MEMFDCR_CMD_EXEC_NTF:
		pager_told_exec(s->pager, (pid_t)e->pid);
		break;
	case MEMFDCR_CMD_EXIT_NTF:
		pager_told_exit(s->pager, (pid_t)e->pid);
		break;
	case MEMFDCR_CMD_OVERRUN_NTF:
	case WATCH_GAP:
		lost(s, e);
		break;
	}
}

/* without the watch: each space is looked at again and again, and each new one asked for */
static void lose_watch(struct serving *s, const char *why)
{
	log_warning("the watch on the processes is lost: %s: finding out by asking what they do", why);
	watch_close(s->watch);
	s->watch = NULL;
	pager_told_end(s->pager);
}

static void take_events(void *data, int fd)
{
	int64_t until = clock_ns(CLOCK_MONOTONIC) + READ_NS;
	struct serving *s = data;
	int ret;

	(void)fd;
	do
		ret = watch_read(s->watch);
	while (!ret && clock_ns(CLOCK_MONOTONIC) < until);
	if (ret && ret != -EAGAIN)
		lose_watch(s, genl_error());
}

/* 0; else the watch is not to be had, and why says why */
static int start_watch(struct serving *s, pid_t root, const char **why)
{
	int ret;

	*why = "";
	s->watch = watch_open(take_event, s);
	if (s->watch)
		ret = watch_start(s->watch, (uint32_t)root, true, 0);
	else
		ret = -errno;
	if (ret) {
		*why = genl_error();
		return ret;
	}
	ret = pager_watch_fd(s->pager, watch_fd(s->watch), take_events, s);
	if (ret)
		*why = strerror(-ret);
	return ret;
}

void serving_follow(struct serving *s, pid_t root)
{
	const char *why;

	if (!start_watch(s, root, &why)) {
		pager_told_begin(s->pager);
		return;
	}
	log_notice("no watch on the processes: %s: finding out by asking what they do", why);
	watch_close(s->watch);
	s->watch = NULL;
}

void serving_unfollow(struct serving *s)
{
	watch_close(s->watch);
	s->watch = NULL;
	if (s->n_lost)
		log_info("%" PRIu64 " notifications of what the processes do were lost in all", s->n_lost);
}
