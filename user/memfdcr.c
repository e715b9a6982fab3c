// SPDX-License-Identifier: GPL-2.0-only
/* The memfdcr command: finds the sub-command and runs it. */
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "list", cmd_list, "list the shared memory that processes hold, and who holds it" },
	{ "show", cmd_show, "show everything about one piece of it" },
	{ "monitor", cmd_monitor, "tell what processes do to their memory, as it happens" },
	{ "dump", cmd_dump, "write the shared memory of processes into a directory" },
	{ "verify", cmd_verify, "tell whether what dump has written is undamaged" },
	{ "lazy-restore", cmd_lazy_restore, "bring that back into processes, as they need it" },
	{ "status", cmd_status, "tell how far lazy restores are" },
	{ "check", cmd_check, "tell what of memfdcr works on this machine, with remedies" },
	{ "criu-action", cmd_criu_action, "run as CRIU's action script (not by hand)" },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *f)
{
	size_t i;

	fprintf(f, "Usage: memfdcr COMMAND [OPTION]...\n\nShared memory: who holds which, dumps of it, and lazy restores, with CRIU or without.\n\nCommands:\n");
	for (i = 0; i < N_COMMANDS; i++)
		fprintf(f, "  %-12s %s\n", commands[i].name, commands[i].help);
	fprintf(f, "\n  -h, --help     this text\n  -V, --version  the version\n\nSee memfdcr(8).\n");
}

static const struct command *find(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

/* CRIU closes standard input: whatever would be opened next must not take its place */
static void open_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

int main(int argc, char **argv)
{
	/* CRIU runs its action script without arguments: a link named after a sub-command is that sub-command */
	const struct command *command = argc ? find(basename(argv[0])) : NULL;

	open_stdio();
	if (command)
		return command->run(argc, argv);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "-V") || !strcmp(argv[1], "--version")) {
		printf("memfdcr " VERSION "\n");
		return EXIT_DONE;
	}
	command = find(argv[1]);
	if (!command) {
		fprintf(stderr, "memfdcr: unknown command \"%s\"; memfdcr --help lists them\n", argv[1]);
		return EXIT_USAGE;
	}
	return command->run(argc - 1, argv + 1);
}
