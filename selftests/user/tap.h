/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Results of a test program in KTAP (the kernel's flavour of TAP, version 13), for the tests of the user space parts.
 *
 *	TAP_OK(size == 42, "size of %s is 42", name);	one result; a failure also names the file and line
 *	TAP_OK(tap_same(text, "..."), "JSON");		the same, and what is there shown next to what should be
 *	tap_skip("no userfaultfd on this kernel");	one result that counts as passed
 *	tap_diag("seed %u", seed);			a comment line
 *	return tap_done();				prints the plan; exit status of main(): 0, or 1 if anything failed
 *
 * The plan comes last, so nobody counts tests by hand. One process prints: children report to it in their own way.
 */
#ifndef MEMFDCR_TAP_H
#define MEMFDCR_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static unsigned int tap_count;
static unsigned int tap_failures;

static inline void tap_begin_line(void)
{
	/* line by line, or a crash or a fork would lose or double what is still in the buffer */
	if (!tap_count && !tap_failures) {
		setvbuf(stdout, NULL, _IOLBF, 0);
		printf("TAP version 13\n");
	}
}

__attribute__((format(printf, 1, 2)))
static inline void tap_diag(const char *fmt, ...)
{
	va_list ap;

	/* before the version line a comment would not be TAP: diagnostics may go first only on stderr */
	va_start(ap, fmt);
	fprintf(tap_count ? stdout : stderr, "# ");
	vfprintf(tap_count ? stdout : stderr, fmt, ap);
	fprintf(tap_count ? stdout : stderr, "\n");
	va_end(ap);
}

__attribute__((format(printf, 5, 6)))
static inline bool tap_result(bool ok, const char *file, int line, const char *cond, const char *fmt, ...)
{
	va_list ap;

	tap_begin_line();
	tap_count++;
	printf("%sok %u - ", ok ? "" : "not ", tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	if (!ok) {
		tap_failures++;
		printf("# failed at %s:%d: %s\n", file, line, cond);
	}
	return ok;
}

/* evaluates to the condition, so that a test can stop where going on makes no sense */
#define TAP_OK(cond, ...) tap_result(!!(cond), __FILE__, __LINE__, #cond, __VA_ARGS__)

/* shows both where they differ */
static inline bool tap_same(const char *printed, const char *expected)
{
	if (!strcmp(printed, expected))
		return true;
	tap_diag("expected:\n%s", expected);
	tap_diag("printed:\n%s", printed);
	return false;
}

static inline void tap_skip(const char *reason)
{
	tap_begin_line();
	tap_count++;
	printf("ok %u # SKIP %s\n", tap_count, reason);
}

static inline int tap_done(void)
{
	tap_begin_line();
	printf("1..%u\n", tap_count);
	fflush(stdout);
	return tap_failures ? 1 : 0;
}

#endif
