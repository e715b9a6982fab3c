// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening a userfaultfd on somebody else's address space.
 *
 * The kernel makes a userfaultfd for the address space of whoever asks. So a kernel worker takes on the address space
 * in question, asks /dev/userfaultfd, and hands over the file.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/userfaultfd_k.h>
#include <linux/workqueue.h>

#include "uffd.h"

/*
 * Opened once, by the process that loads the module: workers of newer kernels see no file system at all, and callers
 * may have a /dev of their own making.
 */
static struct file *device;
/* what every userfaultfd has for file operations; the kernel has no other name for it */
static const struct file_operations *uffd_fops;
static struct workqueue_struct *workers;

/* shared by the caller and the worker, for a caller killed while it waits leaves the worker running */
struct open_request {
	struct work_struct work;
	struct completion done;
	refcount_t refs;
	struct mm_struct *mm;	/* user reference */
	unsigned int flags;
	struct file *file;	/* the result until the caller takes it, or an error pointer */
};

static void request_put(struct open_request *req)
{
	if (!refcount_dec_and_test(&req->refs))
		return;
	if (!IS_ERR_OR_NULL(req->file))
		fput(req->file);
	mmput_async(req->mm);
	kfree(req);
}

static void open_in_worker(struct work_struct *work)
{
	struct open_request *req = container_of(work, struct open_request, work);
	int fd;

	kthread_use_mm(req->mm);
	fd = device->f_op->unlocked_ioctl(device, USERFAULTFD_IOC_NEW, req->flags);
	kthread_unuse_mm(req->mm);

	if (fd < 0) {
		req->file = ERR_PTR(fd);
	} else {
		/* the table of descriptors is that of all kernel threads, none of which closes what it did not open */
		req->file = fget(fd) ?: ERR_PTR(-EBADF);
		close_fd(fd);
	}
	complete(&req->done);
	request_put(req);
}

/**
 * memfdcr_uffd_open() - new userfaultfd on an address space
 * @mm: the address space; the caller has a user reference
 * @flags: any of O_CLOEXEC, O_NONBLOCK, UFFD_USER_MODE_ONLY; the first is remembered for descriptors that come with
 *	fork events, and is up to the caller for this file
 *
 * Context: process context; sleeps, killable.
 * Return: the file, or -ENOMEM, -EMFILE, -ENFILE, -EINTR (killed).
 */
struct file *memfdcr_uffd_open(struct mm_struct *mm, unsigned int flags)
{
	struct open_request *req;
	struct file *file;

	req = kzalloc(sizeof(*req), GFP_KERNEL_ACCOUNT);
	if (!req)
		return ERR_PTR(-ENOMEM);
	INIT_WORK(&req->work, open_in_worker);
	init_completion(&req->done);
	refcount_set(&req->refs, 2);
	mmget(mm);
	req->mm = mm;
	req->flags = flags;
	queue_work(workers, &req->work);

	if (wait_for_completion_killable(&req->done)) {
		file = ERR_PTR(-EINTR);
	} else {
		file = req->file;
		req->file = NULL;
	}
	request_put(req);
	return file;
}

/**
 * memfdcr_uffd_ctx() - the userfaultfd behind a file
 * @file: any file
 *
 * Context: any; the caller keeps the file.
 * Return: the userfaultfd, or NULL: not one of the kernel's own.
 */
const struct userfaultfd_ctx *memfdcr_uffd_ctx(const struct file *file)
{
	return file->f_op == uffd_fops ? file->private_data : NULL;
}

/* one userfaultfd on the loader itself shows that the device is the right one and its structure the expected one */
static int try_device(void)
{
	struct inode *inode = file_inode(device);
	struct userfaultfd_ctx *ctx;
	struct file *file;
	int err = 0;

	if (!S_ISCHR(inode->i_mode) || imajor(inode) != MISC_MAJOR || !device->f_op->unlocked_ioctl) {
		pr_err("/dev/userfaultfd is not the kernel's\n");
		return -ENODEV;
	}
	file = memfdcr_uffd_open(current->mm, O_CLOEXEC);
	if (IS_ERR(file)) {
		pr_err("cannot make a userfaultfd through /dev/userfaultfd (error %ld)\n", PTR_ERR(file));
		return PTR_ERR(file);
	}
	ctx = file->private_data;
	if (!ctx || ctx->mm != current->mm || ctx->flags != O_CLOEXEC) {
		pr_err("this kernel's userfaultfd is not laid out as this module was built for\n");
		err = -ENOEXEC;
	}
	uffd_fops = file->f_op;
	fput(file);
	return err;
}

/**
 * memfdcr_uffd_init() - get ready for memfdcr_uffd_open()
 *
 * Logs one line when it fails.
 *
 * Context: process context with an address space; may sleep.
 * Return: 0 or a negative errno.
 */
int memfdcr_uffd_init(void)
{
	int err;

	device = filp_open("/dev/userfaultfd", O_RDWR | O_CLOEXEC, 0);
	if (IS_ERR(device)) {
		pr_err("cannot open /dev/userfaultfd (error %ld)\n", PTR_ERR(device));
		return PTR_ERR(device);
	}
	workers = alloc_workqueue("memfdcr_open", WQ_UNBOUND, 0);
	if (!workers) {
		err = -ENOMEM;
		goto put_device;
	}
	err = try_device();
	if (err)
		goto destroy_workers;
	return 0;

destroy_workers:
	destroy_workqueue(workers);
put_device:
	fput(device);
	return err;
}

/**
 * memfdcr_uffd_exit() - wait for workers whose callers were killed, and undo memfdcr_uffd_init()
 *
 * Context: process context; may sleep.
 */
void memfdcr_uffd_exit(void)
{
	destroy_workqueue(workers);
	fput(device);
}
