/* SPDX-License-Identifier: GPL-2.0-only */
/* The holders of one process: its descriptors and mappings of objects. */
#ifndef MEMFDCR_HOLDER_H
#define MEMFDCR_HOLDER_H

#include <linux/types.h>

struct file;
struct mm_struct;
struct pid_namespace;
struct sk_buff;
struct task_struct;
struct vm_area_struct;

/**
 * struct memfdcr_holder - a descriptor or a mapping of an object
 * @kind: of the object, MEMFDCR_KIND_...
 * @file: open file description
 * @pid: process, in the reader's pid namespace
 * @tid: thread that has the descriptor, where the first thread does not; 0: the first has it
 * @vma: the mapping; NULL: a descriptor
 * @fd: the descriptor
 * @cloexec: it is closed by execve()
 * @table: descriptors or memory that it belongs to; only compared
 */
struct memfdcr_holder {
	unsigned int kind;
	const struct file *file;
	pid_t pid;
	pid_t tid;
	const struct vm_area_struct *vma;
	unsigned int fd;
	bool cloexec;
	const void *table;
};

/**
 * struct memfdcr_visitor - who is told what a process has
 * @holder: told each holder, with locks held: must not sleep. 0: go on; anything else: stop here, and come back to this
 *	holder the next time.
 * @table: asked before a table of descriptors of the process is looked at that is not its first thread's own; more
 *	than one thread may have it. 1: look; 0: pass it by; anything else: stop here. May be called again for the same one.
 */
struct memfdcr_visitor {
	int (*holder)(void *data, const struct memfdcr_holder *holder);
	int (*table)(void *data, const void *table, pid_t tid);
	void *data;
};

/**
 * struct memfdcr_visit - where a visit of a process has got to; zeroed at its beginning
 * @stage: which part is next
 * @thread: whose descriptors are being looked at, with a reference; NULL: the first one's
 * @fd: descriptor to go on with
 * @address: address to go on with
 */
struct memfdcr_visit {
	unsigned int stage;
	struct task_struct *thread;
	unsigned int fd;
	unsigned long address;
};

int memfdcr_visit(struct memfdcr_visit *v, struct task_struct *process, struct pid_namespace *ns,
		  const struct memfdcr_visitor *visitor);
void memfdcr_visit_end(struct memfdcr_visit *v);
int memfdcr_holder_put(struct sk_buff *skb, const struct memfdcr_holder *holder);
struct task_struct *memfdcr_first_with_files(struct task_struct *process);
struct mm_struct *memfdcr_process_mm(struct task_struct *process);
bool memfdcr_is_private(struct vm_area_struct *vma);
unsigned int memfdcr_uffd_modes(const struct vm_area_struct *vma);

#endif
