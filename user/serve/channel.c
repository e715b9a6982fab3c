// SPDX-License-Identifier: GPL-2.0-only
/* Directories in /run/memfdcr, and the sockets in them. */
#include "serve/channel.h"

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
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"

#define FIRST_NAP_NS 10000000	/* before asking again, then twice as long each time */
#define LAST_NAP_NS 640000000

int channel_directory(pid_t owner, char *path, size_t size)
{
	unsigned long long start;
	int ret = process_start_time(owner, &start);

	if (ret)
		return ret;
	/* with its start time a pid is not taken for another after pids wrapped around */
	snprintf(path, size, CHANNEL_ROOT "/%d.%llu", (int)owner, start);
	return 0;
}

int channel_make_directory(pid_t owner, char *path, size_t size)
{
	int ret = channel_directory(owner, path, size);

	if (ret)
		return ret;
	/* whatever our umask is: see serve/incomplete.h */
	if (mkdir(CHANNEL_ROOT, 0700) ? errno != EEXIST : chmod(CHANNEL_ROOT, 0711))
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

/* a socket and the address that goes with it; flags: of its type. The descriptor or a negative errno */
static int make_socket(const char *directory, struct sockaddr_un *address, int flags)
{
	int fd, ret = set_address(address, directory);

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	return fd < 0 ? -errno : fd;
}

int channel_listen(const char *directory)
{
	struct sockaddr_un address;
	int ret, fd = make_socket(directory, &address, 0);

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
	struct dirent *entry;
	DIR *dir = opendir(directory);

	while (dir && (entry = readdir(dir))) {
		char path[PATH_MAX + NAME_MAX + 2];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		if (!unlink(path))
			continue;
		/* a scratch mount of a daemon that was killed */
		umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
	rmdir(directory);
}

/* Only when its owner is gone as well: a daemon that has only just made its directory does not listen yet. */
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

static int connect_to(const char *directory, int flags)
{
	struct sockaddr_un address;
	int ret, fd = make_socket(directory, &address, flags);

	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

int channel_connect(const char *directory)
{
	return connect_to(directory, 0);
}

int channel_connect_now(const char *directory)
{
	return connect_to(directory, SOCK_NONBLOCK);
}

pid_t channel_peer(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) ? 0 : peer.pid;
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

/* one daemon: 0 when it has nothing (any more) to do with the tree below root */
static int finish_one(const char *name, pid_t root)
{
	long nap_ns = FIRST_NAP_NS;
	char directory[PATH_MAX];
	bool asked = false;
	int fd, ret;

	if (snprintf(directory, sizeof(directory), CHANNEL_ROOT "/%s", name) >= (int)sizeof(directory))
		return 0;
	for (;; asked = true) {
		fd = channel_connect(directory);
		/* who comes to an end takes the socket away first; it is still there: killed, and pages may be missing */
		if (asked && fd == -ECONNREFUSED)
			return fd;
		if (fd == -ENOENT || fd == -ECONNREFUSED || fd == -ENOTDIR)
			return 0;	/* of a daemon that is no more */
		if (fd < 0)
			return fd;
		ret = channel_request(fd, "finish", root);
		close(fd);
		/* it has ended, or has no descriptors left for us */
		if (ret != -ECONNRESET && ret != -EPIPE)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = nap_ns }, NULL);
		if (nap_ns < LAST_NAP_NS)
			nap_ns *= 2;
	}
	if (ret == CHANNEL_DONE)
		log_notice("waited for the last page of a lazy restore of this tree");
	return ret == CHANNEL_DONE || ret == CHANNEL_NOT_CONCERNED ? 0 : -EIO;
}

int channel_finish_all(pid_t root)
{
	struct dirent *entry;
	int ret = 0;
	DIR *dir;

	dir = opendir(CHANNEL_ROOT);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !finish_one(entry->d_name, root))
			continue;
		log_error("a lazy restore of this tree has not finished and its daemon (%s) cannot: the dump would lack pages",
			  entry->d_name);
		ret = -EIO;
	}
	closedir(dir);
	return ret;
}
