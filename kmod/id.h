/* SPDX-License-Identifier: GPL-2.0-only */
/* Numbers that user space may compare instead of kernel pointers. */
#ifndef MEMFDCR_ID_H
#define MEMFDCR_ID_H

#include <linux/types.h>

void memfdcr_id_init(void);
u64 memfdcr_id(const void *ptr);

#endif
