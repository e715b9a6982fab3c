// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: reads a space's userfaultfd, keeps the tables true to what fork, mremap and munmap did, and drops what
 * MADV_REMOVE punched. Faults are only put aside here; they are served when all events that could explain them are in.
 *
 * Reading an event lets its cause go on. The pager has one thread and fills nothing between reading an event and
 * applying it, so no fill can be under way that would bring back what is being punched.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "pager/pager-internal.h"

/* Linux 5.18; glibc has it since 2.36 */
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

#define DRAIN_ROUNDS	64		/* reads from one space before the others have their turn */
#define CROSSING_US	1000000		/* events of two threads can be swapped; not further apart than this */

static bool sane(uint64_t start, uint64_t length)
{
	return !((start | length) & ~PAGER_PAGE_MASK) && start + length >= start;
}

/*
 * The child's descriptor must not be lost, whatever memory is left: closing it would give the child zeros. A table
 * can be, ops->resolve makes up for it.
 */
static int apply_fork(struct pager *p, struct space *parent, const struct uffd_msg *msg)
{
	int uffd = (int)msg->arg.fork.ufd;
	struct pager_process process = { 0 };
	struct space *child;
	int flags;

	p->stats.forks++;
	memcpy(process.name, parent->process.name, sizeof(process.name));
	for (int tries = 0; !(child = space_new(p, &process, uffd)); tries++) {
		int err = errno;

		if (tries == 500) {
			pager_log(p, LOG_ERR, "%s: cannot take on a forked child: %s", parent->name, strerror(err));
			return -err;
		}
		pager_sleep_ms(10);
	}
	/* inherited from the parent's descriptor, but a blocking one would stop everybody */
	flags = fcntl(uffd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK))
		fcntl(uffd, F_SETFL, flags | O_NONBLOCK);

	child->parent = parent->number;
	child->forked = true;
	child->doubtful = parent->doubtful || (parent->moved_us && child->born_us - parent->moved_us < CROSSING_US);
	p->fork_us = child->born_us;
	if (space_copy_table(child, parent))
		pager_log(p, LOG_WARNING, "%s: no memory for the table of a forked child", parent->name);
	if (p->ops.forked)
		p->ops.forked(p->data, parent->number, child->number);
	told_event(p, child);
	return 0;
}

/* a fork event that came shortly before this may belong behind it */
static void note_move(struct pager *p, struct space *s)
{
	s->moved_us = pager_now_us();
	if (!p->fork_us || s->moved_us - p->fork_us >= CROSSING_US)
		return;
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		struct space *child = p->spaces[i];

		if (child->forked && child->parent == s->number && s->moved_us - child->born_us < CROSSING_US)
			child->doubtful = true;
	}
}

static void apply_remap(struct pager *p, struct space *s, const struct uffd_msg *msg)
{
	uint64_t from = msg->arg.remap.from, to = msg->arg.remap.to, length = msg->arg.remap.len;

	p->stats.remaps++;
	note_move(p, s);
	/*
	 * Length 0: a second mapping of the same pages, of a size that the event does not tell. The first fault in it
	 * asks ops->resolve.
	 */
	if (!length)
		return;
	if (!sane(from, length) || !sane(to, length)) {
		pager_log(p, LOG_WARNING, "%s: remap event out of range ignored", s->name);
		return;
	}
	space_move(s, from, to, length, !p->ops.resolve);
	s->was_remap = true;
	s->remap_from = from;
	s->remap_to = to;
	s->remap_length = length;
}

static void apply_unmap(struct pager *p, struct space *s, const struct uffd_msg *msg)
{
	uint64_t start = msg->arg.remove.start, end = msg->arg.remove.end;

	p->stats.unmaps++;
	note_move(p, s);
	if (start >= end)
		return;
	/*
	 * A remap that also shrinks: older kernels report the old length as moved, then the tail as unmapped at its old
	 * place. The table has that tail at the new place, where it never was.
	 */
	if (s->was_remap && start > s->remap_from && end == s->remap_from + s->remap_length)
		space_cut(s, s->remap_to + (start - s->remap_from), s->remap_to + s->remap_length);
	if (space_cut(s, start, end))
		pager_log(p, LOG_WARNING, "%s: no memory for splitting a range", s->name);
}

