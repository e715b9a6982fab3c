/* SPDX-License-Identifier: GPL-2.0-only */
/* What memfdcr monitor prints of an event: one line. */
#ifndef MEMFDCR_MONITOR_EVENT_H
#define MEMFDCR_MONITOR_EVENT_H

#include <stdint.h>
#include <stdio.h>

#include "netlink/watch.h"

/* for people; boot: CLOCK_REALTIME, in ns, when CLOCK_MONOTONIC was 0; again: a command that shows what is so now */
void event_print_text(FILE *f, const struct watch_event *e, int64_t boot, const char *again);

/* a JSON object as memfdcr(8) promises it */
void event_print_json(FILE *f, const struct watch_event *e);

#endif
