// SPDX-License-Identifier: GPL-2.0-only
/* The process that lives from pre-restore to the last page: made by the hook, orphaned, out of everybody's way. */
#include "restore/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "restore/session.h"
#include "serve/background.h"

/* the work directory is where CRIU puts its own log; CRIU runs the hook in it */
static void open_log(const struct session *s)
{
	if (background_open_log(AT_FDCWD) && background_open_log(s->dirfd))
		background_open_log(-1);
}

/* what status calls the image directory: the path is one of CRIU's descriptors */
static char *path_of(int dirfd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = readlink(link, path, sizeof(path));
	return n < 0 ? NULL : strndup(path, n);
}

static void forward_log(void *data, int level, const char *text)
{
	channel_send(*(int *)data, "log %d %s", level, text);
}

/* a request before the tasks exist: arm, from the hook's post-restore run. The daemon's exit status, -1: wait on */
static int first_request(struct session *s)
{
	char verb[16];
	pid_t root;
	int fd, ret;

	fd = serving_take_request(&s->serving, verb, sizeof(verb), &root);
	if (fd < 0)
		return -1;
	if (!strcmp(verb, "status")) {
		serving_tell_status(&s->serving, fd, root);
		return -1;
	}
	if (strcmp(verb, "arm")) {
		channel_send(fd, "result %d", CHANNEL_NOT_CONCERNED);
		close(fd);
		return -1;
	}
	log_to_function(forward_log, &fd);
	ret = s->n_objects ? session_arm(s, root) : 0;
	if (ret)
		log_error("the restore is given up: %s", strerror(-ret));
	log_to_function(NULL, NULL);
	channel_send(fd, "result %d", ret ? CHANNEL_FAILED : CHANNEL_DONE);
	close(fd);
	if (ret)
		return EXIT_FAILURE;
	if (!s->n_objects) {
		log_info("summary: objects lazy 0 eager %zu", s->serving.n_eager);
		return EXIT_SUCCESS;
	}
	ret = serving_run(&s->serving);
	return ret && ret != -ESRCH ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* until post-restore, or until CRIU is gone without having come so far */
static int wait_for_criu(struct session *s, int criu_fd)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = s->serving.listen_fd, .events = POLLIN },
			{ .fd = criu_fd, .events = POLLIN },
		};
		int ret;

		if (poll(fds, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			log_error("poll: %s", strerror(errno));
			return EXIT_FAILURE;
		}
		if (fds[0].revents) {
			ret = first_request(s);
			if (ret >= 0)
				return ret;
		} else if (fds[1].revents) {
			log_info("CRIU (%d) ended before the tasks were there", (int)s->criu);
			return EXIT_FAILURE;
		}
	}
}

static void session_free(struct session *s)
{
	hide_free(s->hide);
	flock(s->dirfd, LOCK_UN);
	if (*s->directory)
		channel_remove(s->directory);
	/* everything else, the userfaultfds above all, goes with the process */
}

/* the daemon: what the hook's run waits for comes through outcome, one int */
static int run(pid_t criu, const char *image_dir, int outcome)
{
	struct session s = { .criu = criu, .serving.listen_fd = -1, .dirfd = -1 };
	char text[512];
	int criu_fd, ret;

	session_note_time(&s);
	background_begin();
	s.dirfd = open(image_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	criu_fd = syscall(SYS_pidfd_open, criu, 0);
	if (s.dirfd < 0 || criu_fd < 0) {
		log_warning("cannot open %s: %s", s.dirfd < 0 ? image_dir : "the CRIU process", strerror(errno));
		return EXIT_FAILURE;
	}
	s.serving.since = s.began.tv_sec;
	s.serving.images = path_of(s.dirfd);
	channel_sweep();
	ret = channel_make_directory(criu, s.directory, sizeof(s.directory));
	if (!ret)
		ret = s.serving.listen_fd = channel_listen(s.directory);
	if (ret < 0) {
		log_notice("cannot write below " CHANNEL_ROOT ": %s", strerror(-ret));
		*s.directory = '\0';
	}
	open_log(&s);
	log_info("restore by CRIU (%d)", (int)criu);
	if (config_read(CONFIG_PATH, &s.config, text, sizeof(text)))
		log_warning("%s; going on with the defaults", text);

	ret = session_prepare(&s);
	if (s.n_objects)
		background_insure();
	if (write(outcome, &ret, sizeof(ret)) != sizeof(ret)) {
		log_error("the hook was killed");
		ret = -EPIPE;
	}
	close(outcome);
	background_leave();
	if (ret || s.serving.listen_fd < 0)
		ret = EXIT_FAILURE;
	else
		ret = wait_for_criu(&s, criu_fd);
	session_free(&s);
	return ret;
}

int daemon_start(pid_t criu, const char *image_dir, bool *decided)
{
	int outcome[2], ret = -EPIPE;
	pid_t child;
	ssize_t n;

	if (pipe2(outcome, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0) {
		ret = -errno;
		close(outcome[0]);
		close(outcome[1]);
		return ret;
	}
	if (!child) {
		close(outcome[0]);
		_exit(run(criu, image_dir, outcome[1]));
	}
	close(outcome[1]);
	do
		n = read(outcome[0], &ret, sizeof(ret));
	while (n < 0 && errno == EINTR);
	close(outcome[0]);
	*decided = n == sizeof(ret);
	return *decided ? ret : -EPIPE;
}
