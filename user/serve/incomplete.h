/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks of objects that lazy-restore has emptied and not filled yet, for as long as nothing else keeps others from taking
 * what is missing for zeros: until it is armed, or with --trust-descriptors until it is complete. When a pager is killed,
 * the module ends who maps such an object, but not who has it by a descriptor only; and where a restore fails before
 * anybody runs, nobody is ended. So a mark that is left says that an object was never complete.
 *
 * System V segments have none: their inode numbers are those of their namespace, and others have the same.
 *
 * A mark is an empty file below /run/memfdcr, named after device and inode, on which who brings the content keeps a lock
 * (fcntl()). No object outlives the machine, nor does what is below /run.
 */
#ifndef MEMFDCR_SERVE_INCOMPLETE_H
#define MEMFDCR_SERVE_INCOMPLETE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Marks an object as one that this process is to complete; *before: somebody has failed to. A descriptor, which keeps the
 * lock, or a negative errno (EAGAIN: somebody else is at it).
 */
int incomplete_mark(uint64_t dev, uint64_t ino, bool *before);

/* It is complete. Closes mark, the descriptor. */
void incomplete_clear(uint64_t dev, uint64_t ino, int mark);

/*
 * 0 if the object has no mark. -EBUSY: somebody is at it; -EIO: he has failed; or that is not known, for another negative
 * errno. text is what is wrong and what to do, for "LABEL: TEXT".
 */
int incomplete_check(uint64_t dev, uint64_t ino, char *text, size_t size);

/* The same for all that the processes at and below root have, for those who cannot tell what will be dumped; logged. */
int incomplete_check_tree(pid_t root);

#endif
