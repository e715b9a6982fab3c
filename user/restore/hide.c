// SPDX-License-Identifier: GPL-2.0-only
/* Bind mounts of stub pagemaps over those of an image directory. */
#include "restore/hide.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <unistd.h>

/* two magics, then {u32 size, pagemap_head{pages_id}}; the head is two bytes as long as pages_id is below 128 */
#define HEAD_FIXED 12
#define HEAD_MAX 64

struct hide {
	int dirfd;
	char scratch[PATH_MAX];
	bool scratch_made, scratch_mounted;
	char (*names)[NAME_MAX + 1];
	size_t n_names;
};

static void file_path(int dirfd, const char *name, char *path, size_t size)
{
	snprintf(path, size, "/proc/self/fd/%d/%s", dirfd, name);
}

struct hide *hide_new(int dirfd, const char *scratch)
{
	struct hide *h = calloc(1, sizeof(*h));
	int saved;

	if (!h)
		return NULL;
	h->dirfd = dirfd;
	snprintf(h->scratch, sizeof(h->scratch), "%s", scratch);
	if (mkdir(h->scratch, 0700) && errno != EEXIST)
		goto err;
	h->scratch_made = true;
	if (mount("memfdcr", h->scratch, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=16m,mode=0700"))
		goto err;
	h->scratch_mounted = true;
	/* stubs must not appear in other mount namespaces where nobody would take them away */
	if (mount(NULL, h->scratch, NULL, MS_PRIVATE, NULL))
		goto err;
	return h;
err:
	saved = errno;
	hide_free(h);
	errno = saved;
	return NULL;
}

/* the file's magics and head, however long the head is; its length or a negative errno */
static ssize_t read_head(int fd, unsigned char *head)
{
	ssize_t n = pread(fd, head, HEAD_MAX, 0);
	uint32_t size;

	if (n < 0)
		return -errno;
	if (n < HEAD_FIXED)
		return -EBADMSG;
	size = head[8] | head[9] << 8 | head[10] << 16 | (uint32_t)head[11] << 24;
	if (size > (uint32_t)(n - HEAD_FIXED))
		return -EBADMSG;
	return HEAD_FIXED + size;
}

int hide_file(struct hide *h, const char *name)
{
	char stub[PATH_MAX + NAME_MAX + 2], path[PATH_MAX];
	unsigned char head[HEAD_MAX];
	void *names;
	ssize_t n;
	int fd;

	fd = openat(h->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read_head(fd, head);
	close(fd);
	if (n < 0)
		return n;

	snprintf(stub, sizeof(stub), "%s/%s", h->scratch, name);
	fd = open(stub, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	if (write(fd, head, n) != n) {
		close(fd);
		return -EIO;
	}
	close(fd);

	names = reallocarray(h->names, h->n_names + 1, sizeof(*h->names));
	if (!names)
		return -ENOMEM;
	h->names = names;
	file_path(h->dirfd, name, path, sizeof(path));
	if (mount(stub, path, NULL, MS_BIND, NULL))
		return -errno;
	snprintf(h->names[h->n_names++], sizeof(*h->names), "%s", name);
	return 0;
}

/* a pagemap with a small file of a tmpfs mounted on it: nobody but us does that */
static bool is_stub(int dirfd, const char *name)
{
	char path[PATH_MAX];
	struct statfs fs;
	struct statx stx;

	if (strncmp(name, "pagemap-shmem-", 14))
		return false;
	if (statx(dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_SIZE, &stx))
		return false;
	if (!(stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) || stx.stx_size > HEAD_MAX)
		return false;
	file_path(dirfd, name, path, sizeof(path));
	return !statfs(path, &fs) && fs.f_type == TMPFS_MAGIC;
}

/*
 * Takes one stub away. First it is emptied: a mount namespace that was cloned meanwhile may have kept the mount, and
 * CRIU fails on an empty file, while it would restore zeros from a stub.
 */
static int unmount_stub(int dirfd, const char *name)
{
	char path[PATH_MAX];
	int fd;

	file_path(dirfd, name, path, sizeof(path));
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		close(fd);
	return umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) ? -errno : 0;
}

int hide_undo(struct hide *h)
{
	int ret = 0;

	while (h->n_names) {
		const char *name = h->names[--h->n_names];
		int err = 0;

		/* somebody else may have unmounted it: never truncate what is not a stub */
		if (is_stub(h->dirfd, name))
			err = unmount_stub(h->dirfd, name);
		if (err && !ret)
			ret = err;
	}
	return ret;
}

void hide_free(struct hide *h)
{
	if (!h)
		return;
	hide_undo(h);
	if (h->scratch_mounted)
		umount2(h->scratch, MNT_DETACH | UMOUNT_NOFOLLOW);
	if (h->scratch_made)
		rmdir(h->scratch);
	free(h->names);
	free(h);
}

static int each_stub(int dirfd, bool clean_up)
{
	struct dirent *entry;
	int fd, n = 0, ret = 0;
	DIR *dir;

	fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	while ((entry = readdir(dir))) {
		/* several may lie on each other after several crashes */
		while (is_stub(dirfd, entry->d_name)) {
			n++;
			if (!clean_up)
				break;
			ret = unmount_stub(dirfd, entry->d_name);
			if (ret)
				break;
		}
	}
	closedir(dir);
	return ret ? ret : n;
}

int hide_clean_up(int dirfd)
{
	return each_stub(dirfd, true);
}

int hide_present(int dirfd)
{
	int n = each_stub(dirfd, false);

	return n < 0 ? n : n > 0;
}

bool hide_is_marked(const char *directory)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/hidden", directory);
	return !access(path, F_OK);
}

int hide_mark(const char *directory)
{
	char path[PATH_MAX + 8];
	int fd;

	snprintf(path, sizeof(path), "%s/hidden", directory);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

void hide_unmark(const char *directory)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/hidden", directory);
	unlink(path);
}
