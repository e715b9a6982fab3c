/* SPDX-License-Identifier: GPL-2.0-only */
/* What io_uring's workers are doing for processes: they never entered the kernel, so no registers say it. */
#ifndef MEMFDCR_WORKER_H
#define MEMFDCR_WORKER_H

/* what memfdcr_worker_does() returns besides an advice to madvise() */
#define MEMFDCR_WORKER_NOTHING	(-1)	/* nothing of what is looked for */
#define MEMFDCR_WORKER_FILE	(-2)	/* fallocate(), ftruncate() or open() with O_TRUNC */
#define MEMFDCR_WORKER_UNKNOWN	(-3)	/* perhaps one of these: there were more of them than could be followed */

int memfdcr_worker_get(void);
void memfdcr_worker_put(void);
int memfdcr_worker_does(void);

#endif
