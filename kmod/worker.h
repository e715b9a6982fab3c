/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether io_uring's workers are dropping pages for processes: they never entered the kernel, so no registers say it. */
#ifndef MEMFDCR_WORKER_H
#define MEMFDCR_WORKER_H

#include "drop.h"

int memfdcr_worker_hook(void);
void memfdcr_worker_unhook(void);
enum memfdcr_drop memfdcr_worker_drops(void);

#endif
