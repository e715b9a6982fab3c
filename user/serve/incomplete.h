/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks of objects that somebody can read past their mappings while pages of them are missing, as lazy-restore
 * --trust-descriptors permits. When its pager is killed the module ends who maps such an object, but not who has it by a
 * descriptor only, and whoever dumps that process would take what is missing for zeros. So a mark is made before the
 * first page can be missed, and goes when the last one is in; one that is left says that this has never happened.
 *
 * A mark is an empty file below /run/memfdcr, named after device and inode, on which the pager keeps a lock (fcntl()). No
 * object outlives the machine, nor does what is below /run.
 */
#ifndef MEMFDCR_SERVE_INCOMPLETE_H
#define MEMFDCR_SERVE_INCOMPLETE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Marks an object as one that this process is to complete, whoever has failed to before. It has the object open. A
 * descriptor, or a negative errno (EAGAIN: another pager is at it).
 */
int incomplete_mark(uint64_t dev, uint64_t ino);

/* It is complete. Closes mark, a descriptor that incomplete_mark() has returned. */
void incomplete_clear(uint64_t dev, uint64_t ino, int mark);

/*
 * 0 if the object has no mark. -EBUSY: a pager is at it; -EIO: its pager has failed; or that is not known, for another
 * negative errno. text is what is wrong and what to do, for "LABEL: TEXT".
 */
int incomplete_check(uint64_t dev, uint64_t ino, char *text, size_t size);

/* The same for all that the processes at and below root have, for those who cannot tell what will be dumped; logged. */
int incomplete_check_tree(pid_t root);

/* Removes marks of objects that no process has any more. */
void incomplete_sweep(void);

#endif
