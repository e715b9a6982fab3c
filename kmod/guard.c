// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guarded userfaultfds: missing pages never become zeros because their pager is gone.
 *
 * A userfaultfd that is closed lets everybody go who waits for a page, and what they find is zeros. A guarded
 * userfaultfd is a file of this module in front of the kernel's own. When its last reference goes although pages may
 * be missing, the kernel's file stays open, the processes that use the memory are killed, and only when the last of
 * them has let go of the memory is the kernel's file closed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/netlink.h>
#include <linux/poll.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/userfaultfd_k.h>
#include <linux/workqueue.h>

#include "advice.h"
#include "compat/wrapper/thp.h"
#include "compat/wrapper/thread.h"
#include "compat/wrapper/userfaultfd.h"
#include "guard.h"
#include "id.h"

/* how often to look whether killed processes have let go of their memory */
#define KILL_INTERVAL msecs_to_jiffies(20)

/**
 * struct guard - a guarded userfaultfd
 * @real: the kernel's file
 * @mm: whose memory it watches; pinned
 * @flags: O_CLOEXEC, O_NONBLOCK as asked for, for the userfaultfds of forked children
 * @killing: the pager is gone and the processes of @mm are being killed
 * @thp_held: huge pages have to be allowed again in @mm
 * @pager: thread group that opened it, in the initial pid namespace
 * @comm: its name
 * @advice: behind UFFD_EVENT_REMOVE
 * @work: what is left to do when the last reference is gone
 */
struct guard {
	struct file *real;
	struct mm_struct *mm;
	unsigned int flags;
	bool killing;
	bool thp_held;
	pid_t pager;
	char comm[TASK_COMM_LEN];
	struct memfdcr_advice advice;
	struct delayed_work work;
};

static struct workqueue_struct *workers;
static const struct file_operations guard_fops;

static struct userfaultfd_ctx *guard_ctx(const struct guard *g)
{
	return g->real->private_data;
}

static bool has_registered(struct guard *g)
{
	VMA_ITERATOR(vmi, g->mm, 0);
	struct vm_area_struct *vma;
	bool found = false;

	mmap_read_lock(g->mm);
	for_each_vma(vmi, vma) {
		found = vma->vm_userfaultfd_ctx.ctx == guard_ctx(g);
		if (found)
			break;
	}
	mmap_read_unlock(g->mm);
	return found;
}

/* SIGKILL for the process if it uses the memory and is not dying already; under RCU */
static bool kill_one(struct mm_struct *mm, struct task_struct *process)
{
	struct task_struct *t;
	bool killed = false;

	memfdcr_for_each_thread(process, t) {
		if (READ_ONCE(t->mm) != mm)
			continue;
		/* with this lock held, t cannot exec() its way out between the look and the signal */
		task_lock(t);
		if (t->mm == mm && !(t->signal->flags & SIGNAL_GROUP_EXIT)) {
			send_sig(SIGKILL, t, 1);
			killed = true;
		}
		task_unlock(t);
		break;
	}
	return killed;
}

/* Kills every process that uses the memory. Those just being forked are found the next time. */
static void kill_all(struct guard *g)
{
	struct task_struct *process;
	char names[400];
	int n = 0;

	rcu_read_lock();
	for_each_process(process) {
		if (process->flags & PF_KTHREAD)
			continue;
		/* killing it would take the machine down: it waits for its page for ever instead */
		if (is_global_init(process))
			continue;
		if (kill_one(g->mm, process))
			n += scnprintf(names + n, sizeof(names) - n, " %s[%d]", process->comm, task_tgid_nr(process));
	}
	rcu_read_unlock();
	if (n)
		pr_warn("userfaultfd %llx lost its pager %s[%d] with pages missing, killed%s%s\n",
			memfdcr_id(guard_ctx(g)), g->comm, g->pager, names,
			n == sizeof(names) - 1 ? " and others" : "");
}

