// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pager's life: made, run until everything is in, ended. The loop serves faults and events, and transfers the rest
 * in the background.
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

static int open_own(__u64 features, __u64 *has)
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
	*has = api.features;
	return fd;
}

bool pager_has_huge_pages(void)
{
	__u64 has;
	int fd = open_own(PAGER_HUGE_FEATURES, &has);

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

/* false: no size that chunks can have, or no check that it could be for */
static bool set_check_chunk(struct pager *p, uint64_t size)
{
	if (!size != !p->ops.check || size & (size - 1) || size & ~PAGER_PAGE_MASK || size > 1ULL << PAGER_HUGE_SHIFT)
		return false;
	p->check_chunk = size;
	return true;
}

struct pager *pager_new(const struct pager_config *config)
{
	struct pager *p;
	uint64_t pages;
	void *buffer;
	__u64 has;
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
	if (!p->cluster_pages || !p->chunk_pages || !set_check_chunk(p, config->check_chunk))
		goto fail;

	raise_descriptor_limit();
	p->uffd = open_own(PAGER_SPACE_FEATURES, &has);
	if (p->uffd < 0)
		goto fail;
	p->can_poison = has & UFFD_FEATURE_POISON && !config->no_poison;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		goto fail;
	/* populated now: later the cgroup may have no page left for it */
	pages = p->cluster_pages > p->chunk_pages ? p->cluster_pages : p->chunk_pages;
	p->buffer_size = pages << PAGER_PAGE_SHIFT;
	/* whole chunks, however small the steps are */
	if (p->check_chunk)
		p->buffer_size = (p->buffer_size + p->check_chunk - 1) & ~(p->check_chunk - 1);
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

/* bytes that are still to come; damaged ones never will */
static uint64_t to_come(const struct pager *p)
{
	return p->left - p->damaged;
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

static bool has_background(const struct pager *p)
{
	return to_come(p) && !p->no_background;
}

/* in milliseconds, until something is due that no descriptor announces */
static int time_out(const struct pager *p, uint64_t now)
{
	bool put_off = p->later_us > now;
	uint64_t due = p->check_us;

	if (p->starved)
		return STARVED_MS;
	if (!put_off && p->n_faults)
		return 0;
	if (put_off && p->later_us < due)
		due = p->later_us;
	if (!put_off && has_background(p) && transfer_due(p, now) < due)
		due = transfer_due(p, now);
	for (unsigned int i = 0; i < p->n_delayed; i++)
		if (p->delayed[i].due_us < due)
			due = p->delayed[i].due_us;
	return due > now ? (int)((due - now + 999) / 1000) : 0;
}

/* nothing will be read any more */
static void release_caches(struct pager *p)
{
	for (unsigned int i = 0; i < p->n_objects; i++)
		object_release_cache(p->objects[i], p->objects[i]->needed_pages);
}

/*
 * Ends with each space. They may still fork, and each child brings a descriptor that wants the same: the list grows at its
 * end while it is worked through. A fork whose event nobody read any more is undone by the kernel when the parent's
 * descriptor closes.
 */
static int release_spaces(struct pager *p)
{
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
		/* this wakes whoever waits for a page, and that whoever waits until his event is read */
		space_unregister(s);
		space_close(p, s);
	}
	p->n_faults = 0;
	bury_spaces(p);
	return 0;
}

/* everything is in */
static int finish(struct pager *p)
{
	release_caches(p);
	return release_spaces(p);
}

void pager_give_up(struct pager *p)
{
	int rc = release_spaces(p);

	if (rc)
		pager_log(p, LOG_ERR, "an address space cannot be let go: %s", strerror(-rc));
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
	if (!rc && p->later_us <= now && has_background(p) && transfer_due(p, now) <= now)
		rc = transfer_step(p);
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

/* pages are missing: whether there is something to do about it, or somebody to keep from the damaged ones */
static int go_on(struct pager *p, bool had_spaces)
{
	if (p->stop)
		return -EINTR;
	if (!p->living && (had_spaces || p->no_background))
		return -ESRCH;
	if (to_come(p))
		return 0;
	if (!p->settled) {
		p->settled = true;
		release_caches(p);
		damage_settled(p);
	}
	return p->living ? 0 : -EBADMSG;
}

int pager_run(struct pager *p)
{
	bool had_spaces = p->living;
	int rc = 0;

	if (p->running)
		return -EBUSY;
	p->running = true;
	if (!p->begin_us)
		stats_begin(p);
	transfer_begin(p);
	p->check_us = pager_now_us();
	while (!rc) {
		if (!p->left && !p->stop) {
			rc = finish(p);
			break;
		}
		rc = go_on(p, had_spaces);
		if (!rc)
			rc = round_trip(p);
	}
	p->stop = false;
	p->running = false;
	return rc;
}
