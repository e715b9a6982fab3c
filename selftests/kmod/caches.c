// SPDX-License-Identifier: GPL-2.0-only
/* How many objects of which kind the kernel has, and whether there are more than before. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>

#include "caches.h"
#include "module.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

void caches_count(struct caches *caches)
{
	FILE *file;
	char line[512];

	module_slab();		/* has caches dropped */
	caches->n = 0;
	file = fopen("/proc/slabinfo", "r");
	while (file && caches->n < 512 && fgets(line, sizeof(line), file)) {
		struct cache *c = &caches->cache[caches->n];

		caches->n += sscanf(line, "%47s %lu", c->name, &c->objects) == 2;
	}
	if (file)
		fclose(file);
}

/* files, pages and such are kept as long as there is room */
static bool comes_and_goes(const char *name)
{
	static const char *const names[] = {
		"kmalloc-", "task_struct", "mm_struct", "signal_cache", "sighand_cache", "files_cache", "pid",
		"cred_jar", "vm_area_struct", "anon_vma", "filp", "userfaultfd_ctx_cache", "shmem_inode_cache",
		"sock_inode_cache", "skbuff_head_cache", "eventpoll_",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

int caches_grown(const struct caches *before, const struct caches *now, unsigned long most)
{
	int grown = 0;

	for (size_t i = 0; i < now->n; i++) {
		const struct cache *c = &now->cache[i];
		unsigned long had = 0;

		for (size_t j = 0; j < before->n; j++)
			if (!strcmp(before->cache[j].name, c->name))
				had = before->cache[j].objects;
		if (!comes_and_goes(c->name) || c->objects <= had + most)
			continue;
		printf("# %s: %lu objects, %lu before\n", c->name, c->objects, had);
		grown++;
	}
	return grown;
}

static bool scan(void)
{
	FILE *file = fopen(KMEMLEAK, "w");

	if (!file)
		return false;
	fputs("scan\n", file);
	return !fclose(file);
}

int caches_leaks(void)
{
	char line[512];
	int lines = 0;
	FILE *file;

	if (access(KMEMLEAK, W_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	/* what a processor had in its hands during the first scan looks lost, and is found in the second */
	if (!scan() || sleep(6) || !scan())
		return -1;
	file = fopen(KMEMLEAK, "r");
	while (file && fgets(line, sizeof(line), file)) {
		printf("# %s", line);
		lines += strstr(line, "memfdcr") != NULL;
	}
	if (file)
		fclose(file);
	return lines;
}

bool caches_nothing_leaked(long most)
{
	int leaks = caches_leaks();

	return leaks < 0 ? module_slab_soon(most) : !leaks;
}
