/* SPDX-License-Identifier: GPL-2.0-only */
/* Whether pages go because somebody means to drop them, or for reasons of the kernel's own. */
#ifndef MEMFDCR_DROP_H
#define MEMFDCR_DROP_H

#include <linux/types.h>

enum memfdcr_drop {
	MEMFDCR_DROP_NO,	/* reclaim, migration, a copy on write */
	MEMFDCR_DROP_YES,
	MEMFDCR_DROP_UNKNOWN,
};

enum memfdcr_drop memfdcr_drop(void);
bool memfdcr_in_mremap(unsigned long args[6]);

#endif
