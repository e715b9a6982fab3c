/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hiding the content of lazy objects from CRIU for the time in which it makes their memfds.
 *
 * CRIU takes an object's content from pagemap-shmem-N.img, and a pagemap that is only its head (14 bytes) gives an
 * empty object of the right size. Such a stub is bind-mounted over the file: the image directory itself is never
 * written, so nothing that dies at any moment can damage it, read-only directories work, and a reboot leaves nothing.
 * The stubs lie in a small tmpfs whose source is "memfdcr", which is what findmnt(8) shows.
 */
#ifndef MEMFDCR_RESTORE_HIDE_H
#define MEMFDCR_RESTORE_HIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hide;

/*
 * Makes ready to hide files of the image directory dirfd, which must be reached through a mount of this mount
 * namespace. scratch: a directory to be made and removed again. NULL with errno set.
 */
struct hide *hide_new(int dirfd, const char *scratch);

/* Mounts a stub over the pagemap file name in dirfd; it keeps the original's first bytes. 0 or a negative errno. */
int hide_file(struct hide *h, const char *name);

/* Takes every stub away again. 0, or the negative errno of the first that would not go. */
int hide_undo(struct hide *h);

/* hide_undo() unless that was done, and forget */
void hide_free(struct hide *h);

/*
 * Takes away what a daemon that was killed left mounted in the directory. Only when no other restore reads from it.
 * Returns the number of stubs taken away or a negative errno.
 */
int hide_clean_up(int dirfd);

/* 1 when a stub is mounted over any file in the directory, 0 when none is, or a negative errno */
int hide_present(int dirfd);

/*
 * A mark in the restore's own directory (serve/channel.h): CRIU has been shown stubs instead of images, so that without
 * the daemon this restore must not go on. Set: 0 or a negative errno.
 */
int hide_mark(const char *directory);
void hide_unmark(const char *directory);
bool hide_is_marked(const char *directory);

#endif
