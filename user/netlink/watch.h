/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's watch over processes: what they do, as structures, in the order in which it happened. */
#ifndef MEMFDCR_NETLINK_WATCH_H
#define MEMFDCR_NETLINK_WATCH_H

#include <linux/memfdcr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch;

/* a command that the module does not have: notifications are missing and it has not told so */
#define WATCH_GAP 0

/* something that happened; what docs/netlink/memfdcr.yaml says of the attributes holds for the members */
struct watch_event {
	uint8_t command;	/* MEMFDCR_CMD_..._NTF, or WATCH_GAP */
	bool last;		/* nobody is watched any more, in whatever event it comes */
	uint64_t sequence;
	uint64_t time;		/* ns, CLOCK_MONOTONIC; of a gap, when what comes behind it happened */
	uint32_t pid, tid;	/* tid 0: another process did it; both 0 in overruns and gaps */
	union {
		struct {
			uint32_t pid;
			bool same_memory;	/* vfork(), CLONE_VM: the address space is the parent's */
			bool hidden;		/* of this child nothing is told, though a tree is watched */
			uint64_t start_time;	/* clock ticks, as in /proc/PID/stat */
			const uint64_t *uffds;	/* until the callback returns */
			size_t n_uffds;
		} child;
		struct {
			bool hidden;		/* of this process nothing is told any more */
		} exec;
		struct {
			uint32_t code, signal;
		} exit;
		struct {
			uint64_t old, new, old_length, new_length;
			uint32_t flags;		/* MREMAP_ */
		} mremap;
		struct {
			uint64_t start, end;
			uint32_t cause;		/* MEMFDCR_CAUSE_ */
		} unmap;
		uint64_t lost;		/* of an overrun and of a gap: how many events */
	};
};

/* must not call watch functions */
typedef void watch_callback(const struct watch_event *e, void *data);

/*
 * A socket for one watch, which has no events yet: those of the watch are given to callback, from within the functions
 * below. NULL with errno and genl_error() as genl_open().
 */
struct watch *watch_open(watch_callback *callback, void *data);

/* ends the watch, too */
void watch_close(struct watch *w);

/* all of these return 0 or a negative errno with the reason in genl_error(); EPROTONOSUPPORT: the module is too old */

/*
 * Watches the process pid, with tree also all its descendants; once. limit: how many events the module keeps for us
 * while we are slow, 0: as many as it thinks fit. EBUSY: a process's memory is locked for longer than some seconds.
 */
int watch_start(struct watch *w, uint32_t pid, bool tree, uint32_t limit);

/* ends the watch and gives what has been received until then */
int watch_stop(struct watch *w);

/* readable when there is something for watch_read(), which takes some of it; -EAGAIN: there is nothing */
int watch_fd(const struct watch *w);
int watch_read(struct watch *w);

#endif
