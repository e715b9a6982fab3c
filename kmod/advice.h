/* SPDX-License-Identifier: GPL-2.0-only */
/* Which madvise() raised an UFFD_EVENT_REMOVE: the event itself does not say. */
#ifndef MEMFDCR_ADVICE_H
#define MEMFDCR_ADVICE_H

#include <linux/list.h>
#include <linux/types.h>

struct mm_struct;
struct uffd_msg;
struct userfaultfd_ctx;

/* an event on its way: raised, and not yet read */
struct memfdcr_event {
	unsigned long start, end;
	unsigned long ino;	/* of the file that is mapped there; 0: none */
	u64 offset;		/* of start in that file, bytes */
	u16 advice;
	bool used;
};

#define MEMFDCR_EVENTS 128

/**
 * struct memfdcr_advice - what is known about the events of one userfaultfd
 * @node: in the table of all
 * @ctx: the userfaultfd
 * @lost: an event could not be noted; from then on nothing is certain
 * @complete: no page is missing any more
 * @events: those on their way; a thread has at most one
 */
struct memfdcr_advice {
	struct hlist_node node;
	const struct userfaultfd_ctx *ctx;
	bool lost;
	bool complete;
	struct memfdcr_event events[MEMFDCR_EVENTS];
};

void memfdcr_advice_exit(void);
int memfdcr_advice_get(void);
void memfdcr_advice_put(void);
u64 memfdcr_advice_now(void);
void memfdcr_advice_add(struct memfdcr_advice *a, const struct userfaultfd_ctx *ctx, u64 since);
void memfdcr_advice_del(struct memfdcr_advice *a);
bool memfdcr_advice_missing(const struct mm_struct *mm);
void memfdcr_advice_take(struct memfdcr_advice *a, struct uffd_msg *msg);

#endif
