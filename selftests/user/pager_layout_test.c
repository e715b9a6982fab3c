// SPDX-License-Identifier: GPL-2.0-only
/* The pager follows what processes do to their mappings while pages are missing: fork, mremap, munmap, madvise. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager_fixture.h"
#include "tap.h"

/* one scenario in one child; rc of the pager is 0, or -ESRCH if the child ended before everything was in */
static void one(const char *name, int (*fn)(struct rig *rig, void *arg), unsigned int objects, bool no_resolve)
{
	for (int background = 0; background < 2; background++) {
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig.no_resolve = no_resolve;
		rig.config.stream_chunk = PAGE;
		rig.config.cluster = 4 * PAGE;
		for (unsigned int i = 0; i < objects; i++)
			rig_object(&rig, 600 * PAGE, RANDOM);
		rig_spawn(&rig, fn, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig), "%s, %s%s", name,
		       background ? "faults and background" : "faults only", no_resolve ? ", without resolve" : "");
		rig_end(&rig);
	}
}

/* --- fork --- */

static int fork_generations(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	pid_t child, grandchild;

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map, 0, 20))
		return 1;
	child = fork_here();
	if (!child) {
		*(volatile uint64_t *)(map + 101 * PAGE) = 11;
		grandchild = fork_here();
		if (!grandchild) {
			*(volatile uint64_t *)(map + 102 * PAGE) = 12;
			_exit(!check_pages(o, map + 300 * PAGE, 300, 100));
		}
		_exit(!check_pages(o, map + 200 * PAGE, 200, 150) || !waited_ok(grandchild));
	}
	if (!check_pages(o, map + 250 * PAGE, 250, 120) || !waited_ok(child))
		return 2;
	/* the others' writes are there, and the rest of these pages as in the image */
	for (uint64_t page = 101; page <= 102; page++) {
		uint64_t *words = (uint64_t *)(map + page * PAGE);

		if (words[0] != page - 90 || words[1] != word_at(o, page, 1) || words[511] != word_at(o, page, 511))
			return 3;
	}
	return !check_pages(o, map + 103 * PAGE, 103, o->pages - 103);
}

/* children that outlive their parent are served on */
static int orphans(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	int *flags = rig->shared->flags;
	pid_t parent = getpid();

	(void)arg;
	child_arm(rig);
	for (uint64_t i = 0; i < 4; i++) {
		if (fork())
			continue;
		while (getppid() == parent)
			usleep(1000);
		if (check_pages_randomly(o, map, 0, o->pages, &i))
			__atomic_add_fetch(&flags[0], 1, __ATOMIC_RELAXED);
		__atomic_add_fetch(&flags[1], 1, __ATOMIC_RELEASE);
		_exit(0);
	}
	return 0;
}

static void test_orphans(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, false);
	rig_object(&rig, 600 * PAGE, DENSE);
	rig_spawn(&rig, orphans, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	for (int i = 0; i < 30000 && __atomic_load_n(&rig.shared->flags[1], __ATOMIC_ACQUIRE) < 4; i++)
		usleep(1000);
	TAP_OK(!rc && rig.forked == 4 && rig.shared->flags[0] == 4, "forked children outlive their parent, faults only");
	TAP_OK(rig_children_ok(&rig), "the parent is content");
	rig_end(&rig);
}

/* --- mremap, munmap, MAP_FIXED --- */

static int moves(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 100, 300), *to, *half;

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map, 100, 5))
		return 1;
	to = mmap(NULL, 400 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	to = mremap(map, 300 * PAGE, 300 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to + 50 * PAGE);
	if (to == MAP_FAILED || !check_pages(o, to, 100, 30))
		return 2;
	/* a part out of the middle */
	half = mmap(NULL, 100 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	half = mremap(to + 100 * PAGE, 100 * PAGE, 100 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, half);
	if (half == MAP_FAILED || !check_pages(o, half, 200, 100) || !check_pages(o, to, 100, 100) ||
	    !check_pages(o, to + 200 * PAGE, 300, 100))
		return 3;
	return 0;
}

static int grows(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 100), *second = child_map(rig, o, 300, 50);

	(void)arg;
	child_arm(rig);
	/* where it lies if there is room, elsewhere if not */
	map = mremap(map, 100 * PAGE, 250 * PAGE, MREMAP_MAYMOVE);
	if (map == MAP_FAILED || !check_pages(o, map + 90 * PAGE, 90, 60) || !check_pages(o, map, 0, 250))
		return 1;
	/* room made for the second on its spot */
	if (munmap(second + 20 * PAGE, 30 * PAGE))
		return 2;
	if (mremap(second, 20 * PAGE, 50 * PAGE, 0) == second && !check_pages(o, second, 300, 50))
		return 3;
	return 0;
}

