// SPDX-License-Identifier: GPL-2.0-only
/* The pager with huge pages of hugetlbfs, private mappings, and several mappings of one object in one process. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "huge_pool.h"
#include "pager_fixture.h"
#include "tap.h"

#define HUGE		(HUGE_PAGES * PAGE)
#define POOL		48L		/* huge pages that the tests may take at once */

static void wait_for_flag(struct rig *rig, int flag)
{
	while (!__atomic_load_n(&rig->shared->flags[flag], __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void set_flag(struct rig *rig, int flag)
{
	__atomic_store_n(&rig->shared->flags[flag], 1, __ATOMIC_RELEASE);
}

static bool all_accounted_for(const struct pager_stats *s)
{
	return !s->bytes_found && s->bytes_total == s->bytes_by_fault + s->bytes_background + s->bytes_dropped +
						    s->bytes_holes + s->bytes_left;
}

/* one scenario in n children, with and without the background transfer */
static void scenario(const char *name, int (*fn)(struct rig *rig, void *arg), unsigned int n, uint64_t huge,
		     enum layout layout)
{
	for (int background = 0; background < 2; background++) {
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig.config.stream_chunk = 4 * PAGE;
		rig.config.cluster = 4 * PAGE;
		if (huge)
			rig_huge_object(&rig, huge, layout);
		else
			rig_object(&rig, 600 * PAGE, layout);
		for (unsigned int i = 0; i < n; i++)
			rig_spawn(&rig, fn, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig) && all_accounted_for(&rig.stats), "%s, %s", name,
		       background ? "faults and background" : "faults only");
		rig_end(&rig);
	}
}

static int looks(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	uint64_t state = (uint64_t)getpid();

	(void)arg;
	child_arm(rig);
	return !check_pages_randomly(o, map, 0, o->pages, &state);
}

/* --- several mappings of one object --- */

struct view {
	struct test_object *o;
	unsigned char *map;
	uint64_t first, count;
	bool ok;
};

static void *look_through(void *arg)
{
	struct view *v = arg;

	v->ok = check_pages(v->o, v->map, v->first, v->count);
	return NULL;
}

/* the same pages at the same time through each; then one is moved, one unmapped, and the others know nothing of it */
static int several(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	uint64_t unit = o->pages / 6;
	struct view v[4] = {
		{ o, child_map(rig, o, 0, 4 * unit), 0, unit, false },
		{ o, child_map(rig, o, unit, 3 * unit), unit, unit, false },
		{ o, child_map(rig, o, 0, 6 * unit), 0, 2 * unit, false },
		{ o, child_map(rig, o, 0, 6 * unit), 0, 2 * unit, false },
	};
	pthread_t ids[4];
	void *to;

	(void)arg;
	child_arm(rig);
	for (int i = 0; i < 4; i++)
		if (pthread_create(&ids[i], NULL, look_through, &v[i]))
			return 1;
	for (int i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
	if (!v[0].ok || !v[1].ok || !v[2].ok || !v[3].ok)
		return 2;

	to = mmap(NULL, 8 * unit * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	to = (void *)(((uintptr_t)to + unit * PAGE) & ~(HUGE - 1));
	to = mremap(v[0].map + unit * PAGE, 3 * unit * PAGE, 3 * unit * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED || munmap(v[1].map + unit * PAGE, unit * PAGE))
		return 3;
	if (!check_pages(o, (unsigned char *)to + unit * PAGE, 2 * unit, unit / 2) ||
	    !check_pages(o, v[1].map + 2 * unit * PAGE, 3 * unit, unit / 2) ||
	    !check_pages(o, v[2].map + 2 * unit * PAGE, 2 * unit, 2 * unit))
		return 4;
	munmap(v[2].map, 6 * unit * PAGE);
	return !check_pages(o, v[3].map, 0, 6 * unit);
}

/* --- huge pages --- */

static int huge_life(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages), *to;
	pid_t child;

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map + HUGE, HUGE_PAGES, 5))
		return 1;
	if (child_madvise(rig, map, 3 * HUGE, MADV_DONTNEED) || !check_pages(o, map, 0, 2 * HUGE_PAGES))
		return 2;
	child = fork_here();
	if (!child) {
		*(volatile uint64_t *)(map + 5 * HUGE) = 11;
		_exit(!check_pages(o, map + 5 * HUGE + PAGE, 5 * HUGE_PAGES + 1, HUGE_PAGES - 1) ||
		      !check_pages(o, map + 3 * HUGE, 3 * HUGE_PAGES, 10));
	}
	to = mmap(NULL, 4 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	to = (void *)(((uintptr_t)to + HUGE) & ~(HUGE - 1));
	to = mremap(map + 4 * HUGE, 2 * HUGE, 2 * HUGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED || !waited_ok(child) || *(volatile uint64_t *)(to + HUGE) != 11 ||
	    !check_pages(o, to, 4 * HUGE_PAGES, HUGE_PAGES) ||
	    !check_pages(o, to + HUGE + PAGE, 5 * HUGE_PAGES + 1, HUGE_PAGES - 1))
		return 3;
	if (munmap(map, 2 * HUGE) || !check_pages(o, map + 2 * HUGE, 2 * HUGE_PAGES, 2 * HUGE_PAGES))
		return 4;
	return 0;
}

/* MADV_REMOVE takes any pages of 4 KiB: of a huge page that is not there yet, the rest is still to come */
static int huge_punched(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	bool *gone = calloc(o->pages, sizeof(*gone));
	uint64_t state = (uint64_t)getpid();

	(void)arg;
	child_arm(rig);
	for (int i = 0; i < 60; i++) {
		uint64_t first = next_random(&state) % o->pages;
		uint64_t n = 1 + next_random(&state) % (i % 4 ? 100 : 2 * HUGE_PAGES), look;

		if (n > o->pages - first)
			n = o->pages - first;
		if (child_madvise(rig, map + first * PAGE, n * PAGE, MADV_REMOVE))
			return 1;
		for (uint64_t k = 0; k < n; k++)
			gone[first + k] = true;
		if (i < 20)
			continue;
		look = next_random(&state) % o->pages;
		if (gone[look] ? !is_zero(map + look * PAGE, PAGE) : !check_page(o, map + look * PAGE, look))
			return 2;
	}
	for (uint64_t k = 0; k < o->pages; k++)
		if (gone[k] ? !is_zero(map + k * PAGE, PAGE) : !check_page(o, map + k * PAGE, k))
			return 3;
	free(gone);
	return 0;
}

/* one hole is touched at once, another when everything is in */
static int touches_a_hole(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map + HUGE, HUGE_PAGES, HUGE_PAGES))
		return 1;
	set_flag(rig, 1);
	wait_for_flag(rig, 0);
	return !check_pages(o, map, 0, 3 * HUGE_PAGES);
}

