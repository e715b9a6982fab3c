// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/serve/incomplete.c: who is at an object, who was, and who never was. In a /run of its own. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "serve/channel.h"
#include "serve/incomplete.h"
#include "tap.h"

#define MARKS CHANNEL_ROOT "/incomplete"

static char text[1024], logged[1024];

static void keep_line(void *data, int level, const char *line)
{
	(void)data;
	(void)level;
	snprintf(logged, sizeof(logged), "%s", line);
}

static int check(const struct stat *st)
{
	*text = '\0';
	return incomplete_check(st->st_dev, st->st_ino, text, sizeof(text));
}

/* a process that marks the object, which is not among what it has, says so by a byte, and waits */
static pid_t start_worker(int fd, const struct stat *st)
{
	bool before;
	int ends[2];
	pid_t pid;
	char c;

	if (pipe(ends))
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		close(fd);
		if (incomplete_mark(st->st_dev, st->st_ino, &before) < 0 || write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	if (read(ends[0], &c, 1) != 1)
		abort();
	close(ends[0]);
	return pid;
}

int main(void)
{
	int fd = memfd_create("object", 0), other = memfd_create("other", 0), mark;
	struct stat st, st_other;
	char pid_text[32];
	bool before;
	pid_t pid;

	if (geteuid() || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/run", "tmpfs", 0, NULL)) {
		tap_skip("no /run of its own: needs root");
		return tap_done();
	}
	if (fd < 0 || other < 0 || fstat(fd, &st) || fstat(other, &st_other) || ftruncate(fd, 4096))
		abort();
	log_to_function(keep_line, NULL);
	TAP_OK(!check(&st) && !incomplete_check_tree(getpid()), "before there is any mark all is complete");
	if (mkdir(CHANNEL_ROOT, 0711))
		abort();

	pid = start_worker(fd, &st);
	snprintf(pid_text, sizeof(pid_text), "process %d still", (int)pid);
	TAP_OK(check(&st) == -EBUSY && strstr(text, pid_text), "somebody is at it: %s", text);
	TAP_OK(incomplete_mark(st.st_dev, st.st_ino, &before) == -EAGAIN, "and nobody else can be");
	TAP_OK(!check(&st_other), "another object has nothing to do with it");
	TAP_OK(incomplete_check_tree(getpid()) == -EIO && strstr(logged, pid_text), "a tree that has it: %s", logged);
	mark = open("/dev/null", O_RDONLY);
	dup2(mark, fd);
	TAP_OK(!incomplete_check_tree(getpid()), "one that has it no more");
	close(mark);

	kill(pid, SIGKILL);
	/* one that is not buried holds nothing */
	if (waitid(P_PID, (id_t)pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT))
		abort();
	TAP_OK(check(&st) == -EIO && strstr(text, "has failed") && strstr(text, "remove " MARKS "/"), "he is killed: %s", text);
	waitpid(pid, NULL, 0);

	mark = incomplete_mark(st.st_dev, st.st_ino, &before);
	TAP_OK(mark >= 0 && before, "another one takes over");
	incomplete_clear(st.st_dev, st.st_ino, mark);
	TAP_OK(!check(&st), "and completes it");
	mark = incomplete_mark(st.st_dev, st.st_ino, &before);
	TAP_OK(mark >= 0 && !before, "the next one finds no trace of that");
	close(mark);
	TAP_OK(check(&st) == -EIO, "and fails");

	if (!fork()) {
		int ret = setgid(65534) || setuid(65534) ? 0 : check(&st);

		_exit(ret == -EACCES && strstr(text, "run as root") && !check(&st_other) ? 0 : 1);
	}
	wait(&mark);
	TAP_OK(WIFEXITED(mark) && !WEXITSTATUS(mark), "whoever may not look at a mark sees that there is one, or none");
	return tap_done();
}
