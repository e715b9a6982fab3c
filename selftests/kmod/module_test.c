// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the module as such: loading, unloading, what it leaves behind. They want to be alone with it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "hooks.h"
#include "module.h"
#include "process.h"
#include "request.h"


FIXTURE(module)
{
	pid_t pid;
	int mem;
};

FIXTURE_SETUP(module)
{
	process_prepare();
	self->pid = process_start(target_wait, NULL);
	self->mem = open_mem(self->pid, O_RDWR);
	ASSERT_LE(0, self->mem);
	ASSERT_LT(0, request_family());
}

FIXTURE_TEARDOWN(module)
{
	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
	close(self->mem);
}

TEST_F(module, loads_by_itself)
{
	ASSERT_EQ(0, module_unload_soon());
	EXPECT_FALSE(module_is_loaded());
	EXPECT_LT(0, request_family());
	EXPECT_TRUE(module_is_loaded());
}

TEST_F(module, plain_outlives_it)
{
	struct answer answer = uffd_open(self->mem, O_CLOEXEC | O_NONBLOCK, false);
	struct uffd_msg msg;
	pid_t pid;
	int mem;

	ASSERT_EQ(0, answer.error);
	ASSERT_EQ(0, module_unload_soon());
	EXPECT_FALSE(module_is_loaded());
	/* a target that faults, through the descriptor of a module that is gone */
	EXPECT_EQ(0, uffd_api(answer.fd, 0));
	EXPECT_EQ(0, uffd_register(answer.fd, region, PAGES * PAGE));
	EXPECT_EQ(0, uffd_fill(answer.fd, region, PAGE));
	EXPECT_EQ(-EAGAIN, uffd_read(answer.fd, &msg, 0));
	EXPECT_EQ(0, close(answer.fd));

	/* and the other way round: open, fault, unload, serve */
	pid = process_start(target_hammer, (void *)1);
	mem = open_mem(pid, O_RDWR);
	answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, false);
	ASSERT_EQ(0, answer.error);
	EXPECT_EQ(0, uffd_api(answer.fd, 0));
	EXPECT_EQ(0, uffd_register(answer.fd, region, PAGES * PAGE));
	board->step = 1;
	ASSERT_EQ(0, uffd_read(answer.fd, &msg, 10000));
	ASSERT_EQ(0, module_unload_soon());
	EXPECT_EQ(0, uffd_fill(answer.fd, (void *)(unsigned long)msg.arg.pagefault.address, PAGE));
	EXPECT_EQ(0, uffd_read(answer.fd, &msg, 10000));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	EXPECT_EQ(0, close(answer.fd));
	EXPECT_LT(0, request_family());
}

TEST_F_TIMEOUT(module, load_and_unload, 300)
{
	for (int i = 0; i < 50; i++) {
		struct answer answer;

		ASSERT_EQ(0, module_unload_soon());
		/* every other time without a request in between, plain and guarded */
		ASSERT_LT(0, request_family());
		if (i % 2)
			continue;
		answer = uffd_open(self->mem, O_CLOEXEC, i % 4);
		ASSERT_EQ(0, answer.error);
		close(answer.fd);
	}
}

/* killing takes a while, during which there must be a module */
TEST_F(module, stays_until_the_killing_is_over)
{
	int uffd = open_guarded(self->pid, O_CLOEXEC), status;

	ASSERT_LE(0, uffd);
	ASSERT_EQ(0, uffd_register(uffd, region, PAGES * PAGE));
	EXPECT_EQ(-EAGAIN, module_unload());
	close(uffd);
	ASSERT_EQ(0, module_unload_soon());
	/* then the target is dead, too */
	EXPECT_EQ(self->pid, waitpid(self->pid, &status, WNOHANG));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_LT(0, request_family());
}

TEST_F(module, probes_only_while_guarded)
{
	struct answer answer;

	if (hooks_count(hooks_of_guards) < 0)
		SKIP(return, "this kernel does not tell what is hooked");
	/* those of earlier tests are taken away after a second */
	EXPECT_TRUE(hooks_gone_soon(hooks_of_guards));
	answer = uffd_open(self->mem, O_CLOEXEC, true);
	ASSERT_EQ(0, answer.error);
	/* remap_file_pages() of 32-bit programs is not on every kernel */
	EXPECT_LE(3, hooks_count(hooks_of_guards));
	close(answer.fd);
	EXPECT_TRUE(hooks_gone_soon(hooks_of_guards));
}

TEST_F(module, taint)
{
	char value[32];

	ASSERT_TRUE(read_line("/proc/sys/kernel/tainted", "", value, sizeof(value)));
	/* out of tree, and unsigned where the kernel looks for signatures: nothing else */
	EXPECT_STREQ(access("/sys/module/module/parameters/sig_enforce", F_OK) ? "4096" : "12288", value);
}

TEST_HARNESS_MAIN
