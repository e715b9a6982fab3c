// SPDX-License-Identifier: GPL-2.0-only
/* Files in /run/memfdcr/incomplete. */
#include "serve/incomplete.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/explain.h"
#include "common/log.h"
#include "common/process.h"
#include "serve/channel.h"

#define MARKS CHANNEL_ROOT "/incomplete"
#define MARK_PATH_MAX (sizeof(MARKS) + 64)

static void mark_path(uint64_t dev, uint64_t ino, char path[MARK_PATH_MAX])
{
	snprintf(path, MARK_PATH_MAX, MARKS "/%" PRIx64 ":%" PRIu64, dev, ino);
}

int incomplete_mark(uint64_t dev, uint64_t ino)
{
	struct flock lock = { .l_type = F_WRLCK };
	char path[MARK_PATH_MAX];
	int fd;

	if (mkdir(MARKS, 0700) && errno != EEXIST)
		return -errno;
	mark_path(dev, ino, path);
	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_SETLK, &lock)) {
		int ret = -errno;

		close(fd);
		return ret;
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

/* the pager of a mark; 0: it is no more; or a negative errno (ENOENT: no mark) */
static int pager_of(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK };
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = fcntl(fd, F_GETLK, &lock) ? -errno : 0;
	close(fd);
	return ret ? ret : lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

int incomplete_check(uint64_t dev, uint64_t ino, char *text, size_t size)
{
	char path[MARK_PATH_MAX];
	int pager;

	mark_path(dev, ino, path);
	pager = pager_of(path);
	if (pager == -ENOENT)
		return 0;
	if (pager < 0)
		return explain(pager, text, size, "cannot tell whether all of it is there: %s: %s", path, strerror(-pager));
	if (pager)
		return explain(-EBUSY, text, size, "process %d still brings pages of it: dump when it has", pager);
	return explain(-EIO, text, size,
		       "pages are missing, because the lazy restore of it has failed: restore it again, or, if all of it was written anew, remove %s",
		       path);
}

/* --- who has what is marked --- */

static bool is_marked(void *data, uint64_t dev, uint64_t ino)
{
	char *text = data;

	return incomplete_check(dev, ino, text, CHANNEL_MESSAGE_MAX / 2);
}

int incomplete_check_tree(pid_t root)
{
	char text[CHANNEL_MESSAGE_MAX / 2];
	struct process_list tree;
	int ret;
	size_t i;

	if (access(MARKS, F_OK))
		return errno == ENOENT ? 0 : -errno;
	ret = process_tree(root, &tree);
	if (ret)
		return ret;
	for (i = 0; !ret && i < tree.n; i++) {
		ret = process_has(tree.v[i].pid, is_marked, text);
		if (ret == -ESRCH)
			ret = 0;
		if (ret > 0) {
			log_error("an object of process %d: %s", (int)tree.v[i].pid, text);
			ret = -EIO;
		}
	}
	process_list_free(&tree);
	return ret;
}

struct mark {
	uint64_t dev, ino;
};

static bool is_of_mark(void *data, uint64_t dev, uint64_t ino)
{
	const struct mark *mark = data;

	return dev == mark->dev && ino == mark->ino;
}

/* false also if that cannot be told; whoever is just making the mark has the object */
static bool nobody_has(struct mark *mark)
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	int ret = 0;

	if (!dir)
		return false;
	while (!ret && (entry = readdir(dir))) {
		int pid = atoi(entry->d_name);

		if (pid > 0)
			ret = process_has(pid, is_of_mark, mark);
		if (ret == -ESRCH)
			ret = 0;
	}
	closedir(dir);
	return !ret;
}

void incomplete_sweep(void)
{
	char path[sizeof(MARKS) + NAME_MAX + 1];
	struct dirent *entry;
	DIR *dir = opendir(MARKS);

	while (dir && (entry = readdir(dir))) {
		struct mark mark;

		if (sscanf(entry->d_name, "%" SCNx64 ":%" SCNu64, &mark.dev, &mark.ino) != 2)
			continue;
		snprintf(path, sizeof(path), MARKS "/%s", entry->d_name);
		if (!pager_of(path) && nobody_has(&mark))
			unlink(path);
	}
	if (dir)
		closedir(dir);
}
