// SPDX-License-Identifier: GPL-2.0-only
/*
 * What io_uring's workers are doing for processes: they never entered the kernel, so no registers say it.
 *
 * Of what drops pages all is done by workers (io_uring has it wait for nobody else): so probes on the functions that
 * the system calls lead to, too, follow nobody but workers from entry to end.
 */
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "worker.h"

/* kept in the probe's own record of a call */
struct note {
	struct list_head node;
	const struct task_struct *task;
	int what;
};

/* the notes; taken in probes, also with locks of theirs held */
static DEFINE_RAW_SPINLOCK(lock);
static LIST_HEAD(notes);

/* whether the probes are there; sleeps */
static DEFINE_MUTEX(probes_lock);
static unsigned int users;

static int take_note(struct kretprobe_instance *ri, int what)
{
	struct note *note = (void *)ri->data;
	unsigned long flags;

	if (!(current->flags & PF_IO_WORKER))
		return 1;	/* not to be followed to its end */
	note->task = current;
	note->what = what;
	raw_spin_lock_irqsave(&lock, flags);
	list_add(&note->node, &notes);
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

/* int do_madvise(struct mm_struct *mm, unsigned long start, size_t len_in, int behavior) */
static int madvise_entered(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return take_note(ri, regs_get_kernel_argument(regs, 3));
}

static int file_entered(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	return take_note(ri, MEMFDCR_WORKER_FILE);
}

static int left(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	struct note *note = (void *)ri->data;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	list_del(&note->node);
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static const struct {
	const char *symbol;
	kretprobe_handler_t entered;
} followed[] = {
	{ "do_madvise", madvise_entered },
	{ "vfs_fallocate", file_entered },
	{ "do_truncate", file_entered },
};

static struct kretprobe probes[ARRAY_SIZE(followed)], *registered[ARRAY_SIZE(followed)];

/* the first n */
static void unregister(unsigned int n)
{
	unregister_kretprobes(registered, n);
	/* nobody tells any more when what is under way ends */
	INIT_LIST_HEAD(&notes);
}

/* a probe keeps state of its last registration: each begins afresh */
static int register_all(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = (struct kretprobe){
			.kp.symbol_name = followed[i].symbol,
			.entry_handler = followed[i].entered,
			.handler = left,
			.data_size = sizeof(struct note),
			.maxactive = 128,
		};
		registered[i] = &probes[i];
		err = register_kretprobe(&probes[i]);
		if (err) {
			unregister(i);
			return err;
		}
	}
	return 0;
}

/**
 * memfdcr_worker_get() - follow workers from now on
 *
 * Context: process context; sleeps.
 * Return: 0, or why the kernel refuses a probe.
 */
int memfdcr_worker_get(void)
{
	int err = 0;

	mutex_lock(&probes_lock);
	if (!users)
		err = register_all();
	if (!err)
		users++;
	mutex_unlock(&probes_lock);
	return err;
}

/**
 * memfdcr_worker_put() - undo memfdcr_worker_get()
 *
 * Context: process context; sleeps.
 */
void memfdcr_worker_put(void)
{
	mutex_lock(&probes_lock);
	if (!--users)
		unregister(ARRAY_SIZE(probes));
	mutex_unlock(&probes_lock);
}

/* calls that the kernel had no record left for */
static bool has_missed(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (READ_ONCE(probes[i].nmissed) || READ_ONCE(probes[i].kp.nmissed))
			return true;
	return false;
}

/**
 * memfdcr_worker_does() - what the current thread, one of io_uring's workers, is doing
 *
 * Context: any; between memfdcr_worker_get() and memfdcr_worker_put().
 * Return: the advice to madvise(), or MEMFDCR_WORKER_... .
 */
int memfdcr_worker_does(void)
{
	int what = has_missed() ? MEMFDCR_WORKER_UNKNOWN : MEMFDCR_WORKER_NOTHING;
	const struct note *note;
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	list_for_each_entry(note, &notes, node)
		if (note->task == current) {
			what = note->what;
			break;
		}
	raw_spin_unlock_irqrestore(&lock, flags);
	return what;
}
