/* SPDX-License-Identifier: GPL-2.0-only */
/* Command lines for the tests of commands and of their options. */
#ifndef MEMFDCR_WORDS_H
#define MEMFDCR_WORDS_H

#define N_WORDS 16

/* cuts line into the words between its blanks; argv has room for N_WORDS and the NULL behind them. Returns argc. */
int words(char *line, char **argv);

#endif
