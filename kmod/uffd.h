/* SPDX-License-Identifier: GPL-2.0-only */
/* Opening a userfaultfd on somebody else's address space. */
#ifndef MEMFDCR_UFFD_H
#define MEMFDCR_UFFD_H

struct file;
struct mm_struct;
struct userfaultfd_ctx;

int memfdcr_uffd_init(void);
void memfdcr_uffd_exit(void);
struct file *memfdcr_uffd_open(struct mm_struct *mm, unsigned int flags);
const struct userfaultfd_ctx *memfdcr_uffd_ctx(const struct file *file);

#endif
