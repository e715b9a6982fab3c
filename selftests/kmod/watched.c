// SPDX-License-Identifier: GPL-2.0-only
/* What watched processes do, in a place of their own; nothing but system calls once they are watched. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>

#include "watched.h"

void at_step(int n)
{
	while (board->step < n)
		usleep(1000);
}

void map(unsigned long first, unsigned long n)
{
	if (mmap(PLACE(first), n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
	    PLACE(first))
		_exit(90);
}

void unmap(unsigned long first, unsigned long n)
{
	if (munmap(PLACE(first), n * PAGE))
		_exit(91);
}

/* where this program goes on after execve(); the first thing that it does in the arena is unmapping */
__attribute__((constructor)) static void after_exec(void)
{
	const char *what = getenv("WATCH_TEST_AFTER_EXEC");

	if (!what)
		return;
	map(1, 2);
	unmap(1, 1);
	_exit(atoi(what));
}

void exec_self(const char *code)
{
	char variable[64];

	snprintf(variable, sizeof(variable), "WATCH_TEST_AFTER_EXEC=%s", code);
	execve("/proc/self/exe", (char *[]){ "watch_test", NULL }, (char *[]){ variable, NULL });
	_exit(92);
}

/* one page after the other, so that each place is known */
static int storm(void *arg)
{
	at_step(1);
	for (unsigned long i = 0; i < STORM; i++)
		munmap(PLACE(i), PAGE);
	return 0;
}

pid_t start_storm(void)
{
	if (mmap(ARENA, STORM * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) !=
	    ARENA) {
		perror("mmap");
		_exit(90);
	}
	return process_start(storm, NULL);
}
