/* SPDX-License-Identifier: GPL-2.0-only */
/* Nobody maps missing pages anew where no userfaultfd watches. */
#ifndef MEMFDCR_REMAP_H
#define MEMFDCR_REMAP_H

int memfdcr_remap_hook(void);
void memfdcr_remap_unhook(void);

#endif
