/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that hold exactly the shared memory that a test wants, in every way there is, and things that are none. */
#ifndef FACTORY_H
#define FACTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "process.h"

#ifndef MFD_NOEXEC_SEAL		/* glibc's and the kernel's headers of Debian 12 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#define MFD_HUGE_1GB (30U << 26)
#endif

#define HUGE_PAGE (2UL << 20)

/* ways to make an object; those up to SECRET make a descriptor, the others a mapping */
enum flavour {
	PLAIN, SEALABLE, NOEXEC, HUGE_2M, HUGE_2M_SEALABLE, HUGE_1G, SECRET,
	ANONYMOUS, DEV_ZERO, ANONYMOUS_HUGE, SYSV, SYSV_HUGE,
	FLAVOURS
};

/* why this kernel cannot make it, NULL: it can. Also gets the huge pages that are needed. */
const char *factory_lacks(enum flavour flavour);
size_t factory_page(enum flavour flavour);
int factory_fd(enum flavour flavour, const char *name, size_t size);	/* -1: errno */
void *factory_map(enum flavour flavour, size_t size);	/* System V segments go with their last mapping */

/*
 * Bodies of processes, for factory_start(). The first makes everything that can be made of one flavour (as a pointer),
 * the second one object of each, the third what must never be reported.
 */
int factory_all_of_flavour(void *flavour);
int factory_one_of_each(void *arg);
int factory_decoys(void *arg);

/* forks and returns when the child has done everything and is stopped; -1: it failed and said why */
pid_t factory_start(int (*fn)(void *), void *arg);
void factory_end(pid_t pid);

/* parts, for the calling process; descriptors of it stay open */
int factory_reopen(int fd, int flags);
int factory_in_flight(int fd);			/* sends it to a socket that nobody reads; returns that */
int factory_io_uring(int fd);			/* registers it with a ring; returns that, -1: errno */
const char *factory_swap_on(size_t size);	/* NULL: there is that much swap space now; otherwise why not */
void factory_swap_off(void);

#endif
