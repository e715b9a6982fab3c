// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures, on this machine and without the module, what a dump of one process does: stopping it, and copying its
 * memory with zeros found, checksums and several threads. Against that, by turns, criu dump of the same process, and one
 * thread that reads and writes. Up to the page cache; how long the process stood still is what it noticed itself.
 * Arguments: a directory to write to, MiB (default 512). Prints a table. Wants root.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <spawn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dump/copy.h"
#include "dump/freeze.h"

#define PAGE 4096
#define ROUNDS 5

struct process {
	pid_t pid;
	atomic_uint_fast64_t *pause;	/* the longest so far, in ns; shared with it */
};

struct cost {
	double seconds, pause;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

struct shape {
	const char *name;
	unsigned int every;	/* one page of so many has something in it; the others are zeros, or holes */
	bool holes;
	size_t page;
};

/* whether there are pages for two such objects: CRIU needs as many again */
static bool has_pages_for_two(const struct shape *shape, size_t size)
{
	int fd = memfd_create("probe", shape->page > PAGE ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	void *map = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, 2 * size))
		map = mmap(NULL, 2 * size, PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		munmap(map, 2 * size);
	if (fd >= 0)
		close(fd);
	return map != MAP_FAILED;
}

/* the object, and its extents; -1: there are not enough huge pages */
static int make(const struct shape *shape, size_t size, struct extents *extents)
{
	uint64_t *map, x = 1;
	size_t offset, i;
	int fd;

	if (!has_pages_for_two(shape, size))
		return -1;
	fd = memfd_create("bench", shape->page > PAGE ? MFD_HUGETLB | MFD_HUGE_2MB : 0);
	must(fd >= 0 && !ftruncate(fd, size), "memfd_create");
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*extents = (struct extents){ calloc(size / shape->page, sizeof(*extents->v)), 0 };
	must(map != MAP_FAILED && extents->v, "mmap");
	for (offset = 0; offset < size; offset += shape->page) {
		struct extent *last = extents->n ? &extents->v[extents->n - 1] : NULL;
		bool used = offset / shape->page % shape->every == 0;

		if (!used && shape->holes)
			continue;
		for (i = offset / 8; i < (offset + shape->page) / 8; i++)
			map[i] = used ? x = x * 6364136223846793005 + 1442695040888963407 : 0;
		if (last && last->end == offset)
			last->end += shape->page;
		else
			extents->v[extents->n++] =
				(struct extent){ offset, offset + shape->page, MEMFDCR_EXTENT_ALLOCATED };
	}
	munmap(map, size);
	return fd;
}

/* it has the object mapped, and looks at the clock all the time */
static struct process begin(int fd, size_t size)
{
	struct process p;

