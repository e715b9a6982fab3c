/* SPDX-License-Identifier: GPL-2.0-only */
/* Before 6.9 the structure behind a userfaultfd was private to fs/userfaultfd.c; the module tries it when loaded. */
#ifndef MEMFDCR_COMPAT_LINUX_USERFAULTFD_K_H
#define MEMFDCR_COMPAT_LINUX_USERFAULTFD_K_H

#include_next <linux/userfaultfd_k.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#include <linux/refcount.h>
#include <linux/seqlock.h>
#include <linux/wait.h>

struct userfaultfd_ctx {
	wait_queue_head_t queues[4];
	seqcount_spinlock_t refile_seq;
	refcount_t refcount;
	unsigned int flags;
	unsigned int features;
	bool released;
	atomic_t mmap_changing;
	struct mm_struct *mm;
};
#endif

#endif