static int shrinks(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 300), *other, *to;

	(void)arg;
	/* a neighbour right behind the place where the shrunk mapping goes */
	other = child_map(rig, &rig->objects[1], 0, 400);
	child_arm(rig);
	if (mremap(map, 300 * PAGE, 200 * PAGE, 0) != map || !check_pages(o, map, 0, 20))
		return 1;
	to = mremap(map, 200 * PAGE, 120 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other);
	if (to != other)
		return 2;
	if (!check_pages(o, to, 0, 120) || !check_pages(&rig->objects[1], other + 120 * PAGE, 120, 280))
		return 3;
	return 0;
}

static int duplicates(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 50, 500), *twin;

	(void)arg;
	child_arm(rig);
	twin = mremap(map + 100 * PAGE, 0, 200 * PAGE, MREMAP_MAYMOVE);
	if (twin == MAP_FAILED)
		return 1;
	return !check_pages(o, twin, 150, 200) || !check_pages(o, map, 50, 500);
}

static int unmaps(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 600), *anonymous;

	(void)arg;
	child_arm(rig);
	if (munmap(map + 100 * PAGE, 50 * PAGE) || munmap(map, 10 * PAGE) || munmap(map + 590 * PAGE, 10 * PAGE))
		return 1;
	anonymous = mmap(map + 200 * PAGE, 30 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (anonymous != map + 200 * PAGE)
		return 2;
	if (!is_zero(anonymous, 30 * PAGE))
		return 3;
	return !check_pages(o, map + 10 * PAGE, 10, 90) || !check_pages(o, map + 150 * PAGE, 150, 50) ||
	       !check_pages(o, map + 230 * PAGE, 230, 360);
}

/* the object grows after the restore, and with it a mapping: zeros beyond the old end, from the pager */
static int object_grows(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 600);

	(void)arg;
	child_arm(rig);
	if (ftruncate(o->fd, 900 * PAGE))
		return 1;
	map = mremap(map, 600 * PAGE, 900 * PAGE, MREMAP_MAYMOVE);
	if (map == MAP_FAILED || !is_zero(map + 600 * PAGE, 300 * PAGE))
		return 2;
	return !check_pages(o, map, 0, 600);
}

/* --- madvise --- */

static int dontneed(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 600);

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map, 0, 40) || child_madvise(rig, map, 300 * PAGE, MADV_DONTNEED) ||
	    !check_pages(o, map, 0, 310))
		return 1;
	*(volatile uint64_t *)(map + 400 * PAGE) = 99;
	if (child_madvise(rig, map + 350 * PAGE, 100 * PAGE, MADV_DONTNEED))
		return 2;
	if (*(uint64_t *)(map + 400 * PAGE) != 99)
		return 3;
	*(uint64_t *)(map + 400 * PAGE) = word_at(o, 400, 0);
	return !check_pages(o, map, 0, 600);
}

static int removes(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 600);

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map + 100 * PAGE, 100, 20) || child_madvise(rig, map + 120 * PAGE, 90 * PAGE, MADV_REMOVE))
		return 1;
	if (!is_zero(map + 120 * PAGE, 90 * PAGE))
		return 2;
	map[150 * PAGE] = 1;
	return !check_pages(o, map, 0, 120) || !check_pages(o, map + 210 * PAGE, 210, 390) || map[150 * PAGE] != 1 ||
	       map[151 * PAGE] || !is_zero(map + 160 * PAGE, 50 * PAGE);
}

/*
 * The model: each thread has a zone of pages and knows what each must be: as in the image, all zeros, or a pattern it
 * wrote. Two processes share the object; threads that only look touch everybody's pages at the same time.
 */
#define ZONES		6
#define ZONE_PAGES	300
#define ITERATIONS	1000

