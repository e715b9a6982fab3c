/* SPDX-License-Identifier: GPL-2.0-only */
/* What each run of CRIU's action script does. */
#ifndef MEMFDCR_RESTORE_HOOK_H
#define MEMFDCR_RESTORE_HOOK_H

/*
 * The action script run that CRTOOLS_SCRIPT_ACTION and the rest of the environment name. Returns the exit status for
 * CRIU: 0 go on, 1 stop (only when going on would give wrong data). Stages without work for us: 0.
 */
int hook_run(const char *action);

#endif
