// SPDX-License-Identifier: GPL-2.0-only
/* The directory DIR.part, its files, and how it becomes DIR. */
#include "image/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/explain.h"
#include "image/layout.h"
#include "image/meta.h"
#include "image/path.h"
#include "image/reader.h"

struct writer {
	char *path;		/* where it is to be */
	char *part;		/* where it is */
	int dir;		/* part, with a lock; -1: not ours */
	int data;
	bool exists;		/* path is an empty directory, with this mode and owner */
	struct stat old;
};

/* 1, 0, or a negative errno */
static int is_empty(int dirfd)
{
	int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret = 1;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;

	if (!dir) {
		ret = -errno;
		if (copy >= 0)
			close(copy);
		return ret;
	}
	while ((errno = 0, entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = 0;
	if (errno)
		ret = -errno;
	closedir(dir);
	return ret;
}

/* what stands in the way of making path */
static int check_target(struct writer *w, char *error, size_t error_size)
{
	int fd = open(w->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	struct stat above;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return explain(-errno, error, error_size, "%s: %s", w->path, strerror(errno));
	ret = is_empty(fd);
	if (ret < 0 || fstat(fd, &w->old) || fstatat(fd, "..", &above, 0))
		ret = explain(ret < 0 ? ret : -errno, error, error_size, "%s cannot be read", w->path);
	else if (!ret)
		ret = explain(-ENOTEMPTY, error, error_size, "%s is not empty: give a new directory", w->path);
	/* nothing can be renamed to it */
	else if (above.st_dev != w->old.st_dev || above.st_ino == w->old.st_ino)
		ret = explain(-EBUSY, error, error_size, "%s is a mount point: give a directory below it", w->path);
	else
		ret = 0;
	w->exists = !ret;
	close(fd);
	return ret;
}

/* the directory part, made if need be, locked, and still called so; 0 or a negative errno */
static int lock_part(struct writer *w)
{
	struct stat ours, there;
	bool made;
	int fd;

	for (;;) {
		made = !mkdir(w->part, 0700);
		if (!made && errno != EEXIST)
			return -errno;
		fd = open(w->part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) || fstat(fd, &ours)) {
			int ret = -errno;

			close(fd);
			return ret;
		}
		/* another one may have renamed or removed it just before its lock was free */
		if (!stat(w->part, &there) && there.st_dev == ours.st_dev && there.st_ino == ours.st_ino)
			break;
		close(fd);
	}
	w->dir = fd;
	/* some file systems say that it is somebody else's */
	if (made)
		return 0;
	/* who made it could put other files there when these are whole. An earlier dump may have ended behind copy_owner() */
	if (ours.st_uid != geteuid() && !(w->exists && ours.st_uid == w->old.st_uid))
		return -EPERM;
	/* EPERM: of a file system without modes */
	return fchmod(fd, 0700) && errno != EPERM ? -errno : 0;
}

static void remove_files(const struct writer *w)
{
	unlinkat(w->dir, LAYOUT_DATA, 0);
	unlinkat(w->dir, LAYOUT_META, 0);
}

/* what is in the directory part is not for us to remove */
static void keep_part(struct writer *w)
{
	if (w->dir >= 0)
		close(w->dir);
	w->dir = -1;
}

/* What a dump that did not end has left goes. 0, or a negative errno and a sentence in error: then it is kept. */
static int empty_part(struct writer *w, char *error, size_t error_size)
{
	char why[1024];
	int ret = imgdir_is_whole(w->part, why, sizeof(why));

	/* its dump was cut off, by a power failure say, before it could give it its name */
	if (ret) {
		keep_part(w);
		return ret > 0 ? explain(-EEXIST, error, error_size,
					 "%s is a whole image, of a dump that was cut off before it gave it its name: rename or remove it",
					 w->part) :
				 explain(ret, error, error_size, "%s may be a whole image: rename or remove it: %s", w->part, why);
	}
	remove_files(w);
	ret = is_empty(w->dir);
	if (ret > 0)
		return 0;
	keep_part(w);
	return explain(ret < 0 ? ret : -ENOTEMPTY, error, error_size, "%s has files that no dump has made: remove it", w->part);
}

static int make_part(struct writer *w, char *error, size_t error_size)
{
	int ret = lock_part(w);

	if (ret == -EWOULDBLOCK)
		return explain(-EBUSY, error, error_size, "another dump is writing %s", w->part);
	if (ret == -EPERM && w->dir >= 0) {
		keep_part(w);
		return explain(ret, error, error_size, "%s belongs to somebody else", w->part);
	}
	if (ret)
		return explain(ret, error, error_size, "cannot make %s: %s", w->part, strerror(-ret));
	ret = empty_part(w, error, error_size);
	if (ret)
		return ret;
	w->data = openat(w->dir, LAYOUT_DATA, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (w->data < 0)
		return explain(-errno, error, error_size, "cannot make %s/" LAYOUT_DATA ": %s", w->part, strerror(errno));
	return 0;
}

static int set_paths(struct writer *w, const char *dir, char *error, size_t error_size)
{
	w->path = path_absolute(dir);
	if (!w->path)
		return explain(-errno, error, error_size, "%s: %s", dir, strerror(errno));
	if (strlen(w->path) > 5 && !strcmp(w->path + strlen(w->path) - 5, ".part"))
		return explain(-EINVAL, error, error_size, "%s: names that end in .part are those of unfinished images", w->path);
	if (asprintf(&w->part, "%s.part", w->path) < 0) {
		w->part = NULL;
		return explain(-ENOMEM, error, error_size, "out of memory");
	}
	return 0;
}

int writer_open(const char *dir, struct writer **w, char *error, size_t error_size)
{
	int ret;

	*w = calloc(1, sizeof(**w));
	if (!*w)
		return explain(-ENOMEM, error, error_size, "out of memory");
	(*w)->dir = (*w)->data = -1;
	ret = set_paths(*w, dir, error, error_size);
	if (!ret)
		ret = check_target(*w, error, error_size);
	if (!ret)
		ret = make_part(*w, error, error_size);
	if (ret) {
		writer_free(*w);
		*w = NULL;
	}
	return ret;
}

const char *writer_path(const struct writer *w)
{
	return w->path;
}

int writer_data(const struct writer *w)
{
	return w->data;
}

static int write_all(int fd, const uint8_t *p, size_t size)
{
	while (size) {
		ssize_t n = write(fd, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		size -= n;
	}
	return fsync(fd) ? -errno : 0;
}

static int write_meta(const struct writer *w, const Memfdcr__Image *image)
{
	size_t size;
	uint8_t *file = meta_pack(image, &size);
	int fd, ret;

	if (!file)
		return -errno;
	fd = openat(w->dir, LAYOUT_META, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	ret = fd < 0 ? -errno : write_all(fd, file, size);
	/* some file systems tell only now that it did not fit */
	if (fd >= 0 && close(fd) && !ret)
		ret = -errno;
	free(file);
	return ret;
}

/* the directory that was there was made so on purpose */
static int copy_owner(const struct writer *w)
{
	if (!w->exists)
		return 0;
	if (fchown(w->dir, w->old.st_uid, w->old.st_gid) || fchmod(w->dir, w->old.st_mode & 07777))
		return -errno;
	return 0;
}

static int sync_above(const struct writer *w)
{
	char *copy = strdup(w->path);
	int fd, ret;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	ret = fsync(fd) ? -errno : 0;
	close(fd);
	return ret;
}

static bool is_still_there(const struct writer *w)
{
	struct stat ours, there;

	return !fstat(w->dir, &ours) && !lstat(w->part, &there) && there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

int writer_commit(struct writer *w, const Memfdcr__Image *image, char *error, size_t error_size)
{
	char why[256];
	int ret;

	/* one that nobody could read gets no name, and its processes are not killed */
	ret = meta_check(image, why, sizeof(why));
	if (ret)
		return explain(ret, error, error_size, "the image would not be readable, please report it: it %s", why);
	if (fsync(w->data))
		return explain(-errno, error, error_size, "cannot write %s/" LAYOUT_DATA ": %s", w->part, strerror(errno));
	ret = write_meta(w, image);
	if (ret)
		return explain(ret, error, error_size, "cannot write %s/" LAYOUT_META ": %s", w->part, strerror(-ret));
	ret = copy_owner(w);
	if (!ret && fsync(w->dir))
		ret = -errno;
	if (ret)
		return explain(ret, error, error_size, "cannot write %s: %s", w->part, strerror(-ret));
	if (!is_still_there(w))
		return explain(-ESTALE, error, error_size, "%s was moved or replaced meanwhile", w->part);
	if (rename(w->part, w->path))
		return explain(-errno, error, error_size, "cannot rename %s: %s", w->part,
			    errno == ENOTEMPTY || errno == EEXIST ? "somebody has put files where it is to be" :
			    strerror(errno));
	/* from here on the files are not ours to remove */
	close(w->dir);
	w->dir = -1;
	ret = sync_above(w);
	if (ret)
		return explain(ret, error, error_size, "%s is whole, but may not outlive a power failure: %s", w->path,
			    strerror(-ret));
	return 0;
}

void writer_free(struct writer *w)
{
	if (!w)
		return;
	if (w->data >= 0)
		close(w->data);
	if (w->dir >= 0) {
		remove_files(w);
		rmdir(w->part);
		close(w->dir);
	}
	free(w->part);
	free(w->path);
	free(w);
}