static bool check_model(struct test_object *o, const unsigned char *address, uint64_t page, uint64_t model)
{
	const uint64_t *words = (const uint64_t *)address;

	if (!model)
		return check_page(o, address, page);
	for (unsigned int i = 0; i < PAGE / 8; i++) {
		if (words[i] != (model == 1 ? 0 : model)) {
			say("# page %llu word %u is %llx, the model says %llx", (unsigned long long)page, i,
			    (unsigned long long)words[i], (unsigned long long)(model == 1 ? 0 : model));
			return false;
		}
	}
	return true;
}

struct zone {
	struct rig *rig;
	unsigned char *map;
	uint64_t first, state;
	bool noise, ok;
};

static bool work_zone(struct zone *z)
{
	struct test_object *o = &z->rig->objects[0];
	uint64_t model[ZONE_PAGES] = { 0 };

	for (int i = 0; i < ITERATIONS; i++) {
		uint64_t at = next_random(&z->state) % ZONE_PAGES, n = 1 + next_random(&z->state) % 6, k;
		unsigned char *address = z->map + (z->first + at) * PAGE;

		if (n > ZONE_PAGES - at)
			n = ZONE_PAGES - at;
		switch (next_random(&z->state) % 5) {
		case 0:
			if (child_madvise(z->rig, address, n * PAGE, MADV_REMOVE))
				return false;
			for (k = 0; k < n; k++)
				model[at + k] = 1;
			break;
		case 1:
			if (child_madvise(z->rig, address, n * PAGE, MADV_DONTNEED))
				return false;
			break;
		case 2:
			model[at] = next_random(&z->state) | 2;
			for (k = 0; k < PAGE / 8; k++)
				__atomic_store_n((uint64_t *)address + k, model[at], __ATOMIC_RELAXED);
			break;
		default:
			for (k = 0; k < n; k++)
				if (!check_model(o, address + k * PAGE, z->first + at + k, model[at + k]))
					return false;
		}
	}
	for (uint64_t k = 0; k < ZONE_PAGES; k++)
		if (!check_model(o, z->map + (z->first + k) * PAGE, z->first + k, model[k]))
			return false;
	return true;
}

static void *zone_thread(void *arg)
{
	struct zone *z = arg;

	if (!z->noise) {
		z->ok = work_zone(z);
		return NULL;
	}
	for (int i = 0; i < 4 * ITERATIONS; i++)
		(void)*(volatile unsigned char *)(z->map + next_random(&z->state) % (ZONES * ZONE_PAGES) * PAGE);
	z->ok = true;
	return NULL;
}

static int model_child(struct rig *rig, void *arg)
{
	uint64_t seed = *(uint64_t *)arg;
	bool second = seed & 1, ok = true;
	unsigned char *map = child_map(rig, &rig->objects[0], 0, ZONES * ZONE_PAGES);
	struct zone zones[5];
	pthread_t ids[5];

	child_arm(rig);
	for (unsigned int i = 0; i < 5; i++) {
		zones[i] = (struct zone){ .rig = rig, .map = map, .state = seed * 1000 + i * 100000000, .noise = i > 2 };
		zones[i].first = (i % 3 + 3 * second) * ZONE_PAGES;
		if (pthread_create(&ids[i], NULL, zone_thread, &zones[i]))
			return 2;
	}
	for (unsigned int i = 0; i < 5; i++) {
		pthread_join(ids[i], NULL);
		ok &= zones[i].ok;
	}
	return !ok;
}

static void test_model(void)
{
	for (int round = 0; round < 6; round++) {
		bool background = round & 1;
		uint64_t seeds[2] = { rig_random() & ~1ULL, 0 };
		struct rig rig;
		int rc;

		seeds[1] = seeds[0] | 1;
		rig_new(&rig, background);
		rig.config.stream_chunk = PAGE;
		rig.config.cluster = round < 4 ? PAGE : 16 * PAGE;
		rig_object(&rig, ZONES * ZONE_PAGES * PAGE, round < 2 ? DENSE : RANDOM);
		rig_spawn(&rig, model_child, &seeds[0]);
		rig_spawn(&rig, model_child, &seeds[1]);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig) && !rig.stats.bytes_found &&
		       rig.stats.bytes_total == rig.stats.bytes_by_fault + rig.stats.bytes_background +
		       rig.stats.bytes_dropped + rig.stats.bytes_left,
		       "6 threads x %d random operations and readers, against a model, %s (%llu punched unseen)",
		       ITERATIONS, background ? "faults and background" : "faults only",
		       (unsigned long long)(rig.stats.bytes_dropped / PAGE));
		rig_end(&rig);
	}
}

