// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pager's life: made, run until everything is in, ended. The loop serves faults and events, and transfers the rest
 * in steps that are small while somebody faults.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "pager/pager-internal.h"

#define DEFAULT_CLUSTER		(64ULL << 10)
#define DEFAULT_CHUNK		(1ULL << 20)
#define MAX_TRANSFER		(64ULL << 20)

#define LATER_FIRST_US		1000
#define LATER_MAX_US		100000
#define STARVED_MS		2

/* the background gives way: size of its steps so long after a fault */
#define BUSY_US			300
#define BUSY_PAGES		4
#define QUIET_US		20000
#define QUIET_PAGES		16
#define SLICE_PAGES		16	/* copied between two looks at who waits */
#define RELEASE_BYTES		(1ULL << 20)

uint64_t pager_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void pager_sleep_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

void pager_log(struct pager *p, int level, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!p->ops.log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->ops.log(p->data, level, text);
}

/* the system call, or the device where a seccomp filter or a missing capability is in the way */
static int open_userfaultfd(void)
{
	/* nobody ever touches the pager's own mappings, the kernel on its behalf included */
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	int err, device;

	if (fd >= 0)
		return fd;
	err = errno;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device >= 0) {
		fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
		if (fd < 0)
			err = errno;
		close(device);
	}
	errno = err;
	return fd;
}

