// SPDX-License-Identifier: GPL-2.0-only
/* The holders of one process: its descriptors and mappings of objects. */
#include <linux/bitops.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pid.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/userfaultfd.h>
#include <linux/userfaultfd_k.h>
#include <net/netlink.h>
#include <uapi/linux/memfdcr.h>

#include "holder.h"
#include "id.h"
#include "object.h"

/* so many descriptors are looked at under one hold of the table's lock */
#define FDS_AT_ONCE 1024

enum { SHARED_FDS, OWN_FDS, MAPPINGS, DONE };

/* what fn said, or that it is time to let the lock go */
#define LET_GO 1

struct fd_scan {
	struct memfdcr_holder holder;
	const struct files_struct *files;
	memfdcr_holder_fn fn;
	void *data;
	unsigned int next;
	unsigned int left;
};

/* called by iterate_fd() for each open descriptor, with the table's lock held */
static int scan_fd(const void *p, struct file *file, unsigned int fd)
{
	struct fd_scan *scan = (struct fd_scan *)p;

	scan->next = fd;
	if (!scan->left--)
		return LET_GO;
	scan->holder.kind = memfdcr_object_kind(file);
	if (!scan->holder.kind)
		return 0;
	scan->holder.file = file;
	scan->holder.fd = fd;
	scan->holder.cloexec = test_bit(fd, files_fdtable(scan->files)->close_on_exec);
	return scan->fn(scan->data, &scan->holder);
}

/* the descriptors of a thread; 0: all of them have been told */
static int visit_fds(struct memfdcr_visit *v, struct task_struct *t, const struct memfdcr_holder *holder,
		     memfdcr_holder_fn fn, void *data)
{
	int err;

	do {
		struct fd_scan scan = { .holder = *holder, .fn = fn, .data = data, .left = FDS_AT_ONCE };

		err = 0;
		task_lock(t);
		scan.files = t->files;
		if (t->files)
			err = iterate_fd(t->files, v->fd, scan_fd, &scan);
		task_unlock(t);
		if (err)
			v->fd = scan.next;
		cond_resched();
	} while (err == LET_GO);
	if (!err)
		v->fd = 0;
	return err;
}

/* the first thread that still has descriptors: what it has counts as the process's; under RCU */
static struct task_struct *first_with_files(struct task_struct *process)
{
	struct task_struct *t;

	for_each_thread(process, t)
		if (READ_ONCE(t->files))
			return t;
	return NULL;
}

/* an earlier thread shares this one's descriptors; under RCU */
static bool is_told(struct task_struct *process, const struct task_struct *thread, const struct files_struct *files)
{
	struct task_struct *t;

	for_each_thread(process, t) {
		if (t == thread)
			return false;
		if (READ_ONCE(t->files) == files)
			return true;
	}
	return false;
}

/* with a reference: the thread whose descriptors are next, in the order of thread ids; NULL: none */
static struct task_struct *next_with_files(struct task_struct *process, pid_t after)
{
	struct task_struct *t, *next = NULL, *first;

	rcu_read_lock();
	first = first_with_files(process);
	for_each_thread(process, t) {
		const struct files_struct *files = READ_ONCE(t->files);

		if (!first || !files || files == READ_ONCE(first->files) || t->pid <= after || (next && next->pid < t->pid))
			continue;
		if (!is_told(process, t, files))
			next = t;
	}
	if (next)
		get_task_struct(next);
	rcu_read_unlock();
	return next;
}

/**
 * memfdcr_first_with_files() - the first thread of a process that has descriptors
 * @process: thread group leader, perhaps a zombie; the caller has a reference
 *
 * Context: any.
 * Return: the thread with a reference, or NULL: there are none any more.
 */
struct task_struct *memfdcr_first_with_files(struct task_struct *process)
{
	struct task_struct *t;

	rcu_read_lock();
	t = first_with_files(process);
	if (t)
		get_task_struct(t);
	rcu_read_unlock();
	return t;
}

static int visit_shared_fds(struct memfdcr_visit *v, struct task_struct *process, struct pid_namespace *ns,
			    struct memfdcr_holder *holder, memfdcr_holder_fn fn, void *data)
{
	struct task_struct *t = memfdcr_first_with_files(process);
	int err;

	if (!t)
		return 0;
	/* the first thread of all may have gone, and has none */
	if (t != process)
		holder->tid = task_pid_nr_ns(t, ns);
	err = visit_fds(v, t, holder, fn, data);
	holder->tid = 0;
	put_task_struct(t);
	return err;
}

