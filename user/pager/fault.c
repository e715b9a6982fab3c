// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults: finds the page that a thread waits for, has it brought in, and wakes the thread.
 *
 * Content always comes by object and offset, so a table that is wrong costs time (the thread faults again), never
 * correct bytes. A thread that faults at one place again and again is what gives a wrong table away.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "pager/pager-internal.h"

#define DISTRUST_AFTER	3	/* fruitless faults of a thread at one address, then ops->resolve is asked */
#define DELAY_AFTER	4	/* and then the thread is woken late, so that it does not keep a processor busy */
#define DELAY_FIRST_US	1000
#define DELAY_MAX_US	256000

/* by the owner's books; what comes back is checked, for it decides what is written where */
int fault_resolve(struct pager *p, struct space *s, pid_t tid, uint64_t address, struct pager_range *range)
{
	int rc;

	if (!p->ops.resolve)
		return -ENOENT;
	memset(range, 0, sizeof(*range));
	rc = p->ops.resolve(p->data, s->number, tid, address, range);
	if (rc)
		return rc < 0 ? rc : -EINVAL;
	if (range->object >= p->n_objects || range->start > address || range->end <= address ||
	    (range->start | range->end | range->offset) & ~PAGER_PAGE_MASK ||
	    range->offset + (range->end - range->start) < range->offset) {
		pager_log(p, LOG_WARNING, "%s: nonsense told about address %llx", s->name, (unsigned long long)address);
		return -EINVAL;
	}
	return 0;
}

static struct seen *seen_slot(struct pager *p, const struct fault *f)
{
	uint64_t hash = (f->address >> PAGER_PAGE_SHIFT) * 0x9e3779b97f4a7c15ULL;

	hash ^= ((uint64_t)f->tid * 2654435761ULL) ^ ((uint64_t)f->space->number << 7);
	hash ^= hash >> 29;
	return &p->seen[hash % PAGER_SEEN];
}

static bool seen_matches(const struct seen *seen, const struct fault *f)
{
	return seen->count && seen->space == f->space->number && seen->tid == f->tid && seen->address == f->address;
}

/* how often this thread came here for nothing, before this time */
static unsigned int seen_count(struct pager *p, const struct fault *f)
{
	const struct seen *seen = seen_slot(p, f);

	return seen_matches(seen, f) ? seen->count : 0;
}

static void seen_note(struct pager *p, const struct fault *f, bool fruitless)
{
	struct seen *seen = seen_slot(p, f);

	if (seen_matches(seen, f))
		seen->count = fruitless ? seen->count + !!(seen->count < 64) : 0;
	else if (fruitless)
		*seen = (struct seen){ f->space->number, f->tid, f->address, 1 };
}

/* wakes the thread, later if it was here too often */
static void wake(struct pager *p, const struct fault *f, unsigned int count)
{
	uint64_t delay = DELAY_FIRST_US;

	if (count < DELAY_AFTER || p->n_delayed == PAGER_DELAYED) {
		space_wake(f->space, f->address);
		return;
	}
	for (count -= DELAY_AFTER; count && delay < DELAY_MAX_US; count--)
		delay *= 2;
	if (delay > DELAY_MAX_US)
		delay = DELAY_MAX_US;
	p->delayed[p->n_delayed++] = (struct delayed_wake){ f->space, f->address, pager_now_us() + delay };
}

void fault_wake_delayed(struct pager *p, uint64_t now)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < p->n_delayed; i++) {
		if (p->delayed[i].due_us > now)
			p->delayed[kept++] = p->delayed[i];
		else
			space_wake(p->delayed[i].space, p->delayed[i].address);
	}
	p->n_delayed = kept;
}

void fault_forget_space(struct pager *p, const struct space *s)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < p->n_delayed; i++)
		if (p->delayed[i].space != s)
			p->delayed[kept++] = p->delayed[i];
	p->n_delayed = kept;
}

static uint64_t page_at(const struct object *o, const struct pager_range *r, uint64_t address)
{
	return (r->offset + (address - r->start)) >> o->shift;
}

/*
 * The image has page, which f waits for, and has it wrong: the thread must not go on. A wrong table would make it pay
 * for a page that is not its own, so the owner's books decide. What changes after the look at them the kernel knows,
 * and refuses until the event has been read.
 */
