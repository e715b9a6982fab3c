// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the pager: how long a fault takes (alone, and while the background transfer runs), and how fast an object
 * comes in by the one and by the other. Prints a table; argument: MiB (default 512).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "pager_fixture.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

enum order { SEQUENTIAL, RANDOM_ORDER, SPARSE, NONE };

/* touches pages in the given order and prints percentiles of those touches that took a fault */
static int toucher(struct rig *rig, void *arg)
{
	enum order order = *(enum order *)arg;
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	uint32_t *times = calloc(o->pages, sizeof(*times));
	uint64_t state = 1, begin, n = 0, touches = order == SPARSE ? 2000 : order == NONE ? 0 : o->pages;
	double seconds;

	if (!times)
		return 1;
	child_arm(rig);
	begin = now_ns();
	for (uint64_t i = 0; i < touches; i++) {
		uint64_t page = order == SEQUENTIAL ? i : next_random(&state) % o->pages, t;

		t = now_ns();
		(void)*(volatile unsigned char *)(map + page * PAGE);
		t = now_ns() - t;
		if (t > 3000)
			times[n++] = (uint32_t)t;
		if (order == SPARSE)
			usleep(200);
	}
	seconds = (double)(now_ns() - begin) / 1e9;
	qsort(times, n, sizeof(*times), compare);
	if (n)
		printf("  %llu touches in %.3f s (%.2f us each); %llu waited: p50 %.1f us, p90 %.1f, p99 %.1f, max %.1f\n",
		       (unsigned long long)touches, seconds, seconds * 1e6 / (double)touches, (unsigned long long)n,
		       times[n / 2] / 1e3, times[n * 9 / 10] / 1e3, times[n * 99 / 100] / 1e3, times[n - 1] / 1e3);
	fflush(stdout);
	/* as long as somebody is there, the background goes on to the end */
	while (rig->config.no_background == false && !__atomic_load_n(&rig->shared->flags[0], __ATOMIC_ACQUIRE))
		usleep(1000);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum order order;
		bool background;
		uint64_t cluster;
	} cases[] = {
		{ "sequential touches, faults only", SEQUENTIAL, false, 0 },
		{ "random touches, faults only", RANDOM_ORDER, false, 0 },
		{ "random touches, faults only, one page a fault", RANDOM_ORDER, false, PAGE },
		{ "a touch now and then, faults only, one page a fault", SPARSE, false, PAGE },
		{ "a touch now and then, faults only", SPARSE, false, 0 },
		{ "a touch now and then, and background", SPARSE, true, 0 },
		{ "random touches, and background", RANDOM_ORDER, true, 0 },
		{ "background only", NONE, true, 0 },
	};
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 0) : 512;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum order order = cases[i].order;
		struct rig rig;
		int rc;

		rig_new(&rig, cases[i].background);
		rig.config.cluster = cases[i].cluster;
		/* what is still to be written back would be written when the pager gives up its page cache */
		fdatasync(rig_object(&rig, mib << 20, DENSE)->image);
		rig_spawn(&rig, toucher, &order);
		rig_arm(&rig);
		printf("%s:\n", cases[i].name);
		rc = rig_run(&rig);
		__atomic_store_n(&rig.shared->flags[0], 1, __ATOMIC_RELEASE);
		rig_children_ok(&rig);
		printf("  rc %d: %llu faults, %llu MiB by fault, %llu MiB background, %.3f s, %.0f MiB/s\n", rc,
		       (unsigned long long)rig.stats.faults, (unsigned long long)rig.stats.bytes_by_fault >> 20,
		       (unsigned long long)rig.stats.bytes_background >> 20, (double)rig.stats.elapsed_us / 1e6,
		       (double)(rig.stats.bytes_by_fault + rig.stats.bytes_background) / (double)(1 << 20) /
		       ((double)rig.stats.elapsed_us / 1e6));
		rig_end(&rig);
	}
	return 0;
}
