// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may see what of whom; docs/security.md has the rules.
 *
 * A request has two fathers: the process that opened the socket and the one that sent the message. Somebody may pass
 * a socket to a more privileged program and have that write something: so whatever is granted, both must have it. And
 * the process that reads a long answer may be a third one, so what counts is noted when the request comes in.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/pid.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/user_namespace.h>
#include <net/sock.h>

#include "access.h"
#include "compat/wrapper/mm.h"
#include "target.h"

static bool is_plain(struct sk_buff *skb, const struct cred *cred)
{
	const struct cred *opener = NETLINK_CB(skb).sk->sk_socket->file->f_cred;

	return uid_eq(opener->uid, cred->uid) && uid_eq(opener->euid, cred->euid) &&
	       uid_eq(opener->fsuid, cred->fsuid) && gid_eq(opener->fsgid, cred->fsgid) &&
	       opener->user_ns == cred->user_ns && cap_issubset(cred->cap_permitted, opener->cap_permitted);
}

/**
 * memfdcr_access_get() - begin to look at processes on behalf of a request
 * @access: result; memfdcr_access_put() when done
 * @skb: the request; the caller keeps it
 *
 * Context: process context of the sender.
 */
void memfdcr_access_get(struct memfdcr_access *access, struct sk_buff *skb)
{
	*access = (struct memfdcr_access){
		.skb = skb,
		.cred = get_current_cred(),
		.self = get_pid(task_tgid(current)),
		.plain = is_plain(skb, current_cred()),
	};
}

/**
 * memfdcr_access_put() - undo memfdcr_access_get()
 * @access: not used any more
 *
 * Context: any process context.
 */
void memfdcr_access_put(struct memfdcr_access *access)
{
	if (access->ns)
		put_user_ns(access->ns);
	put_cred(access->cred);
	put_pid(access->self);
}

/* not netlink_ns_capable(), which does not ask about the opener when the message was addressed */
static bool have_both(struct sk_buff *skb, struct user_namespace *ns, int capability)
{
	return file_ns_capable(NETLINK_CB(skb).sk->sk_socket->file, ns, capability) && ns_capable(ns, capability);
}

/* both, opener and sender, may look at anything in this user namespace; consumes the reference */
static bool is_capable(struct memfdcr_access *access, struct user_namespace *ns)
{
	const struct cred *old;

	if (ns == access->ns) {
		put_user_ns(ns);
		return access->ns_capable;
	}
	old = override_creds(access->cred);
	access->ns_capable = have_both(access->skb, ns, CAP_SYS_PTRACE) ||
			     have_both(access->skb, ns, CAP_CHECKPOINT_RESTORE);
	revert_creds(old);
	if (access->ns)
		put_user_ns(access->ns);
	access->ns = ns;
	return access->ns_capable;
}

static bool has_ids_of(const struct cred *cred, struct task_struct *process)
{
	const struct cred *theirs;
	bool equal;

	rcu_read_lock();
	theirs = __task_cred(process);
	equal = uid_eq(cred->fsuid, theirs->uid) && uid_eq(cred->fsuid, theirs->euid) &&
		uid_eq(cred->fsuid, theirs->suid) && gid_eq(cred->fsgid, theirs->gid) &&
		gid_eq(cred->fsgid, theirs->egid) && gid_eq(cred->fsgid, theirs->sgid);
	rcu_read_unlock();
	return equal;
}

/*
 * Whether the sender may trace the process: the kernel answers that, security modules included, to whoever opens its
 * /proc/PID/mem. Only asked where the answer can be yes, and by the sender itself, for it depends on who runs, too. It
 * waits for an execve() that is under way.
 */
static bool may_trace(struct memfdcr_access *access, struct task_struct *process)
{
	const struct cred *old;
	bool may;

	if (!access->may_wait || task_tgid(current) != access->self || !has_ids_of(access->cred, process))
		return false;
	old = override_creds(access->cred);
	may = memfdcr_target_opens(process);
	revert_creds(old);
	return may;
}

/**
 * memfdcr_access_capable() - does the request have the capability to look at this process?
 * @access: on whose behalf
 * @process: thread group leader; the caller has a reference
 *
 * Context: process context; does not sleep.
 * Return: whether it has.
 */
