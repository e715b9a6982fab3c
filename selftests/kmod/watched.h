/* SPDX-License-Identifier: GPL-2.0-only */
/* What watched processes do, in a place of their own; nothing but system calls once they are watched. */
#ifndef WATCHED_H
#define WATCHED_H

#include <sys/types.h>

#include "process.h"

#define PATIENCE (60000 * SLOWNESS)		/* ms, for what comes at once */
#define ARENA ((char *)0x200000000UL)		/* where nobody maps anything by itself */
#define ARENA_PAGES 1024UL
#define PLACE(n) (ARENA + (n) * PAGE)
#define STORM 20000UL				/* pages, from the arena's beginning on */

void at_step(int n);
void map(unsigned long first, unsigned long n);		/* pages of the arena */
void unmap(unsigned long first, unsigned long n);
void exec_self(const char *code);			/* maps and unmaps a bit, and exits with that */

/* maps the storm's pages, here, and starts a process that unmaps them from step 1 on */
pid_t start_storm(void);

#endif
