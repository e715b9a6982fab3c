// SPDX-License-Identifier: GPL-2.0-only
/*
 * Going from process to process: a list of them, a tree, or all; and whether they stood still meanwhile.
 *
 * No lock is held from one process to the next, so what is found may not have been so at one and the same time. But
 * only its own threads change a process's descriptors and mappings, and those of processes that share them with it. If
 * every one of these was off its processor when the process was looked at, and at the end has not been scheduled since,
 * then nothing has changed in between.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/mm_types.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <net/genetlink.h>

#include "compat/wrapper/thread.h"
#include "walk.h"

/* for each process that shares its descriptors or memory, all threads of the machine are looked at */
#define SHARERS_LOOKED_AT 1000000

static int compare_pids(const void *a, const void *b)
{
	const struct pid *const *left = a, *const *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* the process that an attribute names in the sender's pid namespace, with a reference; or an error pointer */
static struct pid *get_process(const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	u32 nr = nla_get_u32(attr);
	struct pid *pid;

	rcu_read_lock();
	pid = nr <= INT_MAX ? find_vpid(nr) : NULL;
	if (pid && pid_task(pid, PIDTYPE_TGID))
		get_pid(pid);
	else
		pid = ERR_PTR(-ESRCH);
	rcu_read_unlock();
	if (IS_ERR(pid))
		NL_SET_ERR_MSG_ATTR(extack, attr, "there is no process with this pid");
	return pid;
}

static int get_list(struct memfdcr_walk *w, const struct nlmsghdr *nlh, int type, struct netlink_ext_ack *extack)
{
	unsigned int n = 0, unique = 0, i;
	const struct nlattr *attr;
	int rem;

	nlmsg_for_each_attr(attr, nlh, GENL_HDRLEN, rem) {
		n += nla_type(attr) == type;
		if (n > MEMFDCR_MAX_PIDS) {
			NL_SET_ERR_MSG_ATTR(extack, attr, "more than 4096 processes are asked for");
			return -E2BIG;
		}
	}
	if (!n)
		return 0;
	w->pids = kvcalloc(n, sizeof(*w->pids), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!w->pids)
		return -ENOMEM;
	nlmsg_for_each_attr(attr, nlh, GENL_HDRLEN, rem) {
		struct pid *pid;

		if (nla_type(attr) != type)
			continue;
		pid = get_process(attr, extack);
		if (IS_ERR(pid))
			return PTR_ERR(pid);
		w->pids[w->n_pids++] = pid;
	}
	sort(w->pids, w->n_pids, sizeof(*w->pids), compare_pids, NULL);
	for (i = 0; i < w->n_pids; i++) {
		if (unique && w->pids[unique - 1] == w->pids[i])
			put_pid(w->pids[i]);
		else
			w->pids[unique++] = w->pids[i];
	}
	w->n_pids = unique;
	return 0;
}

/**
 * memfdcr_walk_begin() - read from a request which processes to walk
 * @w: result; memfdcr_walk_end() when done, not after an error
 * @skb: the request; the caller keeps it
 * @nlh: its message
 * @pid_type: type of the attributes that name processes; without any, and without a tree, all are walked
 * @tree: attribute that names the root of a tree, or NULL
 * @extack: gets a sentence on error
 *
 * Context: process context of the sender; sleeps.
 * Return: 0; -ESRCH no such process; -E2BIG too many; -EINVAL a list and a tree; -ENOMEM.
 */
int memfdcr_walk_begin(struct memfdcr_walk *w, struct sk_buff *skb, const struct nlmsghdr *nlh, int pid_type,
		       const struct nlattr *tree, struct netlink_ext_ack *extack)
{
	int err;

	*w = (struct memfdcr_walk){ .ns = get_pid_ns(task_active_pid_ns(current)), .budget = SHARERS_LOOKED_AT };
	memfdcr_access_get(&w->access, skb);
	err = get_list(w, nlh, pid_type, extack);
	if (!err && tree && w->pids) {
		NL_SET_ERR_MSG_ATTR(extack, tree, "either pids or a tree, not both");
		err = -EINVAL;
	}
	if (!err && tree) {
		w->root = get_process(tree, extack);
		if (IS_ERR(w->root)) {
			err = PTR_ERR(w->root);
			w->root = NULL;
		}
	}
	if (err)
		memfdcr_walk_end(w);
	else
		memfdcr_walk_rewind(w, false);
	return err;
}

/**
 * memfdcr_walk_end() - undo memfdcr_walk_begin()
 * @w: the walk
 *
 * Context: process context.
 */
void memfdcr_walk_end(struct memfdcr_walk *w)
{
	while (w->n_pids)
		put_pid(w->pids[--w->n_pids]);
	kvfree(w->pids);
	put_pid(w->root);
	memfdcr_access_put(&w->access);
	put_pid_ns(w->ns);
}

/**
 * memfdcr_walk_rewind() - go back to the beginning
 * @w: the walk
 * @outside: from now on walk the processes that were not asked for
 *
 * Context: any.
 */
void memfdcr_walk_rewind(struct memfdcr_walk *w, bool outside)
{
	w->outside = outside;
	w->next = w->pids && !outside ? 0 : 1;
}

static bool descends_from(struct task_struct *process, const struct pid *root)
{
	struct task_struct *t = process, *parent;
	bool descends = false;

	rcu_read_lock();
	/* one that has been reaped has parents that may be gone; those of a living one live as long as we look */
	while (pid_alive(process)) {
		descends = task_tgid(t) == root;
		parent = rcu_dereference(t->real_parent);
		if (descends || parent == t || !parent)
			break;
		t = parent;
	}
	rcu_read_unlock();
	return descends;
}

/**
 * memfdcr_walk_covers() - is a process among those asked for?
 * @w: the walk
 * @process: thread group leader; the caller has a reference
 *
 * Context: any.
 * Return: whether it is.
 */
bool memfdcr_walk_covers(const struct memfdcr_walk *w, struct task_struct *process)
{
	const struct pid *pid = task_tgid(process);
	unsigned int low = 0, high = w->n_pids;

	if (w->root)
		return descends_from(process, w->root);
	if (!w->pids)
		return true;
	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (w->pids[mid] == pid)
			return true;
		if (w->pids[mid] < pid)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* the next pid, whatever it is; NULL: that was the last. Under RCU. */
static struct pid *next_pid(struct memfdcr_walk *w)
{
	struct pid *pid;

	if (w->pids && !w->outside)
		return w->next < w->n_pids ? w->pids[w->next++] : NULL;
	pid = w->next <= INT_MAX ? find_ge_pid(w->next, w->ns) : NULL;
	if (pid)
		w->next = pid_nr_ns(pid, w->ns) + 1;
	return pid;
}

/* the next one, wherever it belongs, with a reference */
static struct task_struct *next_process(struct memfdcr_walk *w)
{
	struct task_struct *process;
	struct pid *pid;

	do {
		rcu_read_lock();
		pid = next_pid(w);
		process = pid ? pid_task(pid, PIDTYPE_TGID) : NULL;
		if (process && process->flags & PF_KTHREAD)
			process = NULL;
		if (process)
			get_task_struct(process);
		rcu_read_unlock();
		/* threads and kernel threads have pids, too */
		cond_resched();
	} while (pid && !process);
	return process;
}

#ifdef CONFIG_SMP
static bool is_running(const struct task_struct *t)
{
	/* pairs with the release when it has left its processor: what it did there is seen after this */
	return smp_load_acquire(&t->on_cpu);
}
#else
static bool is_running(const struct task_struct *t)
{
	return false;
}
#endif

/* adds a thread to *still, and tells whether it is running */
static bool note_thread(const struct task_struct *t, u64 *still)
{
	static siphash_key_t key __read_mostly;
	bool running = is_running(t);

	get_random_once(&key, sizeof(key));
	*still += siphash_3u64((unsigned long)t, t->start_boottime, READ_ONCE(t->nvcsw) + READ_ONCE(t->nivcsw), &key);
	return running;
}

/**
 * struct sharing - what others could change in a process that does not run
 * @files: descriptors, of the first thread that has any; only compared
 * @mm: memory; only compared
 * @files_others: there are users of @files beyond the process's threads
 * @mm_others: the same for @mm
 * @odd: another thread's descriptors are not @files and not its alone
 */
struct sharing {
	const struct files_struct *files;
	const struct mm_struct *mm;
	int files_others, mm_others;
	bool odd;
};

static void add_sharing(struct sharing *s, struct task_struct *t)
{
	task_lock(t);
	if (t->files && !s->files) {
		s->files = t->files;
		s->files_others = atomic_read(&t->files->count);
	}
	if (t->files && t->files == s->files)
		s->files_others--;
	else if (t->files)
		s->odd |= atomic_read(&t->files->count) > 1;
	if (t->mm && !s->mm) {
		s->mm = t->mm;
		s->mm_others = atomic_read(&t->mm->mm_users);
	}
	if (t->mm)
		s->mm_others--;
	task_unlock(t);
}

/* adds the threads of other processes that share descriptors (CLONE_FILES) or memory (CLONE_VM, vfork()) */
static bool note_sharers(struct memfdcr_walk *w, const struct sharing *s, const struct task_struct *process, u64 *still)
{
	struct task_struct *p, *t;
	bool running = false;

	for_each_process(p) {
		if (p == process || p->flags & PF_KTHREAD)
			continue;
		memfdcr_for_each_thread(p, t) {
			/* many who share: that they stood still is not worth that much */
			if (!w->budget)
				return true;
			w->budget--;
			if ((s->files && READ_ONCE(t->files) == s->files) || (s->mm && READ_ONCE(t->mm) == s->mm))
				running |= note_thread(t, still);
		}
	}
	return running;
}

/* adds all who can change a process's descriptors and mappings to *still, and tells whether one is running */
static bool note_threads(struct memfdcr_walk *w, struct task_struct *process, u64 *still)
{
	struct sharing sharing = { 0 };
	struct task_struct *t;
	bool running = false;

	/* whoever reads the answer runs, and knows what it does */
	if (task_tgid(process) == w->access.self)
		return false;
	rcu_read_lock();
	memfdcr_for_each_thread(process, t) {
		running |= note_thread(t, still);
		add_sharing(&sharing, t);
	}
	/* threads that have left the first one's descriptors and share others: not worth finding out with whom */
	running |= sharing.odd;
	if (sharing.files_others > 0 || sharing.mm_others > 0)
		running |= note_sharers(w, &sharing, process, still);
	rcu_read_unlock();
	/* before anything else of the process is looked at, or after all of it */
	smp_mb();
	return running;
}

/**
 * memfdcr_walk_any() - the next process, whether the request may see it or not
 * @w: the walk
 *
 * Context: process context; sleeps, but waits for nobody.
 * Return: its thread group leader, which may be a zombie, with a reference; NULL: that was all; -EINTR: killed.
 */
struct task_struct *memfdcr_walk_any(struct memfdcr_walk *w)
{
	struct task_struct *process;

	for (;;) {
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
		cond_resched();
		process = next_process(w);
		if (!process || memfdcr_walk_covers(w, process) != w->outside)
			return process;
		put_task_struct(process);
	}
}

/* the next process that the request may see; the others are hidden */
static struct task_struct *next_visible(struct memfdcr_walk *w, unsigned int *hidden)
{
	struct task_struct *process;

	while (!IS_ERR_OR_NULL(process = memfdcr_walk_any(w))) {
		if (memfdcr_access_to(&w->access, process))
			return process;
		++*hidden;
		put_task_struct(process);
	}
	return process;
}

/**
 * memfdcr_walk_next() - the next process
 * @w: the walk
 *
 * Context: process context; sleeps.
 * Return: its thread group leader, which may be a zombie, with a reference; NULL: that was all; -EINTR: killed.
 */
struct task_struct *memfdcr_walk_next(struct memfdcr_walk *w)
{
	struct task_struct *process = next_visible(w, &w->hidden[w->outside]);

	if (!IS_ERR_OR_NULL(process))
		w->ran |= note_threads(w, process, &w->still);
	return process;
}

/**
 * memfdcr_walk_recheck() - has nobody run since he was looked at?
 * @w: the walk, at its end
 * @outside: the processes not asked for were walked, too
 * @stood_still: result; the processes walked are the same ones, and none of their threads has run
 *
 * Context: process context; sleeps.
 * Return: 0, or -EINTR: killed.
 */
int memfdcr_walk_recheck(struct memfdcr_walk *w, bool outside, bool *stood_still)
{
	struct task_struct *process;
	unsigned int hidden = 0;
	bool ran = w->ran, part = false;
	u64 still = 0;

	do {
		memfdcr_walk_rewind(w, part);
		while ((process = next_visible(w, &hidden))) {
			if (IS_ERR(process))
				return PTR_ERR(process);
			ran |= note_threads(w, process, &still);
			put_task_struct(process);
		}
		part = !part;
	} while (part && outside);
	*stood_still = !ran && still == w->still && hidden == w->hidden[0] + w->hidden[1];
	return 0;
}