static void guard_free(struct guard *g)
{
	memfdcr_advice_del(&g->advice);
	memfdcr_advice_put();
	fput(g->real);
	if (g->thp_held)
		memfdcr_thp_release(g->mm);
	mmdrop(g->mm);
	kfree(g);
}

/* whether the kernel's userfaultfd has to stay open */
static bool is_needed(struct guard *g)
{
	bool needed;

	/*
	 * As long as there is a user, one of its threads may not have seen its SIGKILL yet, or somebody who reads the
	 * memory from outside may be waiting for a page.
	 */
	if (g->killing)
		return atomic_read(&g->mm->mm_users);

	/* exited, or every user exec()ed */
	if (!mmget_not_zero(g->mm))
		return false;
	needed = has_registered(g);
	mmput_async(g->mm);
	return needed;
}

static void guard_end(struct work_struct *work)
{
	struct guard *g = container_of(to_delayed_work(work), struct guard, work);

	if (is_needed(g)) {
		g->killing = true;
		kill_all(g);
		queue_delayed_work(workers, &g->work, KILL_INTERVAL);
		return;
	}
	guard_free(g);
	/* unloading then waits for the rest of this function when it destroys the queue */
	module_put(THIS_MODULE);
}

/* The last reference is gone. The caller has a reference to the module. */
static void guard_lose(struct guard *g)
{
	if (READ_ONCE(g->advice.complete)) {
		guard_free(g);
		return;
	}
	__module_get(THIS_MODULE);
	queue_delayed_work(workers, &g->work, 0);
}

static int guard_release(struct inode *inode, struct file *file)
{
	guard_lose(file->private_data);
	return 0;
}

/*
 * Takes over the reference to real on success, and keeps the probes that the caller has got. gfp with __GFP_NOFAIL:
 * does not fail.
 */
static struct guard *guard_new(struct file *real, unsigned int flags, u64 since, gfp_t gfp)
{
	struct guard *g;

	g = kzalloc(sizeof(*g), gfp);
	if (!g)
		return NULL;
	g->real = real;
	g->mm = guard_ctx(g)->mm;
	mmgrab(g->mm);
	g->thp_held = memfdcr_thp_hold(g->mm);
	g->flags = flags;
	g->pager = task_tgid_nr(current);
	get_task_comm(g->comm, current->group_leader);
	INIT_DELAYED_WORK(&g->work, guard_end);
	memfdcr_advice_add(&g->advice, guard_ctx(g), since);
	return g;
}

/* on error the guard is not consumed */
static struct file *guard_file(struct guard *g)
{
	struct file *file;

	file = anon_inode_getfile("[memfdcr-uffd]", &guard_fops, g, O_RDONLY | g->flags);
	if (!IS_ERR(file))
		file->f_mode |= g->real->f_mode & FMODE_NOWAIT;
	return file;
}

/**
 * memfdcr_guard_open() - put a guard in front of a new userfaultfd
 * @real: the userfaultfd; nothing is registered with it yet. The reference is taken over on success.
 * @flags: O_CLOEXEC, O_NONBLOCK as it was opened with
 * @extack: gets a sentence on error
 *
 * Context: process context of the future pager; sleeps.
 * Return: the guarded userfaultfd, or -ENOMEM, -ENFILE, -EOPNOTSUPP.
 */
struct file *memfdcr_guard_open(struct file *real, unsigned int flags, struct netlink_ext_ack *extack)
{
	int err = memfdcr_advice_get();
	struct file *file;
	struct guard *g;

	if (err == -ENOMEM) {
		NL_SET_ERR_MSG(extack, "no memory for the probes of a guard");
		return ERR_PTR(err);
	}
	if (err) {
		NL_SET_ERR_MSG(extack, "no guard: this kernel lets nobody probe userfaultfd_remove() and do_madvise()");
		return ERR_PTR(-EOPNOTSUPP);
	}
	g = guard_new(real, flags, memfdcr_advice_now(), GFP_KERNEL_ACCOUNT);
	if (!g) {
		memfdcr_advice_put();
		NL_SET_ERR_MSG(extack, "no memory for a guard");
		return ERR_PTR(-ENOMEM);
	}
	file = guard_file(g);
	if (IS_ERR(file)) {
		NL_SET_ERR_MSG(extack, "no file for a guard");
		get_file(real);		/* remains the caller's */
		guard_free(g);
	}
	return file;
}

