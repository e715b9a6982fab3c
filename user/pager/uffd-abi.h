/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The userfaultfd ABI as the pager uses it: what older uapi headers lack, and checks of what the headers say.
 *
 * A wrong request number fails with EINVAL or ENOTTY on an ioctl whose result nobody can use (a wake, say), and shows
 * up as a thread that never wakes. So every number is pinned at compile time.
 */
#ifndef MEMFDCR_PAGER_UFFD_ABI_H
#define MEMFDCR_PAGER_UFFD_ABI_H

#include <assert.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <sys/ioctl.h>

/* Linux 6.1 and its headers */
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW	_IO(0xAA, 0x00)
#endif

/* Linux 5.11 */
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY	1
#endif

/* Linux 6.6 */
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON	(1 << 14)
#define UFFDIO_POISON_MODE_DONTWAKE	(1ULL << 0)
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define _UFFDIO_POISON		0x08
#define UFFDIO_POISON		_IOWR(UFFDIO, _UFFDIO_POISON, struct uffdio_poison)
#endif

static_assert(USERFAULTFD_IOC_NEW == _IO(0xAA, 0x00), "USERFAULTFD_IOC_NEW");
static_assert(UFFD_USER_MODE_ONLY == 1, "UFFD_USER_MODE_ONLY");
static_assert(UFFDIO_API == _IOWR(0xAA, 0x3f, struct uffdio_api), "UFFDIO_API");
static_assert(UFFDIO_REGISTER == _IOWR(0xAA, 0x00, struct uffdio_register), "UFFDIO_REGISTER");
static_assert(UFFDIO_WAKE == _IOR(0xAA, 0x02, struct uffdio_range), "UFFDIO_WAKE");
static_assert(UFFDIO_COPY == _IOWR(0xAA, 0x03, struct uffdio_copy), "UFFDIO_COPY");
static_assert(UFFDIO_ZEROPAGE == _IOWR(0xAA, 0x04, struct uffdio_zeropage), "UFFDIO_ZEROPAGE");
static_assert(UFFDIO_WRITEPROTECT == _IOWR(0xAA, 0x06, struct uffdio_writeprotect), "UFFDIO_WRITEPROTECT");
static_assert(UFFDIO_CONTINUE == _IOWR(0xAA, 0x07, struct uffdio_continue), "UFFDIO_CONTINUE");
static_assert(UFFDIO_POISON == _IOWR(0xAA, 0x08, struct uffdio_poison), "UFFDIO_POISON");
static_assert(UFFD_FEATURE_POISON == 1 << 14, "UFFD_FEATURE_POISON");

static_assert(sizeof(struct uffd_msg) == 32, "struct uffd_msg");
static_assert(sizeof(struct uffdio_api) == 24, "struct uffdio_api");
static_assert(sizeof(struct uffdio_register) == 32, "struct uffdio_register");
static_assert(sizeof(struct uffdio_range) == 16, "struct uffdio_range");
static_assert(sizeof(struct uffdio_copy) == 40, "struct uffdio_copy");
static_assert(sizeof(struct uffdio_zeropage) == 32, "struct uffdio_zeropage");
static_assert(sizeof(struct uffdio_writeprotect) == 24, "struct uffdio_writeprotect");
static_assert(sizeof(struct uffdio_continue) == 32, "struct uffdio_continue");
static_assert(sizeof(struct uffdio_poison) == 32, "struct uffdio_poison");
static_assert(offsetof(struct uffd_msg, arg.pagefault.feat.ptid) == 24, "thread id of a fault");

/* what a watched address space must report */
#define PAGER_SPACE_FEATURES	((__u64)(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | \
					 UFFD_FEATURE_EVENT_REMOVE | UFFD_FEATURE_EVENT_UNMAP | \
					 UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_THREAD_ID))

/* what the pager's own mappings of objects with huge pages need: filling them, and asking what is there already */
#define PAGER_HUGE_FEATURES	((__u64)(UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_MINOR_HUGETLBFS))

#endif
