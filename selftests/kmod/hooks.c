// SPDX-License-Identifier: GPL-2.0-only
/* Which functions of the kernel are hooked: by probes, or by function tracing. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>

#include "hooks.h"

#define PROBES "/sys/kernel/debug/kprobes/list"
#define TRACED "/sys/kernel/tracing/enabled_functions"
#define MAX 16

/* 6.1 has two old functions that let mappings grow instead of the new one, and no ftruncate() by io_uring */
const char *const hooks_of_watches[] = { "uprobe_dup_mmap", "copy_vma", "vma_merge_extend", "vma_merge", "__vma_adjust",
	"io_madvise", "io_fallocate", "io_openat", "io_openat2", "io_ftruncate", NULL };
const char *const hooks_of_guards[] = { "userfaultfd_remove", "do_madvise", "__x64_sys_remap_file_pages",
	"__ia32_sys_remap_file_pages", NULL };

const char *const hooks_at_rest[] = { "nobody_calls", NULL };

/* a line begins with the function after format, and goes on with other things */
static int mark(const char *path, const char *format, const char *const *functions, bool *hooked)
{
	char line[512], function[128];
	FILE *file = fopen(path, "r");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, format, function) != 1)
			continue;
		for (size_t i = 0; functions[i]; i++)
			hooked[i] |= !strcmp(function, functions[i]);
	}
	return fclose(file);
}

static int count(const char *const *functions, bool traced)
{
	bool hooked[MAX] = { false };
	int n = 0;

	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	if (mark(PROBES, "%*s %*s %127[^+ ]", functions, hooked) ||
	    (traced && mark(TRACED, "%127[^ ]", functions, hooked)))
		return -1;
	for (size_t i = 0; functions[i]; i++)
		n += hooked[i];
	return n;
}

int hooks_count(const char *const *functions)
{
	return count(functions, true);
}

int hooks_probes(const char *const *functions)
{
	return count(functions, false);
}

bool hooks_gone_soon(const char *const *functions)
{
	for (int i = 0; i < 200 && hooks_count(functions); i++)
		usleep(100000);
	return !hooks_count(functions);
}
