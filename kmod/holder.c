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

#include "compat/wrapper/thread.h"
#include "holder.h"
#include "id.h"
#include "object.h"
#include "put.h"

/* so many descriptors are looked at under one hold of the table's lock */
#define FDS_AT_ONCE 128

enum { DESCRIPTORS, MAPPINGS, DONE };

/* it is time to let the lock go */
#define LET_GO 1

/* descriptors from v->fd on, with the table's lock held; 0: that was all */
static int scan_fds(struct memfdcr_visit *v, struct files_struct *files, struct memfdcr_holder *holder,
		    const struct memfdcr_visitor *visitor)
{
	struct fdtable *fdt = files_fdtable(files);
	unsigned int looked = 0;
	int err;

	for (;; v->fd++) {
		struct file *file;

		v->fd = find_next_bit(fdt->open_fds, fdt->max_fds, v->fd);
		if (v->fd >= fdt->max_fds)
			return 0;
		if (looked++ == FDS_AT_ONCE)
			return LET_GO;
		/* a number that is taken may have no file yet */
		file = rcu_dereference_protected(fdt->fd[v->fd], lockdep_is_held(&files->file_lock));
		holder->kind = file ? memfdcr_object_kind(file) : 0;
		if (!holder->kind)
			continue;
		holder->file = file;
		holder->fd = v->fd;
		holder->cloexec = test_bit(v->fd, fdt->close_on_exec);
		err = visitor->holder(visitor->data, holder);
		if (err)
			return err;
	}
}

/* the descriptors of a thread, from v->fd on; 0: all of them have been told */
static int visit_fds(struct memfdcr_visit *v, struct task_struct *t, struct memfdcr_holder *holder,
		     const struct memfdcr_visitor *visitor)
{
	int err;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		err = 0;
		/* keeps the table there */
		task_lock(t);
		holder->table = t->files;
		if (t->files) {
			spin_lock(&t->files->file_lock);
			err = scan_fds(v, t->files, holder, visitor);
			spin_unlock(&t->files->file_lock);
		}
		task_unlock(t);
		cond_resched();
	} while (err == LET_GO);
	return err;
}

/* with a reference: the thread after this one, or the first; NULL: there is none */
static struct task_struct *next_thread_of(struct task_struct *process, struct task_struct *thread)
{
	struct task_struct *t = NULL;

	rcu_read_lock();
	if (!thread)
		t = list_first_or_null_rcu(&process->signal->thread_head, struct task_struct, thread_node);
	else if (pid_alive(thread))
		t = list_next_or_null_rcu(&process->signal->thread_head, &thread->thread_node, struct task_struct,
					  thread_node);
	if (t)
		get_task_struct(t);
	rcu_read_unlock();
	return t;
}

/* 1: this thread's descriptors are to be told; 0: another thread's telling covers them, or there are none */
static int is_wanted(struct task_struct *process, struct task_struct *t, pid_t tid,
		     const struct memfdcr_visitor *visitor)
{
	const void *table = READ_ONCE(t->files);

	if (!table)
		return 0;
	/* one thread has no other to share with */
	if (t == process && thread_group_empty(process))
		return 1;
	return visitor->table(visitor->data, table, tid);
}

static int visit_threads(struct memfdcr_visit *v, struct task_struct *process, struct pid_namespace *ns,
			 struct memfdcr_holder *holder, const struct memfdcr_visitor *visitor)
{
	if (!v->thread)
		v->thread = next_thread_of(process, NULL);
	while (v->thread) {
		struct task_struct *next;
		int err;

		/* the process's first thread of all is not named */
		holder->tid = v->thread == process ? 0 : task_pid_nr_ns(v->thread, ns);
		err = is_wanted(process, v->thread, task_pid_nr(v->thread), visitor);
		if (err > 0)
			err = visit_fds(v, v->thread, holder, visitor);
		if (err)
			return err;
		next = next_thread_of(process, v->thread);
		put_task_struct(v->thread);
		v->thread = next;
		v->fd = 0;
	}
	holder->tid = 0;
	return 0;
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
	struct task_struct *t, *first = NULL;

	rcu_read_lock();
	memfdcr_for_each_thread(process, t) {
		if (!READ_ONCE(t->files))
			continue;
		first = t;
		get_task_struct(first);
		break;
	}
	rcu_read_unlock();
	return first;
}

/**
 * memfdcr_process_mm() - the memory of a process
 * @process: thread group leader, perhaps a zombie whose other threads live on; the caller has a reference
 *
 * Context: process context.
 * Return: the address space with a user reference, for mmput_async(), which
 * leaves taking it apart, should it be the last, to others: that can take for ever; NULL: there is none any more.
 */
