/* SPDX-License-Identifier: GPL-2.0-only */
/* What a watch tells, message by message. */
#ifndef TOLD_H
#define TOLD_H

#include <stdint.h>
#include <linux/memfdcr.h>

#include "request.h"

#define UNMAP MEMFDCR_CMD_UNMAP_NTF
#define MREMAP MEMFDCR_CMD_MREMAP_NTF
#define FORK MEMFDCR_CMD_FORK_NTF
#define EXEC MEMFDCR_CMD_EXEC_NTF
#define EXIT MEMFDCR_CMD_EXIT_NTF
#define OVERRUN MEMFDCR_CMD_OVERRUN_NTF

/* a notification: attributes by number, [0] unused; of uffd-id, all of them */
struct told {
	int cmd;
	int strange;			/* attributes of types that the module does not have */
	uint64_t has, a[MEMFDCR_A_WATCH_MAX + 1], uffds[8];
	int n_uffds;
};

#define A(t, name) ((t)->a[MEMFDCR_A_WATCH_##name])

struct told told_parse(const struct nlmsghdr *nlh);

/*
 * Gives away, message by message, what is there, or what comes first within that time. 1: something came, 0: nothing,
 * or a negative errno
 */
int told_receive(struct mnl_socket *sock, int milliseconds, each_message each, void *arg);

#endif
