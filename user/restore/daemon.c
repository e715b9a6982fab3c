// SPDX-License-Identifier: GPL-2.0-only
/* The process that lives from pre-restore to the last page: made by the hook, orphaned, out of everybody's way. */
#include "restore/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "restore/session.h"

int session_take_request(struct session *s, char *verb, size_t verb_size, pid_t *pid)
{
	const struct timeval patience = { .tv_sec = 1 };
	char text[CHANNEL_MESSAGE_MAX], word[16];
	int fd, number;

	fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* who connects has a request at hand; the pager must not wait for one who does not */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (channel_receive(fd, text, sizeof(text)) <= 0 || sscanf(text, "%15s %d", word, &number) != 2) {
		close(fd);
		return -EBADMSG;
	}
	snprintf(verb, verb_size, "%s", word);
	*pid = number;
	return fd;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		log_warning("cannot write %s to %s: %s", text, path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void become_daemon(void)
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
	prctl(PR_SET_NAME, "memfdcr-pager");
}

/* from here on the restored processes are lost without us */
static void become_pager(void)
{
	struct rlimit files;

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

/* CRIU's pipes and terminal must not stay open because of us */
static void leave_stdio(void)
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

/* the work directory is where CRIU puts its own log; CRIU runs the hook in it */
static void open_log(const struct session *s)
{
	static const char name[] = "memfdcr-restore.log";
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(name, flags, 0600);

	if (fd < 0)
		fd = openat(s->dirfd, name, flags, 0600);
	if (fd < 0)
		fd = open(CHANNEL_ROOT "/restore.log", flags, 0600);
	if (fd < 0)
		log_warning("cannot write %s: %s", name, strerror(errno));
	else
		log_to_file(fd);
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

	fd = session_take_request(s, verb, sizeof(verb), &root);
	if (fd < 0)
		return -1;
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
		log_info("summary: objects lazy 0 eager %zu", s->n_eager);
		return EXIT_SUCCESS;
	}
	return session_serve(s);
}

/* until post-restore, or until CRIU is gone without having come so far */
static int wait_for_criu(struct session *s, int criu_fd)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = s->listen_fd, .events = POLLIN },
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
	struct session s = { .criu = criu, .listen_fd = -1, .dirfd = -1 };
	char text[512];
	int criu_fd, ret;

	session_note_time(&s);
	become_daemon();
	s.dirfd = open(image_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	criu_fd = syscall(SYS_pidfd_open, criu, 0);
	if (s.dirfd < 0 || criu_fd < 0) {
		log_warning("cannot open %s: %s", s.dirfd < 0 ? image_dir : "the CRIU process", strerror(errno));
		return EXIT_FAILURE;
	}
	channel_sweep();
	ret = channel_make_directory(criu, s.directory, sizeof(s.directory));
	if (!ret)
		ret = s.listen_fd = channel_listen(s.directory);
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
		become_pager();
	if (write(outcome, &ret, sizeof(ret)) != sizeof(ret)) {
		log_error("the hook was killed");
		ret = -EPIPE;
	}
	close(outcome);
	leave_stdio();
	if (ret || s.listen_fd < 0)
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
