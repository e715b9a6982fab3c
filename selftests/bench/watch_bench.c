// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a watch on one process costs the others: fork(), mremap(), munmap(), mmap() and madvise() of a process that is
 * not watched, with a watch and without, by turns in one run. What counts is the median of the ratios of neighbours.
 */
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/memfdcr.h>

#include "../kmod/hooks.h"
#include "../kmod/request.h"

#define PAGE 4096UL
#define AT(n) ((char *)0x200000000UL + (n) * 2 * PAGE)	/* never side by side, or they would be merged */
#define MAPPINGS 200UL
#define BATCHES 10	/* the fastest counts: others use the machine, too, but not all the time */
#define MAX_ROUNDS 1001

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void *map(void *at)
{
	void *got = mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (got == MAP_FAILED)
		die("mmap");
	return got;
}

/* ---- what is measured: each does its call n times ---- */

static void forks(unsigned long n)
{
	while (n--) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("fork");
	}
}

static void moves(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		if (mremap(AT(i % 2), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, AT((i + 1) % 2)) == MAP_FAILED)
			die("mremap");
}

static void grows(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		if (mremap(AT(0), (1 + i % 2) * PAGE, (2 - i % 2) * PAGE, 0) == MAP_FAILED)
			die("mremap");
}

static void maps(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		map(AT(i));
}

static void unmaps(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		munmap(AT(i), PAGE);
}

static void advises(unsigned long n)
{
	for (unsigned long i = 0; i < n; i++)
		if (madvise(AT(0), PAGE, MADV_DONTNEED))
			die("madvise");
}

static void one_page(void)
{
	munmap(AT(0), 2 * MAPPINGS * PAGE);
	memset(map(AT(0)), 1, PAGE);
}

static void no_page(void)
{
	munmap(AT(0), 2 * MAPPINGS * PAGE);
}

static void many_pages(void)
{
	no_page();
	maps(MAPPINGS);
	for (unsigned long i = 0; i < MAPPINGS; i++)
		*AT(i) = 1;
}

static const struct bench {
	const char *name;
	void (*prepare)(void);
	void (*run)(unsigned long n);
	unsigned long n;
} benches[] = {
	{ "fork, exit and wait", one_page, forks, 10 },
	{ "mremap, moving", one_page, moves, 400 },
	{ "mremap, growing and shrinking", one_page, grows, 400 },
	{ "munmap", many_pages, unmaps, MAPPINGS },
	{ "mmap", no_page, maps, MAPPINGS },
	{ "madvise(MADV_DONTNEED)", one_page, advises, 1000 },
};

#define BENCHES (sizeof(benches) / sizeof(*benches))

/* ns a call, of the fastest batch */
static double measure(const struct bench *b)
{
	double best = 0, begin, time;

	for (int i = 0; i < BATCHES; i++) {
		b->prepare();
		begin = now();
		b->run(b->n);
		time = (now() - begin) / b->n;
		if (!i || time < best)
			best = time;
	}
	return best;
}

/* ---- a watch on somebody else ---- */

/* 1: all of them; 0: none; -1: some */
static int is_hooked(void)
{
	static const char *const placed_last[] = { "copy_vma", NULL };
	int n = hooks_count(hooks_of_watches);

	if (n < 0)
		die("what is hooked");
	return n && !hooks_count(placed_last) ? -1 : n > 0;
}

static void ignore(const struct nlmsghdr *nlh, void *arg)
{
}

static struct mnl_socket *watch(pid_t pid)
{
	const struct attribute attributes[] = { { MEMFDCR_A_WATCH_TREE, 4, pid }, { 0 } };
	struct mnl_socket *sock = request_socket();
	struct answer answer;

	if (!sock)
		die("socket");
	answer = request_do(sock, MEMFDCR_CMD_WATCH_START, attributes, ignore, sock);
	if (answer.error) {
		fprintf(stderr, "watch-start: %s\n", answer.message);
		exit(1);
	}
	if (is_hooked() != 1) {
		fprintf(stderr, "a watch, and not everything is hooked\n");
		exit(1);
	}
	return sock;
}

/* the hooks stay for a second */
static void unwatch(struct mnl_socket *sock)
{
	mnl_socket_close(sock);
	for (int i = 0; is_hooked(); i++) {
		if (i == 2000) {
			fprintf(stderr, "no watch, and something is hooked\n");
			exit(1);
		}
		usleep(10000);
	}
}

/* ---- by turns ---- */

static double without[BENCHES][MAX_ROUNDS], with[BENCHES][MAX_ROUNDS], ratio[BENCHES][MAX_ROUNDS];

static void turn(bool watched, pid_t pid, int round)
{
	struct mnl_socket *sock = watched ? watch(pid) : NULL;

	if (!watched && is_hooked()) {
		fprintf(stderr, "somebody else has a watch\n");
		exit(1);
	}

	/* the kernel goes on to rewrite itself for a moment */
	usleep(300000);
	for (size_t i = 0; i < BENCHES; i++)
		(watched ? with : without)[i][round] = measure(&benches[i]);
	if (sock)
		unwatch(sock);
}

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static double median(double *values, int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 31;
	cpu_set_t cpu;
	pid_t pid;

	if (rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	pid = fork();
	if (!pid)
		for (;;)
			pause();
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	for (int round = 0; round < rounds; round++) {
		turn(round % 2, pid, round);
		turn(!(round % 2), pid, round);
	}
	kill(pid, SIGKILL);
	for (size_t i = 0; i < BENCHES; i++)
		for (int round = 0; round < rounds; round++)
			ratio[i][round] = with[i][round] / without[i][round];
	printf("%-30s %12s %12s %14s\n", "ns a call, median", "no watch", "a watch", "median ratio");
	for (size_t i = 0; i < BENCHES; i++)
		printf("%-30s %12.0f %12.0f %14.3f\n", benches[i].name, median(without[i], rounds), median(with[i], rounds),
		       median(ratio[i], rounds));
	return 0;
}
