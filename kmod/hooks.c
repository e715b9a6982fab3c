// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hooks that tell what processes in watches do: in place only while there are watches.
 *
 * fork, exec and exit are tracepoints. Where fork() and mremap() have the address space locked, function tracing calls
 * us: at the entry of what fork() calls, and of what only mremap() calls, for a mapping that grows where it is tells
 * nobody. All processes run through these, and function tracing costs them a fraction of what probes do. As permanent
 * as it is asked to be, it cannot be switched off meanwhile.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/tracepoint.h>
#include <linux/userfaultfd_k.h>
#include <uapi/linux/memfdcr.h>

#include "call.h"
#include "drop.h"
#include "hooks.h"
#include "id.h"
#include "member.h"
#include "space.h"
#include "worker.h"

/* ---- fork, exec, exit: tracepoints, with preemption off ---- */

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

static void on_fork(void *data, struct task_struct *parent, struct task_struct *child)
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

static void on_exec(void *data, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)
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

static void on_thread_exit(struct task_struct *p)
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

#ifdef MEMFDCR_EXIT_TELLS_GROUP	/* 6.16: "tracing/sched: add group_dead" */
static void on_exit(void *data, struct task_struct *p, bool group_dead)
#else
static void on_exit(void *data, struct task_struct *p)
#endif
{
	on_thread_exit(p);
}

/* ---- where mremap() and fork() have the address space locked: entries of functions ---- */

static void each_move_begins(void)
{
	struct memfdcr_member *m;

	rcu_read_lock();
	memfdcr_for_each_member(m, current->signal)
		memfdcr_call_mremap(m);
	rcu_read_unlock();
}

/* what only mremap() calls */
static void space_changes(unsigned long ip, unsigned long caller, struct ftrace_ops *ops, struct ftrace_regs *regs)
{
	each_move_begins();
}

