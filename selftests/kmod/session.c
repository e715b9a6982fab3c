// SPDX-License-Identifier: GPL-2.0-only
/* All processes of one session: to end them, and to say where in the kernel those are that do not end. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

#include "process.h"
#include "session.h"

static int for_each(pid_t session, void (*fn)(pid_t pid))
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name);

		if (pid <= 0 || pid == getpid() || process_stat(pid, STAT_SESSION) != session)
			continue;
		fn(pid);
		n++;
	}
	closedir(dir);
	return n;
}

static void kill_one(pid_t pid)
{
	kill(pid, SIGKILL);
}

int session_kill(pid_t session)
{
	return for_each(session, kill_one);
}

static void print_file(pid_t pid, const char *name, const char *begin)
{
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, begin, strlen(begin)))
			printf("#   %s", line);
	if (file)
		fclose(file);
}

static void print_one(pid_t pid)
{
	printf("# process %d:\n", pid);
	print_file(pid, "status", "Name:");
	print_file(pid, "status", "State:");
	print_file(pid, "status", "PPid:");
	print_file(pid, "stack", "");
	fflush(stdout);
}

void session_print(pid_t session)
{
	for_each(session, print_one);
}

bool session_end(pid_t session, int milliseconds)
{
	pid_t pid;

	for (; milliseconds > 0; milliseconds -= 10) {
		session_kill(session);
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return true;
		usleep(10000);
	}
	printf("# these do not end:\n");
	session_print(session);
	return false;
}
