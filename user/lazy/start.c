// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process apart from the beginning, because the pager's own mappings and userfaultfds cannot be taken over by a child.
 * As long as it arms, whoever has started it waits, and to kill him gives up.
 */
#include "lazy/start.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/report.h"
#include "dump/freeze.h"
#include "serve/background.h"
#include "serve/channel.h"
#include "serve/machine.h"

struct start {
	const struct lazy_options *options;
	int outcome_fd;
	struct start_outcome outcome;
	struct imgdir image;
	struct serving serving;
	char directory[PATH_MAX];	/* of the channel; empty: none */
	char error[8192];	/* a sentence, and lines that belong to it */
	char *held;		/* lines that are told when nobody is stopped any more */
	size_t held_size;
	FILE *hold;		/* writes to held; NULL: they are told at once */
};

/* lines of the log that are for the one who waits; an error is told once, at the end, by who knows more */
static void tell(void *data, int level, const char *text)
{
	struct start *s = data;

	if (level <= LOG_ERR)
		snprintf(s->error, sizeof(s->error), "%s", text);
	else if (level > LOG_WARNING && s->options->quiet)
		return;
	else if (s->hold)
		fprintf(s->hold, "%s\n", text);
	else
		report_notice("%s", text);
}

/* whoever reads what we say may be in the tree, and stopped */
static void hold_lines(struct start *s)
{
	s->hold = open_memstream(&s->held, &s->held_size);
}

static void tell_held_lines(struct start *s)
{
	char *rest, *line;

	if (!s->hold)
		return;
	fclose(s->hold);
	s->hold = NULL;
	for (rest = s->held; (line = strsep(&rest, "\n")) && rest;)
		report_notice("%s", line);
	free(s->held);
}

/* whoever waits is no more */
static bool is_abandoned(void *data)
{
	struct pollfd fd = { .fd = ((struct start *)data)->outcome_fd };

	return poll(&fd, 1, 0) > 0 && fd.revents & POLLERR;
}

/* the first line, and behind it the others */
static int fail(struct start *s, int status)
{
	char *line, *rest = strchr(s->error, '\n');

	/* on the terminal in words of its own */
	log_to_function(NULL, NULL);
	log_error("the restore is given up: %.*s", (int)strcspn(s->error, "\n"), s->error);
	if (s->options->json || !rest)
		return report_error(s->options->json, status, "%s", s->error);
	*rest++ = '\0';
	report_error(false, status, "%s", s->error);
	while ((line = strsep(&rest, "\n")))
		report_notice("%s", line);
	return status;
}

static int open_channel(struct start *s)
{
	int ret;

	channel_sweep();
	ret = channel_make_directory(getpid(), s->directory, sizeof(s->directory));
	if (!ret)
		ret = s->serving.listen_fd = channel_listen(s->directory);
	if (ret >= 0)
		return 0;
	*s->directory = '\0';
	snprintf(s->error, sizeof(s->error), "cannot write below " CHANNEL_ROOT ": %s%s", strerror(-ret),
		 ret == -EACCES || ret == -EPERM ? ": run as root" : "");
	return ret;
}

static void open_log(const struct start *s)
{
	int dirfd = open(s->image.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0 || background_open_log(dirfd))
		background_open_log(-1);
	if (dirfd >= 0)
		close(dirfd);
	log_info("restore of %s into process %u and its descendants", s->image.path, s->options->tree);
}

/* all that can be found out without a look at the tree: an exit status */
static int prepare(struct start *s)
{
	const struct lazy_options *o = s->options;
	size_t n;

	if (imgdir_open(o->directory, &s->image, s->error, sizeof(s->error)))
		return fail(s, EXIT_FAILED);
	s->serving.images = s->image.path;
	s->serving.genl = genl_open();
	if (!s->serving.genl)
		return report_open_failure(o->json, errno);
	if (!s->image.image->n_objects)
		return report_error(o->json, EXIT_PARTIAL, "%s has no object", s->image.path);
	if (open_channel(s))
		return fail(s, EXIT_FAILED);
	open_log(s);
	if (!o->eager && !machine_works(s->serving.genl, s->error, sizeof(s->error))) {
		n = strlen(s->error);
		snprintf(s->error + n, sizeof(s->error) - n, "; --eager brings everything in at once");
		return fail(s, EXIT_FAILED);
	}
	background_insure();
	return EXIT_DONE;
}

