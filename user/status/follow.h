/* SPDX-License-Identifier: GPL-2.0-only */
/* All pagers together, again and again until the last one has ended. */
#ifndef MEMFDCR_STATUS_FOLLOW_H
#define MEMFDCR_STATUS_FOLLOW_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/pace.h"
#include "status/ask.h"

struct followed;

struct follow {
	struct followed *v;	/* the pagers that ran when they were asked last */
	size_t n, silent;	/* silent: of these, that have not answered then */
	uint64_t ended;		/* bytes of those that run no more */
};

/* Takes the newest answers. 0 or -ENOMEM */
int follow_take(struct follow *f, const struct pager_answers *answers);

/* all that there has been since the beginning: so a bar does not go back when one of the pagers ends */
void follow_pace(const struct follow *f, struct pace *pace);

/* the same as text, and how many there are; bar: on a terminal, else with the end of the line */
void follow_print(FILE *out, const struct follow *f, bool bar);

void follow_free(struct follow *f);

#endif
