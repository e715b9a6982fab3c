// SPDX-License-Identifier: GPL-2.0-only
/* The process that serves a restore: out of everybody's way, and the last to be killed. */
#include "serve/background.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"
#include "serve/channel.h"

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		log_warning("cannot write %s to %s: %s", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

void background_begin(void)
{
	setsid();
	/*
	 * A service manager that stops the restored service asks every process of its cgroup to end, us too; who asks
	 * the tasks to end needs their memory to do so. They end, then we do; SIGKILL is what ends us before.
	 */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* a limit of file sizes is an error that write() tells, of objects and of the log */
	signal(SIGXFSZ, SIG_IGN);
	prctl(PR_SET_NAME, "memfdcr-pager");
}

void background_insure(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit files;

	/* it is as large as whoever makes it wants, and holds for objects, too */
	setrlimit(RLIMIT_FSIZE, &unlimited);
	write_file("/proc/self/oom_score_adj", "-1000");
	/* our own mappings of the objects must not be made huge where pages are missing (kernels before 6.4) */
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	/* one descriptor an address space, and every fork of a restored process adds one */
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max < 1 << 20 ? 1 << 20 : files.rlim_max;
		files.rlim_max = files.rlim_cur;
		if (setrlimit(RLIMIT_NOFILE, &files)) {
			getrlimit(RLIMIT_NOFILE, &files);
			files.rlim_cur = files.rlim_max;
			setrlimit(RLIMIT_NOFILE, &files);
		}
	}
}

void background_leave(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	log_to_function(NULL, NULL);
	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	if (chdir("/"))
		log_warning("cannot leave the work directory: %s", strerror(errno));
}

int background_open_log(int dirfd)
{
	static const char name[] = "memfdcr-restore.log";
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
	int fd = dirfd == -1 ? open(CHANNEL_ROOT "/restore.log", flags, 0600) : openat(dirfd, name, flags, 0600);

	if (fd < 0) {
		if (dirfd == -1)
			log_warning("cannot write %s: %s", name, strerror(errno));
		return -errno;
	}
	log_to_file(fd);
	return 0;
}
