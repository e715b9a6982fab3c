/* SPDX-License-Identifier: GPL-2.0-only */
/* The sub-commands, one cmd-NAME.c each, and the exit statuses they share. */
#ifndef MEMFDCR_COMMANDS_H
#define MEMFDCR_COMMANDS_H

enum exit_status {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_MODULE = 3,	/* absent or too old */
	EXIT_PARTIAL = 4,	/* nothing matched, or not all */
};

/* argv[0] is the sub-command's name; all return an exit status */
int cmd_check(int argc, char **argv);
int cmd_criu_action(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_lazy_restore(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_show(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_verify(int argc, char **argv);

#endif
