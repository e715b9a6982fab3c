// SPDX-License-Identifier: GPL-2.0-only
/* The process a request is about: found and authorised through an open /proc/PID/mem descriptor. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mm_types.h>
#include <linux/netlink.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>

#include "compat/wrapper/mm.h"
#include "target.h"

#define EXITED "the process has exited"

/* what every open /proc/PID/mem has for file operations; the kernel has no other name for it */
static const struct file_operations *mem_fops;

/* /proc as the process that loaded the module sees it: what callers have mounted there is theirs */
static struct file *proc;

/**
 * memfdcr_target_init() - learn how to tell a /proc/PID/mem descriptor
 *
 * Opens the loading process's own and looks. Logs one line when that cannot be done.
 *
 * Context: process context with an address space; may sleep.
 * Return: 0 or a negative errno.
 */
int memfdcr_target_init(void)
{
	struct file *file;

	proc = filp_open("/proc", O_PATH | O_DIRECTORY, 0);
	if (IS_ERR(proc)) {
		pr_err("cannot open /proc (error %ld): is it mounted?\n", PTR_ERR(proc));
		return PTR_ERR(proc);
	}
	file = filp_open("/proc/self/mem", O_RDONLY, 0);
	if (IS_ERR(file)) {
		pr_err("cannot open /proc/self/mem (error %ld): is /proc mounted?\n", PTR_ERR(file));
		fput(proc);
		return PTR_ERR(file);
	}
	if (file_inode(proc)->i_sb->s_magic == PROC_SUPER_MAGIC && file_inode(file)->i_sb == file_inode(proc)->i_sb &&
	    file->private_data == current->mm && current->mm)
		mem_fops = file->f_op;
	fput(file);
	if (mem_fops)
		return 0;
	pr_err("/proc/self/mem is not what this module knows under that name\n");
	fput(proc);
	return -ENODEV;
}

/**
 * memfdcr_target_exit() - undo memfdcr_target_init()
 *
 * Context: process context.
 */
void memfdcr_target_exit(void)
{
	fput(proc);
}

static bool ns_is_below(const struct user_namespace *ns, const struct user_namespace *top)
{
	for (; ns; ns = ns->parent)
		if (ns == top)
			return true;
	return false;
}

static int authorise(struct sk_buff *skb, struct mm_struct *mm, bool user_mode_only, bool guard,
		     struct netlink_ext_ack *extack)
{
	struct user_namespace *ns;
	int err = 0;

	ns = memfdcr_mm_user_ns(mm);
	if (!ns) {
		NL_SET_ERR_MSG(extack, EXITED);
		return -ESRCH;
	}
	/*
	 * The open descriptor was the ptrace check. What it does not cover is catching faults that the kernel itself
	 * takes in the process's memory, which can stop the kernel for as long as the caller likes. The kernel wants
	 * CAP_SYS_PTRACE in the initial user namespace for that (vm.unprivileged_userfaultfd), and so do we: everybody
	 * has it in a user namespace of his own. A guard has the whole machine's madvise() probed.
	 */
	if (!ns_is_below(ns, current_user_ns())) {
		NL_SET_ERR_MSG(extack, "the process belongs to a user namespace outside the caller's");
		err = -EPERM;
	} else if (!user_mode_only && !netlink_capable(skb, CAP_SYS_PTRACE)) {
		NL_SET_ERR_MSG(extack,
			       "without UFFD_USER_MODE_ONLY, CAP_SYS_PTRACE in the initial user namespace is needed");
		err = -EPERM;
	} else if (guard && !netlink_capable(skb, CAP_SYS_PTRACE)) {
		NL_SET_ERR_MSG(extack, "for a guard, CAP_SYS_PTRACE in the initial user namespace is needed");
		err = -EPERM;
	}
	put_user_ns(ns);
	return err;
}

/**
 * memfdcr_target_get() - address space behind a descriptor
 * @skb: the request
 * @info: the request; gets the sentence and the attribute when it is refused
 * @attr: u32, a descriptor of the calling process
 * @user_mode_only: the caller asks for user mode faults only
 * @guard: the caller asks for a guard
 *
 * Context: process context of the sender; may sleep.
 * Return: the address space with a user reference that the caller drops with mmput_async(), or
 *	-EBADF no such descriptor; -EINVAL not /proc/PID/mem; -EACCES not open for writing; -ESRCH the process has
 *	exited; -EPERM not allowed.
 */
struct mm_struct *memfdcr_target_get(struct sk_buff *skb, struct genl_info *info, struct nlattr *attr,
				     bool user_mode_only, bool guard)
{
	struct netlink_ext_ack *extack = info->extack;
	struct mm_struct *mm;
	struct file *file;
	int err;

	file = fget(nla_get_u32(attr));
	if (!file) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "no such descriptor");
		return ERR_PTR(-EBADF);
	}
	if (file->f_op != mem_fops) {
		if (file_inode(file)->i_sb->s_magic == PROC_SUPER_MAGIC)
			NL_SET_ERR_MSG_ATTR(extack, attr, "a file of /proc, but not /proc/PID/mem");
		else
			NL_SET_ERR_MSG_ATTR(extack, attr, "not a descriptor of /proc/PID/mem");
		err = -EINVAL;
		goto out;
	}
	/* a userfaultfd decides what the process reads: as good as writing to its memory */
	if (!(file->f_mode & FMODE_WRITE)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "the descriptor of /proc/PID/mem is not open for writing");
		err = -EACCES;
		goto out;
	}
	mm = file->private_data;
	if (!mm || !mmget_not_zero(mm)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, EXITED);
		err = -ESRCH;
		goto out;
	}
	err = authorise(skb, mm, user_mode_only, guard, extack);
	if (err) {
		NL_SET_BAD_ATTR(extack, attr);
		mmput_async(mm);
	}
out:
	fput(file);
	return err ? ERR_PTR(err) : mm;
}

/**
 * memfdcr_target_opens() - may the current process, with its current credentials, trace another one?
 * @process: thread group leader; the caller has a reference
 *
 * Asks by opening /proc/PID/mem; that it is the right one shows from the address space behind it.
 *
 * Context: process context; sleeps.
 * Return: whether it may. A process without memory may not be traced.
 */
bool memfdcr_target_opens(struct task_struct *process)
{
	struct mm_struct *mm;
	struct file *file;
	char path[32];
	bool opens;

	snprintf(path, sizeof(path), "%d/mem", task_tgid_nr_ns(process, proc_pid_ns(file_inode(proc)->i_sb)));
	file = file_open_root(&proc->f_path, path, O_RDONLY | O_NOFOLLOW, 0);
	if (IS_ERR(file))
		return false;
	mm = get_task_mm(process);
	opens = mm && file->f_op == mem_fops && file->private_data == mm;
	if (mm)
		mmput_async(mm);
	fput(file);
	return opens;
}
