/* SPDX-License-Identifier: GPL-2.0-only */
/* What a watch tells, from where it happens to the socket that wants to know. */
#ifndef MEMFDCR_EVENTS_H
#define MEMFDCR_EVENTS_H

#include <linux/limits.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct net;
struct sock;

/* userfaultfds that one event can name */
#define MEMFDCR_EVENT_UFFDS 4

#define MEMFDCR_NO_PLACE U64_MAX

/**
 * struct memfdcr_event_ntf - something that a watched process did
 * @command: MEMFDCR_CMD_..._NTF
 * @pid: process, in the pid namespace of the watch
 * @tid: thread
 * @time: nanoseconds, CLOCK_MONOTONIC; the queue sets it when it gives the event its place
 * @last: nobody is watched any more
 */
struct memfdcr_event_ntf {
	u8 command;
	bool last;
	pid_t pid, tid;
	u64 time;
	union {
		struct {
			pid_t pid;
			u16 n_uffds;
			bool same_memory, hidden;
			u64 start_time;
			u64 uffd[MEMFDCR_EVENT_UFFDS];
		} child;
		struct {
			bool hidden;
		} exec;
		struct {
			u32 code, signal;
		} exit;
		struct {
			u64 old, new, old_length, new_length;
			u32 flags;
		} mremap;
		struct {
			u64 start, end;
			u32 cause;
		} unmap;
		u64 lost;
	};
};

/* what fills a place in the queue that was reserved */
enum memfdcr_place { MEMFDCR_PLACE_OPEN, MEMFDCR_PLACE_FILLED, MEMFDCR_PLACE_VOID };

struct memfdcr_queued {
	struct memfdcr_event_ntf event;
	enum memfdcr_place place;
};

/**
 * struct memfdcr_events - the queue of one watch
 * @lock: all below; taken in probes
 * @ring: places; NULL once nothing is told any more
 * @size: how many; a power of two
 * @head: number of the next place to be taken
 * @tail: number of the oldest place that has not been told
 * @lost: events that found no place, since the last that did
 * @lost_last: one of them was the last of all
 * @sequence: of the last notification
 * @watch: the watch's number
 * @net: where the socket is
 * @portid: the socket's number there
 * @sk: the socket
 * @begun: what is queued may be told
 * @gone: the socket does not want to know any more
 * @deliver: tells them
 * @hurry: does not let it wait for ever for a place to be filled
 */
struct memfdcr_events {
	raw_spinlock_t lock;
	struct memfdcr_queued *ring;
	u32 size;
	u64 head, tail;
	u64 lost;
	bool lost_last;
	u64 sequence;
	u32 watch;
	struct net *net;
	u32 portid;
	struct sock *sk;
	bool begun, gone;
	struct delayed_work deliver, hurry;
};

int memfdcr_events_init(struct memfdcr_events *q, u32 watch, u32 size, struct net *net, u32 portid,
			struct sock *sk);
void memfdcr_events_begin(struct memfdcr_events *q);
void memfdcr_events_stop(struct memfdcr_events *q);
void memfdcr_events_free(struct memfdcr_events *q);
void memfdcr_events_add(struct memfdcr_events *q, const struct memfdcr_event_ntf *event);
void memfdcr_events_lose(struct memfdcr_events *q);
u64 memfdcr_events_reserve(struct memfdcr_events *q);
void memfdcr_events_fill(struct memfdcr_events *q, u64 place, const struct memfdcr_event_ntf *event);
int memfdcr_events_module_init(void);
void memfdcr_events_module_exit(void);

#endif
