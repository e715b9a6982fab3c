// SPDX-License-Identifier: GPL-2.0-only
/* Memory that runs out where a test wants it to: the kernel's fault injection, aimed at what the module does. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "module.h"
#include "process.h"

#define DEBUGFS "/sys/kernel/debug/"
#define OWN "/proc/thread-self/fail-nth"

static int set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int set_of(const char *what, const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", what, name);
	return set(path, value);
}

struct range {
	unsigned long start, end;
};

/*
 * What turns probes on and off has no way to say that it could not, and warns: the kernel's own affair. The compiler
 * makes one of the first two. The same goes for what finds the jump labels of a module that is being loaded.
 */
static bool is_beyond_us(const char *name, bool loading)
{
	if (loading)
		return !strcmp(name, "jump_label_module_notify");
	return !strcmp(name, "arm_kprobe") || !strcmp(name, "__arm_kprobe_ftrace") ||
	       !strcmp(name, "__disarm_kprobe_ftrace");
}

/* the module's functions, or all there are when it is not loaded; and those of the kernel that must not fail */
static bool find_code(struct range *module, struct range *beyond)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	char line[512], type, name[256], of[64];
	bool was_beyond = false, loading = !module_is_loaded();
	unsigned long address, last = 0;

	if (!symbols)
		return false;
	*module = *beyond = (struct range){ 0 };
	while (fgets(line, sizeof(line), symbols)) {
		int n = sscanf(line, "%lx %c %255s [%63[^]]]", &address, &type, name, of);

		/* in the order of addresses, as far as they are the kernel's own */
		if (n == 3) {
			if (was_beyond)
				beyond->end = address;
			was_beyond = is_beyond_us(name, loading);
			if (was_beyond && !beyond->start)
				beyond->start = address;
		} else if (n == 4 && !strcmp(of, "memfdcr") && tolower(type) == 't') {
			if (!module->start || address < module->start)
				module->start = address;
			if (address > last)
				last = address;
		}
	}
	fclose(symbols);
	/* no other module's code shares a page with it */
	module->end = last ? last + PAGE : ~0UL;
	return true;
}

static int set_range(const char *what, const char *which, struct range range)
{
	char name[32], value[32];
	int err;

	snprintf(name, sizeof(name), "%s-start", which);
	snprintf(value, sizeof(value), "%#lx", range.start);
	err = set_of(what, name, value);
	if (err)
		return err;
	snprintf(name, sizeof(name), "%s-end", which);
	snprintf(value, sizeof(value), "%#lx", range.end);
	return set_of(what, name, value);
}

static const char *aim(const char *what, struct range require, struct range reject)
{
	static const char *const preset[][2] = {
		{ "probability", "0" }, { "interval", "1" }, { "times", "-1" }, { "space", "0" }, { "verbose", "0" },
		{ "task-filter", "N" }, { "stacktrace-depth", "32" }, { "ignore-gfp-wait", "N" },
		{ "ignore-gfp-highmem", "N" }, { "min-order", "0" },
	};

	for (size_t i = 0; i < sizeof(preset) / sizeof(*preset); i++) {
		int err = set_of(what, preset[i][0], preset[i][1]);

		/* the last three are not there for everything */
		if (err && err != -ENOENT)
			return "fault injection cannot be set up";
	}
	if (set_range(what, "require", require) || set_range(what, "reject", reject))
		return "no CONFIG_FAULT_INJECTION_STACKTRACE_FILTER";
	return NULL;
}

const char *fault_aim(void)
{
	struct range module, beyond;
	const char *why;

	if (access(OWN, F_OK))
		return "no fault injection in this kernel (" OWN ")";
	if (access(DEBUGFS "failslab/require-start", F_OK) || access(DEBUGFS "fail_page_alloc/require-start", F_OK))
		return "no failslab, fail_page_alloc or stacktrace filter in debugfs";
	if (!find_code(&module, &beyond))
		return "no /proc/kallsyms";
	why = aim("failslab", module, beyond) ?: aim("fail_page_alloc", module, beyond);
	/* what is copied from and to user space does not count: nothing is at these addresses */
	if (!why && !access(DEBUGFS "fail_usercopy", F_OK))
		why = aim("fail_usercopy", (struct range){ 1, 1 }, beyond);
	return why;
}

int fault_arm(unsigned int n)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", n);
	return set(OWN, value);
}

/* what is left of the number that was written there; -1: the thread is gone */
static int left(const char *path)
{
	char value[16] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, value, sizeof(value) - 1);

	if (fd >= 0)
		close(fd);
	return n > 0 ? atoi(value) : -1;
}

bool fault_disarm(void)
{
	bool failed = left(OWN) == 0;

	fault_arm(0);
	return failed;
}

/* those that any processor may have: the module uses no others */
static bool is_worker(const char *pid)
{
	char path[300], name[32];

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	return isdigit(*pid) && read_line(path, "kworker/u", name, sizeof(name));
}

/* how many of them have nothing left; value: what is written there then */
static int each_worker(const char *value)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[300];
	int spent = 0;

	while (proc && (entry = readdir(proc))) {
		if (!is_worker(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", entry->d_name);
		spent += left(path) == 0;
		set(path, value);
	}
	if (proc)
		closedir(proc);
	return proc ? spent : -errno;
}

int fault_arm_workers(unsigned int n)
{
	char value[16];
	int spent;

	snprintf(value, sizeof(value), "%u", n);
	spent = each_worker(value);
	return spent < 0 ? spent : 0;
}

/* one that was made meanwhile looks as if it had failed: once more, then */
bool fault_disarm_workers(void)
{
	return each_worker("0") > 0;
}

int fault_rate(unsigned int percent)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", percent);
	return set_of("failslab", "probability", value) ?: set_of("fail_page_alloc", "probability", value);
}