static int drop_range(struct pager *p, struct space *s, unsigned int object, uint64_t offset, uint64_t length)
{
	struct object *o;
	int seals;

	if (object >= p->n_objects || !sane(offset, length)) {
		pager_log(p, LOG_ERR, "%s: nonsense told about MADV_REMOVE", s->name);
		return -EINVAL;
	}
	o = p->objects[object];
	/* madvise() tells us before it asks the object, and a sealed one refuses */
	seals = fcntl(o->fd, F_GET_SEALS);
	if (seals >= 0 && seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return 0;
	return object_punch(p, o, offset, length);
}

/*
 * Which object was at start must be certain: with the wrong one, bytes would be dropped that nobody punched, and old
 * ones brought back where they were. A table that is in doubt, or says nothing, is not enough; and to look at the
 * space now is too late, for whoever called madvise() goes on already.
 */
static int punch(struct pager *p, struct space *s, uint64_t start, uint64_t end)
{
	int rc = 0;

	while (!rc && start < end) {
		const struct pager_range *known = space_find(s, start);
		uint64_t to;

		if (!known || s->doubtful) {
			pager_log(p, LOG_ERR, "%s: MADV_REMOVE at %llx: cannot tell which object was there", s->name,
				  (unsigned long long)start);
			return -EOPNOTSUPP;
		}
		to = known->end < end ? known->end : end;
		rc = drop_range(p, s, known->object, known->offset + (start - known->start), to - start);
		start = to;
	}
	return rc;
}

/*
 * MADV_DONTNEED and MADV_REMOVE look alike. After the one the object keeps its bytes, and the image's are still to
 * come; after the other they are zeros for ever.
 */
static int apply_remove(struct pager *p, struct space *s, const struct uffd_msg *msg)
{
	uint64_t start = msg->arg.remove.start, end = msg->arg.remove.end, offset = 0;
	unsigned int object = UINT_MAX;
	int advice;

	p->stats.removes++;
	/* nothing left that could be dropped: the answer does not matter, and at the end there may be nobody to ask */
	if (!p->left)
		return 0;
	advice = p->ops.advice ? p->ops.advice(p->data, s->number, msg, &object, &offset) : -ENOSYS;
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
		return 0;
	case MADV_REMOVE:
		if (start >= end || !sane(start, end - start))
			return 0;
		if (object != UINT_MAX)
			return drop_range(p, s, object, offset, end - start);
		return punch(p, s, start, end);
	default:
		pager_log(p, LOG_ERR, "%s: memory at %llx was dropped and nobody knows whether by MADV_REMOVE", s->name,
			  (unsigned long long)start);
		return -EOPNOTSUPP;
	}
}

static int apply(struct pager *p, struct space *s, const struct uffd_msg *msg)
{
	bool was_remap = s->was_remap;
	int rc = 0;

	s->was_remap = false;
	switch (msg->event) {
	case UFFD_EVENT_FORK:
		rc = apply_fork(p, s, msg);
		break;
	case UFFD_EVENT_REMAP:
		apply_remap(p, s, msg);
		break;
	case UFFD_EVENT_UNMAP:
		s->was_remap = was_remap;
		apply_unmap(p, s, msg);
		s->was_remap = false;
		break;
	case UFFD_EVENT_REMOVE:
		rc = apply_remove(p, s, msg);
		break;
	default:
		pager_log(p, LOG_WARNING, "%s: unknown userfaultfd event %#x ignored", s->name, msg->event);
		s->was_remap = was_remap;
	}
	return rc;
}

static bool room_for_faults(struct pager *p, size_t n)
{
	struct fault *faults;
	size_t max = p->max_faults ? p->max_faults : 1024;

	if (p->n_faults + n <= p->max_faults)
		return true;
	while (max < p->n_faults + n)
		max *= 2;
	faults = realloc(p->faults, max * sizeof(*faults));
	if (!faults)
		return false;
	p->faults = faults;
	p->max_faults = max;
	return true;
}

/* reads what space s has to say: events take effect at once, faults are queued */
int event_drain(struct pager *p, struct space *s)
{
	struct uffd_msg msgs[PAGER_BATCH];

	for (int round = 0; round < DRAIN_ROUNDS && !s->dead; round++) {
		ssize_t n;

		/* a message once read must be answered, so there must be room for it */
		if (!room_for_faults(p, PAGER_BATCH)) {
			p->starved = true;
			return 0;
		}
		n = read(s->uffd, msgs, sizeof(msgs));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		/* no descriptor for a forked child: the event stays queued, and the parent in fork() */
		if (n < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) {
			if (!p->starved_logged)
				pager_log(p, LOG_WARNING, "%s: a fork has to wait: %s", s->name, strerror(errno));
			p->starved_logged = true;
			p->starved = true;
			return 0;
		}
		if (n <= 0 || n % (ssize_t)sizeof(msgs[0])) {
			int err = n < 0 ? errno : EPROTO;

			pager_log(p, LOG_ERR, "%s: reading the userfaultfd: %s", s->name, strerror(err));
			return -err;
		}
		for (size_t i = 0; i < (size_t)n / sizeof(msgs[0]); i++) {
			const struct uffd_msg *msg = &msgs[i];
			int rc;

			if (msg->event == UFFD_EVENT_PAGEFAULT) {
				p->faults[p->n_faults++] = (struct fault){
					.space = s,
					.address = msg->arg.pagefault.address & PAGER_PAGE_MASK,
					.tid = (pid_t)msg->arg.pagefault.feat.ptid,
				};
				continue;
			}
			rc = apply(p, s, msg);
			if (rc)
				return rc;
		}
		/* a batch that is not full means that there was nothing more */
		if ((size_t)n < sizeof(msgs))
			return 0;
	}
	return 0;
}
