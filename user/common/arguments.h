/* SPDX-License-Identifier: GPL-2.0-only */
/* What the command lines of all sub-commands have in common. */
#ifndef MEMFDCR_COMMON_ARGUMENTS_H
#define MEMFDCR_COMMON_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* where the first mistake is told: options behind it still count, -j among them */
struct mistake {
	char *text;
	size_t size;
	bool made;
};

__attribute__((format(printf, 2, 3))) void mistake(struct mistake *m, const char *fmt, ...);

/* getopt_long() has returned c, which is no option; its opterr is 0, and its string begins with a colon */
void mistaken_option(struct mistake *m, int c, char **argv);

/* a decimal number up to max that ends at the character end; p is moved there */
bool take_number(const char **p, char end, uint32_t max, uint32_t *number);

/* the same of a pid */
bool take_pid(const char **p, char end, uint32_t *pid);

/* a hexadecimal number with 0x before it and nothing behind it */
bool take_address(const char *p, uint64_t *address);

#endif
