// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr status: how far the pagers of lazy restores are. */
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "common/clock.h"
#include "common/report.h"
#include "serve/channel.h"
#include "status/ask.h"
#include "status/follow.h"
#include "status/options.h"
#include "status/print.h"

static void usage(void)
{
	printf("Usage: memfdcr status [-f] [-j]\n\n"
	       "Tells which pagers of lazy restores run, what they have brought in, and what is left.\n\n"
	       "  -f, --follow  until the last one has ended; on a terminal as a bar\n"
	       "  -j, --json    as JSON; with --follow a line a second\n"
	       "  -h, --help    this text\n\n"
	       "Exit status: 0 done, also if none runs, 1 failed, 2 usage, 4 one of them did not answer.\n");
}

/* Returns how many have not answered; names them, unless that is in the JSON. */
static size_t report_silent(const struct pager_answers *answers, bool json)
{
	size_t i, n = 0;

	for (i = 0; i < answers->n; i++) {
		const struct pager_answer *one = &answers->v[i];

		if (!*one->error)
			continue;
		n++;
		if (json)
			continue;
		if (one->status.pid)
			report_notice("pager %d: %s", (int)one->status.pid, one->error);
		else
			report_notice("the pager of " CHANNEL_ROOT "/%s: %s", one->channel, one->error);
	}
	return n;
}

static int print_once(const struct status_options *o, const struct pager_answers *answers)
{
	int ret;

	if (o->json)
		ret = status_print_json(stdout, answers);
	else
		ret = status_print_text(stdout, answers);
	if (ret)
		return report_error(false, EXIT_FAILED, "cannot print: %s", strerror(-ret));
	if (!o->json && !answers->n)
		printf("no pager is running\n");
	return report_end(report_silent(answers, o->json) ? EXIT_PARTIAL : EXIT_DONE);
}

/* one line, or the bar anew. 0 or a negative errno */
static int print_again(const struct status_options *o, const struct pager_answers *answers, struct follow *f, bool bar)
{
	int ret;

	if (o->json)
		return status_print_json(stdout, answers);
	ret = follow_take(f, answers);
	if (ret)
		return ret;
	if (f->n) {
		follow_print(stdout, f, bar);
		return 0;
	}
	if (bar)
		pace_erase(stdout);
	printf("no pager is running%s\n", f->ended ? " any more" : "");
	return 0;
}

static void sleep_until(int64_t when)
{
	const struct timespec t = { .tv_sec = when / NS_PER_S, .tv_nsec = when % NS_PER_S };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static int follow(const struct status_options *o)
{
	const bool bar = !o->json && isatty(STDOUT_FILENO);
	struct pager_answers answers = { 0 };
	struct follow f = { 0 };
	char error[512];
	int ret;

	do {
		int64_t next = clock_ns(CLOCK_MONOTONIC) + NS_PER_S;

		pager_answers_free(&answers);
		if (pager_answers_get(CHANNEL_ROOT, &answers, error, sizeof(error)))
			return report_error(o->json, EXIT_FAILED, "%s", error);
		ret = print_again(o, &answers, &f, bar);
		/* whoever reads us wants to know now */
		fflush(stdout);
		if (!ret && answers.n && !ferror(stdout))
			sleep_until(next);
	} while (!ret && answers.n && !ferror(stdout));
	pager_answers_free(&answers);
	follow_free(&f);
	return ret ? report_error(false, EXIT_FAILED, "cannot print: %s", strerror(-ret)) : report_end(EXIT_DONE);
}

static int status(const struct status_options *o)
{
	struct pager_answers answers;
	char error[512];
	int ret;

	if (pager_answers_get(CHANNEL_ROOT, &answers, error, sizeof(error)))
		return report_error(o->json, EXIT_FAILED, "%s", error);
	ret = print_once(o, &answers);
	pager_answers_free(&answers);
	return ret;
}

int cmd_status(int argc, char **argv)
{
	struct status_options options;
	char error[512];
	int ret;

	setlocale(LC_CTYPE, "");	/* what libsmartcols takes for printable, and its width */
	ret = status_options_parse(argc, argv, &options, error, sizeof(error));
	if (options.help) {
		usage();
		return report_end(EXIT_DONE);
	}
	if (ret)
		return report_error(options.json, EXIT_USAGE, "%s", error);
	return options.follow ? follow(&options) : status(&options);
}
