// SPDX-License-Identifier: GPL-2.0-only
/* Writing log lines, whole lines in one write() each, so that two processes can share a file. */
#include "common/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* a log that cannot be written (disk full, closed pipe) must not stop a restore */
static void write_line(int fd, char *line, int length, size_t size)
{
	if (length < 0)
		return;
	if ((size_t)length >= size)
		length = size - 1;
	line[length++] = '\n';
	if (write(fd, line, length) < 0)
		return;
}

static void put_stderr(void *data, int level, const char *text)
{
	char line[1152];

	(void)data;
	(void)level;
	write_line(STDERR_FILENO, line, snprintf(line, sizeof(line), "memfdcr: %s", text), sizeof(line));
}

static int log_file = -1;
static void (*log_put)(void *data, int level, const char *text) = put_stderr;
static void *log_data;

void log_to_file(int fd)
{
	log_file = fd;
}

void log_to_function(void (*put)(void *data, int level, const char *text), void *data)
{
	log_put = put;
	log_data = data;
}

void log_line(int level, const char *fmt, ...)
{
	int saved = errno;
	char text[1024], *p;
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	/* names of memfds are their makers' bytes and must not forge lines */
	for (p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';

	if (log_file >= 0) {
		struct timespec now;
		struct tm tm;
		char stamp[32], line[1152];
		int n;

		clock_gettime(CLOCK_REALTIME, &now);
		gmtime_r(&now.tv_sec, &tm);
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
		n = snprintf(line, sizeof(line), "%s.%03ldZ memfdcr[%d]: %s%s", stamp, now.tv_nsec / 1000000,
			     (int)getpid(), level <= LOG_ERR ? "error: " : level == LOG_WARNING ? "warning: " : "",
			     text);
		write_line(log_file, line, n, sizeof(line));
	}
	if (log_put && level <= LOG_NOTICE)
		log_put(log_data, level, text);
	errno = saved;
}
