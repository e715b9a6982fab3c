/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The netlink interface of memfdcr.ko in C; docs/netlink/memfdcr.yaml says what each name means.
 *
 * Numbers never change and are never used twice; new names are added at the end of their enum.
 */
#ifndef _UAPI_LINUX_MEMFDCR_H
#define _UAPI_LINUX_MEMFDCR_H

#define MEMFDCR_FAMILY_NAME	"memfdcr"
#define MEMFDCR_FAMILY_VERSION	1

/*
 * A guarded userfaultfd tells in struct uffd_msg.reserved2 of an UFFD_EVENT_REMOVE message which madvise() raised
 * it: MADV_DONTNEED (a shared object keeps its bytes), MADV_REMOVE (they are gone), or this when it cannot be told.
 * In every other message the field is 0. In the first two cases reserved3 holds the low 32 bits of the inode number of
 * the file that the range mapped when madvise() was called, and arg.reserved.reserved3 the offset in that file, in
 * bytes, that was mapped at the start of the range.
 */
#define MEMFDCR_ADVICE_UNKNOWN	65535

enum {
	MEMFDCR_A_UFFD_PAD = 1,
	MEMFDCR_A_UFFD_MEM_FD,
	MEMFDCR_A_UFFD_FLAGS,
	MEMFDCR_A_UFFD_GUARD,
	MEMFDCR_A_UFFD_FD,
	MEMFDCR_A_UFFD_UFFD_ID,

	__MEMFDCR_A_UFFD_MAX,
	MEMFDCR_A_UFFD_MAX = (__MEMFDCR_A_UFFD_MAX - 1)
};

enum {
	MEMFDCR_CMD_UFFD_OPEN = 1,
	MEMFDCR_CMD_UFFD_COMPLETE,

	__MEMFDCR_CMD_MAX,
	MEMFDCR_CMD_MAX = (__MEMFDCR_CMD_MAX - 1)
};

#endif /* _UAPI_LINUX_MEMFDCR_H */
