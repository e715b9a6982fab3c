/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether this machine can restore lazily. */
#ifndef MEMFDCR_SERVE_MACHINE_H
#define MEMFDCR_SERVE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "netlink/genl.h"

/*
 * Whether module, kernel and our privileges allow lazy restores, tried on this process itself. The reason why not, as a
 * clause for the log, in reason.
 */
bool machine_works(struct genl *g, char *reason, size_t size);

#endif