bool memfdcr_access_capable(struct memfdcr_access *access, struct task_struct *process)
{
	struct user_namespace *ns, *mm_ns;

	rcu_read_lock();
	ns = get_user_ns(__task_cred(process)->user_ns);
	rcu_read_unlock();
	/* executing what it may not read has left a process's memory in an outer namespace than its credentials */
	mm_ns = memfdcr_task_user_ns(process);
	if (is_capable(access, ns))
		return !mm_ns || is_capable(access, mm_ns);
	if (mm_ns)
		put_user_ns(mm_ns);
	return false;
}

/**
 * memfdcr_access_reach() - how far does the capability to look at a process reach?
 * @access: on whose behalf
 * @process: thread group leader; the caller has a reference
 *
 * Context: process context; does not sleep.
 * Return: the outermost user namespace in which the request has it: whatever belongs to that or to one below may be
 * looked at. With a reference for put_user_ns(). NULL: it has not even that over the process.
 */
struct user_namespace *memfdcr_access_reach(struct memfdcr_access *access, struct task_struct *process)
{
	struct user_namespace *ns;

	if (!memfdcr_access_capable(access, process))
		return NULL;
	/* of those asked about, the last is the outer one */
	for (ns = get_user_ns(access->ns); ns->parent && is_capable(access, get_user_ns(ns->parent));) {
		struct user_namespace *outer = get_user_ns(ns->parent);

		put_user_ns(ns);
		ns = outer;
	}
	return ns;
}

/**
 * memfdcr_access_to() - may the request look at this process?
 * @access: on whose behalf
 * @process: thread group leader; the caller has a reference
 *
 * Context: process context; may sleep.
 * Return: whether it may.
 */
bool memfdcr_access_to(struct memfdcr_access *access, struct task_struct *process)
{
	/* another process that reads the answer must not see what the sender has become by execve() */
	if (access->plain && task_tgid(process) == access->self && same_thread_group(process, current))
		return true;

	return memfdcr_access_capable(access, process) || (access->plain && may_trace(access, process));
}

/* whether a task is still the one that stands for its process, and has not been replaced or reaped */
static bool is_leader(struct task_struct *process)
{
	return pid_alive(process) && READ_ONCE(process->group_leader) == process;
}

/* execve() may hang, on a file system of somebody's own: whoever asks does not wait for long, and for that even less */
static int lock_exec(struct memfdcr_access *access, struct rw_semaphore *lock)
{
	unsigned int tries = access->may_wait ? 1000 : 50;

	while (tries--) {
		if (down_read_trylock(lock))
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		usleep_range(500, 1000);
	}
	return -EBUSY;
}

/**
 * memfdcr_access_lock() - look at a process, which becomes no other one meanwhile
 * @access: on whose behalf
 * @process: thread group leader; the caller has a reference
 *
 * Between the check and the look the process could execute a set-user-id program. With the lock held it cannot.
 *
 * Context: process context; sleeps, killable.
 * Return: 0, memfdcr_access_unlock() when done; -EPERM it may not be seen; -ESRCH it has gone, or another thread has
 * taken its place by execve(); -EBUSY it is in execve() for too long; -EINTR killed.
 */
int memfdcr_access_lock(struct memfdcr_access *access, struct task_struct *process)
{
	for (;;) {
		u64 before = READ_ONCE(process->self_exec_id);
		int err;

		if (!memfdcr_access_to(access, process))
			return -EPERM;
		err = lock_exec(access, &process->signal->exec_update_lock);
		if (err)
			return err;
		if (!is_leader(process)) {
			up_read(&process->signal->exec_update_lock);
			return -ESRCH;
		}
		if (READ_ONCE(process->self_exec_id) == before)
			return 0;
		up_read(&process->signal->exec_update_lock);
	}
}

/**
 * memfdcr_access_unlock() - undo memfdcr_access_lock()
 * @process: the same
 *
 * Context: process context.
 */
void memfdcr_access_unlock(struct task_struct *process)
{
	up_read(&process->signal->exec_update_lock);
}
