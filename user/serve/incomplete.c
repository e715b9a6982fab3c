// SPDX-License-Identifier: GPL-2.0-only
/* Files in /run/memfdcr/incomplete. */
#include "serve/incomplete.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/explain.h"
#include "common/log.h"
#include "common/process.h"
#include "serve/channel.h"

#define MARKS CHANNEL_ROOT "/incomplete"
#define MARK_PATH_MAX (sizeof(MARKS) + 64)
#define TRIES 100	/* for a mark that others take away at the same time */

static void mark_path(uint64_t dev, uint64_t ino, char path[MARK_PATH_MAX])
{
	snprintf(path, MARK_PATH_MAX, MARKS "/%" PRIx64 ":%" PRIu64, dev, ino);
}

/* the file, with the lock; -ENOENT: it was taken away before we had that */
static int open_mark(const char *path, bool *before)
{
	struct flock lock = { .l_type = F_WRLCK };
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), ret = 0;
	struct stat ours, there;

	*before = fd < 0 && errno == EEXIST;
	if (*before)
		fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLK, &lock) || fstat(fd, &ours))
		ret = -errno;
	else if (stat(path, &there) || there.st_dev != ours.st_dev || there.st_ino != ours.st_ino)
		ret = -ENOENT;
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

int incomplete_mark(uint64_t dev, uint64_t ino, bool *before)
{
	char path[MARK_PATH_MAX];
	int fd = -ENOENT, tries;

	mark_path(dev, ino, path);
	for (tries = 0; fd == -ENOENT && tries < TRIES; tries++) {
		/* others may ask for what they know the name of */
		if (mkdir(MARKS, 0700) ? errno != EEXIST : chmod(MARKS, 0711))
			return -errno;
		fd = open_mark(path, before);
	}
	return fd;
}

void incomplete_clear(uint64_t dev, uint64_t ino, int mark)
{
	char path[MARK_PATH_MAX];

	mark_path(dev, ino, path);
	unlink(path);
	close(mark);
}

/* whether somebody is at it: 1, and his pid (0: not in our namespace), 0, or a negative errno (ENOENT: no mark) */
static int is_at_work(const char *path, pid_t *pid)
{
	struct flock lock = { .l_type = F_WRLCK };
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = fcntl(fd, F_GETLK, &lock) ? -errno : lock.l_type != F_UNLCK;
	*pid = lock.l_pid;
	close(fd);
	return ret;
}

int incomplete_check(uint64_t dev, uint64_t ino, char *text, size_t size)
{
	char path[MARK_PATH_MAX];
	pid_t pid = 0;
	int ret;

	mark_path(dev, ino, path);
	ret = is_at_work(path, &pid);
	if (ret == -ENOENT)
		return 0;
	if (ret < 0)
		return explain(ret, text, size, "cannot tell whether all of it is there: %s: %s%s", path, strerror(-ret),
			       ret == -EACCES ? ": run as root" : "");
	if (ret)
		return explain(-EBUSY, text, size, "process %d still brings pages of it: dump when it has", (int)pid);
	return explain(-EIO, text, size,
		       "pages are missing, because a restore of it has failed: restore it again, or, if all of it was written anew, remove %s",
		       path);
}

static bool is_marked(void *data, uint64_t dev, uint64_t ino)
{
	char *text = data;

	return incomplete_check(dev, ino, text, CHANNEL_MESSAGE_MAX / 2);
}

int incomplete_check_tree(pid_t root)
{
	char text[CHANNEL_MESSAGE_MAX / 2];
	struct process_list tree;
	size_t i = 0;
	int ret;

	/* nobody has ever made one */
	if (access(MARKS, F_OK) && errno == ENOENT)
		return 0;
	ret = process_tree(root, &tree);
	for (; !ret && i < tree.n; i++) {
		ret = process_has(tree.v[i].pid, is_marked, text);
		if (ret > 0) {
			log_error("an object of process %d: %s", (int)tree.v[i].pid, text);
			process_list_free(&tree);
			return -EIO;
		}
		if (ret == -ESRCH)
			ret = 0;
	}
	if (ret)
		log_error("cannot tell whether process %d has all of its memory: %s", (int)(i ? tree.v[i - 1].pid : root),
			  strerror(-ret));
	process_list_free(&tree);
	return ret;
}
