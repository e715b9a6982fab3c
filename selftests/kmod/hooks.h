/* SPDX-License-Identifier: GPL-2.0-only */
/* Which functions of the kernel are hooked. */
#ifndef HOOKS_H
#define HOOKS_H

int hooks_count(const char *const *functions);

#endif