static int removes_secretly(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 600);

	(void)arg;
	child_arm(rig);
	madvise(map, 10 * PAGE, MADV_REMOVE);
	pause();
	return 0;
}

static void test_unknown_advice(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, true);
	rig.quiet = true;
	rig.config.stream_chunk = PAGE;
	rig_object(&rig, 30000 * PAGE, DENSE);
	rig_spawn(&rig, removes_secretly, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -EOPNOTSUPP && rig.stats.spaces == 1, "nobody knows the advice: the pager stops, descriptors open");
	rig_end(&rig);
}

/* --- everything at once: threads that rearrange their windows while another one forks --- */

#define WINDOWS		3
#define STORM_OPS	150
#define STORM_FORKS	60

struct window {
	struct rig *rig;
	unsigned char *map;
	uint64_t first, count;		/* pages */
	uint64_t state;
	bool ok;
};

static int *storm_over(struct rig *rig)
{
	return &rig->shared->flags[0];
}

static bool check_some(struct test_object *o, const unsigned char *map, uint64_t first, uint64_t count, uint64_t *state)
{
	for (int i = 0; i < 4; i++) {
		uint64_t k = next_random(state) % count;

		if (!check_page(o, map + k * PAGE, first + k))
			return false;
	}
	return true;
}

static void *window_thread(void *arg)
{
	struct window *w = arg;
	struct test_object *o = &w->rig->objects[0];

	for (int i = 0; i < STORM_OPS; i++) {
		uint64_t n, k;
		unsigned char *to;

		switch (next_random(&w->state) % 5) {
		case 0: /* to anywhere */
			to = mmap(NULL, w->count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (to == MAP_FAILED || mremap(w->map, w->count * PAGE, w->count * PAGE,
						       MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
				return NULL;
			w->map = to;
			break;
		case 1: /* longer */
			n = w->count + next_random(&w->state) % 40;
			if (w->first + n > o->pages)
				break;
			to = mremap(w->map, w->count * PAGE, n * PAGE, MREMAP_MAYMOVE);
			if (to == MAP_FAILED)
				return NULL;
			w->map = to;
			w->count = n;
			break;
		case 2: /* shorter, and to somewhere else in one go */
			if (w->count < 20)
				break;
			n = w->count - next_random(&w->state) % 10 - 1;
			to = mmap(NULL, w->count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (to == MAP_FAILED || mremap(w->map, w->count * PAGE, n * PAGE,
						       MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
				return NULL;
			w->map = to;
			w->count = n;
			break;
		case 3: /* without its beginning */
			if (w->count < 20)
				break;
			k = next_random(&w->state) % 10;
			if (k && munmap(w->map, k * PAGE))
				return NULL;
			w->map += k * PAGE;
			w->first += k;
			w->count -= k;
			break;
		case 4: /* a second one of the same pages takes its place */
			to = mremap(w->map, 0, w->count * PAGE, MREMAP_MAYMOVE);
			if (to == MAP_FAILED || munmap(w->map, w->count * PAGE))
				return NULL;
			w->map = to;
			break;
		}
		if (!check_some(o, w->map, w->first, w->count, &w->state))
			return NULL;
	}
	w->ok = true;
	return NULL;
}

/*
 * In a child whose windows some other thread of its parent was just moving: /proc/self/maps tells where they are.
 * No memory allocation, no stdio: locks of the parent's threads are held for ever here.
 */
static bool check_by_maps(struct test_object *o, uint64_t *state)
{
	static char text[1 << 17];
	size_t length = 0;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char *line, *end;
	ssize_t n;

	while (fd >= 0 && length < sizeof(text) - 1 && (n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)n;
	close(fd);
	text[length] = 0;
	for (line = text; (end = strchr(line, '\n')); line = end + 1) {
		unsigned long long start, stop, offset, inode;
		char *at;

		start = strtoull(line, &at, 16);
		stop = strtoull(at + 1, &at, 16);
		offset = strtoull(at + 6, &at, 16);
		/* device: two numbers and a colon */
		at = strchr(at + 1, ' ');
		inode = at ? strtoull(at, NULL, 10) : 0;
		if (inode != o->inode)
			continue;
		if (!check_some(o, (unsigned char *)start, offset / PAGE, (stop - start) / PAGE, state))
			return false;
	}
	return true;
}

static int storm(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	uint64_t state = *(uint64_t *)arg + (uint64_t)rig->n_children * 77777;
	struct window windows[WINDOWS];
	pthread_t ids[WINDOWS];
	bool ok = true;

	for (unsigned int i = 0; i < WINDOWS; i++) {
		uint64_t first = next_random(&state) % (o->pages - 300);

		windows[i] = (struct window){ rig, child_map(rig, o, first, 300), first, 300, state + i * 1000000, false };
	}
	child_arm(rig);
	for (unsigned int i = 0; i < WINDOWS; i++)
		if (pthread_create(&ids[i], NULL, window_thread, &windows[i]))
			return 2;
	for (int i = 0; i < STORM_FORKS; i++) {
		pid_t pid = fork_here();

		if (!pid)
			_exit(!check_by_maps(o, &state));
		ok &= waited_ok(pid);
		next_random(&state);
	}
	for (unsigned int i = 0; i < WINDOWS; i++) {
		pthread_join(ids[i], NULL);
		if (!windows[i].ok)
			say("# window %u of pid %d gave up", i, getpid());
		ok &= windows[i].ok;
	}
	__atomic_add_fetch(storm_over(rig), 1, __ATOMIC_RELEASE);
	return !ok;
}

static void test_storm(void)
{
	for (int background = 0; background < 2; background++) {
		uint64_t seed = rig_random();
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig.config.cluster = PAGE;
		rig.config.stream_chunk = PAGE;
		rig_object(&rig, 20000 * PAGE, RANDOM);
		rig_spawn(&rig, storm, &seed);
		rig_spawn(&rig, storm, &seed);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig),
		       "forks while threads mremap and munmap, %s: every look is right", background ?
		       "faults and background" : "faults only");
		tap_diag("%llu faults, %llu resolved, %llu forks, %llu remaps, %llu unmaps, rc %d",
			 (unsigned long long)rig.stats.faults, (unsigned long long)rig.stats.faults_resolved,
			 (unsigned long long)rig.stats.forks, (unsigned long long)rig.stats.remaps,
			 (unsigned long long)rig.stats.unmaps, rc);
		rig_end(&rig);
	}
}

/* processes that only fork, right up to the end of the transfer */
static int fork_only(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	uint64_t state = (uint64_t)getpid();

	(void)arg;
	child_arm(rig);
	for (int i = 0; i < 60; i++) {
		pid_t pid = fork_here();

		if (!pid) {
			pid_t next = fork_here();

			if (!next)
				_exit(!check_some(o, map, 0, o->pages, &state));
			_exit(!check_some(o, map, 0, o->pages, &state) || !waited_ok(next));
		}
		if (!waited_ok(pid))
			return 1;
		next_random(&state);
	}
	return !check_pages(o, map, 0, o->pages);
}

static void test_fork_to_the_end(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, true);
	rig.config.stream_chunk = 2 * PAGE;
	rig_object(&rig, 12000 * PAGE, DENSE);
	for (int i = 0; i < 3; i++)
		rig_spawn(&rig, fork_only, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && !rig.stats.spaces && rig_children_ok(&rig), "three processes fork through the end of the transfer");
	tap_diag("%u forks seen, %u spaces completed", rig.forked, rig.completed);
	rig_end(&rig);
}

int main(int argc, char **argv)
{
	rig_seed(argc, argv);
	if (!have_userfaultfd()) {
		tap_skip("no userfaultfd for this user on this kernel");
		return tap_done();
	}
	one("child and grandchild read and write", fork_generations, 1, false);
	one("child and grandchild read and write", fork_generations, 1, true);
	test_orphans();
	one("mremap moves", moves, 1, false);
	one("mremap moves", moves, 1, true);
	one("mremap grows", grows, 1, false);
	one("mremap shrinks, and shrinks while moving", shrinks, 2, false);
	one("mremap duplicates", duplicates, 1, false);
	one("munmap of parts and MAP_FIXED over", unmaps, 1, false);
	one("munmap of parts and MAP_FIXED over", unmaps, 1, true);
	one("the object and a mapping of it grow", object_grows, 1, false);
	one("MADV_DONTNEED", dontneed, 1, false);
	one("MADV_REMOVE", removes, 1, false);
	test_unknown_advice();
	test_model();
	test_storm();
	test_fork_to_the_end();
	return tap_done();
}
