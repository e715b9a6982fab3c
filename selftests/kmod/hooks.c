// SPDX-License-Identifier: GPL-2.0-only
/* Which functions of the kernel are hooked: by probes, or by function tracing. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "hooks.h"

#define PROBES "/sys/kernel/debug/kprobes/list"
#define TRACED "/sys/kernel/tracing/enabled_functions"
#define MAX 16

/* a line begins with the function after format, and goes on with other things */
static void mark(FILE *file, const char *format, const char *const *functions, bool *hooked)
{
	char line[512], function[128];

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, format, function) != 1)
			continue;
		for (size_t i = 0; functions[i]; i++)
			hooked[i] |= !strcmp(function, functions[i]);
	}
}

/*
 * How many of these functions (no more than MAX, a list that ends with NULL) are hooked. -1: this kernel does not tell.
 * Mounts what tells it.
 */
int hooks_count(const char *const *functions)
{
	bool hooked[MAX] = { false };
	FILE *probes, *traced;
	int n = -1;

	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	probes = fopen(PROBES, "r");
	traced = fopen(TRACED, "r");
	if (probes && traced) {
		mark(probes, "%*s %*s %127[^+ ]", functions, hooked);
		mark(traced, "%127[^ ]", functions, hooked);
		n = 0;
		for (size_t i = 0; functions[i]; i++)
			n += hooked[i];
	}
	if (probes)
		fclose(probes);
	if (traced)
		fclose(traced);
	return n;
}