static void test_sparse(void)
{
	const long free_before = huge_pages("Free"), reserved_before = huge_pages("Rsvd");
	struct rig rig;
	int rc;

	rig_new(&rig, true);
	rig_huge_object(&rig, 12, HOLES);
	rig_spawn(&rig, touches_a_hole, NULL);
	rig_arm(&rig);
	TAP_OK(huge_pages("Free") == free_before && huge_pages("Rsvd") == reserved_before + 12,
	       "before the first page all of the object is reserved, and no more");
	rc = rig_run(&rig);
	wait_for_flag(&rig, 1);
	/* the background transfer may have come to the one that is touched before it was */
	TAP_OK(!rc && (rig.stats.bytes_holes == 7 * HUGE || rig.stats.bytes_holes == 8 * HUGE),
	       "huge pages of zeros are left holes");
	TAP_OK(huge_pages("Free") == free_before - 5 && huge_pages("Rsvd") == reserved_before + 7,
	       "but one that is touched; they stay reserved (%ld free of %ld, %ld reserved, %ld before)",
	       huge_pages("Free"), free_before,
	       huge_pages("Rsvd"), reserved_before);
	set_flag(&rig, 0);
	TAP_OK(rig_children_ok(&rig) && huge_pages("Free") == free_before - 6, "and can be had when everything is in");
	TAP_OK(check_object(&rig.objects[0]), "every byte is right");
	rig_end(&rig);
	TAP_OK(huge_pages("Free") == free_before && huge_pages("Rsvd") == reserved_before, "none of them is lost");
}

