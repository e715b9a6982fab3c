/* SPDX-License-Identifier: GPL-2.0-only */
/* The user namespace that an address space belongs to. */
#ifndef MEMFDCR_COMPAT_WRAPPER_MM_H
#define MEMFDCR_COMPAT_WRAPPER_MM_H

#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/user_namespace.h>

/**
 * memfdcr_mm_user_ns() - the user namespace whose capabilities count for an address space
 * @mm: the address space; the caller has a user reference
 *
 * Context: process context; does not sleep.
 * Return: the namespace with a reference for put_user_ns(), or NULL: nobody lives in the address space any more.
 */
#ifdef MEMFDCR_HAS_EXEC_STATE	/* 7.3 at the latest: kept with the tasks of one execve() */
#include <linux/sched/exec_state.h>

static inline struct user_namespace *memfdcr_mm_user_ns(struct mm_struct *mm)
{
	struct task_struct *process, *t;
	struct user_namespace *ns = NULL;

	rcu_read_lock();
	for_each_process_thread(process, t) {
		if (READ_ONCE(t->mm) != mm || t->flags & PF_KTHREAD)
			continue;
		/* execve() changes both at once under this lock */
		task_lock(t);
		if (t->mm == mm)
			ns = get_user_ns(rcu_dereference(t->exec_state)->user_ns);
		task_unlock(t);
		if (ns)
			goto out;
	}
out:
	rcu_read_unlock();
	return ns;
}

static inline struct user_namespace *memfdcr_task_user_ns(struct task_struct *process)
{
	struct user_namespace *ns = NULL;
	struct task_struct *t;

	rcu_read_lock();
	for_each_thread(process, t) {
		task_lock(t);
		if (t->mm)
			ns = get_user_ns(rcu_dereference(t->exec_state)->user_ns);
		task_unlock(t);
		if (ns)
			break;
	}
	rcu_read_unlock();
	return ns;
}
#else	/* kept with the address space */
static inline struct user_namespace *memfdcr_mm_user_ns(struct mm_struct *mm)
{
	return get_user_ns(mm->user_ns);
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
	for_each_thread(process, t) {
		task_lock(t);
		if (t->mm)
			ns = get_user_ns(t->mm->user_ns);
		task_unlock(t);
		if (ns)
			break;
	}
	rcu_read_unlock();
	return ns;
}
#endif

#endif
