// SPDX-License-Identifier: GPL-2.0-only
/* What pagers have told one after the other, as one sum. */
#include "status/follow.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* a pager, as it was when it answered last */
struct followed {
	char channel[NAME_MAX + 1];
	struct pace pace;
};

static const struct followed *find(const struct follow *f, const char *channel)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (!strcmp(f->v[i].channel, channel))
			return &f->v[i];
	return NULL;
}

static bool has(const struct pager_answers *answers, const char *channel)
{
	size_t i;

	for (i = 0; i < answers->n; i++)
		if (!strcmp(answers->v[i].channel, channel))
			return true;
	return false;
}

int follow_take(struct follow *f, const struct pager_answers *answers)
{
	struct followed *v = calloc(answers->n + 1, sizeof(*v));
	size_t i;

	if (!v)
		return -ENOMEM;
	for (i = 0; i < f->n; i++)
		if (!has(answers, f->v[i].channel))
			f->ended += f->v[i].pace.total;
	f->silent = 0;
	for (i = 0; i < answers->n; i++) {
		const struct pager_answer *one = &answers->v[i];
		const struct followed *before = find(f, one->channel);

		memcpy(v[i].channel, one->channel, sizeof(v[i].channel));
		if (!*one->error)
			status_pace(&one->status, &v[i].pace);
		else if (before)
			v[i].pace = before->pace;
		f->silent += !!*one->error;
	}
	free(f->v);
	f->v = v;
	f->n = answers->n;
	return 0;
}

void follow_pace(const struct follow *f, struct pace *pace)
{
	size_t i;

	*pace = (struct pace){ f->ended, f->ended, 0 };
	for (i = 0; i < f->n; i++) {
		pace->done += f->v[i].pace.done;
		pace->total += f->v[i].pace.total;
		pace->rate += f->v[i].pace.rate;
	}
}

void follow_print(FILE *out, const struct follow *f, bool bar)
{
	struct pace pace;

	follow_pace(f, &pace);
	if (bar)
		pace_draw(out, &pace);
	else
		pace_print(out, &pace);
	if (f->n > 1)
		fprintf(out, ", %zu pagers", f->n);
	if (f->silent)
		fprintf(out, ", %zu without an answer", f->silent);
	if (bar)
		pace_show(out);
	else
		fputc('\n', out);
}

void follow_free(struct follow *f)
{
	free(f->v);
	*f = (struct follow){ 0 };
}
