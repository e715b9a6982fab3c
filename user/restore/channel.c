// SPDX-License-Identifier: GPL-2.0-only
/* The socket between the hook and its daemon. */
#include "restore/channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"

int channel_directory(pid_t criu, char *path, size_t size)
{
	unsigned long long start;
	int ret = process_start_time(criu, &start);

	if (ret)
		return ret;
	/* with its start time a pid is not taken for another after pids wrapped around */
	snprintf(path, size, CHANNEL_ROOT "/%d.%llu", (int)criu, start);
	return 0;
}

int channel_make_directory(pid_t criu, char *path, size_t size)
{
	int ret = channel_directory(criu, path, size);

	if (ret)
		return ret;
	if (mkdir(CHANNEL_ROOT, 0700) && errno != EEXIST)
		return -errno;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	return 0;
}

static int set_address(struct sockaddr_un *address, const char *directory)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if ((size_t)snprintf(address->sun_path, sizeof(address->sun_path), "%s/socket", directory) >=
	    sizeof(address->sun_path))
		return -ENAMETOOLONG;
	return 0;
}

bool channel_hidden(const char *directory)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/hidden", directory);
	return !access(path, F_OK);
}

int channel_mark_hidden(const char *directory)
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

void channel_unmark_hidden(const char *directory)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/hidden", directory);
	unlink(path);
}

/* a socket and the address that goes with it; the descriptor or a negative errno */
static int make_socket(const char *directory, struct sockaddr_un *address)
{
	int fd, ret = set_address(address, directory);

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

int channel_listen(const char *directory)
{
	struct sockaddr_un address;
	int ret, fd = make_socket(directory, &address);

	if (fd < 0)
		return fd;
	unlink(address.sun_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 16)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

void channel_remove(const char *directory)
{
	struct sockaddr_un address;
	char stubs[PATH_MAX + 8];

	if (!set_address(&address, directory))
		unlink(address.sun_path);
	channel_unmark_hidden(directory);
	/* of a daemon that was killed */
	snprintf(stubs, sizeof(stubs), "%s/stubs", directory);
	umount2(stubs, MNT_DETACH | UMOUNT_NOFOLLOW);
	rmdir(stubs);
	rmdir(directory);
}

/* Only when CRIU is gone as well: a daemon that has only just made its directory does not listen yet. */
static void remove_dead(const char *name)
{
	char path[sizeof(CHANNEL_ROOT) + NAME_MAX + 1];
	unsigned long long start, now;
	int fd, pid;

	if (sscanf(name, "%d.%llu", &pid, &start) != 2 || (!process_start_time(pid, &now) && now == start))
		return;
	snprintf(path, sizeof(path), CHANNEL_ROOT "/%s", name);
	fd = channel_connect(path);
	if (fd == -ECONNREFUSED || fd == -ENOENT)
		channel_remove(path);
	if (fd >= 0)
		close(fd);
}

void channel_sweep(void)
{
	struct dirent *entry;
	DIR *dir = opendir(CHANNEL_ROOT);

	while (dir && (entry = readdir(dir)))
		remove_dead(entry->d_name);
	if (dir)
		closedir(dir);
}

int channel_connect(const char *directory)
{
	struct sockaddr_un address;
	int ret, fd = make_socket(directory, &address);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

int channel_send(int fd, const char *fmt, ...)
{
	char text[CHANNEL_MESSAGE_MAX];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0)
		return -EINVAL;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	/* the daemon must not be stopped by an asker that has gone or does not read */
	return send(fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

ssize_t channel_receive(int fd, char *text, size_t size)
{
	ssize_t n;

	do
		n = recv(fd, text, size - 1, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return n;
}

int channel_request(int fd, const char *verb, pid_t pid)
{
	char text[CHANNEL_MESSAGE_MAX];
	int ret = channel_send(fd, "%s %d", verb, (int)pid);
	ssize_t n;

	if (ret)
		return ret;
	while ((n = channel_receive(fd, text, sizeof(text))) > 0) {
		int level, skip = 0;

		if (sscanf(text, "log %d %n", &level, &skip) == 1 && skip)
			log_line(level, "%s", text + skip);
		else if (sscanf(text, "result %d", &ret) == 1)
			return ret;
	}
	return n < 0 ? n : -ECONNRESET;
}
