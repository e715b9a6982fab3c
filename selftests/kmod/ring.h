/* SPDX-License-Identifier: GPL-2.0-only */
/* One request to io_uring at a time. */
#ifndef RING_H
#define RING_H

#include <linux/io_uring.h>

/* the errno it ends with, 0: none; ENOSYS or EPERM: there is no io_uring here */
int ring_do(const struct io_uring_sqe *request);
int ring_madvise(void *start, size_t length, int advice);

#endif
