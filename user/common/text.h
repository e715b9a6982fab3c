/* SPDX-License-Identifier: GPL-2.0-only */
/* Text for people: names, which are their makers' bytes, made fit for a terminal and for JSON; sizes. */
#ifndef MEMFDCR_COMMON_TEXT_H
#define MEMFDCR_COMMON_TEXT_H

#include <stdint.h>
#include <stdio.h>

/* prints s with control characters, and bytes that are not UTF-8, as \xNN, and \ as \\ */
void text_print(FILE *f, const char *s);

/* a copy of s in which U+FFFD stands for each byte that is not UTF-8; to be freed, NULL if there is no memory */
char *text_to_utf8(const char *s);

/* prints a number of bytes as lsblk(8) does: 512B, 4K, 1.5G */
void text_print_size(FILE *f, uint64_t bytes);

#endif
