// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hooks that tell what processes in watches do: in place only while there are watches.
 *
 * fork, exec and exit are tracepoints. Where fork() and mremap() have the address space locked, function tracing calls
 * us: at the entry of what fork() calls, and of what only mremap() calls, for a mapping that grows where it is tells
 * nobody. All processes run through these, and function tracing costs them a fraction of what probes do.
 *
 * Function tracing that is taken away waits for every task that may be on its way through it, with a lock held that
 * all who trace need. So, once we have it, we have it until the module is unloaded; while nobody is watched it is for a
 * function that nobody calls.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include "call.h"
#include "drop.h"
#include "hooks.h"
#include "life.h"
#include "member.h"
#include "worker.h"

#ifdef MEMFDCR_EXIT_TELLS_GROUP	/* 6.16: "tracing/sched: add group_dead" */
static void on_exit(void *data, struct task_struct *p, bool group_dead)
#else
static void on_exit(void *data, struct task_struct *p)
#endif
{
	memfdcr_life_exit(p);
}

static struct {
	const char *name;
	void *fn;
	struct tracepoint *tp;
} tracepoints[] = {
	{ "sched_process_fork", memfdcr_life_fork },
	{ "sched_process_exec", memfdcr_life_exec },
	{ "sched_process_exit", on_exit },
};

/* of what many call: an mremap() that may let a mapping grow where it is does nothing else before */
static void may_grow(struct memfdcr_member *m)
{
	unsigned long args[6];

	if (memfdcr_in_mremap(args) && args[2] > args[1] && !(args[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		memfdcr_call_mremap(m);
}

static const struct entry {
	const char *symbol;
	void (*begins)(struct memfdcr_member *m);
	/* what newer kernels have: where that is, this is not needed, and where that is not, it is */
	const char *newer;
	bool may_lack;
} entries[] = {
	{ "uprobe_dup_mmap", memfdcr_call_fork },
	/* makes a mapping like another one elsewhere */
	{ "copy_vma", memfdcr_call_mremap },
	/* lets a mapping grow; before 6.7 there is nothing that only mremap() calls for that */
	{ "vma_merge_extend", memfdcr_call_mremap, .may_lack = true },
	{ "vma_merge", may_grow, .newer = "vma_merge_extend" },
	{ "__vma_adjust", may_grow, .newer = "vma_merge_extend" },
};

/* where those are that this kernel has and needs, and what begins there; none: not known yet */
static unsigned long addresses[ARRAY_SIZE(entries)];
static void (*begins[ARRAY_SIZE(entries)])(struct memfdcr_member *m);
static unsigned int n_found;

/* what comes before the call at a function's entry is no longer than this */
#define ENTRY 16

static void entered(unsigned long ip, unsigned long caller, struct ftrace_ops *ops, struct ftrace_regs *regs)
{
	struct memfdcr_member *m;
	unsigned int i;

	rcu_read_lock();
	memfdcr_for_each_member(m, current->signal)
		for (i = 0; i < n_found; i++)
			if (ip - addresses[i] < ENTRY)
				begins[i](m);
	rcu_read_unlock();
}

static struct ftrace_ops tracing = { .func = entered, .flags = FTRACE_OPS_FL_PERMANENT };
static bool is_tracing;

/* what is traced while nothing is: without any function it would be all of them */
static noinline void nobody_calls(void)
{
	barrier();
}

static void find_tracepoint(struct tracepoint *tp, void *data)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tracepoints); i++)
		if (!strcmp(tp->name, tracepoints[i].name))
			tracepoints[i].tp = tp;
}

static bool is_needed(const struct entry *e, const struct kprobe *kps)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(entries); i++)
		if (e->newer && kps[i].addr && !strcmp(entries[i].symbol, e->newer))
			return false;
	return true;
}

/*
 * Where the functions are: what probes there would say, which are not armed. Function tracing looks a name up among all
 * functions, one by one, and has others wait for it. -ENOENT: one that is needed is not there.
 */
static int find_entries(void)
{
	struct kprobe *kps = kcalloc(ARRAY_SIZE(entries), sizeof(*kps), GFP_KERNEL), *registered[ARRAY_SIZE(entries)];
	unsigned int i, n = 0;
	int err = 0;

	if (!kps)
		return -ENOMEM;
	for (i = 0; !err && i < ARRAY_SIZE(entries); i++) {
		if (!is_needed(&entries[i], kps))
			continue;
		kps[i].symbol_name = entries[i].symbol;
		kps[i].flags = KPROBE_FLAG_DISABLED;
		err = register_kprobe(&kps[i]);
		if (!err) {
			addresses[n] = (unsigned long)kps[i].addr;
			begins[n] = entries[i].begins;
			registered[n++] = &kps[i];
		} else {
			kps[i].addr = NULL;
			if (err == -ENOENT && entries[i].may_lack)
				err = 0;
		}
	}
	unregister_kprobes(registered, n);
	kfree(kps);
	if (!err)
		n_found = n;
	return err;
}

