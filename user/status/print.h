/* SPDX-License-Identifier: GPL-2.0-only */
/* What memfdcr status prints of the answers of all daemons. */
#ifndef MEMFDCR_STATUS_PRINT_H
#define MEMFDCR_STATUS_PRINT_H

#include <stdio.h>

#include "status/ask.h"

/* for people, a block for each pager that has answered. 0 or -ENOMEM */
int status_print_text(FILE *f, const struct pager_answers *answers);

/* an array in one line, as memfdcr(8) promises it. 0 or -ENOMEM */
int status_print_json(FILE *f, const struct pager_answers *answers);

#endif
