// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr monitor: tells what processes do to their address spaces, as it happens. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "common/clock.h"
#include "common/report.h"
#include "monitor/event.h"
#include "monitor/options.h"
#include "netlink/watch.h"

#define PATIENCE_MS 1000

struct monitor {
	const struct monitor_options *options;
	char again[64];		/* the command that shows what is so now */
	int signals;		/* a signalfd for those that end us */
	bool over;		/* nobody is watched any more, or nobody wants to know */
	bool unread;		/* the reader of what we print is gone */
	bool stuck;		/* we are to end, and nobody reads what we print */
};

static void usage(void)
{
	printf("Usage: memfdcr monitor -p PID | -t PID [-j]\n\n"
	       "Tells what processes do, one line an event, until the last of them has ended or Ctrl-C:\n"
	       "fork, exec and exit, memory moved (mremap) and gone (unmap).\n\n"
	       "  -p, --pid PID   of this process\n"
	       "  -t, --tree PID  of this process and all its descendants, those to come included\n"
	       "  -j, --json      as JSON, one object a line\n"
	       "  -h, --help      this text\n\n"
	       "Exit status: 0 done, 1 failed, 2 usage, 3 the module is absent or too old,\n"
	       "4 the process does not exist.\n");
}

/*
 * Waits until a line finds room. A reader that has stopped reading must not keep us when a signal comes, but one that
 * is only slow gets the rest. A pipe that can be written has room for PIPE_BUF bytes; of lines, only a fork with very
 * many userfaultfds is longer.
 */
static bool can_print(const struct monitor *m)
{
	struct pollfd fds[] = { { .fd = STDOUT_FILENO, .events = POLLOUT }, { .fd = m->signals, .events = POLLIN } };

	if (poll(fds, 2, -1) < 0 || fds[0].revents)
		return true;
	return poll(fds, 1, PATIENCE_MS) > 0;
}

static void print_event(const struct watch_event *e, void *data)
{
	struct monitor *m = data;

	m->over |= e->last;
	m->stuck = m->stuck || !can_print(m);
	if (m->stuck)
		return;
	if (m->options->json)
		event_print_json(stdout, e);
	else
		/* anew for each, for the clock may be set meanwhile */
		event_print_text(stdout, e, clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC), m->again);
}

/* takes what comes next, be it the end. 0 or a negative errno */
static int monitor_step(struct monitor *m, struct watch *w)
{
	struct pollfd fds[] = {
		{ .fd = watch_fd(w), .events = POLLIN },
		{ .fd = m->signals, .events = POLLIN },
		/* without an event: that there is no reader any more is told all the same */
		{ .fd = STDOUT_FILENO },
	};
	int ret;

	if (poll(fds, 3, -1) < 0)
		return 0;
	if (fds[1].revents) {
		m->over = true;
		return watch_stop(w);
	}
	if (fds[2].revents & POLLERR) {
		/* what the next line would do */
		raise(SIGPIPE);
		m->over = m->unread = true;
		return 0;
	}
	ret = fds[0].revents ? watch_read(w) : 0;
	return ret == -EAGAIN ? 0 : ret;
}

static int monitor(struct monitor *m, struct watch *w)
{
	const struct monitor_options *o = m->options;
	int ret = watch_start(w, o->pid, o->tree, 0);

	while (!ret && !m->over && !ferror(stdout))
		ret = monitor_step(m, w);
	if (m->unread)
		return report_error(false, EXIT_FAILED, "cannot write the answer: %s", strerror(EPIPE));
	return ret ? report_request_failure(o->json, -ret) : report_end(EXIT_DONE);
}

/* a descriptor that can be read once we are told to end */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

int cmd_monitor(int argc, char **argv)
{
	struct monitor_options options;
	struct monitor m = { .options = &options };
	char error[512];
	struct watch *w;
	int ret;

	ret = monitor_options_parse(argc, argv, &options, error, sizeof(error));
	if (options.help) {
		usage();
		return report_end(EXIT_DONE);
	}
	if (ret)
		return report_error(options.json, EXIT_USAGE, "%s", error);
	tzset();
	/* whoever reads us wants to know now */
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(m.again, sizeof(m.again), "memfdcr list -%c %u", options.tree ? 't' : 'p', options.pid);
	m.signals = open_signals();
	if (m.signals < 0)
		return report_error(options.json, EXIT_FAILED, "signalfd: %s", strerror(errno));
	w = watch_open(print_event, &m);
	if (!w)
		return report_open_failure(options.json, errno);
	ret = monitor(&m, w);
	watch_close(w);
	return ret;
}
