/* SPDX-License-Identifier: GPL-2.0-only */
/* The module as the kernel sees it: whether it is there, who uses it, what memory is gone. */
#ifndef MODULE_H
#define MODULE_H

#include <stdbool.h>

bool module_is_loaded(void);
int module_unload(void);		/* 0 or -errno; the next request loads it again */
int module_unload_soon(void);		/* the same, once nothing of it is left: five seconds at most */
int module_references(void);		/* how many the kernel counts; -1: it is not loaded */
bool module_unused_soon(void);		/* nobody has a reference any more */

/* KiB of memory that the kernel has allocated for itself and cannot free when asked to */
long module_slab(void);
bool module_slab_soon(long most);	/* no more than that, a while after everything has ended */

#endif