/* from the first thread that stops to the last that runs again: an exit status */
static int arm(struct start *s)
{
	const struct lazy_options *o = s->options;
	int64_t froze = clock_ns(CLOCK_MONOTONIC);
	char error[sizeof(s->error)];
	struct freezer *f;
	int ret;

	hold_lines(s);
	ret = freezer_start((pid_t)o->tree, &f, is_abandoned, s, s->error, sizeof(s->error));
	if (ret)
		tell_held_lines(s);
	if (ret)
		return fail(s, ret == -ESRCH ? EXIT_PARTIAL : EXIT_FAILED);
	ret = arm_tree(&s->serving, f, o, &s->image, is_abandoned, s, &s->outcome.result, error, sizeof(error));
	if (!ret && !freezer_held(f))
		log_notice("processes ran meanwhile: they must not use this memory yet");
	freezer_release(f);
	tell_held_lines(s);
	s->outcome.stopped_us = (uint64_t)(clock_ns(CLOCK_MONOTONIC) - froze) / 1000;
	if (!ret)
		return s->outcome.result.left_out ? EXIT_PARTIAL : EXIT_DONE;
	/* the module has refused */
	if (!*error)
		return report_request_failure(o->json, -ret);
	memcpy(s->error, error, sizeof(error));
	return fail(s, ret == -ESRCH ? EXIT_PARTIAL : EXIT_FAILED);
}

static int tell_outcome(struct start *s, int status)
{
	struct start_outcome outcome = s->outcome;

	outcome.status = status;
	fflush(stdout);
	if (write(s->outcome_fd, &outcome, sizeof(outcome)) != sizeof(outcome))
		log_warning("whoever has started this restore is gone");
	/* who waits for the last page has to hear of it if there is none */
	if (!outcome.pager || !s->options->wait) {
		close(s->outcome_fd);
		s->outcome_fd = -1;
	}
	return status;
}

/* one byte, to whoever waits for the last page */
static void tell_settled(void *data)
{
	struct start *s = data;

	if (s->outcome_fd < 0)
		return;
	if (write(s->outcome_fd, "", 1) != 1)
		log_warning("whoever waits for the last page is gone");
	close(s->outcome_fd);
	s->outcome_fd = -1;
}

static int serve(struct start *s)
{
	int ret;

	s->outcome.pager = getpid();
	tell_outcome(s, s->outcome.result.left_out ? EXIT_PARTIAL : EXIT_DONE);
	background_leave();
	ret = serving_run(&s->serving);
	return !ret ? EXIT_DONE : ret == -ESRCH ? EXIT_PARTIAL : EXIT_FAILED;
}

/* the process */
static int run(const struct lazy_options *o, int outcome_fd)
{
	static struct start s;
	int status;

	s = (struct start){
		.options = o, .outcome_fd = outcome_fd,
		.serving = {
			.listen_fd = -1, .has_checksums = true, .settled = tell_settled, .unwanted = is_abandoned, .owner = &s,
		},
	};
	background_begin();
	log_to_function(tell, &s);
	status = prepare(&s);
	if (status == EXIT_DONE)
		status = arm(&s);
	if (s.outcome.result.lazy && s.serving.pager) {
		status = serve(&s);
	} else {
		if (s.serving.pager) {
			serving_give_up(&s.serving);	/* nothing is missing */
			log_info("summary: objects lazy 0 eager %zu", s.outcome.result.eager);
		}
		tell_outcome(&s, status);
	}
	if (*s.directory)
		channel_remove(s.directory);
	return status;
}

int start_restore(const struct lazy_options *o, struct start_outcome *outcome)
{
	int ends[2], ret = 0;
	pid_t child;
	ssize_t n;

	/* who ignores it, and has had us inherit that, is told nothing of children */
	signal(SIGCHLD, SIG_DFL);
	/* whatever ours is, the descriptors of whoever called us must not stay open with the pager */
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fflush(stdout);
	child = fork();
	if (child < 0) {
		ret = -errno;
		close(ends[0]);
		close(ends[1]);
		return ret;
	}
	if (!child) {
		dup2(ends[1], STDERR_FILENO + 1);
		close_range(STDERR_FILENO + 2, ~0U, 0);
		fcntl(STDERR_FILENO + 1, F_SETFD, FD_CLOEXEC);
		_exit(run(o, STDERR_FILENO + 1));
	}
	close(ends[1]);
	do
		n = read(ends[0], outcome, sizeof(*outcome));
	while (n < 0 && errno == EINTR);
	outcome->news_fd = n == sizeof(*outcome) && outcome->pager && o->wait ? ends[0] : -1;
	if (outcome->news_fd < 0)
		close(ends[0]);
	if (n != sizeof(*outcome))
		return -EPIPE;
	if (!outcome->pager)
		waitpid(child, NULL, 0);
	return 0;
}

int start_wait(const struct start_outcome *outcome, bool *damaged)
{
	int status;
	ssize_t n;
	pid_t pid;
	char c;

	do
		n = read(outcome->news_fd, &c, 1);
	while (n < 0 && errno == EINTR);
	close(outcome->news_fd);
	*damaged = n == 1;
	if (*damaged)
		return EXIT_FAILED;
	do
		pid = waitpid(outcome->pager, &status, 0);
	while (pid < 0 && errno == EINTR);
	return pid == outcome->pager && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}
