// SPDX-License-Identifier: GPL-2.0-only
/*
 * Spaces: the userfaultfd of one address space, and the table of which of its ranges map which object.
 *
 * A table may lose an entry (no memory for it, or an event that is in doubt), never gain a wrong one knowingly: what
 * a table does not explain, ops->resolve does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>
#include <unistd.h>

#include "pager/pager-internal.h"

/* index of the first range that ends beyond address */
size_t space_find_next(const struct space *s, uint64_t address)
{
	size_t low = 0, high = s->n_ranges;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->ranges[mid].end <= address)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct pager_range *space_find(const struct space *s, uint64_t address)
{
	size_t i = space_find_next(s, address);

	return i < s->n_ranges && s->ranges[i].start <= address ? &s->ranges[i] : NULL;
}

static int reserve(struct space *s, size_t n)
{
	struct pager_range *ranges;
	size_t max = s->max_ranges ? s->max_ranges : 8;

	if (n <= s->max_ranges)
		return 0;
	while (max < n)
		max *= 2;
	ranges = realloc(s->ranges, max * sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	s->ranges = ranges;
	s->max_ranges = max;
	return 0;
}

static void set_start(struct pager_range *r, uint64_t start)
{
	r->offset += start - r->start;
	r->start = start;
}

/* takes [start, end) out of the table; -ENOMEM: what lay behind it in the same range is lost as well */
int space_cut(struct space *s, uint64_t start, uint64_t end)
{
	size_t i = space_find_next(s, start), last;

	if (i == s->n_ranges || start >= end)
		return 0;
	if (s->ranges[i].start < start && s->ranges[i].end > end) {
		if (reserve(s, s->n_ranges + 1)) {
			s->ranges[i].end = start;
			return -ENOMEM;
		}
		memmove(&s->ranges[i + 1], &s->ranges[i], (s->n_ranges - i) * sizeof(*s->ranges));
		s->n_ranges++;
		s->ranges[i].end = start;
		set_start(&s->ranges[i + 1], end);
		return 0;
	}
	if (s->ranges[i].start < start)
		s->ranges[i++].end = start;
	for (last = i; last < s->n_ranges && s->ranges[last].end <= end; last++)
		;
	memmove(&s->ranges[i], &s->ranges[last], (s->n_ranges - last) * sizeof(*s->ranges));
	s->n_ranges -= last - i;
	if (i < s->n_ranges && s->ranges[i].start < end)
		set_start(&s->ranges[i], end);
	return 0;
}

static bool joins(const struct pager_range *a, const struct pager_range *b)
{
	return a->end == b->start && a->object == b->object && a->offset + (a->end - a->start) == b->offset;
}

/* makes the table say what range says, whatever it said there before */
int space_insert(struct space *s, const struct pager_range *range)
{
	struct pager_range r = *range;
	size_t i;

	if (r.start >= r.end)
		return 0;
	if (reserve(s, s->n_ranges + 2))
		return -ENOMEM;
	space_cut(s, r.start, r.end);
	i = space_find_next(s, r.start);
	if (i > 0 && joins(&s->ranges[i - 1], &r)) {
		s->ranges[i - 1].end = r.end;
		i--;
	} else {
		memmove(&s->ranges[i + 1], &s->ranges[i], (s->n_ranges - i) * sizeof(*s->ranges));
		s->n_ranges++;
		s->ranges[i] = r;
	}
	if (i + 1 < s->n_ranges && joins(&s->ranges[i], &s->ranges[i + 1])) {
		s->ranges[i].end = s->ranges[i + 1].end;
		s->n_ranges--;
		memmove(&s->ranges[i + 1], &s->ranges[i + 2], (s->n_ranges - i - 1) * sizeof(*s->ranges));
	}
	return 0;
}

/* does the table know anything else in r's place than r itself? */
static bool contradicts(const struct space *s, const struct pager_range *r)
{
	for (size_t i = space_find_next(s, r->start); i < s->n_ranges && s->ranges[i].start < r->end; i++) {
		const struct pager_range *have = &s->ranges[i];

		/* addresses may wrap in the sums; equal is equal all the same */
		if (have->object != r->object || have->offset - have->start != r->offset - r->start)
			return true;
	}
	return false;
}

/*
 * [from, from + length) was moved to to. If the table has something else there, one of the two is wrong: before 6.17
 * the event of a remap that shrinks tells the old length, and two threads' events can come in the wrong order. The
 * owner decides then: without overwrite the whole destination becomes unknown.
 */
void space_move(struct space *s, uint64_t from, uint64_t to, uint64_t length, bool overwrite)
{
	size_t i = space_find_next(s, from), n = 0;
	struct pager_range *moved;
	bool clash = false;

	while (i + n < s->n_ranges && s->ranges[i + n].start < from + length)
		n++;
	moved = n ? malloc(n * sizeof(*moved)) : NULL;
	if (!moved)
		n = 0;
	for (size_t k = 0; k < n; k++) {
		struct pager_range *m = &moved[k];

		*m = s->ranges[i + k];
		if (m->start < from)
			set_start(m, from);
		if (m->end > from + length)
			m->end = from + length;
		m->start = m->start - from + to;
		m->end = m->end - from + to;
	}
	space_cut(s, from, from + length);
	for (size_t k = 0; k < n; k++)
		clash |= contradicts(s, &moved[k]);
	space_cut(s, to, to + length);
	for (size_t k = 0; k < n && (overwrite || !clash); k++)
		space_insert(s, &moved[k]);
	free(moved);
}

int space_copy_table(struct space *child, const struct space *parent)
{
	if (!parent->n_ranges)
		return 0;
	if (reserve(child, parent->n_ranges))
		return -ENOMEM;
	memcpy(child->ranges, parent->ranges, parent->n_ranges * sizeof(*parent->ranges));
	child->n_ranges = parent->n_ranges;
	return 0;
}

/* who uses the space: without a name of its own it has the one it had, for a fork changes none */
void space_name(struct space *s, const struct pager_process *process)
{
	char name[sizeof(process->name)], pid[16] = "?";

	snprintf(name, sizeof(name), "%s", *process->name ? process->name : s->process.name);
	s->process = *process;
	memcpy(s->process.name, name, sizeof(name));
	if (process->pid)
		snprintf(pid, sizeof(pid), "%d", (int)process->pid);
	snprintf(s->name, sizeof(s->name), "%s#%u (%s)", pid, s->number, name);
}

/* NULL: no memory, or epoll refuses; uffd is not closed then */
struct space *space_new(struct pager *p, const struct pager_process *process, int uffd)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct space **spaces, *s;

	if (p->n_spaces == p->max_spaces) {
		unsigned int max = p->max_spaces ? p->max_spaces * 2 : 16;

		spaces = realloc(p->spaces, max * sizeof(*spaces));
		if (!spaces)
			return NULL;
		p->spaces = spaces;
		p->max_spaces = max;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	event.data.ptr = s;
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, uffd, &event)) {
		int err = errno;

		free(s);
		errno = err;
		return NULL;
	}
	s->number = p->next_space++;
	s->uffd = uffd;
	space_name(s, process);
	s->born_us = pager_now_us();
	p->spaces[p->n_spaces++] = s;
	p->living++;
	told_look_again(p, s);
	return s;
}