static int refuse(struct pager *p, const struct fault *f, struct object *o, uint64_t page, unsigned int count)
{
	struct pager_range r;
	int rc = -EAGAIN;

	if (!p->ops.resolve) {
		rc = 0;
	} else if (!fault_resolve(p, f->space, f->tid, f->address, &r)) {
		space_insert(f->space, &r);
		if (r.object == o->number && page_at(o, &r, f->address) == page)
			rc = 0;
	}
	if (!rc)
		rc = damage_refuse(p, f->space, o, page, f->address);
	if (rc && rc != -EAGAIN)
		return rc;
	o->stats.faults++;
	o->stats.faults_damaged += !rc;
	/* one that was abandoned has no userfaultfd any more */
	if (f->space->dead)
		return 0;
	seen_note(p, f, rc);
	wake(p, f, rc ? count : 0);
	return 0;
}

/* the page that f waits for first, then its thread may go on while its neighbours come in */
static int bring_in(struct pager *p, const struct fault *f, struct object *o, uint64_t page, unsigned int count)
{
	uint64_t cluster = object_pages(o, p->cluster_pages), low = page & ~(cluster - 1);
	struct run run = object_run(p, o, page, low, low + cluster);
	uint64_t before = page - run.first;
	const unsigned char *buffer;
	int rc;

	rc = object_read(p, o, run, &buffer);
	if (!rc && object_is_damaged(o, page))
		return refuse(p, f, o, page, count);
	if (!rc)
		rc = object_copy(p, o, page, 1, buffer + (before << o->shift), &o->stats.bytes_by_fault);
	if (rc)
		return rc;
	seen_note(p, f, false);
	wake(p, f, count);
	o->stats.faults++;

	/* no memory for the neighbours is no reason to serve this fault again */
	rc = object_copy(p, o, page + 1, run.count - before - 1, buffer + ((before + 1) << o->shift),
			 &o->stats.bytes_by_fault);
	if (!rc)
		rc = object_copy(p, o, run.first, before, buffer, &o->stats.bytes_by_fault);
	object_forget_ptes(o, run.first, run.count);
	return rc == PAGER_LATER ? 0 : rc;
}

static int serve(struct pager *p, const struct fault *f)
{
	unsigned int count = seen_count(p, f);
	const struct pager_range *known = space_find(f->space, f->address);
	struct pager_range r = { 0 };
	bool have = known, done;
	struct object *o;
	uint64_t page;
	int rc;

	if (known)
		r = *known;
	if (!known || count >= DISTRUST_AFTER) {
		rc = fault_resolve(p, f->space, f->tid, f->address, &r);
		have = !rc;
		if (!rc) {
			p->stats.faults_resolved++;
			/* not remembered for want of memory: asked again next time */
			space_insert(f->space, &r);
		} else if (known && !p->ops.resolve) {
			have = true;
			r = *known;
		}
	}
	if (!have) {
		/*
		 * Unmapped or replaced since the thread faulted: it looks again and fares as it must. Or moved, with the
		 * event still on its way: the thread comes back, and by then the event is here.
		 */
		seen_note(p, f, true);
		wake(p, f, count);
		p->stats.faults++;
		return 0;
	}

	o = p->objects[r.object];
	page = page_at(o, &r, f->address);
	if (object_is_damaged(o, page))
		return refuse(p, f, o, page, count);
	if (object_needs(o, page))
		return bring_in(p, f, o, page, count);

	rc = object_zero(p, o, page, &done);
	if (rc)
		return rc;
	seen_note(p, f, !done);
	wake(p, f, done ? 0 : count);
	if (done) {
		o->stats.faults_zero++;
		object_forget_ptes(o, page, 1);
	}
	o->stats.faults++;
	return 0;
}

/* answers what is queued; PAGER_LATER leaves the rest in the queue */
int fault_serve_all(struct pager *p)
{
	size_t i;
	int rc = 0;

	if (!p->n_faults)
		return 0;
	for (i = 0; i < p->n_faults && !rc; i++)
		if (!p->faults[i].space->dead)
			rc = serve(p, &p->faults[i]);
	if (rc)
		i--;
	memmove(p->faults, p->faults + i, (p->n_faults - i) * sizeof(*p->faults));
	p->n_faults -= i;
	return rc;
}
