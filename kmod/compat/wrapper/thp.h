/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeping huge pages from covering missing ones, on kernels that would. */
#ifndef MEMFDCR_COMPAT_WRAPPER_THP_H
#define MEMFDCR_COMPAT_WRAPPER_THP_H

#include <linux/mm_types.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
/* "mm/khugepaged: skip shmem with userfaultfd": the kernel takes care of itself */
static inline bool memfdcr_thp_hold(struct mm_struct *mm)
{
	return false;
}

static inline void memfdcr_thp_release(struct mm_struct *mm)
{
}
#else
#include <linux/sched/coredump.h>

/**
 * memfdcr_thp_hold() - no huge pages are made in an address space, as after prctl(PR_SET_THP_DISABLE)
 * @mm: the address space; pinned
 *
 * Here khugepaged and MADV_COLLAPSE make a huge page of shmem out of the small ones that are there and zeros for those
 * that are missing, whether a userfaultfd waits for these or not. Forked children inherit the state.
 *
 * Context: any.
 * Return: it was not so before; memfdcr_thp_release() when it is no longer needed.
 */
static inline bool memfdcr_thp_hold(struct mm_struct *mm)
{
	return !test_and_set_bit(MMF_DISABLE_THP, &mm->flags);
}

static inline void memfdcr_thp_release(struct mm_struct *mm)
{
	clear_bit(MMF_DISABLE_THP, &mm->flags);
}
#endif

#endif