struct mm_struct *memfdcr_process_mm(struct task_struct *process)
{
	struct mm_struct *mm = NULL;
	struct task_struct *t;

	rcu_read_lock();
	memfdcr_for_each_thread(process, t) {
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
			 const struct memfdcr_visitor *visitor)
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
		err = visitor->holder(visitor->data, holder);
		if (err)
			return err;
	}
	return 0;
}

static int visit_mappings(struct memfdcr_visit *v, struct task_struct *process, struct memfdcr_holder *holder,
			  const struct memfdcr_visitor *visitor)
{
	struct mm_struct *mm = memfdcr_process_mm(process);
	int err;

	if (!mm)
		return 0;
	holder->table = mm;
	do {
		err = -EINTR;
		if (mmap_read_lock_killable(mm))
			break;
		err = scan_mappings(v, mm, holder, visitor);
		mmap_read_unlock(mm);
		cond_resched();
	} while (err == LET_GO);
	mmput_async(mm);
	return err;
}

/**
 * memfdcr_visit() - the descriptors and mappings of objects that a process has
 * @v: where the visit has got to
 * @process: thread group leader, perhaps a zombie; the caller has a reference
 * @ns: pid namespace of the reader
 * @visitor: is told each of them
 *
 * Descriptors come before mappings, each in ascending order.
 *
 * Context: process context; sleeps, killable.
 * Return: 0: that was all; what @visitor returned, if that was not 0: call again with the same @v to go on with the
 * holder that it refused; -EINTR: killed.
 */
int memfdcr_visit(struct memfdcr_visit *v, struct task_struct *process, struct pid_namespace *ns,
		  const struct memfdcr_visitor *visitor)
{
	struct memfdcr_holder holder = { .pid = task_tgid_nr_ns(process, ns) };
	int err = 0;

	if (v->stage == DESCRIPTORS)
		err = visit_threads(v, process, ns, &holder, visitor);
	if (!err && v->stage == DESCRIPTORS)
		v->stage = MAPPINGS;
	if (!err && v->stage == MAPPINGS)
		err = visit_mappings(v, process, &holder, visitor);
	if (!err)
		v->stage = DONE;
	return err;
}

/**
 * memfdcr_visit_end() - the visit does not go on, whether all has been told or not
 * @v: the visit
 *
 * Context: any process context.
 */
void memfdcr_visit_end(struct memfdcr_visit *v)
{
	if (v->thread)
		put_task_struct(v->thread);
	*v = (struct memfdcr_visit){ 0 };
}

static bool put_u64(struct sk_buff *skb, int type, u64 value)
{
	return memfdcr_put_u64(skb, type, value, MEMFDCR_A_HOLDER_PAD);
}

static int put_fd(struct sk_buff *skb, const struct memfdcr_holder *h)
{
	if (memfdcr_put_u32(skb, MEMFDCR_A_HOLDER_FD, h->fd) ||
	    put_u64(skb, MEMFDCR_A_HOLDER_FILE_ID, memfdcr_id(h->file)) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_HOLDER_FLAGS, READ_ONCE(h->file->f_flags)) ||
	    put_u64(skb, MEMFDCR_A_HOLDER_POSITION, READ_ONCE(h->file->f_pos)) ||
	    (h->cloexec && memfdcr_put_flag(skb, MEMFDCR_A_HOLDER_CLOEXEC)) ||
	    (h->tid && memfdcr_put_u32(skb, MEMFDCR_A_HOLDER_TID, h->tid)))
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
#ifdef UFFDIO_REGISTER_MODE_RWP	/* 7.3 at the latest */
	if (vma->vm_flags & VM_UFFD_RWP)
		modes |= UFFDIO_REGISTER_MODE_RWP;
#endif
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
		    memfdcr_put_u32(skb, MEMFDCR_A_HOLDER_UFFD_MODES, memfdcr_uffd_modes(vma))))
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
	    memfdcr_put_u32(skb, MEMFDCR_A_HOLDER_PROT, protection(vma)) ||
	    (vma->vm_flags & VM_MAYSHARE && memfdcr_put_flag(skb, MEMFDCR_A_HOLDER_SHARED)) ||
	    (vma->vm_flags & VM_LOCKED && memfdcr_put_flag(skb, MEMFDCR_A_HOLDER_LOCKED)) ||
	    (vma->vm_flags & VM_MAYWRITE && memfdcr_put_flag(skb, MEMFDCR_A_HOLDER_MAY_WRITE)))
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
	if (memfdcr_put_u32(skb, MEMFDCR_A_HOLDER_PID, holder->pid))
		return -EMSGSIZE;
	return holder->vma ? put_mapping(skb, holder) : put_fd(skb, holder);
}
