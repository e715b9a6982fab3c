// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fork, exec and exit of processes in watches: what is told, and who comes into the watch or leaves it.
 *
 * They are called in tracepoints, with preemption disabled: nothing here sleeps.
 */
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/userfaultfd_k.h>
#include <uapi/linux/memfdcr.h>

#include "call.h"
#include "id.h"
#include "life.h"
#include "member.h"
#include "space.h"

/*
 * The userfaultfds that a new address space has inherited: their number; -1: more than there is room for, or somebody
 * who looks into it already has its lock.
 */
static int inherited_uffds(struct mm_struct *mm, u64 *ids, int max)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	int n = 0, i;

	if (!mmap_read_trylock(mm))
		return -1;
	for_each_vma(vmi, vma) {
		u64 id;

		if (!vma->vm_userfaultfd_ctx.ctx)
			continue;
		id = memfdcr_id(vma->vm_userfaultfd_ctx.ctx);
		for (i = 0; i < n && ids[i] != id; i++)
			;
		if (i < n)
			continue;
		if (n == max) {
			n = -1;
			break;
		}
		ids[n++] = id;
	}
	mmap_read_unlock(mm);
	return n;
}

/**
 * memfdcr_life_fork() - tracepoint sched_process_fork: there is a child, which has not run yet
 * @data: unused
 * @parent: current
 * @child: a new process, or a new thread of the parent
 *
 * Context: the parent's, preemption disabled.
 */
void memfdcr_life_fork(void *data, struct task_struct *parent, struct task_struct *child)
{
	struct memfdcr_event_ntf event;
	struct memfdcr_member *m, *new;
	u64 uffds[MEMFDCR_EVENT_UFFDS];
	bool looked = false;
	int n = 0;

	if (child->signal == parent->signal)
		return;
	rcu_read_lock();
	memfdcr_for_each_member(m, parent->signal) {
		if (!looked && child->mm && child->mm != parent->mm)
			n = inherited_uffds(child->mm, uffds, ARRAY_SIZE(uffds));
		looked = true;
		event = memfdcr_member_event(m, MEMFDCR_CMD_FORK_NTF);
		event.child.pid = task_tgid_nr_ns(child, m->watch->ns);
		event.child.start_time = div_u64(child->start_boottime, NSEC_PER_SEC / USER_HZ);
		event.child.same_memory = child->mm && child->mm == parent->mm;
		new = NULL;
		if (m->watch->tree)
			new = memfdcr_member_new(m->watch, child, m->reach, GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
		event.child.hidden = m->watch->tree && !new;
		event.child.n_uffds = max(n, 0);
		memcpy(event.child.uffd, uffds, max(n, 0) * sizeof(*uffds));
		memfdcr_call_forked(m, &event);
		if (n < 0)
			memfdcr_events_lose(&m->watch->events);
		if (!new)
			continue;
		if (memfdcr_member_enter(new, child))
			memfdcr_member_put(new);
		else
			memfdcr_space_attach_soon(new, child);
	}
	rcu_read_unlock();
}

/**
 * memfdcr_life_exec() - tracepoint sched_process_exec: another program is about to begin
 * @data: unused
 * @p: current
 * @old_pid: unused
 * @bprm: unused
 *
 * Context: the process's, preemption disabled.
 */
void memfdcr_life_exec(void *data, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
{
	struct memfdcr_member *m;

	rcu_read_lock();
	memfdcr_for_each_member(m, p->signal) {
		struct memfdcr_event_ntf unmap = memfdcr_member_unmap(m, 0, TASK_SIZE_MAX, MEMFDCR_CAUSE_EXEC);
		struct memfdcr_event_ntf event = memfdcr_member_event(m, MEMFDCR_CMD_EXEC_NTF);

		/* others may go on to have what it had: from vfork() on, or to look into it */
		memfdcr_space_detach(m);
		event.exec.hidden = !memfdcr_member_reaches(m, p);
		if (event.exec.hidden) {
			if (memfdcr_member_leave(m, &unmap, &event))
				memfdcr_member_expel(m);
			continue;
		}
		memfdcr_events_add(&m->watch->events, &unmap);
		memfdcr_events_add(&m->watch->events, &event);
		memfdcr_space_attach_soon(m, p);
	}
	rcu_read_unlock();
}

/* as wait() would tell it: when the last thread has begun to exit, this is so for the whole process, and final */
static int exit_status(const struct task_struct *p)
{
	return p->signal->group_exit_code;
}

/**
 * memfdcr_life_exit() - tracepoint sched_process_exit: a thread has begun to exit
 * @p: current
 *
 * Context: the thread's, preemption disabled.
 */
void memfdcr_life_exit(struct task_struct *p)
{
	struct memfdcr_member *m;

	if (atomic_read(&p->signal->live))
		return;
	rcu_read_lock();
	memfdcr_for_each_member(m, p->signal) {
		struct memfdcr_event_ntf unmap = memfdcr_member_unmap(m, 0, TASK_SIZE_MAX, MEMFDCR_CAUSE_EXIT);
		struct memfdcr_event_ntf event = memfdcr_member_event(m, MEMFDCR_CMD_EXIT_NTF);
		int status = exit_status(p);

		event.exit.code = status >> 8 & 0xff;
		event.exit.signal = status & 0x7f;
		memfdcr_space_detach(m);
		if (memfdcr_member_leave(m, &unmap, &event))
			memfdcr_member_expel(m);
	}
	rcu_read_unlock();
}
