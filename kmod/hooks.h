/* SPDX-License-Identifier: GPL-2.0-only */
/* The hooks that tell what processes do: in place only while there are watches. */
#ifndef MEMFDCR_HOOKS_H
#define MEMFDCR_HOOKS_H

int memfdcr_hooks_add(void);
int memfdcr_hooks_remove(void);
void memfdcr_hooks_exit(void);

#endif
