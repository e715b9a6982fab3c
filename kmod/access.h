/* SPDX-License-Identifier: GPL-2.0-only */
/* Who may see what of whom. */
#ifndef MEMFDCR_ACCESS_H
#define MEMFDCR_ACCESS_H

#include <linux/types.h>

struct cred;
struct pid;
struct sk_buff;
struct task_struct;
struct user_namespace;

/**
 * struct memfdcr_access - on whose behalf processes are looked at
 * @skb: the request, which leads to the socket and to whoever opened it
 * @cred: of the sender, when it sent the request
 * @self: the sender's process
 * @plain: the sender has no more privilege than whoever opened the socket
 * @may_wait: it may wait for others, for it holds up nobody: within a dump after its first message
 * @ns: user namespace that was asked about last; NULL: none yet
 * @ns_capable: and the answer
 */
struct memfdcr_access {
	struct sk_buff *skb;
	const struct cred *cred;
	struct pid *self;
	bool plain;
	bool may_wait;
	struct user_namespace *ns;
	bool ns_capable;
};

void memfdcr_access_get(struct memfdcr_access *access, struct sk_buff *skb);
void memfdcr_access_put(struct memfdcr_access *access);
bool memfdcr_access_capable(struct memfdcr_access *access, struct task_struct *process);
struct user_namespace *memfdcr_access_reach(struct memfdcr_access *access, struct task_struct *process);
bool memfdcr_access_to(struct memfdcr_access *access, struct task_struct *process);
int memfdcr_access_lock(struct memfdcr_access *access, struct task_struct *process);
void memfdcr_access_unlock(struct task_struct *process);

#endif