/*
 * Function tracing ends itself when it finds itself broken, and then whatever it has patched stays as it is: it may go
 * on to call us for ever.
 */
static bool stays;

static void stay_for_good(void)
{
	if (stays)
		return;
	stays = true;
	__module_get(THIS_MODULE);
	pr_err("function tracing is broken and does not let go of us: the module cannot be unloaded\n");
}

/* at whose entries we are called; -ENOMEM: at the same as before */
static int trace(unsigned long *functions, unsigned int n)
{
	int err = ftrace_set_filter_ips(&tracing, functions, n, 0, 1);

	/* that patching has gone wrong it does not say, but it does say so to whoever asks for an address that is none */
	if (!err && is_tracing && ftrace_set_filter_ip(&tracing, 0, 0, 1) == -ENODEV)
		err = -ENODEV;
	if (err == -ENODEV && is_tracing)
		stay_for_good();
	return err;
}

/* we are not called any more, though somebody may still be on his way to us */
static int entries_rest(void)
{
	unsigned long rest = (unsigned long)nobody_calls;

	return trace(&rest, 1);
}

static int entries_register(void)
{
	int err = entries_rest();

	if (err)
		return err;
	err = register_ftrace_function(&tracing);
	if (err && err != -EBUSY && err != -ENOMEM)
		stay_for_good();
	is_tracing = !err;
	return err;
}

/* from now on we are called */
static int entries_trace(void)
{
	int err = n_found ? 0 : find_entries();

	if (!err && !is_tracing)
		err = entries_register();
	return err ?: trace(addresses, n_found);
}

/* nobody is on his way to us any more */
static void entries_unregister(void)
{
	if (stays || (is_tracing && unregister_ftrace_function(&tracing))) {
		/* broken since nobody is watched any more: to return would free what it still has in its list */
		pr_alert("function tracing is broken and does not let go of us: this unloading does not end\n");
		for (;;)
			schedule_timeout_idle(MAX_SCHEDULE_TIMEOUT);
	}
	is_tracing = false;
	ftrace_free_filter(&tracing);
}

static void tracepoints_unregister(unsigned int n)
{
	while (n--)
		tracepoint_probe_unregister(tracepoints[n].tp, tracepoints[n].fn, NULL);
}

static int tracepoints_register(void)
{
	unsigned int i;
	int err;

	for_each_kernel_tracepoint(find_tracepoint, NULL);
	for (i = 0; i < ARRAY_SIZE(tracepoints); i++) {
		err = tracepoints[i].tp ? tracepoint_probe_register(tracepoints[i].tp, tracepoints[i].fn, NULL) : -EOPNOTSUPP;
		if (err) {
			tracepoints_unregister(i);
			return err;
		}
	}
	return 0;
}

/* the hooks are in place */
static bool placed;

/**
 * memfdcr_hooks_add() - have the hooks in place
 *
 * Context: process context; sleeps. The caller sees to it that all these functions are called one after the other.
 * Return: 0, also if they are already; -EBUSY function tracing is switched off; or why else the kernel refuses them.
 */
int memfdcr_hooks_add(void)
{
	int err;

	/* they take locks that sleep there, where one must not */
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return -EOPNOTSUPP;
	if (placed)
		return 0;
	err = memfdcr_worker_hook();
	if (err)
		return err;
	err = tracepoints_register();
	if (err)
		goto err_tracepoints;
	err = entries_trace();
	if (err)
		goto err_entries;
	placed = true;
	return 0;

err_entries:
	tracepoints_unregister(ARRAY_SIZE(tracepoints));
err_tracepoints:
	memfdcr_worker_unhook();
	return err;
}

static void remove_others(void)
{
	tracepoints_unregister(ARRAY_SIZE(tracepoints));
	memfdcr_worker_unhook();
	placed = false;
}

/**
 * memfdcr_hooks_remove() - take them away, if they are in place
 *
 * Context: process context; sleeps. Nobody is watched.
 * Return: 0; -ENOMEM, and they are in place as before; another negative errno: they will always be.
 */
int memfdcr_hooks_remove(void)
{
	int err = placed ? entries_rest() : 0;

	if (!err && placed)
		remove_others();
	return err;
}

/**
 * memfdcr_hooks_exit() - nothing of ours is called any more on return
 *
 * Context: process context; sleeps. Nobody is watched.
 */
void memfdcr_hooks_exit(void)
{
	entries_unregister();
	if (placed)
		remove_others();
	/* who is still in one of them finds nobody: only now does it have to be waited for */
	tracepoint_synchronize_unregister();
}
