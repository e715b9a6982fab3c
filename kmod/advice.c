// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which madvise() raised an UFFD_EVENT_REMOVE, and of which file: the event itself does not say. By the time that the
 * event has been read its caller goes on, and may have unmapped the place, or exited.
 *
 * All of them come out of userfaultfd_remove(), in the thread that called madvise(), process_madvise() or whose
 * io_uring request a worker carries out. A probe there notes context, range, file and advice before the event can be
 * read; reading the event takes the note away. The advice is in the registers that the thread entered the kernel with,
 * and for io_uring's workers, which never entered it, in the arguments of do_madvise().
 *
 * Two threads may raise events with the very same range and different advice at the same time. Which is which cannot
 * be told, and need not be: the range of a noted MADV_REMOVE is certain to be punched (the kernel checks before it
 * raises the event), and a MADV_DONTNEED that runs into it promises nothing about the bytes. Both then count as
 * MADV_REMOVE. So does, harmlessly, a later event on a range whose MADV_REMOVE was killed before its event was read,
 * or one that is raised after both were read and before the second of them has been completed here.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/spinlock.h>
#include <linux/userfaultfd_k.h>
#include <linux/workqueue.h>
#include <asm/syscall.h>
#include <asm/unistd.h>
#ifdef CONFIG_IA32_EMULATION
#include <asm/unistd_32_ia32.h>
#endif
#include <uapi/linux/memfdcr.h>

#include "advice.h"
#include "remap.h"

/* all below, and every struct memfdcr_advice; taken in probes, so nothing that could be probed is called under it */
static DEFINE_RAW_SPINLOCK(lock);
static DEFINE_HASHTABLE(known, 8);

/*
 * The last events of contexts that are not (yet) known. A forked child may run, and raise an event, from the moment
 * its parent's fork event was read; its context becomes known a moment later and then finds its events here.
 */
#define UNKNOWN_EVENTS 256
static struct {
	const struct userfaultfd_ctx *ctx;
	struct memfdcr_event event;
} unknown[UNKNOWN_EVENTS];
static u64 n_unknown;		/* so many came by; the last is at (n_unknown - 1) % UNKNOWN_EVENTS */

/* what io_uring's workers are advising just now */
struct io_advice {
	struct list_head node;
	const struct task_struct *task;
	u16 advice;
};

static LIST_HEAD(io_advices);

/* whether the probes are there; sleeps */
static DEFINE_MUTEX(probes_lock);
static unsigned int users;
static bool probing;

static u16 advice_of_syscall(void)
{
	struct pt_regs *regs = task_pt_regs(current);
	int nr = syscall_get_nr(current, regs);
	unsigned long args[6];

	syscall_get_arguments(current, regs, args);
#ifdef CONFIG_COMPAT
	if (in_compat_syscall()) {
#ifdef CONFIG_IA32_EMULATION
		if (nr == __NR_ia32_madvise)
			return args[2];
		if (nr == __NR_ia32_process_madvise)
			return args[3];
#endif
		return MEMFDCR_ADVICE_UNKNOWN;
	}
#endif
	if (nr == __NR_madvise)
		return args[2];
	if (nr == __NR_process_madvise)
		return args[3];
	return MEMFDCR_ADVICE_UNKNOWN;
}

static u16 advice_of_worker(void)
{
	const struct io_advice *io;

	list_for_each_entry(io, &io_advices, node)
		if (io->task == current)
			return io->advice;
	return MEMFDCR_ADVICE_UNKNOWN;
}

/* the advice that the current thread is carrying out; under the lock */
static u16 advice_of_current(void)
{
	u16 advice;

	if (current->flags & PF_IO_WORKER)
		advice = advice_of_worker();
	else if (current->flags & PF_KTHREAD)
		advice = MEMFDCR_ADVICE_UNKNOWN;
	else
		advice = advice_of_syscall();

	switch (advice) {
	case MADV_REMOVE:
	case MEMFDCR_ADVICE_UNKNOWN:
		return advice;
	default:	/* the others that get here do to a shared mapping what MADV_DONTNEED does, or nothing */
		return MADV_DONTNEED;
	}
}

static struct memfdcr_advice *find(const struct userfaultfd_ctx *ctx)
{
	struct memfdcr_advice *a;

	hash_for_each_possible(known, a, node, (unsigned long)ctx)
		if (a->ctx == ctx)
			return a;
	return NULL;
}

static void note(struct memfdcr_advice *a, const struct memfdcr_event *event)
{
	struct memfdcr_event *e;

	for (e = a->events; e < a->events + MEMFDCR_EVENTS; e++) {
		if (e->used)
			continue;
		*e = *event;
		return;
	}
	a->lost = true;
}

