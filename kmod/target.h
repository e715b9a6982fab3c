/* SPDX-License-Identifier: GPL-2.0-only */
/* The process a request is about: found and authorised through an open /proc/PID/mem descriptor. */
#ifndef MEMFDCR_TARGET_H
#define MEMFDCR_TARGET_H

#include <linux/types.h>

struct genl_info;
struct mm_struct;
struct nlattr;
struct sk_buff;
struct task_struct;

int memfdcr_target_init(void);
void memfdcr_target_exit(void);
struct mm_struct *memfdcr_target_get(struct sk_buff *skb, struct genl_info *info, struct nlattr *attr,
				     bool user_mode_only, bool guard);
bool memfdcr_target_opens(struct task_struct *process);

#endif