/* what is in the object when the pager gets it */
static void test_instantiated(void)
{
	struct test_object *o;
	unsigned char *map;
	struct rig rig;
	int rc;

	rig_new(&rig, true);
	o = rig_huge_object(&rig, 8, RANDOM);
	map = mmap(NULL, 8 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	if (!TAP_OK(map != MAP_FAILED, "an object to scribble on"))
		return;
	for (int i = 0; i < 8; i += 3)
		memset(map + (uint64_t)i * HUGE, 0, HUGE);
	munmap(map, 8 * HUGE);
	rig_spawn(&rig, looks, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig) && !rig.stats.bytes_found && rig.stats.bytes_total == 5 * HUGE,
	       "huge pages that are there already are written over, and no others");
	rig_end(&rig);
}

/* puts pages there, punches them, and of small ones cuts the object off, until it is killed */
static void disturb(const struct test_object *o, bool huge)
{
	const uint64_t length = o->pages * PAGE;
	unsigned char *map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	struct iovec from = { .iov_base = map, .iov_len = 1 }, to = from;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		uint64_t at = rig_random() % length;

		/* what is cut off is an error for this, and no signal */
		from.iov_base = &at;
		to.iov_base = map + at;
		process_vm_writev(getpid(), &from, 1, &to, 1, 0);
		at = rig_random() % length / HUGE * HUGE;
		fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, HUGE);
		if (!huge && (ftruncate(o->fd, (off_t)(rig_random() % length)) || ftruncate(o->fd, (off_t)o->size)))
			_exit(1);
	}
}

/* somebody whom nobody can stop uses the object while the pager gets it */
static void test_disturbed(bool huge)
{
	const int rounds = 40;
	int refused = 0;

	for (int i = 0; i < rounds; i++) {
		struct test_object *o;
		struct rig rig;
		pid_t pid;
		int rc;

		rig_new(&rig, false);
		rig.quiet = true;
		o = huge ? rig_huge_object(&rig, 8, DENSE) : rig_object(&rig, 4 * HUGE + 100, DENSE);
		pid = fork();
		if (pid < 0)
			abort();
		if (!pid)
			disturb(o, huge);
		/* who waits for himself does so for ever */
		alarm(60);
		rc = rig_add_object(&rig, o);
		if (!rc)
			rc = pager_fill(rig.pager, 0);
		alarm(0);
		refused += rc != 0;
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		rig_end(&rig);
	}
	TAP_OK(refused < rounds, "an object of %s meanwhile by somebody else: done or refused (%d of %d)",
	       huge ? "huge pages, punched" : "small pages, punched and cut off", refused, rounds);
}

static sigjmp_buf on_sigbus;

static void got_sigbus(int signal)
{
	(void)signal;
	siglongjmp(on_sigbus, 1);
}

/* a page that was punched has no reservation any more; somebody has taken all others by then */
static int touches_what_is_not_to_be_had(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map, 0, 1) || child_madvise(rig, map, HUGE, MADV_REMOVE))
		return 1;
	set_flag(rig, 0);
	wait_for_flag(rig, 1);
	signal(SIGBUS, got_sigbus);
	if (!sigsetjmp(on_sigbus, 1)) {
		set_flag(rig, 2);
		(void)*(volatile unsigned char *)map;
		set_flag(rig, 3);
		return 2;
	}
	set_flag(rig, 3);
	return !check_pages(o, map + HUGE, HUGE_PAGES, o->pages - HUGE_PAGES);
}

