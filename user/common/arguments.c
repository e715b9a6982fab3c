// SPDX-License-Identifier: GPL-2.0-only
/* Numbers, pids and addresses out of arguments, and sentences about what is wrong with them. */
#include "common/arguments.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mistake(struct mistake *m, const char *fmt, ...)
{
	va_list args;

	if (m->made)
		return;
	m->made = true;
	va_start(args, fmt);
	vsnprintf(m->text, m->size, fmt, args);
	va_end(args);
}

void mistaken_option(struct mistake *m, int c, char **argv)
{
	const char *word = argv[optind - 1];

	if (c == ':' && strncmp(word, "--", 2))
		mistake(m, "-%c wants an argument", optopt);
	else if (c == ':')
		mistake(m, "%s wants an argument", word);
	else if (optopt && strncmp(word, "--", 2))
		mistake(m, "-%c is not an option; memfdcr %s --help tells which there are", optopt, argv[0]);
	else
		mistake(m, "%s is not an option, or not in this way; memfdcr %s --help tells more", word, argv[0]);
}

bool take_number(const char **p, char end, uint32_t max, uint32_t *number)
{
	unsigned long long n;
	char *rest;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	n = strtoull(*p, &rest, 10);
	if (errno || n > max || *rest != end)
		return false;
	*number = n;
	*p = rest;
	return true;
}

bool take_pid(const char **p, char end, uint32_t *pid)
{
	return take_number(p, end, INT_MAX, pid) && *pid;
}

bool take_address(const char *p, uint64_t *address)
{
	if (strncmp(p, "0x", 2) || !p[2] || p[2 + strspn(p + 2, "0123456789abcdefABCDEF")])
		return false;
	errno = 0;
	*address = strtoull(p, NULL, 16);
	return !errno;
}
