/* SPDX-License-Identifier: GPL-2.0-only */
/* Memory that runs out where a test wants it to: the kernel's fault injection, aimed at what the module does. */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>

/*
 * Only allocations with the module's code on the stack fail from now on, of slab and of pages, also those that may
 * wait; without the module loaded, all of them. NULL, or why this kernel cannot do that.
 */
const char *fault_aim(void);

/* of these, the n-th that this thread makes fails; returns 0 or -errno */
int fault_arm(unsigned int n);
bool fault_disarm(void);	/* true: it has failed; false: there were fewer than n */

/* the same of the kernel's workers, each by itself */
int fault_arm_workers(unsigned int n);
bool fault_disarm_workers(void);

/* so many of a hundred fail, whoever makes them; 0: none any more */
int fault_rate(unsigned int percent);

#endif
