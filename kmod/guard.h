/* SPDX-License-Identifier: GPL-2.0-only */
/* Guarded userfaultfds: missing pages never become zeros because their pager is gone. */
#ifndef MEMFDCR_GUARD_H
#define MEMFDCR_GUARD_H

#include <linux/types.h>

struct file;
struct netlink_ext_ack;
struct userfaultfd_ctx;

int memfdcr_guard_init(void);
void memfdcr_guard_exit(void);
struct file *memfdcr_guard_open(struct file *real, unsigned int flags, struct netlink_ext_ack *extack);
int memfdcr_guard_complete(struct file *file);
const struct userfaultfd_ctx *memfdcr_guard_ctx(const struct file *file);

#endif
