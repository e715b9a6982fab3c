/* SPDX-License-Identifier: GPL-2.0-only */
/* What happens to the address space of a process in a watch. */
#ifndef MEMFDCR_SPACE_H
#define MEMFDCR_SPACE_H

struct memfdcr_member;
struct mm_struct;
struct task_struct;

int memfdcr_spaces_init(void);
void memfdcr_spaces_drain(void);
void memfdcr_space_prepare(struct memfdcr_member *m);
int memfdcr_space_attach(struct memfdcr_member *m, struct mm_struct *mm, long *patience);
void memfdcr_space_attach_soon(struct memfdcr_member *m, struct task_struct *t);
void memfdcr_space_detach(struct memfdcr_member *m);

#endif