static int open_own(__u64 features)
{
	/* no features asked for: the answer tells all that the kernel has */
	struct uffdio_api api = { .api = UFFD_API };
	int fd = open_userfaultfd(), err;

	if (fd < 0)
		return -1;
	err = ioctl(fd, UFFDIO_API, &api) ? errno : 0;
	if (!err && (api.features & features) != features)
		err = EOPNOTSUPP;
	if (err) {
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

bool pager_has_huge_pages(void)
{
	int fd = open_own(PAGER_HUGE_FEATURES);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* every watched address space is a descriptor, every fork one more */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* 0 where value is no multiple of a page, no power of two if it has to be one, or absurd */
static uint64_t checked_pages(uint64_t value, uint64_t preset, bool power)
{
	if (!value)
		value = preset;
	if (value & ~PAGER_PAGE_MASK || value > MAX_TRANSFER || (power && value & (value - 1)))
		return 0;
	return value >> PAGER_PAGE_SHIFT;
}

struct pager *pager_new(const struct pager_config *config)
{
	struct pager *p;
	uint64_t pages;
	void *buffer;
	int err;

	if (sysconf(_SC_PAGESIZE) != (long)PAGER_PAGE) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->uffd = -1;
	p->epoll = -1;
	p->buffer = MAP_FAILED;
	if (config->ops)
		p->ops = *config->ops;
	p->data = config->data;
	p->no_background = config->no_background;
	p->cluster_pages = checked_pages(config->cluster, DEFAULT_CLUSTER, true);
	p->chunk_pages = checked_pages(config->stream_chunk, DEFAULT_CHUNK, false);
	errno = EINVAL;
	if (!p->cluster_pages || !p->chunk_pages)
		goto fail;

	raise_descriptor_limit();
	p->uffd = open_own(PAGER_SPACE_FEATURES);
	if (p->uffd < 0)
		goto fail;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		goto fail;
	/* populated now: later the cgroup may have no page left for it */
	pages = p->cluster_pages > p->chunk_pages ? p->cluster_pages : p->chunk_pages;
	p->buffer_size = pages << PAGER_PAGE_SHIFT;
	buffer = mmap(NULL, p->buffer_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	p->buffer = buffer;
	if (buffer == MAP_FAILED)
		goto fail;
	return p;
fail:
	err = errno;
	pager_free(p);
	errno = err;
	return NULL;
}

void pager_free(struct pager *p)
{
	if (!p)
		return;
	for (unsigned int i = 0; i < p->n_spaces; i++)
		space_free(p->spaces[i]);
	free(p->spaces);
	for (unsigned int i = 0; i < p->n_objects; i++)
		object_free(p, p->objects[i]);
	free(p->objects);
	free(p->faults);
	if (p->buffer != MAP_FAILED)
		munmap(p->buffer, p->buffer_size);
	if (p->zeros)
		munmap(p->zeros, 1UL << PAGER_HUGE_SHIFT);
	if (p->epoll >= 0)
		close(p->epoll);
	if (p->uffd >= 0)
		close(p->uffd);
	free(p);
}

int pager_watch_fd(struct pager *p, int fd, void (*fn)(void *data, int fd), void *data)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct watch *w = &p->watches[p->n_watches];

	if (p->n_watches == PAGER_MAX_WATCH)
		return -ENOSPC;
	*w = (struct watch){ .fd = fd, .fn = fn, .data = data };
	event.data.ptr = w;
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	p->n_watches++;
	return 0;
}

void pager_stop(struct pager *p)
{
	p->stop = true;
}

void pager_get_stats(const struct pager *p, struct pager_stats *stats)
{
	*stats = p->stats;
	stats->bytes_left = p->left;
	if (!p->begin_us)
		stats->bytes_total = stats->bytes_left;
	else
		stats->elapsed_us = pager_now_us() - p->begin_us;
	stats->spaces = p->living;
}

static struct watch *as_watch(struct pager *p, void *ptr)
{
	struct watch *w = ptr;

	for (unsigned int i = 0; i < p->n_watches; i++)
		if (w == &p->watches[i])
			return w;
	return NULL;
}

/* frees the spaces that were closed in this round, now that nothing points to them any more */
static void bury_spaces(struct pager *p)
{
	unsigned int kept = 0;

	if (!p->dead_spaces)
		return;
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		if (p->spaces[i]->dead)
			space_free(p->spaces[i]);
		else
			p->spaces[kept++] = p->spaces[i];
	}
	p->n_spaces = kept;
	p->dead_spaces = false;
}

/* faults of dead spaces must leave the queue before the spaces do */
static void forget_dead_faults(struct pager *p)
{
	size_t kept = 0;

	if (!p->dead_spaces)
		return;
	for (size_t i = 0; i < p->n_faults; i++)
		if (!p->faults[i].space->dead)
			p->faults[kept++] = p->faults[i];
	p->n_faults = kept;
}

/* somebody waits: a background step ends early */
static bool is_ready(struct pager *p)
{
	struct epoll_event event;

	return epoll_wait(p->epoll, &event, 1, 0) > 0;
}

static uint64_t step_size(struct pager *p)
{
	uint64_t now = pager_now_us(), since = now - p->fault_us;

	if (p->fault_us && since < BUSY_US)
		p->step_pages = BUSY_PAGES;
	else if ((p->fault_us && since < QUIET_US) || (p->watch_us && now - p->watch_us < QUIET_US))
		p->step_pages = QUIET_PAGES;
	else
		p->step_pages *= 2;
	if (p->step_pages > p->chunk_pages)
		p->step_pages = p->chunk_pages;
	return p->step_pages;
}

/*
 * One step of the background transfer, object by object from front to end. The bits are looked at again after every
 * slice (object_copy() does), and nothing reads events in between.
 */
static int background(struct pager *p)
{
	uint64_t max, page, done = 0;
	struct object *o = p->objects[p->current];
	struct run run;
	int rc;

	while (!o->left) {
		object_release_cache(o, o->needed_pages);
		p->current = (p->current + 1) % p->n_objects;
		o = p->objects[p->current];
	}
	page = object_next_needed(o, o->cursor);
	if (page >= o->needed_pages)
		page = object_next_needed(o, 0);

	max = object_pages(o, step_size(p));
	run = object_run(o, page, page, page + max);
	if (run.count > QUIET_PAGES || run.count == max)
		object_read_ahead(o, page);
	rc = object_read(p, o, run, p->buffer);
	if (!rc && object_leave_hole(p, o, page, p->buffer))
		done = run.count;
	while (!rc && done < run.count) {
		uint64_t n = run.count - done < SLICE_PAGES ? run.count - done : SLICE_PAGES;

		rc = object_copy(p, o, run.first + done, n, p->buffer + (done << o->shift),
				 &p->stats.bytes_background);
		if (!rc) {
			done += n;
			if (done < run.count && is_ready(p))
				break;
		}
	}
	object_forget_ptes(o, run.first, done ? done : 1);
	o->cursor = run.first + done;
	if (o->cursor >= o->released + (RELEASE_BYTES >> o->shift))
		object_release_cache(o, o->cursor);
	return rc;
}

/* no memory: all that a fill could do now is fail again */
static void put_off(struct pager *p, uint64_t now)
{
	if (!p->later_logged)
		pager_log(p, LOG_WARNING, "no memory for pages of the image; trying again until there is");
	p->later_logged = true;
	p->later_step_us = p->later_step_us ? p->later_step_us * 2 : LATER_FIRST_US;
	if (p->later_step_us > LATER_MAX_US)
		p->later_step_us = LATER_MAX_US;
	p->later_us = now + p->later_step_us;
}

/* in milliseconds, until something is due that no descriptor announces */
static int time_out(const struct pager *p, uint64_t now)
{
	bool put_off = p->later_us > now;
	uint64_t due = p->check_us;

	if (p->starved)
		return STARVED_MS;
	if (!put_off && ((p->left && !p->no_background) || p->n_faults))
		return 0;
	if (put_off && p->later_us < due)
		due = p->later_us;
	for (unsigned int i = 0; i < p->n_delayed; i++)
		if (p->delayed[i].due_us < due)
			due = p->delayed[i].due_us;
	return due > now ? (int)((due - now + 999) / 1000) : 0;
}

/*
 * Everything is in. The spaces may still fork, and each child brings a descriptor that wants the same: the list grows
 * at its end while it is worked through. A fork whose event nobody read any more is undone by the kernel when the
 * parent's descriptor closes.
 */
static int finish(struct pager *p)
{
	for (unsigned int i = 0; i < p->n_objects; i++)
		object_release_cache(p->objects[i], p->objects[i]->needed_pages);
	for (unsigned int i = 0; i < p->n_spaces; i++) {
		struct space *s = p->spaces[i];
		int rc;

		if (s->dead)
			continue;
		rc = event_drain(p, s);
		if (rc)
			return rc;
		if (p->ops.complete) {
			rc = p->ops.complete(p->data, s->number, s->uffd);
			if (rc)
				pager_log(p, LOG_WARNING, "%s: owner's completion: %s", s->name,
					  strerror(rc < 0 ? -rc : rc));
		}
		/* ends the registrations and wakes whoever waits */
		space_close(p, s);
	}
	p->n_faults = 0;
	bury_spaces(p);
	return 0;
}

/* one round: what the descriptors have to say, then the faults, then a step of the transfer */
static int round_trip(struct pager *p)
{
	struct epoll_event events[PAGER_BATCH];
	uint64_t now = pager_now_us();
	int n, rc;

	n = epoll_wait(p->epoll, events, PAGER_BATCH, time_out(p, now));
	if (n < 0 && errno != EINTR)
		return -errno;
	if (p->starved) {
		/* the event that could not be read keeps its descriptor ready; dead spaces may have the room it needs */
		pager_sleep_ms(STARVED_MS);
		p->starved = false;
		told_hurry(p);
	}
	for (int i = 0; i < n; i++) {
		struct watch *w = as_watch(p, events[i].data.ptr);
		struct space *s = events[i].data.ptr;

		if (w) {
			w->fn(w->data, w->fd);
			p->watch_us = pager_now_us();
		} else {
			rc = event_drain(p, s);
			if (rc)
				return rc;
		}
		if (p->stop)
			return 0;
	}

	now = pager_now_us();
	if (now >= p->check_us)
		told_check(p, now);
	fault_wake_delayed(p, now);
	rc = 0;
	if (p->later_us <= now && p->n_faults) {
		rc = fault_serve_all(p);
		p->fault_us = pager_now_us();
	}
	if (!rc && p->later_us <= now && p->left && !p->no_background)
		rc = background(p);
	if (rc == PAGER_LATER) {
		put_off(p, now);
		rc = 0;
	} else if (p->later_us <= now) {
		p->later_step_us = 0;
	}
	forget_dead_faults(p);
	bury_spaces(p);
	return rc;
}

int pager_run(struct pager *p)
{
	bool had_spaces = p->living;
	int rc = 0;

	if (p->running)
		return -EBUSY;
	p->running = true;
	if (!p->begin_us) {
		p->begin_us = pager_now_us();
		p->stats.bytes_total = p->left;
	}
	p->step_pages = QUIET_PAGES;
	p->check_us = pager_now_us();
	while (!rc) {
		if (p->stop) {
			rc = -EINTR;
		} else if (!p->left) {
			rc = finish(p);
			break;
		} else if (!p->living && (had_spaces || p->no_background)) {
			rc = -ESRCH;
		} else {
			rc = round_trip(p);
		}
	}
	p->stop = false;
	p->running = false;
	return rc;
}
