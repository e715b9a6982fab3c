// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/common/process.c against processes made for them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/process.h"
#include "tap.h"

static void test_mappings(void)
{
	int fd = memfd_create("a name with spaces 7f00-8000 rw-s", 0);
	struct mapping_list maps;
	const struct mapping *m;
	struct stat st;
	char *p;

	if (fd < 0 || ftruncate(fd, 8 * 4096) || fstat(fd, &st))
		abort();
	p = mmap(NULL, 4 * 4096, PROT_READ, MAP_SHARED, fd, 2 * 4096);
	if (!TAP_OK(!process_mappings(getpid(), &maps), "mappings are read"))
		return;
	m = mapping_at(&maps, (uintptr_t)p + 4095);
	TAP_OK(m && m->start == (uintptr_t)p && m->end == (uintptr_t)p + 4 * 4096 && m->offset == 2 * 4096 && m->shared,
	       "a mapping of a memfd has its bounds, offset and kind");
	TAP_OK(m && m->ino == st.st_ino && m->dev == st.st_dev, "and the memfd's device and inode");
	m = mapping_at(&maps, (uintptr_t)&maps);
	TAP_OK(m && !m->shared && !m->ino, "the stack is private and anonymous");
	TAP_OK(!mapping_at(&maps, 0) && !mapping_at(&maps, UINT64_MAX), "outside all mappings there is none");
	mapping_list_free(&maps);
	munmap(p, 4 * 4096);
	close(fd);
	TAP_OK(process_mappings(1 << 22, &maps) == -ESRCH, "no such process: ESRCH");
}

static bool is_that(void *data, uint64_t dev, uint64_t ino)
{
	const struct stat *st = data;

	return st->st_dev == dev && st->st_ino == ino;
}

/* of a child that has what fd is: by that descriptor, or only by a mapping, or one with O_PATH */
static int has(int fd, bool by_mapping, bool by_path)
{
	struct stat st;
	int ret, status;
	pid_t pid;

	if (fstat(fd, &st))
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid) {
		if (by_path) {
			char path[32];

			snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
			if (open(path, O_PATH) < 0)
				_exit(1);
		}
		if (by_mapping && mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, fd, 0) == MAP_FAILED)
			_exit(1);
		if (by_mapping || by_path)
			close(fd);
		raise(SIGSTOP);
		_exit(0);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		abort();
	ret = process_has(pid, is_that, &st);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return ret;
}

static void test_has(void)
{
	int fd = memfd_create("had", 0);
	struct stat st;

	if (fd < 0 || ftruncate(fd, 4096) || fstat(fd, &st))
		abort();
	TAP_OK(has(fd, false, false) == 1, "a process has what it has a descriptor of");
	TAP_OK(has(fd, false, true) == 1, "also with O_PATH");
	TAP_OK(has(fd, true, false) == 1, "and what it maps");
	close(fd);
	TAP_OK(!process_has(getpid(), is_that, &st), "and not what it has no more");
	TAP_OK(process_has(1 << 22, is_that, &st) == -ESRCH, "no such process has anything: ESRCH");
}

/* root (pid 1 of a new pid namespace) with a child whose command name is hostile, and a grandchild */
static void test_tree(void)
{
	int ready[2], i, found = 0;
	struct process_list tree;
	unsigned long long start;
	char name[32], c;
	pid_t root;

	if (pipe(ready))
		abort();
	root = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (root < 0) {
		tap_skip("no new pid namespace for want of privilege");
		return;
	}
	if (!root) {
		if (!fork()) {
			prctl(PR_SET_NAME, ") 1 2 (x");
			if (!fork() && write(ready[1], "", 1) == 1)
				pause();
			pause();
		}
		pause();
	}
	if (read(ready[0], &c, 1) != 1)
		abort();
	TAP_OK(!process_tree(root, &tree) && tree.n == 3, "a tree of three");
	for (i = 0; i < (int)tree.n; i++)
		found |= 1 << tree.v[i].vpid;
	TAP_OK(tree.v[0].pid == root && found == (1 << 1 | 1 << 2 | 1 << 3), "with their pids in their own namespace");
	TAP_OK(process_parent(tree.v[2].pid) == tree.v[1].pid && process_parent(tree.v[1].pid) == root &&
	       process_parent(root) == getpid(), "and their parents, whatever the command is called");
	TAP_OK(process_inner_pid(tree.v[2].pid) == 3, "innermost pid");
	TAP_OK(!process_start_time(root, &start) && start, "start time");
	process_name(tree.v[1].pid, name, sizeof(name));
	TAP_OK(!strcmp(name, ") 1 2 (x"), "command name");
	process_list_free(&tree);
	kill(root, SIGKILL);
	waitpid(root, NULL, 0);
	TAP_OK(process_tree(root, &tree) == -ESRCH, "gone: ESRCH");
	TAP_OK(process_start_time(root, &start) == -ESRCH, "no start time then");
}

int main(void)
{
	test_mappings();
	test_has();
	test_tree();
	return tap_done();
}
