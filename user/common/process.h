/* SPDX-License-Identifier: GPL-2.0-only */
/* What /proc tells of other processes: trees, pids in namespaces, mappings. */
#ifndef MEMFDCR_COMMON_PROCESS_H
#define MEMFDCR_COMMON_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* one process of a tree */
struct process {
	pid_t pid;	/* in the pid namespace of /proc */
	pid_t vpid;	/* in the pid namespace of the tree's root */
};

struct process_list {
	struct process *v;
	size_t n;
};

/* one line of /proc/PID/maps */
struct mapping {
	uint64_t start, end;
	uint64_t offset;	/* bytes */
	bool shared;
	uint64_t dev, ino;	/* dev as st_dev has it */
};

struct mapping_list {
	struct mapping *v;	/* sorted by start */
	size_t n;
};

/* the process root and all its descendants. 0 or a negative errno (ESRCH: there is no such process) */
int process_tree(pid_t root, struct process_list *list);
void process_list_free(struct process_list *list);

/* when the process began, in clock ticks after boot: with the pid, its identity. 0 or a negative errno */
int process_start_time(pid_t pid, unsigned long long *start);

/* pid of the parent, 0 when it cannot be told */
pid_t process_parent(pid_t pid);

/* the command name, for messages; always terminated, "?" if the process is gone */
void process_name(pid_t pid, char *name, size_t size);

/* the innermost pid of the process: what gettid() gives in its own pid namespace; 0 when it cannot be told */
pid_t process_inner_pid(pid_t pid);

/* 0 or a negative errno (ESRCH, EACCES) */
int process_mappings(pid_t pid, struct mapping_list *list);
void mapping_list_free(struct mapping_list *list);

/* the mapping that holds addr, or NULL */
const struct mapping *mapping_at(const struct mapping_list *list, uint64_t addr);

/*
 * Whether one of the files that the process has open, by any of its threads, or mapped is one of those that is() tells by
 * device and inode: 1, 0, or a negative errno (ESRCH, EACCES). Descriptors on their way through a socket count as nobody's.
 */
int process_has(pid_t pid, bool (*is)(void *data, uint64_t dev, uint64_t ino), void *data);

/* Moves the calling process into the memory cgroup of pid. 0 or a negative errno (EBUSY: who is in there is frozen). */
int process_join_cgroup(pid_t pid);

/*
 * Whether the thread is in a group that the freezer of cgroups version 1 has frozen, out of which no signal and no
 * tracer gets it. What version 2 has frozen can be traced as everybody else.
 */
bool process_is_frozen(pid_t tid);

#endif
