/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines for people: to a log file with time and process, and to standard error, which CRIU's hooks have as CRIU's log. */
#ifndef MEMFDCR_COMMON_LOG_H
#define MEMFDCR_COMMON_LOG_H

#include <stdarg.h>
#include <syslog.h>

/* lines also go to fd (appended, borrowed) from now on; -1: no longer */
void log_to_file(int fd);

/*
 * Lines of LOG_NOTICE and above also go to put (data is passed on; NULL: nowhere). At the start that is standard error,
 * each line with "memfdcr: " before it.
 */
void log_to_function(void (*put)(void *data, int level, const char *text), void *data);

/* one line, without its newline; level is a syslog(3) priority. May be called with any errno, which it keeps. */
__attribute__((format(printf, 2, 3))) void log_line(int level, const char *fmt, ...);

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)

#endif
