// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr lazy-restore: what dump has written, into a tree of processes that somebody else has made. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "common/clock.h"
#include "common/report.h"
#include "common/text.h"
#include "lazy/options.h"
#include "lazy/start.h"

static void usage(void)
{
	printf("Usage: memfdcr lazy-restore -t PID -D DIR [OPTION]...\n\n"
	       "Brings what dump has written into the same memory of processes that do not use it yet.\n\n"
	       "  -t, --tree PID           of this process and all its descendants\n"
	       "  -D, --directory DIR      the image\n"
	       "      --trust-descriptors  nobody reads or writes by descriptors before all is in\n"
	       "      --wait               return when all is in\n"
	       "      --eager              bring everything in at once\n"
	       "      --map OLD=NEW        the image's object OLD is the processes' object NEW, each PID:FD,\n"
	       "                           PID:0xADDRESS, ino:N, name:NAME, kind:KIND; may be repeated\n"
	       "  -j, --json               the result as JSON\n"
	       "  -q, --quiet              print only what is wrong\n"
	       "  -h, --help               this text\n\n"
	       "Exit status: 0 done, 1 failed, 2 usage, 3 the module is absent or too old,\n"
	       "4 there was nothing to restore, or the image has not everything, or the processes ended before.\n");
}

static int print_result(const struct lazy_options *o, const struct start_outcome *outcome, int64_t began, int status)
{
	const struct arm_result *r = &outcome->result;
	uint64_t elapsed = (uint64_t)(clock_ns(CLOCK_MONOTONIC) - began) / 1000;
	bool served = outcome->pager && !o->wait;

	if (o->json) {
		printf("{\"objects\":%zu,\"lazy\":%zu,\"eager\":%zu,\"left_out\":%zu,\"bytes\":%" PRIu64 ",\"bytes_lazy\":%" PRIu64
		       ",\"pager\":", r->objects, r->lazy, r->eager, r->left_out, r->bytes, r->bytes_lazy);
		if (served)
			printf("%d", (int)outcome->pager);
		else
			printf("null");
		printf(",\"stopped_us\":%" PRIu64 ",\"elapsed_us\":%" PRIu64 "}\n", outcome->stopped_us, elapsed);
		return report_end(status);
	}
	if (r->left_out)
		report_notice("%zu object%s of the image without content: %s left as found", r->left_out,
			      r->left_out == 1 ? " is" : "s are", r->left_out == 1 ? "it is" : "they are");
	if (o->quiet)
		return status;
	printf("%zu object%s, ", r->objects, r->objects == 1 ? "" : "s");
	text_print_size(stdout, r->bytes);
	if (served) {
		printf("; of that ");
		text_print_size(stdout, r->bytes_lazy);
		printf(" to come, by process %d", (int)outcome->pager);
	}
	printf("; stopped for %" PRIu64 ".%" PRIu64 " ms\n", outcome->stopped_us / 1000, outcome->stopped_us / 100 % 10);
	return report_end(status);
}

/* until the last page; an exit status */
static int wait_for_pager(const struct lazy_options *o, const struct start_outcome *outcome)
{
	bool damaged;
	int status = start_wait(outcome, &damaged);

	if (damaged)
		return report_error(o->json, status,
				    "some of the image is damaged, all else is in: process %d keeps it from who needs it (SIGBUS); memfdcr verify tells where",
				    (int)outcome->pager);
	if (status == EXIT_PARTIAL)
		return report_error(o->json, status, "the processes ended before the last page was in");
	if (status != EXIT_DONE)
		return report_error(o->json, EXIT_FAILED,
				    "the pager has failed: pages are missing, and who needs them is killed; memfdcr-restore.log says why");
	return status;
}

int cmd_lazy_restore(int argc, char **argv)
{
	static struct lazy_options options;
	struct start_outcome outcome = { 0 };
	int64_t began = clock_ns(CLOCK_MONOTONIC);
	char error[512] = "";
	int ret;

	ret = lazy_options_parse(argc, argv, &options, error, sizeof(error));
	if (options.help) {
		usage();
		return report_end(EXIT_DONE);
	}
	if (ret)
		return report_error(options.json, EXIT_USAGE, "%s", error);
	ret = report_process(options.json, options.tree);
	if (ret)
		return ret;
	ret = start_restore(&options, &outcome);
	if (ret)
		return report_error(options.json, EXIT_FAILED, ret == -EPIPE ? "the pager was killed before it was ready" :
				    "cannot start the pager: %s", strerror(-ret));
	if (outcome.status != EXIT_DONE && !(outcome.status == EXIT_PARTIAL && outcome.result.left_out))
		return outcome.status;
	if (outcome.pager && options.wait) {
		ret = wait_for_pager(&options, &outcome);
		if (ret)
			return ret;
	}
	return print_result(&options, &outcome, began, outcome.status);
}
