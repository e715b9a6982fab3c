// SPDX-License-Identifier: GPL-2.0-only
/* After the processes run: the pager until the last page, and the summary at the end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "serve/channel.h"
#include "serve/serving.h"

static void summary(const struct serving *s, int result)
{
	struct pager_stats stats;
	char damaged[64] = "";

	pager_get_stats(s->pager, &stats);
	if (stats.bytes_damaged)
		snprintf(damaged, sizeof(damaged), ", damaged %" PRIu64, stats.bytes_damaged);
	log_line(result && result != -ESRCH ? LOG_ERR : LOG_INFO,
		 "summary: objects lazy %zu eager %zu, bytes %" PRIu64 " (fault %" PRIu64 ", background %" PRIu64
		 ", dropped %" PRIu64 ", holes %" PRIu64 "%s%s), faults %" PRIu64
		 ", duration %" PRIu64 ".%03" PRIu64 " s%s",
		 s->n_lazy, s->n_eager, stats.bytes_total, stats.bytes_by_fault, stats.bytes_background,
		 stats.bytes_dropped, stats.bytes_holes, damaged, stats.bytes_found ? ", and some found past the pager" : "",
		 stats.faults, stats.elapsed_us / 1000000, stats.elapsed_us / 1000 % 1000,
		 !result ? "" : result == -ESRCH ? ", incomplete: the processes are gone" : ", incomplete: failed");
}

int serving_run(struct serving *s)
{
	int listens = serving_listen(s), ret = listens;

	if (!ret)
		ret = pager_run(s->pager);
	serving_unfollow(s);
	if (ret && ret != -ESRCH)
		log_error("the pager cannot go on: %s: pages are missing, so the processes that need them will be killed; restore again from the image",
			  strerror(-ret));
	summary(s, ret);
	/* before anybody is told that there is nothing to wait for */
	if (!ret)
		serving_clear_marks(s);
	if (ret == -ESRCH)
		serving_clear_orphans(s);
	if (!listens)
		serving_answer_all(s, ret ? CHANNEL_FAILED : CHANNEL_DONE);
	/*
	 * After a failure the userfaultfds close with this process, still guarded: the module kills whoever would
	 * find zeros in their place.
	 */
	return ret;
}
