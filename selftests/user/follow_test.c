// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/serve/follow.c as far as they need no module: who a process is, and what happens without a watch. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "netlink/genl.h"
#include "serve/serving.h"
#include "tap.h"

static char said[1024];

static void hear(void *data, int level, const char *text)
{
	(void)data;
	(void)level;
	snprintf(said, sizeof(said), "%s", text);
}

static void test_process(void)
{
	struct pager_process process = { 0 };
	unsigned long long start = 0;
	int status, ret;
	pid_t pid;

	/* what is hard to read in /proc/PID/stat */
	prctl(PR_SET_NAME, "a) 1 (b");
	ret = serving_process(getpid(), &process);
	TAP_OK(!ret && process.pid == getpid() && !process_start_time(getpid(), &start) &&
	       process.start_time == start && !strcmp(process.name, "a) 1 (b"), "a process is its pid, start time and name");

	pid = fork();
	if (!pid)
		_exit(0);
	ret = waitpid(pid, &status, 0);
	TAP_OK(ret == pid && serving_process(pid, &process) == -ESRCH, "one that is gone is none");
}

static void test_uffd_id(void)
{
	uint64_t id = 0;
	int fd;

	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0) {
		tap_skip("no userfaultfd for this user on this kernel");
	} else {
		TAP_OK(serving_uffd_id(NULL, fd, &id) == -ENODATA, "a userfaultfd of the kernel's own has no id");
		close(fd);
	}
	TAP_OK(serving_uffd_id(NULL, 9999, &id) == -ENOENT, "neither has a descriptor that is not open");
}

static void test_no_watch(void)
{
	const struct pager_config config = { .ops = &serving_pager_ops };
	struct genl *g = genl_open();
	struct serving s = { .listen_fd = -1 };

	if (g) {
		genl_close(g);
		tap_skip("the module is loaded here");
		return;
	}
	s.pager = pager_new(&config);
	if (!s.pager) {
		tap_skip("no userfaultfd for this user on this kernel");
		return;
	}
	log_to_function(hear, NULL);
	serving_follow(&s, getpid());
	TAP_OK(!s.watch && strstr(said, "no watch on the processes: ") && strstr(said, genl_error()),
	       "without a watch the restore goes on, and the log says why: %s", said);
	serving_unfollow(&s);
	pager_free(s.pager);
}

int main(void)
{
	test_process();
	test_uffd_id();
	test_no_watch();
	return tap_done();
}
