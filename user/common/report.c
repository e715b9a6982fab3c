// SPDX-License-Identifier: GPL-2.0-only
/* Sentences about what does not work, and the exit statuses for that. */
#include "common/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "common/json.h"
#include "common/text.h"
#include "netlink/genl.h"

/* behind what has been printed, if both go to one terminal; what users gave us may be in it */
static void print_line(const char *text)
{
	fflush(stdout);
	fputs("memfdcr: ", stderr);
	text_print(stderr, text);
	fputc('\n', stderr);
}

int report_error(bool json, int status, const char *fmt, ...)
{
	char text[8192];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (json)
		json_print_error(stdout, text);
	else
		print_line(text);
	return status;
}

int report_open_failure(bool json, int error)
{
	if (error == ENOENT)
		return report_error(json, EXIT_NO_MODULE, "%s: is it installed? modprobe memfdcr", genl_error());
	return report_request_failure(json, error);
}

int report_request_failure(bool json, int error)
{
	if (error == EPROTONOSUPPORT)
		return report_error(json, EXIT_NO_MODULE, "%s: make dkms-install, rmmod memfdcr, modprobe memfdcr",
				    genl_error());
	if (error == EPERM)
		return report_error(json, EXIT_FAILED, "%s: run as root", genl_error());
	return report_error(json, error == ESRCH ? EXIT_PARTIAL : EXIT_FAILED, "%s", genl_error());
}

int report_process(bool json, uint32_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd < 0)
		return report_error(json, errno == ESRCH ? EXIT_PARTIAL : EXIT_FAILED,
				    errno == ESRCH ? "there is no process %u" : "%u is a thread: -t wants a process", pid);
	close(fd);
	return 0;
}

void report_notice(const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	print_line(text);
}

void report_snapshot(const struct snapshot *s)
{
	uint32_t hidden = s->hidden + s->hidden_outside;

	if (!s->consistent)
		report_notice("processes ran while they were looked at; the answer may not be of one moment");
	if (hidden)
		report_notice(hidden == 1 ? "%u process is hidden: run as root to see it" :
			      "%u processes are hidden: run as root to see them", hidden);
}

int report_end(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	return report_error(false, EXIT_FAILED, "cannot write the answer: %s", strerror(errno));
}
