// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr check: what of memfdcr works on this machine, and the remedy for what does not. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "commands.h"
#include "common/config.h"
#include "netlink/genl.h"
#include "pager/pager.h"
#include "serve/machine.h"

/* the oldest CRIU whose images the reader knows; the newest is not limited, what is unknown is restored eagerly */
#define CRIU_MAJOR 3
#define CRIU_MINOR 17

static bool failed;

/* one line a fact; a remedy only where something is wrong */
__attribute__((format(printf, 3, 4)))
static void report(bool ok, const char *remedy, const char *fmt, ...)
{
	va_list args;

	printf("%-5s ", ok ? "ok" : "FAIL");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	if (!ok) {
		failed = true;
		printf("      -> %s\n", remedy);
	}
}

/* 'y', 'm', 'n', or 0 when the configuration cannot be read */
static char kernel_option(const char *file, const char *option)
{
	char line[512], result = 'n';
	size_t n = strlen(option);
	FILE *f = fopen(file, "re");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, option, n) && line[n] == '=')
			result = line[n + 1];
	fclose(f);
	return result;
}

static void check_kernel(void)
{
	static const char *const options[] = { "CONFIG_USERFAULTFD", "CONFIG_CHECKPOINT_RESTORE", "CONFIG_KPROBES",
					       "CONFIG_KRETPROBES" };
	struct utsname uts;
	char file[sizeof(uts.release) + 16];
	size_t i;

	uname(&uts);
	snprintf(file, sizeof(file), "/boot/config-%s", uts.release);
	if (access(file, R_OK)) {
		printf("?     kernel configuration: %s cannot be read\n", file);
	} else {
		for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
			char value = kernel_option(file, options[i]);

			report(value == 'y', "run a kernel that has it; Debian's have", "%s is %s", options[i],
			       value == 'y' ? "set" : "not set");
		}
	}
	report(!access("/dev/userfaultfd", F_OK), "run a kernel of 6.1 or newer with CONFIG_USERFAULTFD",
	       "/dev/userfaultfd %s", access("/dev/userfaultfd", F_OK) ? "is not there" : "is there");
}

/* false when the module is absent or too old */
static bool check_module(void)
{
	struct genl *g = genl_open();
	char reason[512];

	if (!g) {
		int error = errno;

		if (error == ENOENT || error == EPROTONOSUPPORT)
			report(false, "install it: make dkms-install, then modprobe memfdcr; dmesg tells why it does not load",
			       "%s", genl_error());
		else
			report(false, "run this as root", "module: %s", genl_error());
		return error != ENOENT && error != EPROTONOSUPPORT;
	}
	report(true, NULL, "module memfdcr, interface version %u", genl_version(g));
	if (machine_works(g, reason, sizeof(reason)))
		report(true, NULL, "a guarded userfaultfd and what other processes map can be opened");
	else
		report(false, "run this as root, in the initial user namespace; docs/kernels.md says more of kernels",
		       "%s", reason);
	report(pager_has_huge_pages(), "run a kernel with CONFIG_HUGETLBFS; until then huge pages are restored eagerly",
	       "userfaultfd %s huge pages", pager_has_huge_pages() ? "knows" : "does not know");
	genl_close(g);
	return true;
}

static void check_criu(void)
{
	FILE *p = popen("criu --version 2>/dev/null", "re");
	unsigned int major = 0, minor = 0;
	char line[256];
	bool found = false;

	while (p && fgets(line, sizeof(line), p))
		if (sscanf(line, "Version: %u.%u", &major, &minor) == 2) {
			line[strcspn(line, "\n")] = '\0';
			found = true;
			break;
		}
	if (p)
		pclose(p);
	if (!found) {
		report(false, "apt-get install criu", "criu is not found in PATH");
		return;
	}
	report(major > CRIU_MAJOR || (major == CRIU_MAJOR && minor >= CRIU_MINOR), "update it: 3.17 is the oldest that is known",
	       "CRIU %s", line + strlen("Version: "));
}

/* whether a CRIU configuration file names the hook as an action script */
static bool configures_hook(const char *path)
{
	char line[4096], option[64], value[4000];
	FILE *f = fopen(path, "re");
	bool found = false;

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %63[^ =\t\n] %*[=\t ] %3999s", option, value) != 2 &&
		    sscanf(line, " %63[^ =\t\n]%*[ \t=]%3999s", option, value) != 2)
			continue;
		if (!strcmp(option, "action-script") && (!strcmp(value, HOOK_PATH) || !strcmp(value, "\"" HOOK_PATH "\"")))
			found = true;
	}
	fclose(f);
	return found;
}

static void check_hook(void)
{
	static const char *const files[] = { "/etc/criu/default.conf", "/etc/criu/runc.conf", "/etc/criu/crun.conf" };
	bool found = false;
	size_t i;

	report(!access(HOOK_PATH, X_OK), "make install", "hook " HOOK_PATH " %s",
	       access(HOOK_PATH, X_OK) ? "is not there" : "is there");
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (configures_hook(files[i])) {
			report(true, NULL, "%s runs the hook", files[i]);
			found = true;
		}
	if (!found)
		report(false, "put the line \"action-script " HOOK_PATH "\" into /etc/criu/default.conf",
		       "CRIU does not run the hook");
}

static void check_config(void)
{
	struct config config;
	char error[512];

	if (config_read(CONFIG_PATH, &config, error, sizeof(error)))
		report(false, "correct the line; until then the defaults are used", "%s", error);
	else
		report(config.lazy, "set \"lazy = yes\" in " CONFIG_PATH, "lazy restore is switched %s, objects from %llu bytes on",
		       config.lazy ? "on" : "off", (unsigned long long)config.min_size);
}

static void usage(FILE *f)
{
	fprintf(f, "Usage: memfdcr check\n\n"
		   "Tells what of memfdcr works on this machine, with a remedy for what does not.\n"
		   "  -h, --help  this text\n\n"
		   "Exit status: 0 all works, 1 something does not, 3 the module is absent or too old.\n");
}

int cmd_check(int argc, char **argv)
{
	static const struct option options[] = { { "help", no_argument, NULL, 'h' }, { 0 } };
	bool module;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		usage(c == 'h' ? stdout : stderr);
		return c == 'h' ? EXIT_DONE : EXIT_USAGE;
	}
	if (optind < argc) {
		usage(stderr);
		return EXIT_USAGE;
	}
	check_kernel();
	module = check_module();
	check_criu();
	check_hook();
	check_config();
	return !module ? EXIT_NO_MODULE : failed ? EXIT_FAILED : EXIT_DONE;
}
