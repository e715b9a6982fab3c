/* SPDX-License-Identifier: GPL-2.0-only */
/* The user namespace that an address space belongs to. */
#ifndef MEMFDCR_COMPAT_WRAPPER_MM_H
#define MEMFDCR_COMPAT_WRAPPER_MM_H

#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/user_namespace.h>

#include "thread.h"

#ifdef MEMFDCR_HAS_EXEC_STATE	/* 7.3 at the latest: kept with the tasks of one execve() */
#include <linux/sched/exec_state.h>
#endif

/* of a thread that has memory; under RCU and its task_lock(), under which execve() changes both at once */
static inline struct user_namespace *memfdcr_thread_user_ns(struct task_struct *t)
{
#ifdef MEMFDCR_HAS_EXEC_STATE
	return get_user_ns(rcu_dereference(t->exec_state)->user_ns);
#else	/* kept with the address space */
	return get_user_ns(t->mm->user_ns);
#endif
}

/**
 * memfdcr_task_user_ns() - the user namespace whose capabilities count for a process's memory
 * @process: thread group leader; the caller has a reference
 *
 * Context: process context; does not sleep.
 * Return: the namespace with a reference for put_user_ns(), or NULL: the process has no memory any more.
 */
static inline struct user_namespace *memfdcr_task_user_ns(struct task_struct *process)
{
	struct user_namespace *ns = NULL;
	struct task_struct *t;

	rcu_read_lock();
	memfdcr_for_each_thread(process, t) {
		task_lock(t);
		if (t->mm)
			ns = memfdcr_thread_user_ns(t);
		task_unlock(t);
		if (ns)
			break;
	}
	rcu_read_unlock();
	return ns;
}

/**
 * memfdcr_mm_user_ns() - the user namespace whose capabilities count for an address space
 * @mm: the address space; the caller has a user reference
 *
 * Context: process context; does not sleep.
 * Return: the namespace with a reference for put_user_ns(), or NULL: nobody lives in the address space any more.
 */
static inline struct user_namespace *memfdcr_mm_user_ns(struct mm_struct *mm)
{
#ifdef MEMFDCR_HAS_EXEC_STATE
	struct task_struct *process, *t;
	struct user_namespace *ns = NULL;

	rcu_read_lock();
	for_each_process(process) memfdcr_for_each_thread(process, t) {
		if (READ_ONCE(t->mm) != mm || t->flags & PF_KTHREAD)
			continue;
		task_lock(t);
		if (t->mm == mm)
			ns = memfdcr_thread_user_ns(t);
		task_unlock(t);
		if (ns)
			goto out;
	}
out:
	rcu_read_unlock();
	return ns;
#else
	return get_user_ns(mm->user_ns);
#endif
}

#endif
