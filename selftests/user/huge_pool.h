/* SPDX-License-Identifier: GPL-2.0-only */
/* Huge pages of 2 MiB for tests: the pool is the machine's, and only one test has it at a time. */
#ifndef MEMFDCR_TEST_HUGE_POOL_H
#define MEMFDCR_TEST_HUGE_POOL_H

#include <stdbool.h>

struct huge_pool {
	int lock;
	long total;		/* what vm.nr_hugepages was; -1: nobody has changed it */
};

/* waits for whoever else has the pool; true: so many are free at least, borrowed if the machine can spare them */
bool huge_pool_borrow(struct huge_pool *pool, long n);

/* due in both cases */
void huge_pool_return(struct huge_pool *pool);

/* a number of /proc/meminfo: "Total", "Free", "Rsvd"; -1: none */
long huge_pages(const char *what);

#endif
