/* SPDX-License-Identifier: GPL-2.0-only */
/* How commands fail: for people on standard error, or as JSON in place of the answer. */
#ifndef MEMFDCR_COMMON_REPORT_H
#define MEMFDCR_COMMON_REPORT_H

#include <stdbool.h>

#include "netlink/objects.h"

/* prints a sentence and returns status */
__attribute__((format(printf, 3, 4))) int report_error(bool json, int status, const char *fmt, ...);

/* genl_open(), or a request, has failed with errno: prints genl_error() with the remedy, returns the exit status */
int report_open_failure(bool json, int error);
int report_request_failure(bool json, int error);

/* 0 if pid is a process; else says that it is none, and returns the exit status */
int report_process(bool json, uint32_t pid);

/* one line on standard error, also when the answer itself is JSON */
__attribute__((format(printf, 1, 2))) void report_notice(const char *fmt, ...);

/* notices about what is not certain in a snapshot */
void report_snapshot(const struct snapshot *s);

/* what has been printed is on its way: status; or else it says why not and returns EXIT_FAILED */
int report_end(int status);

#endif