/* takes the pool once the page is punched, and gives it back at its end */
static int takes_the_pool(struct rig *rig, void *arg)
{
	void *map = MAP_FAILED;

	(void)arg;
	child_arm(rig);
	wait_for_flag(rig, 0);
	/* how many are neither in use nor reserved changes while it is read */
	for (long n = huge_pages("Free"); map == MAP_FAILED && n > 0; n--)
		map = mmap(NULL, (size_t)n * HUGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	set_flag(rig, 1);
	if (map == MAP_FAILED)
		return 1;
	wait_for_flag(rig, 3);
	return 0;
}

static void test_empty_pool(void)
{
	struct rig rig;
	int rc;

	if (huge_pages("Free") > 4 * POOL) {
		tap_skip("an empty pool: this machine's is too large to be taken as a whole");
		return;
	}
	rig_new(&rig, true);
	rig.config.stream_chunk = PAGE;
	rig_huge_object(&rig, 16, DENSE);
	rig_object(&rig, 60000 * PAGE, DENSE);	/* keeps the pager at work for a while */
	rig_spawn(&rig, touches_what_is_not_to_be_had, NULL);
	rig_spawn(&rig, takes_the_pool, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig) && rig.shared->flags[2],
	       "a hole without a huge page for it holds nothing else up, and SIGBUS is the kernel's answer");
	rig_end(&rig);
}

/* through a mapping that nobody watches */
static int instantiates_secretly(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = mmap(NULL, o->pages * PAGE, PROT_READ, MAP_SHARED, o->fd, 0);
	unsigned char *watched = child_map(rig, o, 0, o->pages);

	(void)arg;
	child_arm(rig);
	(void)*(volatile unsigned char *)(map + 3 * HUGE);
	(void)*(volatile unsigned char *)(watched + 4 * HUGE);
	(void)*(volatile unsigned char *)(map + 5 * HUGE);
	pause();
	return 0;
}

static void test_found(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, true);
	rig.config.stream_chunk = PAGE;
	rig.quiet = true;
	rig_huge_object(&rig, 16, DENSE);
	rig_spawn(&rig, instantiates_secretly, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -EEXIST && rig.stats.spaces == 1 && rig.stats.bytes_found == HUGE,
	       "a huge page that came past the pager ends it, descriptors open (%s)", strerror(-rc));
	rig_end(&rig);
}

static void test_huge_pages(void)
{
	scenario("huge pages", looks, 2, 12, DENSE);
	scenario("huge pages that the image has in parts", looks, 2, 12, RANDOM);
	scenario("huge pages that the image has not at all", looks, 1, 12, EMPTY);
	scenario("huge pages, most of them zeros", looks, 2, 12, HOLES);
	scenario("huge pages mapped several times in one process", several, 1, 12, RANDOM);
	scenario("huge pages forked, moved, dropped and unmapped", huge_life, 2, 12, DENSE);
	scenario("huge pages punched in parts", huge_punched, 1, 10, RANDOM);
	test_sparse();
	test_instantiated();
	test_disturbed(true);
	test_found();
	test_empty_pool();
}

/* --- private mappings --- */

/* some pages are the process's own from before the pager comes; that leaves a page of zeros in the object */
static int private_and_shared(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *own = child_map_private(rig, o, 0, o->pages), *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	for (uint64_t page = 0; page < o->pages; page += 8)
		memset(own + page * PAGE, 5, PAGE);
	set_flag(rig, 0);
	child_arm(rig);
	for (uint64_t page = 1; page < o->pages; page += 8)
		own[page * PAGE + 1] = 6;
	for (uint64_t page = 0; page < o->pages; page++) {
		unsigned char *p = own + page * PAGE;

		if (page % 8 == 0) {
			if (p[0] != 5 || memcmp(p, p + 1, PAGE - 1))
				return 1;
			continue;
		}
		if (page % 8 == 1) {
			if (p[1] != 6)
				return 2;
			p[1] = (unsigned char)(word_at(o, page, 0) >> 8);
		}
		if (!check_page(o, p, page))
			return 3;
	}
	if (!check_pages(o, map, 0, o->pages))
		return 4;
	/* the process's own are dropped: the object's come back */
	if (child_madvise(rig, own, 100 * PAGE, MADV_DONTNEED) || !check_pages(o, own, 0, 100))
		return 5;
	/* what is written to the object later is seen where the process has no page of its own, as ever */
	map[3 * PAGE] = 77;
	return own[3 * PAGE] != 77;
}

