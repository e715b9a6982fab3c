// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures who holds which shared memory in a tree of 100 processes: one dump of the module against what a program
 * has to do without it. All ways have to find the same before their times count. Argument: rounds (default 31).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "list_bench.h"

struct method {
	const char *name;
	void (*find)(pid_t root, struct picture *p);
	bool is_part;			/* finds nothing; its time explains another one's */
	double *times;			/* of each round, in milliseconds */
};

static struct method methods[] = {
	{ "the module, one dump", ask_module },
	{ "/proc: fd, fdinfo, stat, open, maps, map_files", walk_proc },
	{ "/proc, with dev and ino as maps has them", walk_maps },
	{ "pidfd_getfd, fstat, F_GET_SEALS, and maps", take_descriptors },
	{ "the same, and kcmp within each object", compare_descriptors },
	{ "the same, and kcmp of all memfds", compare_all },
	{ "the module, 8 KiB receive buffer", ask_module_small },
	{ "of the module's: without reading the messages", ask_without_reading, .is_part = true },
	{ "of that: without copying them to user space", ask_without_copying, .is_part = true },
	{ "of the module's: objects without holders", ask_objects_only, .is_part = true },
	{ "of that: walking, and no object found", ask_for_nothing, .is_part = true },
};

#define N (sizeof(methods) / sizeof(*methods))

static double milliseconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static double measure(const struct method *m, pid_t root, struct picture *p)
{
	double begin;

	picture_clear(p);
	begin = milliseconds();
	m->find(root, p);
	return milliseconds() - begin;
}

static void print_scene(const struct picture *p)
{
	size_t descriptors = 0;

	for (size_t i = 0; i < p->n; i++)
		descriptors += p->holders[i].fd >= 0;
	printf("%d processes, %d descriptors, %zu of them memfds; %zu mappings of memfds and shared regions\n",
	       PROCESSES, PROCESSES * DESCRIPTORS, descriptors, p->n - descriptors);
	printf("the dump: %lu messages, %lu bytes, %lu datagrams\n", asked_messages, asked_bytes, asked_datagrams);
}

static bool check(pid_t root)
{
	struct picture first = { 0 }, other = { 0 };
	bool good = true;

	for (size_t i = 0; i < N; i++) {
		struct picture *p = i ? &other : &first;

		measure(&methods[i], root, p);
		if (i == 0)
			print_scene(p);
		if (!methods[i].is_part && !picture_same(&first, p)) {
			printf("not the same: %s; %s\n", methods[0].name, methods[i].name);
			good = false;
		}
	}
	if (first.n != PROCESSES * (MEMFDS + MAPPINGS)) {
		printf("%zu holders were found\n", first.n);
		good = false;
	}
	free(first.holders);
	free(other.holders);
	return good;
}

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void print_times(int rounds)
{
	const double *base = methods[0].times;

	printf("\n%-50s %9s %9s   %s\n", "", "best", "median", "times the module's, by best and median");
	for (size_t i = 0; i < N; i++) {
		const double *t = methods[i].times;

		printf("%-50s %6.2f ms %6.2f ms   %5.1f %5.1f\n", methods[i].name, t[0], t[rounds / 2],
		       t[0] / base[0], t[rounds / 2] / base[rounds / 2]);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 31;
	struct picture p = { 0 };
	unsigned int interrupted = 0;
	pid_t root = scene_start();
	bool good = check(root);

	for (size_t i = 0; i < N; i++)
		methods[i].times = calloc(rounds, sizeof(double));
	/* by turns, so that whatever else the machine does meets all of them */
	for (int round = 0; good && round < rounds; round++) {
		for (size_t i = 0; i < N; i++) {
			methods[i].times[round] = measure(&methods[i], root, &p);
			interrupted += asked_interrupted;
		}
	}
	for (size_t i = 0; i < N; i++)
		qsort(methods[i].times, rounds, sizeof(double), by_number);
	if (good)
		print_times(rounds);
	if (interrupted)
		printf("%u dumps were marked as interrupted\n", interrupted);
	scene_end(root);
	return good ? 0 : 1;
}
