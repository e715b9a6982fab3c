/* SPDX-License-Identifier: GPL-2.0-only */
/* Images as memfdcr dump makes them, of memfds that this process has itself: for tests that have no module to ask. */
#ifndef MEMFDCR_DUMP_MAKER_H
#define MEMFDCR_DUMP_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dump/copy.h"

#define DUMP_MAX_OBJECTS 8

/* a directory of its own for each test, on a tmpfs of so many MiB; top is where it is. false: not allowed */
bool dump_enter_tmpfs(char *top, unsigned int mebibytes);

struct dump_made {
	int fds[DUMP_MAX_OBJECTS];
	size_t n;
	struct copy_progress copied;
	char error[1024];
};

/* a memfd of so many bytes, called by that name; its number in m */
size_t dump_add(struct dump_made *m, const char *name, unsigned int flags, uint64_t size);

/* fills bytes of it with what only this seed makes, and no zeros */
void dump_fill(struct dump_made *m, size_t object, uint64_t offset, uint64_t length, unsigned int seed);

/* an image of all that was added; parent may be NULL. 0, or a negative errno and a sentence in m->error */
int dump_make(struct dump_made *m, const char *dir, const char *parent);

void dump_close(struct dump_made *m);

/* whether the image has exactly the bytes of the memfds, by extents that are right for the pager */
bool dump_same(const struct dump_made *m, const char *dir);

#endif
