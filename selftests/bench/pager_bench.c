// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures the pager: how long a fault takes (alone, and while the background transfer runs), and how fast an object
 * comes in by the one and by the other, also with the checksums of a dump. Prints a table; argument: MiB (default 512).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "image/checksum.h"
#include "image/layout.h"
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

/* of each chunk of the object */
static uint8_t (*sums)[CHECKSUM_SIZE];

static int check(void *data, unsigned int object, uint64_t offset, const void *bytes)
{
	uint8_t sum[CHECKSUM_SIZE];

	(void)data;
	(void)object;
	checksum(bytes, LAYOUT_CHUNK, sum);
	return memcmp(sum, sums[offset / LAYOUT_CHUNK], sizeof(sum)) ? -EBADMSG : 0;
}

/* the image of a dense object is all its bytes in order */
static void make_sums(const struct test_object *o)
{
	unsigned char chunk[LAYOUT_CHUNK];

	sums = reallocarray(sums, o->size / LAYOUT_CHUNK, sizeof(*sums));
	for (uint64_t i = 0; sums && i < o->size / LAYOUT_CHUNK; i++)
		if (pread(o->image, chunk, sizeof(chunk), (off_t)(i * sizeof(chunk))) == sizeof(chunk))
			checksum(chunk, sizeof(chunk), sums[i]);
}

/* so far, of this process */
static double processor_seconds(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
	       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum order order;
		bool background;
		uint64_t cluster;
		bool checked;
	} cases[] = {
		{ "sequential touches, faults only", SEQUENTIAL, false, 0, false },
		{ "random touches, faults only", RANDOM_ORDER, false, 0, false },
		{ "random touches, faults only, one page a fault", RANDOM_ORDER, false, PAGE, false },
		{ "a touch now and then, faults only, one page a fault", SPARSE, false, PAGE, false },
		{ "a touch now and then, faults only", SPARSE, false, 0, false },
		{ "a touch now and then, and background", SPARSE, true, 0, false },
		{ "random touches, and background", RANDOM_ORDER, true, 0, false },
		{ "background only", NONE, true, 0, false },
		{ "sequential touches, faults only, checked", SEQUENTIAL, false, 0, true },
		{ "a touch now and then, faults only, checked", SPARSE, false, 0, true },
		{ "a touch now and then, and background, checked", SPARSE, true, 0, true },
		{ "background only, checked", NONE, true, 0, true },
	};
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 0) : 512;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum order order = cases[i].order;
		struct test_object *o;
		double processor;
		struct rig rig;
		int rc;

		rig_new(&rig, cases[i].background);
		rig.config.cluster = cases[i].cluster;
		/* what is still to be written back would be written when the pager gives up its page cache */
		o = rig_object(&rig, mib << 20, DENSE);
		fdatasync(o->image);
		if (cases[i].checked) {
			make_sums(o);
			rig.ops.check = check;
			rig.config.check_chunk = LAYOUT_CHUNK;
		}
		rig_spawn(&rig, toucher, &order);
		rig_arm(&rig);
		printf("%s:\n", cases[i].name);
		processor = processor_seconds();
		rc = rig_run(&rig);
		processor = processor_seconds() - processor;
		__atomic_store_n(&rig.shared->flags[0], 1, __ATOMIC_RELEASE);
		rig_children_ok(&rig);
		printf("  rc %d: %llu faults, %llu MiB by fault, %llu MiB background, %.3f s, %.0f MiB/s, "
		       "processor %.3f s\n", rc,
		       (unsigned long long)rig.stats.faults, (unsigned long long)rig.stats.bytes_by_fault >> 20,
		       (unsigned long long)rig.stats.bytes_background >> 20, (double)rig.stats.elapsed_us / 1e6,
		       (double)(rig.stats.bytes_by_fault + rig.stats.bytes_background) / (double)(1 << 20) /
		       ((double)rig.stats.elapsed_us / 1e6), processor);
		rig_end(&rig);
	}
	return 0;
}