static int visit_own_fds(struct memfdcr_visit *v, struct task_struct *process, struct pid_namespace *ns,
			 struct memfdcr_holder *holder, memfdcr_holder_fn fn, void *data)
{
	struct task_struct *t;
	int err = 0;

	holder->own = true;
	while (!err && (t = next_with_files(process, v->thread))) {
		holder->tid = task_pid_nr_ns(t, ns);
		err = visit_fds(v, t, holder, fn, data);
		if (!err)
			v->thread = t->pid;
		put_task_struct(t);
	}
	holder->own = false;
	holder->tid = 0;
	return err;
}

/**
 * memfdcr_process_mm() - the memory of a process
 * @process: thread group leader, perhaps a zombie whose other threads live on; the caller has a reference
 *
 * Context: process context.
 * Return: the address space with a user reference, for mmput(); NULL: there is none any more.
 */
struct mm_struct *memfdcr_process_mm(struct task_struct *process)
{
	struct mm_struct *mm = NULL;
	struct task_struct *t;

	rcu_read_lock();
	for_each_thread(process, t) {
		mm = get_task_mm(t);
		if (mm)
			break;
	}
	rcu_read_unlock();
	return mm;
}

/**
 * memfdcr_is_private() - is this memory that no file is behind?
 * @vma: the mapping
 *
 * Private huge pages are in a file that nobody else can get at: private memory, not an object.
 *
 * Context: any; the address space is locked.
 * Return: whether it is.
 */
bool memfdcr_is_private(struct vm_area_struct *vma)
{
	if (!vma->vm_file)
		return true;
	return is_vm_hugetlb_page(vma) && !(vma->vm_flags & VM_MAYSHARE) &&
	       memfdcr_object_kind(vma->vm_file) == MEMFDCR_KIND_SHARED_ANONYMOUS;
}

/* the mappings from v->address on; 0: all of them have been told, LET_GO: others want the lock or the processor */
static int scan_mappings(struct memfdcr_visit *v, struct mm_struct *mm, struct memfdcr_holder *holder,
			 memfdcr_holder_fn fn, void *data)
{
	VMA_ITERATOR(vmi, mm, v->address);
	struct vm_area_struct *vma;
	bool progress = false;
	int err;

	for_each_vma(vmi, vma) {
		v->address = vma->vm_start;
		if (progress && (need_resched() || mmap_lock_is_contended(mm)))
			return LET_GO;
		progress = true;
		holder->kind = memfdcr_is_private(vma) ? 0 : memfdcr_object_kind(vma->vm_file);
		if (!holder->kind)
			continue;
		holder->file = vma->vm_file;
		holder->vma = vma;
		err = fn(data, holder);
		if (err)
			return err;
	}
	return 0;
}

static int visit_mappings(struct memfdcr_visit *v, struct task_struct *process, struct memfdcr_holder *holder,
			  memfdcr_holder_fn fn, void *data)
{
	struct mm_struct *mm = memfdcr_process_mm(process);
	int err;

	if (!mm)
		return 0;
	do {
		err = -EINTR;
		if (mmap_read_lock_killable(mm))
			break;
		err = scan_mappings(v, mm, holder, fn, data);
		mmap_read_unlock(mm);
		cond_resched();
	} while (err == LET_GO);
	mmput(mm);
	return err;
}

/**
 * memfdcr_visit() - the descriptors and mappings of objects that a process has
 * @v: where the visit has got to
 * @process: thread group leader, perhaps a zombie; the caller has a reference
 * @ns: pid namespace of the reader
 * @fn: is told each of them
 * @data: for @fn
 *
 * Descriptors come before mappings, each in ascending order.
 *
 * Context: process context; sleeps, killable.
 * Return: 0: that was all; what @fn returned, if that was not 0: call again with the same @v to go on with the holder
 * that it refused; -EINTR: killed.
 */
int memfdcr_visit(struct memfdcr_visit *v, struct task_struct *process, struct pid_namespace *ns,
		  memfdcr_holder_fn fn, void *data)
{
	struct memfdcr_holder holder = { .pid = task_tgid_nr_ns(process, ns) };
	int err = 0;

	for (; v->stage < DONE; v->stage++) {
		switch (v->stage) {
		case SHARED_FDS:
			err = visit_shared_fds(v, process, ns, &holder, fn, data);
			break;
		case OWN_FDS:
			/* one thread has no other to differ from */
			if (!thread_group_empty(process))
				err = visit_own_fds(v, process, ns, &holder, fn, data);
			break;
		case MAPPINGS:
			err = visit_mappings(v, process, &holder, fn, data);
			break;
		}
		if (err)
			return err;
	}
	return 0;
}

