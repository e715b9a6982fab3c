/* SPDX-License-Identifier: GPL-2.0-only */
/* What a process in a watch begins and is known when it ends: mremap() and fork(). */
#ifndef MEMFDCR_CALL_H
#define MEMFDCR_CALL_H

#include <linux/types.h>

struct memfdcr_event_ntf;
struct memfdcr_member;

void memfdcr_call_mremap(struct memfdcr_member *m);
bool memfdcr_call_moves(struct memfdcr_member *m, unsigned long start, unsigned long end);
void memfdcr_call_fork(struct memfdcr_member *m);
void memfdcr_call_forked(struct memfdcr_member *m, const struct memfdcr_event_ntf *event);

#endif
