/* SPDX-License-Identifier: GPL-2.0-only */
/* Fork, exec and exit of processes in watches: called in tracepoints. */
#ifndef MEMFDCR_LIFE_H
#define MEMFDCR_LIFE_H

#include <linux/types.h>

struct linux_binprm;
struct task_struct;

void memfdcr_life_fork(void *data, struct task_struct *parent, struct task_struct *child);
void memfdcr_life_exec(void *data, struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm);
void memfdcr_life_exit(struct task_struct *p);

#endif
