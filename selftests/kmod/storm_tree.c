// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the processes of a tree do in a storm: they map, move, unmap and drop what they have of a few objects, fork,
 * exec and die, and look whether every page is the one that it should be.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "storm.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define MAX_DEPTH 3
#define MAX_CHILDREN 4
#define WORDS (PAGE / sizeof(uint64_t))

/* what the process has of an object: one mapping in its lane */
struct lane {
	unsigned long slot, first, n;		/* pages [first, first + n); n 0: nothing any more */
};

static struct lane lanes[LANES];
static struct storm_tree tree;	/* as it was when it began: its place may be another one's by now */
static unsigned int depth, children, forked;

uint64_t storm_word(uint32_t number, unsigned int lane, unsigned long page, unsigned int i)
{
	/* never 0, whatever the numbers */
	return (uint64_t)number << 40 | (uint64_t)lane << 36 | (uint64_t)page << 20 | i << 8 | 0x5a;
}

static char *at(unsigned int l, unsigned long slot, unsigned long page)
{
	return (char *)ARENA + l * LANE_SIZE + slot * OBJECT_SIZE + page * PAGE;
}

static char *begin(unsigned int l)
{
	return at(l, lanes[l].slot, lanes[l].first);
}

void storm_map_lanes(bool memfd)
{
	for (unsigned int l = 0; l < LANES; l++) {
		int fd = memfd ? memfd_create("storm", MFD_CLOEXEC) : -1;

		if ((memfd && (fd < 0 || ftruncate(fd, OBJECT_SIZE))) ||
		    mmap(at(l, 0, 0), OBJECT_SIZE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | (memfd ? 0 : MAP_ANONYMOUS), fd, 0) == MAP_FAILED) {
			storm_fault("no memory for a tree: %d", errno);
			_exit(1);
		}
		if (memfd)
			close(fd);
	}
}

void storm_unmap_lanes(void)
{
	munmap((void *)ARENA, LANES * LANE_SIZE);
}

static void must(bool good, const char *what)
{
	if (good)
		return;
	/* many processes at once */
	if (errno != ENOMEM && errno != EAGAIN)
		storm_fault("tree %u: %s: error %d", tree.number, what, errno);
	_exit(3);
}

/* reads the whole page, and sometimes writes what is there already */
static void check(unsigned int l, unsigned long page)
{
	volatile uint64_t *words = (void *)at(l, lanes[l].slot, page);
	bool write_first = storm_any(4) == 0;

	if (write_first)
		words[7] = storm_word(tree.number, l, page, 7);
	for (unsigned int i = 0; i < WORDS; i++) {
		uint64_t word = words[i], want = storm_word(tree.number, l, page, i);

		if (word == want)
			continue;
		storm_fault("tree %u, object %u, page %lu at %p, word %u: %016lx instead of %016lx", tree.number, l,
			    page, (void *)words, i, (long)word, (long)want);
		_exit(4);
	}
	storm->n.looks++;
}

static void check_some(unsigned int l)
{
	for (unsigned int i = storm_any(8); i && lanes[l].n; i--)
		check(l, lanes[l].first + storm_any(lanes[l].n));
}

static unsigned long other_slot(unsigned int l)
{
	return (lanes[l].slot + 1 + storm_any(SLOTS - 1)) % SLOTS;
}

