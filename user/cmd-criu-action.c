// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr criu-action: CRIU's action script; everything it is told is in its environment. */
#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "restore/hook.h"

int cmd_criu_action(int argc, char **argv)
{
	const char *action = getenv("CRTOOLS_SCRIPT_ACTION");

	if (argc > 1 || !action) {
		fprintf(stderr,
			"memfdcr: %s is run by CRIU and takes no arguments; put this line into /etc/criu/default.conf:\n"
			"action-script " HOOK_PATH "\n", argv[0]);
		return EXIT_USAGE;
	}
	return hook_run(action);
}
