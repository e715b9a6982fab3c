/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening a userfaultfd on somebody else's address space. */
#ifndef MEMFDCR_UFFD_H
#define MEMFDCR_UFFD_H

struct file;
struct mm_struct;

int memfdcr_uffd_init(void);
void memfdcr_uffd_exit(void);
struct file *memfdcr_uffd_open(struct mm_struct *mm, unsigned int flags);

#endif