/* bool userfaultfd_remove(struct vm_area_struct *vma, unsigned long start, unsigned long end) is entered */
static int remove_entered(struct kprobe *kp, struct pt_regs *regs)
{
	const struct vm_area_struct *vma = (void *)regs_get_kernel_argument(regs, 0);
	const struct userfaultfd_ctx *ctx = vma->vm_userfaultfd_ctx.ctx;
	struct memfdcr_event event = {
		.start = regs_get_kernel_argument(regs, 1),
		.end = regs_get_kernel_argument(regs, 2),
		.used = true,
	};
	struct memfdcr_advice *a;
	unsigned long flags;

	if (!ctx || !(READ_ONCE(ctx->features) & UFFD_FEATURE_EVENT_REMOVE))
		return 0;
	/* the caller has the mapping locked, and the mapping has the file */
	if (vma->vm_file) {
		event.ino = file_inode(vma->vm_file)->i_ino;
		event.offset = ((u64)vma->vm_pgoff << PAGE_SHIFT) + (event.start - vma->vm_start);
	}
	raw_spin_lock_irqsave(&lock, flags);
	event.advice = advice_of_current();
	a = find(ctx);
	if (a) {
		note(a, &event);
	} else if (READ_ONCE(ctx->features) & UFFD_FEATURE_EVENT_FORK) {
		/* only these have children that become known later; and only privileged processes have these */
		unsigned int i = n_unknown++ % UNKNOWN_EVENTS;

		unknown[i].ctx = ctx;
		unknown[i].event = event;
	}
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

/* int do_madvise(struct mm_struct *mm, unsigned long start, size_t len_in, int behavior) is entered and left */
static int madvise_entered(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct io_advice *io = (void *)ri->data;
	unsigned long flags;

	if (!(current->flags & PF_IO_WORKER))
		return 1;	/* not to be followed to its end */
	io->task = current;
	io->advice = regs_get_kernel_argument(regs, 3);
	raw_spin_lock_irqsave(&lock, flags);
	list_add(&io->node, &io_advices);
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static int madvise_left(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct io_advice *io = (void *)ri->data;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	list_del(&io->node);
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static struct kprobe remove_probe;
static struct kretprobe madvise_probe;

static int probes_register(void)
{
	int err;

	/* a probe keeps state of its last registration: each begins afresh */
	remove_probe = (struct kprobe){ .symbol_name = "userfaultfd_remove", .pre_handler = remove_entered };
	madvise_probe = (struct kretprobe){
		.kp.symbol_name = "do_madvise",
		.entry_handler = madvise_entered,
		.handler = madvise_left,
		.data_size = sizeof(struct io_advice),
		.maxactive = 128,
	};
	err = register_kretprobe(&madvise_probe);
	if (err)
		return err;
	err = register_kprobe(&remove_probe);
	if (err)
		goto err_remove;
	err = memfdcr_remap_hook();
	if (err)
		goto err_remap;
	return 0;

err_remap:
	unregister_kprobe(&remove_probe);
err_remove:
	unregister_kretprobe(&madvise_probe);
	return err;
}

static void probes_unregister(void)
{
	memfdcr_remap_unhook();
	unregister_kprobe(&remove_probe);
	unregister_kretprobe(&madvise_probe);
	/* nobody tells any more when what is under way ends; a worker without a note counts as not known */
	INIT_LIST_HEAD(&io_advices);
}

static void probes_idle(struct work_struct *work)
{
	mutex_lock(&probes_lock);
	if (!users && probing) {
		probes_unregister();
		probing = false;
	}
	mutex_unlock(&probes_lock);
}

static DECLARE_DELAYED_WORK(idle_work, probes_idle);

/**
 * memfdcr_advice_get() - have the probes in place
 *
 * Context: process context; sleeps.
 * Return: 0, or why the kernel refuses a probe.
 */
int memfdcr_advice_get(void)
{
	int err = 0;

	mutex_lock(&probes_lock);
	if (!probing)
		err = probes_register();
	if (!err) {
		probing = true;
		users++;
	}
	mutex_unlock(&probes_lock);
	return err;
}

/**
 * memfdcr_advice_put() - undo memfdcr_advice_get()
 *
 * When nobody is left, the probes go a second later: taking them away is slow and the next user may be on its way.
 *
 * Context: process context; sleeps.
 */
void memfdcr_advice_put(void)
{
	mutex_lock(&probes_lock);
	if (!--users)
		schedule_delayed_work(&idle_work, HZ);
	mutex_unlock(&probes_lock);
}

/**
 * memfdcr_advice_exit() - take the probes away
 *
 * Context: process context; sleeps. Every memfdcr_advice_get() has been undone.
 */
void memfdcr_advice_exit(void)
{
	cancel_delayed_work_sync(&idle_work);
	probes_idle(NULL);
}

/**
 * memfdcr_advice_now() - point in time for memfdcr_advice_add()
 *
 * Context: any.
 * Return: how many events of unknown contexts have come by.
 */
u64 memfdcr_advice_now(void)
{
	unsigned long flags;
	u64 now;

	raw_spin_lock_irqsave(&lock, flags);
	now = n_unknown;
	raw_spin_unlock_irqrestore(&lock, flags);
	return now;
}

/**
 * memfdcr_advice_add() - begin to note the events of a userfaultfd
 * @a: zeroed; stays until memfdcr_advice_del()
 * @ctx: the userfaultfd
 * @since: memfdcr_advice_now() of a time when it could not have raised an event yet
 *
 * Context: any; between memfdcr_advice_get() and memfdcr_advice_put().
 */
void memfdcr_advice_add(struct memfdcr_advice *a, const struct userfaultfd_ctx *ctx, u64 since)
{
	unsigned long flags;

	a->ctx = ctx;
	raw_spin_lock_irqsave(&lock, flags);
	hash_add(known, &a->node, (unsigned long)ctx);
	if (n_unknown - since > UNKNOWN_EVENTS) {
		a->lost = true;
		since = n_unknown - UNKNOWN_EVENTS;
	}
	for (; since < n_unknown; since++) {
		unsigned int i = since % UNKNOWN_EVENTS;

		if (unknown[i].ctx == ctx)
			note(a, &unknown[i].event);
	}
	raw_spin_unlock_irqrestore(&lock, flags);
}

/**
 * memfdcr_advice_del() - undo memfdcr_advice_add()
 * @a: not touched any more on return
 *
 * Context: any.
 */
void memfdcr_advice_del(struct memfdcr_advice *a)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	hash_del(&a->node);
	raw_spin_unlock_irqrestore(&lock, flags);
}

/**
 * memfdcr_advice_missing() - may pages be missing in an address space?
 * @mm: the address space; only compared
 *
 * Context: any.
 * Return: whether it has a userfaultfd that is not complete.
 */
bool memfdcr_advice_missing(const struct mm_struct *mm)
{
	const struct memfdcr_advice *a;
	bool missing = false;
	unsigned long flags;
	int bucket;

	raw_spin_lock_irqsave(&lock, flags);
	hash_for_each(known, bucket, a, node)
		missing |= a->ctx->mm == mm && !READ_ONCE(a->complete);
	raw_spin_unlock_irqrestore(&lock, flags);
	return missing;
}

/**
 * memfdcr_advice_take() - complete an UFFD_EVENT_REMOVE message that has been read
 * @a: the userfaultfd it was read from
 * @msg: gets the advice in reserved2 (MADV_DONTNEED, MADV_REMOVE, MEMFDCR_ADVICE_UNKNOWN), the low half of the inode
 *	number in reserved3, and the offset in the file in arg.reserved.reserved3
 *
 * Context: any.
 */
void memfdcr_advice_take(struct memfdcr_advice *a, struct uffd_msg *msg)
{
	bool uncertain, removes = false, differ = false;
	struct memfdcr_event *e, *taken = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	uncertain = a->lost;
	for (e = a->events; e < a->events + MEMFDCR_EVENTS; e++) {
		if (!e->used || e->start != msg->arg.remove.start || e->end != msg->arg.remove.end)
			continue;
		if (e->advice == MADV_REMOVE)
			removes = true;
		if (e->advice == MEMFDCR_ADVICE_UNKNOWN)
			uncertain = true;
		if (taken && (e->ino != taken->ino || e->offset != taken->offset))
			differ = true;
		/* a MADV_REMOVE goes last: as long as it may still be to come, there is a note of it */
		if (!taken || taken->advice == MADV_REMOVE)
			taken = e;
	}
	if (taken) {
		taken->used = false;
		msg->reserved3 = taken->ino;
		msg->arg.reserved.reserved3 = taken->offset;
	} else {
		uncertain = true;
	}
	raw_spin_unlock_irqrestore(&lock, flags);

	/* the mapping there was replaced between two calls: which of the two files this is about cannot be told */
	if (uncertain || (removes && differ))
		msg->reserved2 = MEMFDCR_ADVICE_UNKNOWN;
	else
		msg->reserved2 = removes ? MADV_REMOVE : MADV_DONTNEED;
}
