/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading one message from the kernel's userfaultfd. */
#ifndef MEMFDCR_COMPAT_WRAPPER_USERFAULTFD_H
#define MEMFDCR_COMPAT_WRAPPER_USERFAULTFD_H

#include <linux/fs.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/userfaultfd.h>
#include <linux/version.h>

/**
 * memfdcr_uffd_read() - read one message
 * @real: the userfaultfd
 * @nowait: do not wait for one, whatever the file's own flags
 * @to: where the caller is going to put it; not advanced
 * @msg: result
 *
 * Context: process context of the reader; sleeps.
 * Return: 0 or a negative errno, -EAGAIN: there is none.
 */
static inline int memfdcr_uffd_read(struct file *real, bool nowait, struct iov_iter *to, struct uffd_msg *msg)
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)	/* userfaultfd has read_iter: the message stays in the kernel */
{
	struct kvec vec = { .iov_base = msg, .iov_len = sizeof(*msg) };
	struct iov_iter iter;
	struct kiocb kiocb;
	ssize_t n;

	init_sync_kiocb(&kiocb, real);
	if (nowait)
		kiocb.ki_flags |= IOCB_NOWAIT;
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, sizeof(*msg));
	n = real->f_op->read_iter(&kiocb, &iter);
	if (n < 0)
		return n;
	return n == sizeof(*msg) ? 0 : -EIO;
}
#else	/* it can only be read to where the caller wants it; the caller then writes over it */
{
	void __user *buf;
	loff_t pos = 0;
	ssize_t n;

	if (iter_is_ubuf(to)) {
		buf = to->ubuf + to->iov_offset;
	} else if (iter_is_iovec(to)) {
		if (to->iov->iov_len - to->iov_offset < sizeof(*msg))
			return -EINVAL;
		buf = to->iov->iov_base + to->iov_offset;
	} else {
		return -EINVAL;
	}
	/* there is no other way to say so for a single read */
	if (nowait && !(real->f_flags & O_NONBLOCK))
		return -EAGAIN;
	n = real->f_op->read(real, buf, sizeof(*msg), &pos);
	if (n < 0)
		return n;
	if (n != sizeof(*msg))
		return -EIO;
	return copy_from_user(msg, buf, sizeof(*msg)) ? -EFAULT : 0;
}
#endif

#endif