/* index of the first space from that number on */
static unsigned int space_index(const struct pager *p, unsigned int number)
{
	unsigned int low = 0, high = p->n_spaces;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;

		if (p->spaces[mid]->number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct space *space_get(const struct pager *p, unsigned int number)
{
	unsigned int i = space_index(p, number);

	return i < p->n_spaces && p->spaces[i]->number == number && !p->spaces[i]->dead ? p->spaces[i] : NULL;
}

int pager_next_space(const struct pager *p, unsigned int first)
{
	unsigned int i = space_index(p, first);

	while (i < p->n_spaces && p->spaces[i]->dead)
		i++;
	return i < p->n_spaces ? (int)p->spaces[i]->number : -1;
}

/* the structure stays until the end of the round: faults and epoll events read before may still point to it */
void space_close(struct pager *p, struct space *s)
{
	if (s->dead)
		return;
	/* a duplicate in some other process would keep the file, and with it its place in the epoll set */
	epoll_ctl(p->epoll, EPOLL_CTL_DEL, s->uffd, NULL);
	close(s->uffd);
	s->uffd = -1;
	s->dead = true;
	p->dead_spaces = true;
	p->living--;
	fault_forget_space(p, s);
}

/*
 * While close() takes away what is registered, a thread that finds a page missing tries again and again, without ever giving
 * its processor to anybody: Linux 6.12, not 6.1 nor 7.3. One for each processor, and the machine stands still if who
 * closes is not among those who run. Unregistering does not have that, and then there is nothing left for close(). A
 * range that was unmapped meanwhile may be refused: nobody waits there. So is, by the guard, one that another
 * userfaultfd has by now, which kernels before 7.3 would end.
 */
void space_unregister(struct space *s)
{
	size_t i;

	for (i = 0; i < s->n_ranges; i++) {
		struct uffdio_range range = {
			.start = s->ranges[i].start, .len = s->ranges[i].end - s->ranges[i].start,
		};

		ioctl(s->uffd, UFFDIO_UNREGISTER, &range);
	}
}

void space_free(struct space *s)
{
	if (s->uffd >= 0)
		close(s->uffd);
	free(s->ranges);
	free(s);
}

/* cannot fail in a way that matters: an address that the kernel refuses has no waiter */
void space_wake(struct space *s, uint64_t address)
{
	struct uffdio_range range = { .start = address & PAGER_PAGE_MASK, .len = PAGER_PAGE };

	if (s->uffd >= 0)
		ioctl(s->uffd, UFFDIO_WAKE, &range);
}

bool space_alive(struct pager *p, struct space *s)
{
	/*
	 * Lifts a write protection that is not there, from a mapping that was not registered for any: the kernel looks
	 * up the address space, finds nothing to do, and answers ENOENT, or ESRCH. (UFFDIO_WAKE would not look it up,
	 * UFFDIO_REGISTER says ENOMEM.)
	 */
	struct uffdio_writeprotect probe = {
		.range.start = s->n_ranges ? s->ranges[0].start : 1ULL << 30,
		.range.len = PAGER_PAGE,
		.mode = UFFDIO_WRITEPROTECT_MODE_DONTWAKE,
	};
	int alive = -1;

	if (p->ops.alive)
		alive = p->ops.alive(p->data, s->number);
	if (alive >= 0)
		return alive > 0;
	return !ioctl(s->uffd, UFFDIO_WRITEPROTECT, &probe) || errno != ESRCH;
}

int pager_add_space(struct pager *p, const struct pager_process *process, int uffd)
{
	struct uffdio_api api = { .api = UFFD_API, .features = PAGER_SPACE_FEATURES };
	struct space *s;
	int flags, err;

	flags = fcntl(uffd, F_GETFL);
	if (flags < 0 || fcntl(uffd, F_SETFL, flags | O_NONBLOCK) || fcntl(uffd, F_SETFD, FD_CLOEXEC) ||
	    ioctl(uffd, UFFDIO_API, &api)) {
		err = errno;
		pager_log(p, LOG_ERR, "userfaultfd on process %d: %s", (int)process->pid, strerror(err));
		close(uffd);
		return -err;
	}
	errno = ENOMEM;
	s = space_new(p, process, uffd);
	if (!s) {
		err = errno;
		close(uffd);
		return -err;
	}
	return (int)s->number;
}

int pager_add_range(struct pager *p, unsigned int space, uint64_t start, uint64_t end,
		    unsigned int object, uint64_t offset)
{
	struct pager_range r = { .start = start, .end = end, .offset = offset, .object = object };
	struct uffdio_register reg = {
		.range.start = start,
		.range.len = end - start,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct space *s = space_get(p, space);
	size_t i;

	if (!s || object >= p->n_objects || start >= end || offset + (end - start) < offset ||
	    (start | end | offset) & ((1ULL << p->objects[object]->shift) - 1))
		return -EINVAL;
	i = space_find_next(s, start);
	if (i < s->n_ranges && s->ranges[i].start < end)
		return -EEXIST;
	/* first the memory, then the registration: a range that faults must be in the table */
	if (reserve(s, s->n_ranges + 2))
		return -ENOMEM;
	if (ioctl(s->uffd, UFFDIO_REGISTER, &reg))
		return -errno;
	return space_insert(s, &r);
}
