/* SPDX-License-Identifier: GPL-2.0-only */
/* What an index into the page cache of an object counts. */
#ifndef MEMFDCR_COMPAT_WRAPPER_PAGEMAP_H
#define MEMFDCR_COMPAT_WRAPPER_PAGEMAP_H

#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/version.h>

/**
 * memfdcr_index_shift() - size of what an index counts
 * @inode: an object's
 *
 * Context: any.
 * Return: its power of two.
 */
static inline unsigned int memfdcr_index_shift(const struct inode *inode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)	/* "mm/filemap: remove hugetlb special casing in filemap.c" */
	if (inode->i_sb->s_magic == HUGETLBFS_MAGIC)
		return huge_page_shift(hstate_inode((struct inode *)inode));
#endif
	return PAGE_SHIFT;
}

#endif
