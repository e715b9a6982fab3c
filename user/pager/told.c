// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose each space is, and when it ends: what the owner is told of forks, execs and exits, joined with fork events.
 *
 * A space has one process of those that use it by name. It ends with its address space and not with that process:
 * others may share it (CLONE_VM, vfork()). What is told is the reason to look, and what the kernel then says of the
 * address space decides; for closing the userfaultfd of one that lives would cost its processes their lives.
 *
 * The module tells of a fork when there is a child, and the parent waits for its event to be read before that. So what
 * was told some time before the event is another fork, with the same id: that is used again when its userfaultfd is
 * gone. For the same reason the last one told of a space is right.
 */
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "pager/pager-internal.h"

/* between two looks at a space of whose end nobody tells */
#define LOOK_US		250000
#define LOOK_MANY_US	1000000
#define MANY_SPACES	100
/* a fork that is told before its event cannot be told longer before */
#define EARLY_US	1000000
/* a fork may be told so long after its event, on a busy machine: when the child is gone already */
#define LATE_US		5000000
/* the first look at one whose process has left: on newer kernels that is told just before it happens */
#define LEFT_US		1000
/* looking may take so long before others have their turn, and then pauses */
#define SLICE_US	2000
#define PAUSE_US	8000

static uint64_t period(const struct pager *p)
{
	return p->living > MANY_SPACES ? LOOK_MANY_US : LOOK_US;
}

static bool same(const struct pager_process *a, const struct pager_process *b)
{
	return a->pid == b->pid && a->start_time == b->start_time;
}

static void look_at(struct pager *p, struct space *s, uint64_t when_us)
{
	s->look_us = when_us;
	if (when_us < p->check_us)
		p->check_us = when_us;
}

/* when to look next, now that everything about the space is as it is: a new one gets some time to be told of */
void told_look_again(struct pager *p, struct space *s)
{
	uint64_t now = pager_now_us(), step = period(p);

	if (s->told && !s->left && !s->unsure) {
		s->look_us = PAGER_NEVER;
		return;
	}
	if (s->left && s->look_step_us < step) {
		step = s->look_step_us;
		s->look_step_us *= 2;
	}
	look_at(p, s, now + step);
}

/* room is needed that spaces have which nobody uses any more */
void told_hurry(struct pager *p)
{
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		struct space *s = p->spaces[i];

		s->look_us = 0;
		/* its name is not waited for */
		if (!s->process.pid)
			s->unsure = true;
	}
	p->check_us = 0;
}

/* the space is this process's, whoever had it before; told: the end of that will be told */
static void assign(struct pager *p, struct space *s, const struct pager_process *process, bool told)
{
	space_name(s, process);
	s->told = told;
	s->left = false;
	s->unsure = false;
	told_look_again(p, s);
}

static void assign_child(struct pager *p, struct space *s, const struct pager_process *child)
{
	assign(p, s, child, p->told);
	pager_log(p, LOG_INFO, "%s: forked from #%u, start time %llu, uffd id %016llx", s->name, s->parent,
		  (unsigned long long)child->start_time, (unsigned long long)s->id);
}

/* a fork event has made this space: has anybody told of it already? */
void told_event(struct pager *p, struct space *child)
{
	if (!p->ops.uffd_id || p->ops.uffd_id(p->data, child->uffd, &child->id))
		child->id = 0;
	if (!child->id)
		return;
	for (unsigned int i = 0; i < PAGER_EARLY; i++) {
		struct early *e = &p->early[i];

		if (e->id != child->id)
			continue;
		e->id = 0;
		if (e->told_us + EARLY_US < pager_now_us())
			continue;
		assign_child(p, child, &e->process);
		/* unless it was another one that had this id before: a look at it confirms it */
		child->unsure = true;
		told_look_again(p, child);
	}
}

static struct space *find_child(struct pager *p, uint64_t id)
{
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		struct space *s = p->spaces[i];

		if (!s->dead && s->id == id)
			return s;
	}
	return NULL;
}

void pager_told_fork(struct pager *p, const struct pager_process *child, const uint64_t *ids, size_t n_ids)
{
	for (size_t i = 0; i < n_ids; i++) {
		struct space *s = ids[i] ? find_child(p, ids[i]) : NULL;

		if (s) {
			assign_child(p, s, child);
			continue;
		}
		/* or somebody else's userfaultfd: the oldest one makes room, and is found out by asking if it has to be */
		p->early[p->next_early] = (struct early){
			.id = ids[i], .told_us = pager_now_us(), .process = *child,
		};
		p->next_early = (p->next_early + 1) % PAGER_EARLY;
	}
}