	p.pause = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(p.pause != MAP_FAILED, "mmap");
	p.pid = fork();
	must(p.pid >= 0, "fork");
	if (!p.pid) {
		uint64_t last = now_ns(), gap;
		int i;

		must(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED, "mmap");
		must(setsid() >= 0 && !chdir("/"), "setsid");
		for (i = 0; i < 3; i++)
			must(dup2(open("/dev/null", O_RDWR), i) == i, "/dev/null");
		close_range(3, ~0u, 0);
		for (;; last += gap) {
			usleep(200);
			gap = now_ns() - last;
			if (gap > *p.pause)
				*p.pause = gap;
		}
	}
	usleep(100000);
	return p;
}

static void end(struct process *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	munmap(p->pause, PAGE);
}

/* what an earlier round has left */
static void clear(const char *path)
{
	char name[4096 + 256];
	struct dirent *e;
	DIR *d = opendir(path);

	must(!!d, path);
	while ((e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (e->d_name[0] != '.')
			must(!unlink(name), name);
	}
	closedir(d);
}

static int new_file(const char *path)
{
	char name[4096 + 256];
	int fd;

	snprintf(name, sizeof(name), "%s/data", path);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	must(fd >= 0, name);
	return fd;
}

struct scene {
	int fd;
	size_t size;
	struct extents extents;
	struct process process;
	const char *path;
};

static void dump(const struct scene *s)
{
	int to = new_file(s->path);
	Memfdcr__Object o = MEMFDCR__OBJECT__INIT;
	struct copy_source source = { .fd = s->fd, .extents = &s->extents, .object = &o };
	struct copy_progress progress;
	struct freezer *freezer;
	char error[1024];

	o.size = s->size;
	if (freezer_start(s->process.pid, &freezer, NULL, NULL, error, sizeof(error)) ||
	    copy_run(&source, 1, to, &progress, NULL, NULL, error, sizeof(error))) {
		fprintf(stderr, "%s\n", error);
		exit(1);
	}
	freezer_release(freezer);
	close(to);
	free(o.chunks);
	free(o.pages);
	free(o.files);
	free(o.places);
	free(o.checksums.data);
}

static void cp(const struct scene *s)
{
	int to = new_file(s->path);
	static char buffer[1 << 20];
	ssize_t n;

	lseek(s->fd, 0, SEEK_SET);
	while ((n = read(s->fd, buffer, sizeof(buffer))) > 0)
		must(write(to, buffer, n) == n, "write");
	close(to);
}

static void criu_failed(const char *path)
{
	char name[4096 + 8], line[1024];
	FILE *f;

	fprintf(stderr, "criu dump failed:\n");
	snprintf(name, sizeof(name), "%s/log", path);
	f = fopen(name, "re");
	while (f && fgets(line, sizeof(line), f))
		fputs(line, stderr);
	exit(1);
}

static void criu(const struct scene *s)
{
	char pid[16];
	char *const words[] = { "criu", "dump", "-R", "-t", pid, "-D", (char *)s->path, "-o", "log", "-v1", NULL };
	posix_spawn_file_actions_t actions;
	pid_t child;
	int status;

	snprintf(pid, sizeof(pid), "%d", (int)s->process.pid);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	must(!posix_spawnp(&child, "criu", &actions, NULL, words, environ), "criu");
	posix_spawn_file_actions_destroy(&actions);
	must(waitpid(child, &status, 0) == child, "criu");
	if (status)
		criu_failed(s->path);
}

static double median(double *values)
{
	int i, k;

	for (i = 1; i < ROUNDS; i++)
		for (k = i; k > 0 && values[k] < values[k - 1]; k--) {
			double swap = values[k];

			values[k] = values[k - 1];
			values[k - 1] = swap;
		}
	return values[ROUNDS / 2];
}

enum { DUMP, CRIU, CP, WAYS };

static void measure(struct scene *s, struct cost costs[WAYS])
{
	static void (*const ways[WAYS])(const struct scene *s) = { dump, criu, cp };
	double seconds[WAYS][ROUNDS], pauses[WAYS][ROUNDS];
	int round, way;

	for (round = 0; round < ROUNDS; round++)
		for (way = 0; way < WAYS; way++) {
			uint64_t before;

			clear(s->path);
			*s->process.pause = 0;
			before = now_ns();
			ways[way](s);
			seconds[way][round] = (now_ns() - before) * 1e-9;
			usleep(10000);
			pauses[way][round] = *s->process.pause * 1e-9;
		}
	clear(s->path);
	for (way = 0; way < WAYS; way++)
		costs[way] = (struct cost){ median(seconds[way]), median(pauses[way]) };
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = {
		{ "dense", 1, false, PAGE },
		{ "9 of 10 pages zeros", 10, false, PAGE },
		{ "9 of 10 pages holes", 10, true, PAGE },
		{ "9 of 10 huge pages holes", 10, true, 2u << 20 },
	};
	size_t size = (argc > 2 ? strtoul(argv[2], NULL, 10) : 512) << 20, i;
	char path[4096];

	if (argc < 2) {
		fprintf(stderr, "Usage: dump_bench DIRECTORY [MIB]\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/dump_bench.XXXXXX", argv[1]);
	must(!!mkdtemp(path), path);
	printf("  %zu MiB, medians of %d, seconds, and how much longer the others take\n", size >> 20, ROUNDS);
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct scene s = { .size = size, .path = path };
		struct cost c[WAYS];

		s.fd = make(&shapes[i], size, &s.extents);
		if (s.fd < 0) {
			printf("  %-24s not measured: there are not enough huge pages\n", shapes[i].name);
			continue;
		}
		s.process = begin(s.fd, size);
		measure(&s, c);
		end(&s.process);
		printf("  %-24s dump %6.3f, stands still %6.3f   criu dump %6.3f (%4.1f times), %6.3f (%4.1f)   "
		       "read and write %6.3f (%4.1f)\n", shapes[i].name, c[DUMP].seconds, c[DUMP].pause,
		       c[CRIU].seconds, c[CRIU].seconds / c[DUMP].seconds, c[CRIU].pause, c[CRIU].pause / c[DUMP].pause,
		       c[CP].seconds, c[CP].seconds / c[DUMP].seconds);
		fflush(stdout);
		free(s.extents.v);
		close(s.fd);
	}
	rmdir(path);
	return 0;
}
