// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether pages go because somebody means to drop them, or for reasons of the kernel's own: the notifier says it for
 * both in the same way. It is called in the thread that does it, so what that thread is doing tells.
 */
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/userfaultfd.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#ifdef CONFIG_IA32_EMULATION
#include <asm/unistd_32_ia32.h>
#endif

#include "drop.h"
#include "worker.h"

/* by their numbers, which kernels that lack them do not use for anything else */
#define GUARD_INSTALL	102	/* MADV_GUARD_INSTALL, 6.13 */
#define MOVE		0x05	/* _UFFDIO_MOVE, 6.8 */
#define UNRESERVE	41	/* FS_IOC_UNRESVSP */
#define UNRESERVE_64	43	/* FS_IOC_UNRESVSP64 */
#define ZERO_RANGE	57	/* FS_IOC_ZERO_RANGE */

/* the others move, copy or write out some pages on the way */
static bool advice_drops(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case GUARD_INSTALL:
		return true;
	default:
		return false;
	}
}

static bool ioctl_drops(unsigned int cmd)
{
	if (_IOC_TYPE(cmd) == UFFDIO)
		return _IOC_NR(cmd) == MOVE;
	return _IOC_TYPE(cmd) == 'X' &&
	       (_IOC_NR(cmd) == UNRESERVE || _IOC_NR(cmd) == UNRESERVE_64 || _IOC_NR(cmd) == ZERO_RANGE);
}

/* the system call that the current thread, no kernel thread, is in, and whether it is one of 32-bit programs */
static int current_call(unsigned long args[6], bool *compat)
{
	int nr = syscall_get_nr(current, task_pt_regs(current));

	syscall_get_arguments(current, task_pt_regs(current), args);
	*compat = in_ia32_syscall();
	return !*compat && nr > 0 ? nr & ~__X32_SYSCALL_BIT : nr;
}

#ifdef CONFIG_IA32_EMULATION
static bool compat_call_drops(int nr, const unsigned long args[6])
{
	switch (nr) {
	case __NR_ia32_madvise:
		return advice_drops(args[2]);
	case __NR_ia32_process_madvise:
		return advice_drops(args[3]);
	case __NR_ia32_ioctl:
		return ioctl_drops(args[1]);
	case __NR_ia32_fallocate:
	case __NR_ia32_truncate:
	case __NR_ia32_ftruncate:
	case __NR_ia32_truncate64:
	case __NR_ia32_ftruncate64:
	/* with O_TRUNC */
	case __NR_ia32_open:
	case __NR_ia32_creat:
	case __NR_ia32_openat:
	case __NR_ia32_openat2:
	case __NR_ia32_open_by_handle_at:
		return true;
	default:
		return false;
	}
}
#else
static bool compat_call_drops(int nr, const unsigned long args[6])
{
	return false;
}
#endif

static bool call_drops(void)
{
	unsigned long args[6];
	bool compat;
	int nr = current_call(args, &compat);

	if (compat)
		return compat_call_drops(nr, args);
	switch (nr) {
	case __NR_madvise:
		return advice_drops(args[2]);
	case __NR_process_madvise:
		return advice_drops(args[3]);
	case __NR_ioctl:
	case 514:	/* ioctl() of x32 programs */
		return ioctl_drops(args[1]);
	case __NR_fallocate:
	case __NR_truncate:
	case __NR_ftruncate:
	/* with O_TRUNC */
	case __NR_open:
	case __NR_creat:
	case __NR_openat:
	case __NR_openat2:
	case __NR_open_by_handle_at:
		return true;
	default:
		return false;
	}
}

static enum memfdcr_drop worker_drops(void)
{
	int does = memfdcr_worker_does();

	if (does == MEMFDCR_WORKER_UNKNOWN)
		return MEMFDCR_DROP_UNKNOWN;
	return does == MEMFDCR_WORKER_FILE || (does >= 0 && advice_drops(does)) ? MEMFDCR_DROP_YES : MEMFDCR_DROP_NO;
}

/**
 * memfdcr_drop() - pages go: is that what the current thread means to do?
 *
 * Context: any in which the notifier of an address space is called; between memfdcr_worker_get() and
 * memfdcr_worker_put().
 * Return: one of enum memfdcr_drop.
 */
enum memfdcr_drop memfdcr_drop(void)
{
	/* reclaim and compaction may happen in any of these */
	if (current->flags & (PF_MEMALLOC | PF_KTHREAD))
		return MEMFDCR_DROP_NO;
	if (current->flags & PF_IO_WORKER)
		return worker_drops();
	return call_drops() ? MEMFDCR_DROP_YES : MEMFDCR_DROP_NO;
}

/**
 * memfdcr_in_mremap() - is the current thread in mremap()?
 * @args: result, if so: its arguments
 *
 * Context: any of a thread; not interrupts.
 * Return: whether it is.
 */
bool memfdcr_in_mremap(unsigned long args[6])
{
	bool compat;
	int nr;

	if (current->flags & (PF_KTHREAD | PF_IO_WORKER))
		return false;
	nr = current_call(args, &compat);
#ifdef CONFIG_IA32_EMULATION
	if (compat)
		return nr == __NR_ia32_mremap;
#endif
	return !compat && nr == __NR_mremap;
}
