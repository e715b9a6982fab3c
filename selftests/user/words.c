// SPDX-License-Identifier: GPL-2.0-only
/* What a shell would do with a line that has nothing but words in it. */
#include "words.h"

#include <stdlib.h>
#include <string.h>

int words(char *line, char **argv)
{
	int argc = 0;
	char *p;

	for (p = strtok(line, " "); p; p = strtok(NULL, " ")) {
		if (argc == N_WORDS)
			abort();
		argv[argc++] = p;
	}
	argv[argc] = NULL;
	return argc;
}