static bool put_u64(struct sk_buff *skb, int type, u64 value)
{
	return nla_put_u64_64bit(skb, type, value, MEMFDCR_A_HOLDER_PAD);
}

static int put_fd(struct sk_buff *skb, const struct memfdcr_holder *h)
{
	if (nla_put_u32(skb, MEMFDCR_A_HOLDER_FD, h->fd) ||
	    put_u64(skb, MEMFDCR_A_HOLDER_FILE_ID, memfdcr_id(h->file)) ||
	    nla_put_u32(skb, MEMFDCR_A_HOLDER_FLAGS, READ_ONCE(h->file->f_flags)) ||
	    put_u64(skb, MEMFDCR_A_HOLDER_POSITION, READ_ONCE(h->file->f_pos)) ||
	    (h->cloexec && nla_put_flag(skb, MEMFDCR_A_HOLDER_CLOEXEC)) ||
	    (h->tid && nla_put_u32(skb, MEMFDCR_A_HOLDER_TID, h->tid)))
		return -EMSGSIZE;
	return 0;
}

/**
 * memfdcr_uffd_modes() - how a mapping is registered with a userfaultfd
 * @vma: the mapping
 *
 * Context: any; the address space is locked.
 * Return: UFFDIO_REGISTER_MODE_...
 */
unsigned int memfdcr_uffd_modes(const struct vm_area_struct *vma)
{
	unsigned int modes = 0;

	if (vma->vm_flags & VM_UFFD_MISSING)
		modes |= UFFDIO_REGISTER_MODE_MISSING;
	if (vma->vm_flags & VM_UFFD_WP)
		modes |= UFFDIO_REGISTER_MODE_WP;
	if (vma->vm_flags & VM_UFFD_MINOR)
		modes |= UFFDIO_REGISTER_MODE_MINOR;
	return modes;
}

static unsigned int protection(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & VM_READ ? PROT_READ : 0) | (vma->vm_flags & VM_WRITE ? PROT_WRITE : 0) |
	       (vma->vm_flags & VM_EXEC ? PROT_EXEC : 0);
}

static int put_uffd(struct sk_buff *skb, const struct vm_area_struct *vma)
{
	const struct userfaultfd_ctx *ctx = vma->vm_userfaultfd_ctx.ctx;

	if (ctx && (put_u64(skb, MEMFDCR_A_HOLDER_UFFD_ID, memfdcr_id(ctx)) ||
		    nla_put_u32(skb, MEMFDCR_A_HOLDER_UFFD_MODES, memfdcr_uffd_modes(vma))))
		return -EMSGSIZE;
	return 0;
}

static int put_mapping(struct sk_buff *skb, const struct memfdcr_holder *h)
{
	const struct vm_area_struct *vma = h->vma;

	if (put_u64(skb, MEMFDCR_A_HOLDER_FILE_ID, memfdcr_id(h->file)) ||
	    put_u64(skb, MEMFDCR_A_HOLDER_START, vma->vm_start) ||
	    put_u64(skb, MEMFDCR_A_HOLDER_END, vma->vm_end) ||
	    put_u64(skb, MEMFDCR_A_HOLDER_OFFSET, (u64)vma->vm_pgoff << PAGE_SHIFT) ||
	    nla_put_u32(skb, MEMFDCR_A_HOLDER_PROT, protection(vma)) ||
	    (vma->vm_flags & VM_MAYSHARE && nla_put_flag(skb, MEMFDCR_A_HOLDER_SHARED)) ||
	    (vma->vm_flags & VM_LOCKED && nla_put_flag(skb, MEMFDCR_A_HOLDER_LOCKED)) ||
	    (vma->vm_flags & VM_MAYWRITE && nla_put_flag(skb, MEMFDCR_A_HOLDER_MAY_WRITE)))
		return -EMSGSIZE;
	return put_uffd(skb, vma);
}

/**
 * memfdcr_holder_put() - a holder's own attributes into a message, without those that name its object
 * @skb: the message
 * @holder: as memfdcr_visit() has told it
 *
 * Context: within the function that memfdcr_visit() calls.
 * Return: 0 or -EMSGSIZE.
 */
int memfdcr_holder_put(struct sk_buff *skb, const struct memfdcr_holder *holder)
{
	if (nla_put_u32(skb, MEMFDCR_A_HOLDER_PID, holder->pid))
		return -EMSGSIZE;
	return holder->vma ? put_mapping(skb, holder) : put_fd(skb, holder);
}
