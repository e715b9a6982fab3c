// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which madvise() raised an UFFD_EVENT_REMOVE: the event itself does not say.
 *
 * All of them come out of userfaultfd_remove(), in the thread that called madvise(), process_madvise() or whose
 * io_uring request a worker carries out. A probe there notes context, range and advice before the event can be read;
 * reading the event takes the note away. The advice is in the registers that the thread entered the kernel with, and
 * for io_uring's workers, which never entered it, in the arguments of do_madvise().
 *
 * Two threads may raise events with the very same range and different advice at the same time. Which is which cannot
 * be told, and need not be: the range of a noted MADV_REMOVE is certain to be punched (the kernel checks before it
 * raises the event), and a MADV_DONTNEED that runs into it promises nothing about the bytes. Both then count as
 * MADV_REMOVE. So does, harmlessly, a later event on a range whose MADV_REMOVE was killed before its event was read.
 */
#include <linux/compat.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
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
	unsigned long start, end;
	u16 advice;
	pid_t process;
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

static void note(struct memfdcr_advice *a, unsigned long start, unsigned long end, u16 advice, pid_t process)
{
	struct memfdcr_event *e;

	for (e = a->events; e < a->events + MEMFDCR_EVENTS; e++) {
		if (e->used)
			continue;
		*e = (struct memfdcr_event){
			.start = start, .end = end, .advice = advice, .process = process, .used = true,
		};
		return;
	}
	a->lost = true;
}

/* bool userfaultfd_remove(struct vm_area_struct *vma, unsigned long start, unsigned long end) is entered */
static int remove_entered(struct kprobe *kp, struct pt_regs *regs)
{
	const struct vm_area_struct *vma = (void *)regs_get_kernel_argument(regs, 0);
	unsigned long start = regs_get_kernel_argument(regs, 1), end = regs_get_kernel_argument(regs, 2);
	const struct userfaultfd_ctx *ctx = vma->vm_userfaultfd_ctx.ctx;
	struct memfdcr_advice *a;
	unsigned long flags;
	u16 advice;

	if (!ctx || !(READ_ONCE(ctx->features) & UFFD_FEATURE_EVENT_REMOVE))
		return 0;
	raw_spin_lock_irqsave(&lock, flags);
	advice = advice_of_current();
	a = find(ctx);
	if (a) {
		note(a, start, end, advice, task_tgid_nr(current));
	} else if (READ_ONCE(ctx->features) & UFFD_FEATURE_EVENT_FORK) {
		/* only these have children that become known later; and only privileged processes have these */
		unsigned int i = n_unknown++ % UNKNOWN_EVENTS;

		unknown[i].ctx = ctx;
		unknown[i].start = start;
		unknown[i].end = end;
		unknown[i].advice = advice;
		unknown[i].process = task_tgid_nr(current);
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
		unregister_kretprobe(&madvise_probe);
	return err;
}

static void probes_unregister(void)
{
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
			note(a, unknown[i].start, unknown[i].end, unknown[i].advice, unknown[i].process);
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

/* a process as the current one sees it; 0: not at all, or it is gone */
static u32 seen_from_here(pid_t process)
{
	struct pid *pid;
	u32 nr = 0;

	rcu_read_lock();
	pid = find_pid_ns(process, &init_pid_ns);
	if (pid)
		nr = pid_vnr(pid);
	rcu_read_unlock();
	return nr;
}

/**
 * memfdcr_advice_take() - the advice behind an event that has been read
 * @a: the userfaultfd it was read from
 * @start: first byte of the event's range
 * @end: end of the event's range
 * @process: gets the thread group that raised it, in the caller's pid namespace; 0: not known
 *
 * Context: any.
 * Return: MADV_DONTNEED, MADV_REMOVE or MEMFDCR_ADVICE_UNKNOWN.
 */
u16 memfdcr_advice_take(struct memfdcr_advice *a, unsigned long start, unsigned long end, u32 *process)
{
	struct memfdcr_event *e, *taken = NULL;
	bool uncertain, removes = false;
	unsigned long flags;
	pid_t raised_by = 0;

	raw_spin_lock_irqsave(&lock, flags);
	uncertain = a->lost;
	for (e = a->events; e < a->events + MEMFDCR_EVENTS; e++) {
		if (!e->used || e->start != start || e->end != end)
			continue;
		if (e->advice == MADV_REMOVE)
			removes = true;
		if (e->advice == MEMFDCR_ADVICE_UNKNOWN)
			uncertain = true;
		/* a MADV_REMOVE goes last: as long as it may still be to come, there is a note of it */
		if (!taken || taken->advice == MADV_REMOVE)
			taken = e;
	}
	if (taken) {
		taken->used = false;
		raised_by = taken->process;
	} else {
		uncertain = true;
	}
	raw_spin_unlock_irqrestore(&lock, flags);

	*process = raised_by ? seen_from_here(raised_by) : 0;
	if (uncertain)
		return MEMFDCR_ADVICE_UNKNOWN;
	return removes ? MADV_REMOVE : MADV_DONTNEED;
}
