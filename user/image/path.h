/* SPDX-License-Identifier: GPL-2.0-only */
/* Paths of image directories. */
#ifndef MEMFDCR_IMAGE_PATH_H
#define MEMFDCR_IMAGE_PATH_H

/*
 * The absolute path of dir without symbolic links; dir itself need not be there, the directory that it is to be in must.
 * To be freed; NULL with errno.
 */
char *path_absolute(const char *dir);

/* how to get from directory from to directory to, both as path_absolute() has them; to be freed, NULL without memory */
char *path_relative(const char *from, const char *to);

/* "directory/name", to be freed, NULL without memory; an absolute name stays as it is */
char *path_join(const char *directory, const char *name);

#endif