static int private_life(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *own = child_map_private(rig, o, 0, o->pages), *to;
	uint64_t state = (uint64_t)getpid();
	pid_t child;

	(void)arg;
	child_arm(rig);
	/* refused before it raises an event, so nobody asks */
	if (!madvise(own + 200 * PAGE, 50 * PAGE, MADV_REMOVE) || errno != EACCES)
		return 1;
	own[10 * PAGE] = 1;
	if (child_madvise(rig, own, 50 * PAGE, MADV_DONTNEED) || !check_pages(o, own, 0, 20))
		return 2;
	own[20 * PAGE] = 2;
	child = fork_here();
	if (!child) {
		own[21 * PAGE] = 3;
		_exit(own[20 * PAGE] != 2 || !check_pages(o, own + 22 * PAGE, 22, 100) ||
		      !check_pages(o, own + 200 * PAGE, 200, 50));
	}
	own[22 * PAGE] = 4;
	if (!waited_ok(child) || !check_page(o, own + 21 * PAGE, 21) || own[22 * PAGE] != 4)
		return 3;
	to = mmap(NULL, 300 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	to = mremap(own + 20 * PAGE, 300 * PAGE, 300 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED || to[0] != 2 || to[2 * PAGE] != 4 || !check_pages(o, to + 3 * PAGE, 23, 297))
		return 4;
	if (munmap(own + 320 * PAGE, 10 * PAGE))
		return 5;
	return !check_pages_randomly(o, own + 330 * PAGE, 330, o->pages - 330, &state);
}

static int private_looks(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *own = child_map_private(rig, o, 0, o->pages);
	uint64_t state = (uint64_t)getpid();

	(void)arg;
	child_arm(rig);
	return !check_pages_randomly(o, own, 0, o->pages, &state);
}

static void test_private(void)
{
	struct rig rig;
	uint64_t word;
	int rc;

	scenario("private mappings", private_looks, 2, 0, RANDOM);
	scenario("a private mapping dropped, forked, moved and unmapped", private_life, 2, 0, RANDOM);

	for (int background = 0; background < 2; background++) {
		rig_new(&rig, background);
		rig.config.stream_chunk = PAGE;
		rig_object(&rig, 600 * PAGE, background ? RANDOM : ALTERNATE);
		rig_spawn(&rig, private_and_shared, NULL);
		wait_for_flag(&rig, 0);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig) && all_accounted_for(&rig.stats),
		       "a private mapping with pages of its own, and a shared one, %s",
		       background ? "faults and background" : "faults only");
		/* what is written to private pages is not in the object */
		word = word_at(&rig.objects[0], 3, 0);
		TAP_OK(!pager_fill(rig.pager, 0) && pwrite(rig.objects[0].fd, &word, 8, 3 * PAGE) == 8 &&
		       check_object(&rig.objects[0]), "the object is as in the image");
		rig_end(&rig);
	}
}

int main(int argc, char **argv)
{
	struct huge_pool pool;

	rig_seed(argc, argv);
	scenario("shared memory mapped several times in one process", several, 1, 0, RANDOM);
	test_private();
	test_disturbed(false);
	if (huge_pool_borrow(&pool, POOL))
		test_huge_pages();
	else
		tap_skip("huge pages: fewer than 48 are free, and vm.nr_hugepages cannot be raised so far");
	huge_pool_return(&pool);
	return tap_done();
}
