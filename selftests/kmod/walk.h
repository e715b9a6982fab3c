/* SPDX-License-Identifier: GPL-2.0-only */
/* What /proc and the system calls say of the objects that processes hold: the module must say the same. */
#ifndef WALK_H
#define WALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "held.h"

/* each adds to held; processes that are gone meanwhile add nothing */
void walk_process(struct held *held, pid_t pid);
void walk_tree(struct held *held, pid_t pid);
void walk_all(struct held *held);

/* the object that is open behind this path (/proc/PID/fd/N, /proc/PID/map_files/A-B); false: none */
bool walk_object(const char *path, struct object *object);

/* every process of the machine, as /proc has them; returns how many, at most max */
size_t walk_pids(pid_t *pids, size_t max);
bool walk_generation(const char *path, uint32_t *generation);

#endif