/**
 * memfdcr_guard_complete() - no page is missing any more: losing the pager is harmless
 * @file: any file
 *
 * Context: any.
 * Return: 0, or -EINVAL: not a guarded userfaultfd.
 */
int memfdcr_guard_complete(struct file *file)
{
	struct guard *g = file->private_data;

	if (file->f_op != &guard_fops)
		return -EINVAL;
	WRITE_ONCE(g->advice.complete, true);
	return 0;
}

/**
 * memfdcr_guard_ctx() - the userfaultfd behind a guarded one
 * @file: any file
 *
 * Context: any; the caller keeps the file.
 * Return: the userfaultfd, or NULL: not a guarded one.
 */
const struct userfaultfd_ctx *memfdcr_guard_ctx(const struct file *file)
{
	return file->f_op == &guard_fops ? guard_ctx(file->private_data) : NULL;
}

/*
 * The kernel has put a userfaultfd for a forked child into the reader's table. Puts a guarded one in its place.
 * Whatever goes wrong: once the child's userfaultfd is in our hands it is guarded, and losing the guard kills.
 *
 * Returns the descriptor, not yet installed, and the file to install; or a negative errno.
 */
static int guard_child(struct guard *parent, unsigned int raw, u64 since, struct file **result)
{
	struct file *real, *file;
	struct guard *g;
	int fd;

	real = fget(raw);
	if (!real || real->f_op != parent->real->f_op) {
		/* another thread of the reader closed a descriptor that nobody had told it about */
		pr_warn("%s[%d] lost the userfaultfd of a forked child while it was handed over\n",
			current->comm, task_tgid_nr(current));
		if (real)
			fput(real);
		return -EBADF;
	}
	/* an allocation that must not fail may not be larger */
	BUILD_BUG_ON(sizeof(*g) > 2 * PAGE_SIZE);
	memfdcr_advice_get();	/* the parent has the probes already: cannot fail */
	g = guard_new(real, parent->flags, since, GFP_KERNEL | __GFP_NOFAIL);
	g->pager = parent->pager;
	memcpy(g->comm, parent->comm, sizeof(g->comm));
	/* what the child has inherited from the parent is not what it wants itself */
	g->thp_held |= parent->thp_held;
	close_fd(raw);

	file = guard_file(g);
	if (IS_ERR(file)) {
		guard_lose(g);
		return PTR_ERR(file);
	}
	fd = get_unused_fd_flags(g->flags & O_CLOEXEC);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	*result = file;
	return fd;
}

/* O_NONBLOCK can be changed by fcntl(), which tells no file about it */
static void follow_flags(struct file *file, struct file *real)
{
	unsigned int nonblock = READ_ONCE(file->f_flags) & O_NONBLOCK;

	if ((READ_ONCE(real->f_flags) & O_NONBLOCK) == nonblock)
		return;
	spin_lock(&real->f_lock);
	real->f_flags = (real->f_flags & ~O_NONBLOCK) | nonblock;
	spin_unlock(&real->f_lock);
}

static ssize_t guard_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct guard *g = iocb->ki_filp->private_data;
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	struct file *child;
	struct uffd_msg msg;
	ssize_t done = 0;
	int err = -EINVAL, fd;
	u64 since;

	follow_flags(iocb->ki_filp, g->real);
	for (; iov_iter_count(to) >= sizeof(msg); done += sizeof(msg)) {
		/* what is read is gone, so be sure that it can be delivered */
		err = -EFAULT;
		if (fault_in_iov_iter_writeable(to, sizeof(msg)))
			break;
		since = memfdcr_advice_now();
		err = memfdcr_uffd_read(g->real, nowait || done, to, &msg);
		if (err)
			break;

		child = NULL;
		fd = -1;
		if (msg.event == UFFD_EVENT_REMOVE) {
			memfdcr_advice_take(&g->advice, &msg);
		} else if (msg.event == UFFD_EVENT_FORK) {
			fd = guard_child(g, msg.arg.fork.ufd, since, &child);
			if (fd < 0) {
				err = fd;
				break;
			}
			msg.arg.fork.ufd = fd;
		}
		if (copy_to_iter(&msg, sizeof(msg), to) != sizeof(msg)) {
			if (child) {
				put_unused_fd(fd);
				fput(child);
			}
			err = -EFAULT;
			break;
		}
		if (child)
			fd_install(fd, child);
	}
	return done ?: err;
}

