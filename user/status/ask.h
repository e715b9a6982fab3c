/* SPDX-License-Identifier: GPL-2.0-only */
/* Asking all daemons at once how far they are. None of them, nor anything else that listens there, can keep us. */
#ifndef MEMFDCR_STATUS_ASK_H
#define MEMFDCR_STATUS_ASK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "status/status.h"

/* one daemon */
struct pager_answer {
	char channel[NAME_MAX + 1];	/* its directory: no other daemon ever has the same */
	struct status status;		/* with an error, only pid counts */
	char error[128];		/* what is wrong with the answer, a clause behind "pager N"; empty: nothing */
};

struct pager_answers {
	struct pager_answer *v;		/* those that have begun earlier first */
	size_t n;
};

/*
 * Asks every daemon with a channel below the directory root. 0, with n 0 if there is none; or a negative errno and a
 * sentence in error.
 */
int pager_answers_get(const char *root, struct pager_answers *answers, char *error, size_t error_size);
void pager_answers_free(struct pager_answers *answers);

#endif
