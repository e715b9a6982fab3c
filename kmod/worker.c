// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether io_uring's workers are dropping pages for processes: they never entered the kernel, so no registers say it.
 *
 * io_uring leaves all that drops pages to its workers, for it may wait. Probes on what they call for these requests
 * follow them from entry to end; nobody but io_uring runs through these. Which advice a request for madvise() gives is
 * not looked at: if it takes pages away, that counts as dropping.
 */
#include <linux/errno.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "worker.h"

/* kept in the probe's own record of a call */
struct note {
	struct list_head node;
	const struct task_struct *task;
};

/* the notes, and whether any are taken; taken in probes, also with locks of theirs held */
static DEFINE_RAW_SPINLOCK(lock);
static LIST_HEAD(notes);
static bool following;

static int entered(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct note *note = (void *)ri->data;
	unsigned long flags;
	bool noted;

	/* io_uring tries some in the system call first; records are for those who stay long */
	if (!(current->flags & PF_IO_WORKER))
		return 1;
	note->task = current;
	raw_spin_lock_irqsave(&lock, flags);
	noted = following;
	if (noted)
		list_add(&note->node, &notes);
	raw_spin_unlock_irqrestore(&lock, flags);
	/* the kernel then does not come back with this record, but takes it */
	return !noted;
}

static int left(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct note *note = (void *)ri->data;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	/* otherwise it is in no list any more */
	if (following)
		list_del(&note->node);
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static void follow(bool on)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	following = on;
	INIT_LIST_HEAD(&notes);
	raw_spin_unlock_irqrestore(&lock, flags);
}

static const struct {
	const char *symbol;
	bool may_lack;
} followed[] = {
#ifdef CONFIG_IO_URING
	{ "io_madvise" },
	{ "io_fallocate" },
	/* with O_TRUNC; one calls the other */
	{ "io_openat" },
	{ "io_openat2" },
	/* 6.9 */
	{ "io_ftruncate", .may_lack = true },
#endif
};

static struct kretprobe probes[ARRAY_SIZE(followed) + 1], *registered[ARRAY_SIZE(followed) + 1];
static unsigned int n_registered;

/**
 * memfdcr_worker_unhook() - undo memfdcr_worker_hook()
 *
 * Context: process context; sleeps.
 */
void memfdcr_worker_unhook(void)
{
	/*
	 * From the moment on that the kernel takes a probe away, nobody tells when what is under way there ends, and its
	 * record may be freed while other probes are still there: nothing may point to any record by then.
	 */
	follow(false);
	unregister_kretprobes(registered, n_registered);
	n_registered = 0;
}

/**
 * memfdcr_worker_hook() - follow workers from now on
 *
 * Context: process context; sleeps. Not twice without memfdcr_worker_unhook().
 * Return: 0, or why the kernel refuses a probe.
 */
int memfdcr_worker_hook(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(followed); i++) {
		/* a probe keeps state of its last registration: each begins afresh */
		probes[i] = (struct kretprobe){
			.kp.symbol_name = followed[i].symbol,
			.entry_handler = entered,
			.handler = left,
			.data_size = sizeof(struct note),
			.maxactive = 128,
		};
		err = register_kretprobe(&probes[i]);
		if (!err) {
			registered[n_registered++] = &probes[i];
		} else if (err != -ENOENT || !followed[i].may_lack) {
			memfdcr_worker_unhook();
			return err;
		}
	}
	follow(true);
	return 0;
}

/* calls that the kernel had no record left for */
static bool has_missed(void)
{
	unsigned int i;

	for (i = 0; i < n_registered; i++)
		if (READ_ONCE(registered[i]->nmissed) || READ_ONCE(registered[i]->kp.nmissed))
			return true;
	return false;
}

/**
 * memfdcr_worker_drops() - is the current thread, one of io_uring's workers, dropping pages?
 *
 * Context: any; between memfdcr_worker_hook() and memfdcr_worker_unhook().
 * Return: one of enum memfdcr_drop; MEMFDCR_DROP_UNKNOWN: there were more of them than could be followed.
 */
enum memfdcr_drop memfdcr_worker_drops(void)
{
	const struct note *note;
	unsigned long flags;
	bool found = false;

	raw_spin_lock_irqsave(&lock, flags);
	list_for_each_entry(note, &notes, node)
		found |= note->task == current;
	raw_spin_unlock_irqrestore(&lock, flags);
	if (found)
		return MEMFDCR_DROP_YES;
	return has_missed() ? MEMFDCR_DROP_UNKNOWN : MEMFDCR_DROP_NO;
}