static __poll_t guard_poll(struct file *file, poll_table *wait)
{
	struct guard *g = file->private_data;

	follow_flags(file, g->real);
	return vfs_poll(g->real, wait);
}

/* 0 if no mapping in the range is registered with another userfaultfd; -EINVAL, -EINTR, -ESRCH: the memory is gone */
static int range_is_ours(struct guard *g, u64 start, u64 end)
{
	struct vm_area_struct *vma;
	int err = 0;

	if (!mmget_not_zero(g->mm))
		return -ESRCH;
	if (mmap_read_lock_killable(g->mm)) {
		err = -EINTR;
	} else {
		VMA_ITERATOR(vmi, g->mm, start);

		for_each_vma_range(vmi, vma, end) {
			const struct userfaultfd_ctx *ctx = vma->vm_userfaultfd_ctx.ctx;

			if (ctx && ctx != guard_ctx(g))
				err = -EINVAL;
		}
		mmap_read_unlock(g->mm);
	}
	mmput_async(g->mm);
	return err;
}

/*
 * Kernels before the one that refuses it by itself (7.3 does, 6.12 does not) end whatever is registered in the range, also
 * with another userfaultfd of the same memory: its owner would never hear of what is missing there. They look again
 * afterwards, with the lock taken anew: whoever replaces a mapping just then, and registers that, is not helped.
 */
static int check_unregister(struct guard *g, const struct uffdio_range __user *arg)
{
	struct uffdio_range range;

	if (copy_from_user(&range, arg, sizeof(range)))
		return -EFAULT;
	/* what else is wrong with it the kernel says */
	if (range.start + range.len < range.start)
		return 0;
	return range_is_ours(g, range.start, range.start + range.len);
}

static long guard_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct guard *g = file->private_data;
	int err = cmd == UFFDIO_UNREGISTER ? check_unregister(g, (void __user *)arg) : 0;

	return err ?: g->real->f_op->unlocked_ioctl(g->real, cmd, arg);
}

#ifdef CONFIG_PROC_FS
static void guard_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct guard *g = file->private_data;

	if (g->real->f_op->show_fdinfo)
		g->real->f_op->show_fdinfo(m, g->real);
	seq_printf(m, "uffd-id:\t%llu\ncomplete:\t%d\n", memfdcr_id(guard_ctx(g)), READ_ONCE(g->advice.complete));
}
#endif

static const struct file_operations guard_fops = {
	.owner		= THIS_MODULE,
	.release	= guard_release,
	.read_iter	= guard_read_iter,
	.poll		= guard_poll,
	.unlocked_ioctl	= guard_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
#ifdef CONFIG_PROC_FS
	.show_fdinfo	= guard_show_fdinfo,
#endif
};

/**
 * memfdcr_guard_init() - get ready for memfdcr_guard_open()
 *
 * Context: process context; may sleep.
 * Return: 0 or -ENOMEM.
 */
int memfdcr_guard_init(void)
{
	workers = alloc_workqueue("memfdcr_guard", WQ_UNBOUND, 0);
	return workers ? 0 : -ENOMEM;
}

/**
 * memfdcr_guard_exit() - undo memfdcr_guard_init(); no guarded userfaultfd exists any more
 *
 * Context: process context; sleeps.
 */
void memfdcr_guard_exit(void)
{
	destroy_workqueue(workers);
	memfdcr_advice_exit();
}
