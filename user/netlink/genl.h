/* SPDX-License-Identifier: GPL-2.0-only */
/* Talking to the memfdcr module: its generic-netlink operations as functions (docs/netlink/memfdcr.yaml). */
#ifndef MEMFDCR_NETLINK_GENL_H
#define MEMFDCR_NETLINK_GENL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct genl;

/*
 * Finds the family, which makes the kernel load the module if it is installed. NULL with errno set and a sentence in
 * genl_error(): ENOENT the module is not there, EPROTONOSUPPORT it is too old, others as socket(2) and recvmsg(2).
 */
struct genl *genl_open(void);
void genl_close(struct genl *g);

/* version of the family, as its specification counts it */
unsigned int genl_version(const struct genl *g);

/*
 * A new userfaultfd on the address space behind mem_fd, an open, writable /proc/PID/mem. flags: O_CLOEXEC, O_NONBLOCK,
 * UFFD_USER_MODE_ONLY. guard: closing it while pages are missing kills the processes there instead of giving them
 * zeros, until genl_uffd_complete(). On success 0, the descriptor in *fd and its id in *id; otherwise a negative errno
 * and the kernel's sentence in genl_error().
 */
int genl_uffd_open(struct genl *g, int mem_fd, unsigned int flags, bool guard, int *fd, uint64_t *id);

/* Declares that no page is missing behind this guarded userfaultfd any more. 0 or a negative errno. */
int genl_uffd_complete(struct genl *g, int uffd);

/*
 * Processes that use the address space behind a userfaultfd, as far as we may see them: not more than max, their number
 * in *n. 0 or a negative errno.
 */
int genl_uffd_processes(struct genl *g, int uffd, pid_t *pids, size_t max, size_t *n);

/* why the last call failed, without a full stop; valid until the next call */
const char *genl_error(void);

#endif