static void leave(struct space *s)
{
	s->left = true;
	s->unsure = false;
	s->look_step_us = LEFT_US;
}

/* nobody has told whose the space is, or that process has left it, or may have: who uses it? */
static void ask(struct pager *p, struct space *s)
{
	struct pager_process process = s->process;
	char before[sizeof(s->name)];
	int rc;

	if (!p->ops.user || (process.pid && !s->left && !s->unsure))
		return;
	rc = p->ops.user(p->data, s->uffd, &process);
	if (rc > 0 && !same(&process, &s->process)) {
		memcpy(before, s->name, sizeof(before));
		/* a process of which we were not told when it came: perhaps neither when it goes */
		assign(p, s, &process, false);
		pager_log(p, LOG_INFO, "%s: is %s now, start time %llu, found by asking", before, s->name,
			  (unsigned long long)process.start_time);
	} else if (rc > 0) {
		s->unsure = false;
		/* on its way out for so long? who left was another one, that had its pid before */
		if (s->left && s->look_step_us >= LOOK_US)
			s->left = s->told = false;
	} else if (!rc && process.pid && !s->left) {
		/* it has left, that was lost, and somebody who is no process of its own holds on to the memory */
		leave(s);
	}
}

/* nobody has told of this fork, and may still do so: it has failed, or it is the news that are late */
static bool may_be_told(const struct pager *p, const struct space *s, uint64_t now)
{
	return p->told && s->id && !s->process.pid && !s->unsure && now < s->born_us + LATE_US;
}

/* looks at those that it is time for, beginning with those that the last call had no time for */
void told_check(struct pager *p, uint64_t now)
{
	uint64_t until = now + SLICE_US;

	p->check_us = now + LOOK_MANY_US;
	for (unsigned int k = 0; k < p->n_spaces; k++) {
		unsigned int i = (p->next_look + k) % p->n_spaces;
		struct space *s = p->spaces[i];

		if (s->dead || s->look_us == PAGER_NEVER)
			continue;
		if (s->look_us > now) {
			look_at(p, s, s->look_us);
			continue;
		}
		if (pager_now_us() >= until) {
			p->next_look = i;
			p->check_us = until + PAUSE_US;
			return;
		}
		if (space_alive(p, s)) {
			ask(p, s);
			told_look_again(p, s);
			continue;
		}
		if (may_be_told(p, s, now)) {
			look_at(p, s, now + period(p));
			continue;
		}
		pager_log(p, LOG_INFO, "%s: %s", s->name, s->process.pid ? "its memory is gone, it is served no more" :
			  "a fork that failed, or whose child is gone already");
		space_close(p, s);
	}
}

static void process_leaves(struct pager *p, pid_t pid, const char *how)
{
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		struct space *s = p->spaces[i];
		bool alive;

		if (s->dead || s->left || !pid || s->process.pid != pid)
			continue;
		alive = space_alive(p, s);
		pager_log(p, LOG_INFO, "%s: %s, its memory is %s", s->name, how, alive ? "still there" : "served no more");
		if (!alive) {
			space_close(p, s);
			continue;
		}
		/* who else has it is asked for when it is still there in a moment */
		leave(s);
		told_look_again(p, s);
	}
}

void pager_told_exec(struct pager *p, pid_t pid)
{
	process_leaves(p, pid, "executes another program");
}

void pager_told_exit(struct pager *p, pid_t pid)
{
	process_leaves(p, pid, "has exited");
}

void pager_told_lost(struct pager *p)
{
	uint64_t when = pager_now_us() + LOOK_US;

	/* not at once: more may be lost until then, and what is on its way makes it unnecessary */
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		struct space *s = p->spaces[i];

		s->unsure = true;
		/* perhaps it was this process that could not be watched any more */
		s->told = false;
		if (s->look_us > when)
			look_at(p, s, when);
	}
}

static void told_by(struct pager *p, bool told)
{
	p->told = told;
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		struct space *s = p->spaces[i];

		s->told = told && s->process.pid && !s->left;
		/* it may have gone before anybody would have told: a first look confirms it */
		s->unsure = true;
		told_look_again(p, s);
	}
}

void pager_told_begin(struct pager *p)
{
	told_by(p, true);
}

void pager_told_end(struct pager *p)
{
	told_by(p, false);
}

const char *pager_space_name(const struct pager *p, unsigned int space)
{
	const struct space *s = space_get(p, space);

	return s ? s->name : NULL;
}

bool pager_space_process(const struct pager *p, unsigned int space, struct pager_process *process)
{
	const struct space *s = space_get(p, space);

	if (!s || !s->process.pid || s->left)
		return false;
	*process = s->process;
	return true;
}
