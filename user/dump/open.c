// SPDX-License-Identifier: GPL-2.0-only
/* Opening through /proc/PID/fd and /proc/PID/map_files. */
#include "dump/open.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* another open file, so that it does not matter whether the holder's may read: seals, O_PATH and O_WRONLY are the file's */
static int open_anew(const char *path, int access)
{
	int fd = open(path, access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOATIME);

	/* only its owner, and root, may leave the time alone */
	if (fd < 0 && errno == EPERM)
		fd = open(path, access | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static bool is_same(int fd, const struct object *o)
{
	struct stat st;

	return !fstat(fd, &st) && (uint32_t)st.st_dev == o->dev && st.st_ino == o->ino;
}

static int open_holder(const struct object *o, const struct holder *h, int access)
{
	char path[96];
	int fd;

	if (h->is_mapping)
		snprintf(path, sizeof(path), "/proc/%u/map_files/%" PRIx64 "-%" PRIx64, h->pid, h->start, h->end);
	else
		snprintf(path, sizeof(path), "/proc/%u/task/%u/fd/%u", h->pid, h->tid ? h->tid : h->pid, h->fd);
	fd = open_anew(path, access);
	if (fd >= 0 && !is_same(fd, o)) {
		close(fd);
		return -ESTALE;
	}
	return fd;
}

int open_object(const struct object *o, int access)
{
	int ret = -ESTALE;
	size_t i;

	/* opening one again fails, and reading it, too */
	if (o->kind == MEMFDCR_KIND_SECRET)
		return -EOPNOTSUPP;
	/* what is open is surer than what is mapped, which has a name by its address */
	for (i = 0; i < o->n_holders && ret < 0; i++)
		if (!o->holders[i].is_mapping)
			ret = open_holder(o, &o->holders[i], access);
	for (i = 0; i < o->n_holders && ret < 0; i++)
		if (o->holders[i].is_mapping)
			ret = open_holder(o, &o->holders[i], access);
	return ret;
}