/* the whole mapping goes to another place; in every way there is */
static void move(unsigned int l)
{
	unsigned long slot = other_slot(l), length = lanes[l].n * PAGE;
	char *from = begin(l), *to = at(l, slot, lanes[l].first);
	unsigned int how = storm_any(4);

	if (how == 0) {			/* a second mapping, and the first goes */
		must(mremap(from, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap, again");
		munmap(from, length);
	} else if (how == 1) {		/* the first stays, and goes then */
		must(mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to,
		     "mremap, dontunmap");
		if (storm_any(2))
			check(l, lanes[l].first);
		munmap(from, length);
	} else {
		must(mremap(from, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap");
	}
	lanes[l].slot = slot;
	storm->n.moves++;
}

static void shrink(unsigned int l)
{
	unsigned long keep = lanes[l].n / 2 + storm_any(lanes[l].n - lanes[l].n / 2);
	char *from = begin(l);

	if (!keep)
		return;
	if (storm_any(2))
		must(mremap(from, lanes[l].n * PAGE, keep * PAGE, 0) == from, "mremap, shrinking");
	else
		munmap(from + keep * PAGE, (lanes[l].n - keep) * PAGE);
	lanes[l].n = keep;
	storm->n.unmaps++;
}

/* in place: what has been cut off comes back, as missing as it was */
static void grow(unsigned int l)
{
	unsigned long most = LANE_PAGES - lanes[l].first, has = lanes[l].n;

	if (has == most)
		return;
	has += 1 + storm_any(most - has);
	must(mremap(begin(l), lanes[l].n * PAGE, has * PAGE, 0) == begin(l), "mremap, growing");
	lanes[l].n = has;
	storm->n.moves++;
}

static void cut_head(unsigned int l)
{
	unsigned long cut = storm_any(lanes[l].n / 4 + 1);

	if (!cut)
		return;
	munmap(begin(l), cut * PAGE);
	lanes[l].first += cut;
	lanes[l].n -= cut;
	storm->n.unmaps++;
}

static void drop(unsigned int l, bool punch)
{
	unsigned long first = storm_any(lanes[l].n), n = 1 + storm_any(lanes[l].n - first);

	must(!madvise(begin(l) + first * PAGE, n * PAGE, punch ? MADV_REMOVE : MADV_DONTNEED), "madvise");
	if (punch)
		storm->n.punches++;
	else
		storm->n.drops++;
}

static void executes(void)
{
	storm->n.execs++;
	execl("/bin/true", "true", NULL);
	must(false, "/bin/true");
}

static void dies(void)
{
	static const int signals[] = { SIGKILL, SIGTERM, SIGSEGV };
	unsigned int how = storm_any(4);

	if (how < 3)
		kill(getpid(), signals[how]);
	_exit(how);
}

/* of the whole object, where somebody else moves it about: what is not there just now is no fault, wrong bytes are */
static void *look_through_kernel(void *arg)
{
	unsigned int l = (unsigned long)arg, i = 0;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return NULL;
	/* this thread, that is */
	setpriority(PRIO_PROCESS, 0, 10);
	for (;;) {
		unsigned long page = i++ * 37 % LANE_PAGES, slot = i % SLOTS;
		uint64_t word = 0, want = storm_word(tree.number, l, page, 0);

		if (write(ends[1], at(l, slot, page), sizeof(word)) != sizeof(word)) {
			usleep(100);
			continue;
		}
		if (read(ends[0], &word, sizeof(word)) != sizeof(word) || word == want) {
			storm->n.looks++;
			continue;
		}
		storm_fault("tree %u, object %u, page %lu, through the kernel: %016lx instead of %016lx", tree.number,
			    l, page, (long)word, (long)want);
	}
}

static void start_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	pthread_create(&thread, &attr, look_through_kernel, (void *)(unsigned long)storm_any(LANES));
	pthread_attr_destroy(&attr);
}

static void goes_on(unsigned int steps);

static void forks(void)
{
	bool virtually = storm_any(4) == 0;
	pid_t pid;

	if (depth == MAX_DEPTH)
		return;
	if (children == MAX_CHILDREN) {
		waitpid(-1, NULL, 0);
		children--;
	}
	storm->n.forks++;
	forked++;
	pid = virtually ? vfork() : fork();
	must(pid >= 0, "fork");
	if (pid) {
		children++;
		return;
	}
	if (virtually) {
		execl("/bin/true", "true", NULL);
		_exit(5);
	}
	depth++;
	children = 0;
	/* another sequence than that of the parent and of its other children */
	storm_seed(tree.number, storm_any(1U << 30) + forked * MAX_DEPTH + depth);
	forked = 0;
	if (storm_any(8) == 0)
		start_thread();
	goes_on(5 + storm_any(60));
	if (storm_any(4) == 0)
		executes();
	dies();
}

static void step(void)
{
	unsigned int l = storm_any(LANES);

	if (!lanes[l].n)
		return;
	switch (storm_any(24)) {
	default:
		check_some(l);
		break;
	case 8:
	case 9:
	case 10:
		move(l);
		break;
	case 11:
		shrink(l);
		break;
	case 12:
		cut_head(l);
		break;
	case 13:
	case 14:
		grow(l);
		break;
	case 15:
	case 16:
		drop(l, false);
		break;
	case 17:
	case 18:
		drop(l, tree.punches);
		break;
	case 19:
	case 20:
	case 21:
		forks();
		break;
	case 22:
		if (depth && storm_any(32) == 0) {
			storm->n.remap_file_pages++;
			/* with a userfaultfd: killed. Without one it is as good a way to move as any. */
			syscall(SYS_remap_file_pages, begin(l), PAGE, 0, lanes[l].first, 0);
		}
		break;
	}
	while (children && waitpid(-1, NULL, WNOHANG) > 0)
		children--;
}

static void goes_on(unsigned int steps)
{
	while (steps--)
		step();
}

int storm_tree_run(const struct storm_tree *t, pid_t owner)
{
	tree = *t;
	setpgid(0, 0);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0 });
	for (unsigned int l = 0; l < LANES; l++)
		lanes[l] = (struct lane){ .n = LANE_PAGES };
	while (t->go != tree.number) {
		if (getppid() != owner)
			return 0;
		usleep(1000);
	}
	if (storm_any(4) == 0)
		start_thread();
	goes_on(200 + storm_any(1000));
	dies();
	return 0;
}