/* what many call: of these, an mremap() that may let a mapping grow where it is does nothing else before */
static void space_may_grow(unsigned long ip, unsigned long caller, struct ftrace_ops *ops, struct ftrace_regs *regs)
{
	unsigned long args[6];

	if (memfdcr_in_mremap(args) && args[2] > args[1] && !(args[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		each_move_begins();
}

static void space_is_copied(unsigned long ip, unsigned long caller, struct ftrace_ops *ops, struct ftrace_regs *regs)
{
	struct memfdcr_member *m;

	rcu_read_lock();
	memfdcr_for_each_member(m, current->signal)
		memfdcr_call_fork(m);
	rcu_read_unlock();
}

/* ---- the hooks themselves ---- */

static struct hook {
	const char *name;
	void *fn;
	struct tracepoint *tp;
} hooks[] = {
	{ "sched_process_fork", on_fork },
	{ "sched_process_exec", on_exec },
	{ "sched_process_exit", on_exit },
};

static struct ftrace_ops copied = { .func = space_is_copied, .flags = FTRACE_OPS_FL_PERMANENT };
static struct ftrace_ops changes = { .func = space_changes, .flags = FTRACE_OPS_FL_PERMANENT };
static struct ftrace_ops may_grow = { .func = space_may_grow, .flags = FTRACE_OPS_FL_PERMANENT };

static const struct entry {
	const char *symbol;
	struct ftrace_ops *ops;
	/* what newer kernels have: where that is, this is not needed, and where that is not, it is */
	const char *newer;
	bool may_lack;
} entries[] = {
	{ "uprobe_dup_mmap", &copied },
	/* makes a mapping like another one elsewhere */
	{ "copy_vma", &changes },
	/* lets a mapping grow; before 6.7 there is nothing that only mremap() calls for that */
	{ "vma_merge_extend", &changes, .may_lack = true },
	{ "vma_merge", &may_grow, .newer = "vma_merge_extend" },
	{ "__vma_adjust", &may_grow, .newer = "vma_merge_extend" },
};

/* which of them this kernel has is known, and function tracing knows which functions are meant */
static bool found;
/* what is called at their entries: those with a function, for without one it would be called at all of them */
static struct ftrace_ops *called[ARRAY_SIZE(entries)];
static unsigned int n_called, n_registered;

static void find_tracepoint(struct tracepoint *tp, void *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!strcmp(tp->name, hooks[i].name))
			hooks[i].tp = tp;
}

/*
 * Where a function is: what a probe there would say, for function tracing looks a name up among all functions, one by
 * one, and has other requests wait for it.
 */
static int find_function(const char *symbol, unsigned long *address)
{
	struct kprobe kp = { .symbol_name = symbol, .flags = KPROBE_FLAG_DISABLED };
	int err = register_kprobe(&kp);

	if (err)
		return err;
	*address = (unsigned long)kp.addr;
	unregister_kprobe(&kp);
	return 0;
}

static void call_at_entries(struct ftrace_ops *ops)
{
	unsigned int i;

	for (i = 0; i < n_called; i++)
		if (called[i] == ops)
			return;
	called[n_called++] = ops;
}

/* -ENOENT: one that is needed is not there */
static int find_entries(void)
{
	unsigned int i, j;
	int errs[ARRAY_SIZE(entries)];

	for (i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *e = &entries[i];
		unsigned long address;

		for (j = 0; j < i; j++)
			if (e->newer && !strcmp(entries[j].symbol, e->newer) && !errs[j])
				break;
		errs[i] = -ENOENT;
		if (j < i)
			continue;
		errs[i] = find_function(e->symbol, &address);
		if (!errs[i])
			errs[i] = ftrace_set_filter_ip(e->ops, address, 0, 0);
		if (!errs[i])
			call_at_entries(e->ops);
		else if (errs[i] != -ENOENT || !e->may_lack)
			return errs[i];
	}
	found = true;
	return 0;
}

static void entries_unregister(void)
{
	while (n_registered)
		unregister_ftrace_function(called[--n_registered]);
}

static int entries_register(void)
{
	int err = found ? 0 : find_entries();

	while (!err && n_registered < n_called) {
		err = register_ftrace_function(called[n_registered]);
		n_registered += !err;
	}
	if (err)
		entries_unregister();
	return err;
}

static void tracepoints_unregister(unsigned int n)
{
	while (n--)
		tracepoint_probe_unregister(hooks[n].tp, hooks[n].fn, NULL);
}

static int tracepoints_register(void)
{
	unsigned int i;
	int err;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		err = hooks[i].tp ? tracepoint_probe_register(hooks[i].tp, hooks[i].fn, NULL) : -EOPNOTSUPP;
		if (err) {
			tracepoints_unregister(i);
			tracepoint_synchronize_unregister();
			return err;
		}
	}
	return 0;
}

/**
 * memfdcr_hooks_add() - have the hooks in place
 *
 * Context: process context; sleeps. Not twice without memfdcr_hooks_remove().
 * Return: 0; -EBUSY function tracing is switched off; or why else the kernel refuses them.
 */
int memfdcr_hooks_add(void)
{
	int err;

	/* handlers run with preemption off and take locks that sleep there */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return -EOPNOTSUPP;
	err = memfdcr_worker_hook();
	if (err)
		return err;
	err = entries_register();
	if (err)
		goto err_entries;
	err = tracepoints_register();
	if (err)
		goto err_tracepoints;
	return 0;

err_tracepoints:
	entries_unregister();
err_entries:
	memfdcr_worker_unhook();
	return err;
}

/**
 * memfdcr_hooks_remove() - undo memfdcr_hooks_add()
 *
 * Context: process context; sleeps.
 */
void memfdcr_hooks_remove(void)
{
	tracepoints_unregister(ARRAY_SIZE(hooks));
	tracepoint_synchronize_unregister();
	entries_unregister();
	memfdcr_worker_unhook();
}

/**
 * memfdcr_hooks_exit() - forget which functions this kernel has
 *
 * Context: process context; sleeps. The hooks are not in place.
 */
void memfdcr_hooks_exit(void)
{
	ftrace_free_filter(&copied);
	ftrace_free_filter(&changes);
	ftrace_free_filter(&may_grow);
}
