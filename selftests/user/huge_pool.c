// SPDX-License-Identifier: GPL-2.0-only
/* Borrowing huge pages for tests. */
#include "huge_pool.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tap.h"

long huge_pages(const char *what)
{
	char line[128];
	long n = -1;
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && n < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, "HugePages_", 10) && !strncmp(line + 10, what, strlen(what)))
			sscanf(line, "%*s %ld", &n);
	if (f)
		fclose(f);
	return n;
}

static void set_total(long total)
{
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "we");

	if (!f)
		return;
	fprintf(f, "%ld\n", total);
	fclose(f);
}

bool huge_pool_borrow(struct huge_pool *pool, long n)
{
	long have;

	*pool = (struct huge_pool){ .lock = open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC), .total = -1 };
	/* until the descriptor is closed, here and in children */
	if (pool->lock >= 0)
		flock(pool->lock, LOCK_EX);
	have = huge_pages("Free") - huge_pages("Rsvd");
	if (have >= n)
		return true;
	pool->total = huge_pages("Total");
	set_total(pool->total + n - have);
	tap_diag("vm.nr_hugepages is %ld for a moment, and was %ld", huge_pages("Total"), pool->total);
	return huge_pages("Free") - huge_pages("Rsvd") >= n;
}

void huge_pool_return(struct huge_pool *pool)
{
	if (pool->total >= 0)
		set_total(pool->total);
	if (pool->lock >= 0)
		close(pool->lock);
}
