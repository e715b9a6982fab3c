// SPDX-License-Identifier: GPL-2.0-only
/* The one object that a request names by a descriptor or an address. */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <net/netlink.h>
#include <uapi/linux/memfdcr.h>

#include "access.h"
#include "find.h"
#include "holder.h"
#include "object.h"

static struct file *by_fd(struct task_struct *process, const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	struct task_struct *t = memfdcr_first_with_files(process);
	unsigned int fd = nla_get_u32(attr);
	struct file *file = NULL;

	if (t) {
		/* keeps the table there, whose lock keeps the file */
		task_lock(t);
		if (t->files) {
			spin_lock(&t->files->file_lock);
			file = files_lookup_fd_locked(t->files, fd);
			if (file)
				get_file(file);
			spin_unlock(&t->files->file_lock);
		}
		task_unlock(t);
		put_task_struct(t);
	}
	if (file)
		return file;
	NL_SET_ERR_MSG_ATTR(extack, attr, "the process has no such descriptor");
	return ERR_PTR(-EBADF);
}

/* requests hold up other generic netlink families, so they do not wait for long */
static bool lock_soon(struct mm_struct *mm)
{
	unsigned int tries;

	for (tries = 0; tries < 50 && !fatal_signal_pending(current); tries++) {
		if (mmap_read_trylock(mm))
			return true;
		usleep_range(500, 1000);
	}
	return false;
}

static struct file *by_address(struct task_struct *process, const struct nlattr *attr, struct netlink_ext_ack *extack)
{
	struct file *file = ERR_PTR(-ENOENT);
	struct vm_area_struct *vma;
	struct mm_struct *mm;

	mm = memfdcr_process_mm(process);
	if (!mm) {
		NL_SET_ERR_MSG(extack, "the process has exited");
		return ERR_PTR(-ESRCH);
	}
	if (!lock_soon(mm)) {
		mmput_async(mm);
		NL_SET_ERR_MSG(extack, "a long operation on the process's memory is under way, try again");
		return ERR_PTR(-EBUSY);
	}
	vma = vma_lookup(mm, nla_get_u64(attr));
	if (!vma)
		NL_SET_ERR_MSG_ATTR(extack, attr, "nothing is mapped at this address");
	else if (memfdcr_is_private(vma))
		NL_SET_ERR_MSG_ATTR(extack, attr, "private memory is mapped at this address");
	else
		file = get_file(vma->vm_file);
	mmap_read_unlock(mm);
	mmput_async(mm);
	return file;
}

static struct file *of_process(struct sk_buff *skb, const struct memfdcr_place *place, struct netlink_ext_ack *extack)
{
	struct memfdcr_access access;
	struct task_struct *process;
	struct file *file;
	int err;

	rcu_read_lock();
	process = pid_task(find_vpid(nla_get_u32(place->pid)), PIDTYPE_TGID);
	if (process)
		get_task_struct(process);
	rcu_read_unlock();
	if (!process) {
		NL_SET_ERR_MSG_ATTR(extack, place->pid, "there is no process with this pid");
		return ERR_PTR(-ESRCH);
	}
	memfdcr_access_get(&access, skb);
	err = memfdcr_access_lock(&access, process);
	if (err == -EPERM)
		NL_SET_ERR_MSG_ATTR(extack, place->pid, "no permission to look at this process");
	else if (err == -ESRCH)
		NL_SET_ERR_MSG_ATTR(extack, place->pid, "the process has just ended or been replaced");
	else if (err)
		NL_SET_ERR_MSG_ATTR(extack, place->pid, "the process is executing a program, try again");
	if (err) {
		file = ERR_PTR(err);
	} else {
		file = place->target_fd ? by_fd(process, place->target_fd, extack) :
					  by_address(process, place->address, extack);
		memfdcr_access_unlock(process);
	}
	memfdcr_access_put(&access);
	put_task_struct(process);
	return file;
}

/* the attributes that make up a place are of two operations, with the same numbers */
static_assert((int)MEMFDCR_A_OBJECT_FD == (int)MEMFDCR_A_EXTENTS_FD);
static_assert((int)MEMFDCR_A_OBJECT_PID == (int)MEMFDCR_A_EXTENTS_PID);
static_assert((int)MEMFDCR_A_OBJECT_TARGET_FD == (int)MEMFDCR_A_EXTENTS_TARGET_FD);

/* there are too many or too few of them: names one that is */
static void refuse_place(const struct memfdcr_place *place, struct netlink_ext_ack *extack)
{
	NL_SET_ERR_MSG(extack, "name the object by fd alone, by pid and target-fd, or by pid and address");
	if (place->fd)
		NL_SET_BAD_ATTR(extack, place->fd);
	else if (place->pid && place->target_fd)
		NL_SET_BAD_ATTR(extack, place->target_fd);
	else if (place->pid)
		NL_SET_ERR_ATTR_MISS(extack, NULL, MEMFDCR_A_OBJECT_TARGET_FD);
	else if (place->target_fd || place->address)
		NL_SET_ERR_ATTR_MISS(extack, NULL, MEMFDCR_A_OBJECT_PID);
	else
		NL_SET_ERR_ATTR_MISS(extack, NULL, MEMFDCR_A_OBJECT_FD);
}

static struct file *find_file(struct sk_buff *skb, const struct memfdcr_place *place, struct netlink_ext_ack *extack)
{
	struct file *file;

	if (place->pid && !place->fd && !place->target_fd != !place->address)
		return of_process(skb, place, extack);
	if (!place->fd || place->pid || place->target_fd || place->address) {
		refuse_place(place, extack);
		return ERR_PTR(-EINVAL);
	}
	file = fget_raw(nla_get_u32(place->fd));
	if (file)
		return file;
	NL_SET_ERR_MSG_ATTR(extack, place->fd, "no such descriptor");
	return ERR_PTR(-EBADF);
}

/**
 * memfdcr_find() - the object that a request names
 * @skb: the request
 * @place: where it is
 * @extack: gets a sentence on error
 *
 * Context: process context of the sender; sleeps, killable.
 * Return: an open file of the object, with a reference; or -EINVAL named wrongly; -EBADF no such descriptor; -ESRCH no
 * such process; -EPERM it may not be looked at; -ENOENT nothing there; -EOPNOTSUPP not an object; -EBUSY not now;
 * -EINTR killed.
 */
struct file *memfdcr_find(struct sk_buff *skb, const struct memfdcr_place *place, struct netlink_ext_ack *extack)
{
	struct file *file = find_file(skb, place, extack);

	if (IS_ERR(file) || memfdcr_object_kind(file))
		return file;
	NL_SET_ERR_MSG_ATTR(extack, place->fd ?: place->target_fd ?: place->address,
			    "not a memfd, shared anonymous memory, System V segment or memfd_secret");
	fput(file);
	return ERR_PTR(-EOPNOTSUPP);
}
