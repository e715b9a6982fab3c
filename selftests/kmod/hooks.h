/* SPDX-License-Identifier: GPL-2.0-only */
/* Which functions of the kernel are hooked. Lists of functions end with NULL, and are no longer than 16. */
#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>

extern const char *const hooks_of_watches[];	/* on any kernel */
extern const char *const hooks_of_guards[];
extern const char *const hooks_at_rest[];	/* what is traced while nobody is watched */

int hooks_count(const char *const *functions);	/* those that are hooked; -1: this kernel does not tell */
int hooks_probes(const char *const *functions);	/* those that have probes */
bool hooks_gone_soon(const char *const *functions);	/* 20 seconds at most */

#endif
