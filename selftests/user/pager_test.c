// SPDX-License-Identifier: GPL-2.0-only
/* The pager brings every byte of every object, to everybody, by fault and in the background. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager_fixture.h"
#include "tap.h"

/* maps all objects and checks all of them, page by page in random order */
static int check_all(struct rig *rig, void *arg)
{
	uint64_t state = (uint64_t)getpid();
	unsigned char *maps[MAX_OBJECTS];

	(void)arg;
	for (unsigned int i = 0; i < rig->n_objects; i++)
		maps[i] = child_map(rig, &rig->objects[i], 0, rig->objects[i].pages);
	child_arm(rig);
	for (unsigned int i = 0; i < rig->n_objects; i++)
		if (!check_pages_randomly(&rig->objects[i], maps[i], 0, rig->objects[i].pages, &state))
			return 1;
	return 0;
}

/* maps and arms, and touches nothing until the pager is through */
static int wait_for_all(struct rig *rig, void *arg)
{
	char c;

	(void)arg;
	for (unsigned int i = 0; i < rig->n_objects; i++)
		child_map(rig, &rig->objects[i], 0, rig->objects[i].pages);
	child_arm(rig);
	/* ends with the parent's end of the socket, or with a signal */
	return read(rig->children[0].sock, &c, 1) < 0;
}

static void test_layouts(void)
{
	static const struct {
		const char *name;
		uint64_t size;
		enum layout layout;
	} cases[] = {
		{ "dense", 600 * PAGE, DENSE },
		{ "every other page a hole", 600 * PAGE, ALTERNATE },
		{ "random holes, scattered in the image", 1500 * PAGE, RANDOM },
		{ "one page", PAGE, DENSE },
		{ "ends inside its last page", 130 * PAGE + 17, DENSE },
		{ "nothing in the image", 50 * PAGE, EMPTY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int background = 0; background < 2; background++) {
			struct rig rig;
			int rc;

			rig_new(&rig, background);
			rig_object(&rig, cases[i].size, cases[i].layout);
			rig_spawn(&rig, check_all, NULL);
			rig_arm(&rig);
			rc = rig_run(&rig);
			TAP_OK(!rc && rig_children_ok(&rig) && check_object(&rig.objects[0]) && !rig.stats.bytes_left,
			       "%s, %s: every byte", cases[i].name, background ? "faults and background" : "faults only");
			rig_end(&rig);
		}
	}
}

static void test_accounts(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, false);
	rig_object(&rig, 512 * PAGE, DENSE);
	rig_spawn(&rig, check_all, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig.stats.bytes_total == 512 * PAGE && rig.stats.bytes_by_fault == 512 * PAGE &&
	       !rig.stats.bytes_background && rig.stats.faults >= 512 / 16 && rig.completed == 1 &&
	       !rig.stats.spaces, "faults only: all bytes are accounted to faults");
	TAP_OK(rig_children_ok(&rig), "faults only: the child is content");
	rig_end(&rig);

	rig_new(&rig, true);
	rig.config.stream_chunk = 3 * PAGE;
	rig_object(&rig, 512 * PAGE, RANDOM);
	rig_object(&rig, 77 * PAGE, DENSE);
	rig_spawn(&rig, wait_for_all, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig.stats.bytes_background == rig.stats.bytes_total && !rig.stats.bytes_by_fault &&
	       !rig.stats.bytes_found, "background only: all bytes are accounted to it");
	TAP_OK(check_object(&rig.objects[0]) && check_object(&rig.objects[1]), "background only: every byte");
	rig_end(&rig);

	rig_new(&rig, true);
	rig_object(&rig, 100 * PAGE, DENSE);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && check_object(&rig.objects[0]), "no process at all: transferred nevertheless");
	rig_end(&rig);
}

static void test_sharing(void)
{
	for (int background = 0; background < 2; background++) {
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig_object(&rig, 400 * PAGE, RANDOM);
		rig_object(&rig, 33 * PAGE + 1, DENSE);
		rig_object(&rig, 200 * PAGE, ALTERNATE);
		for (int i = 0; i < 5; i++)
			rig_spawn(&rig, check_all, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK(!rc && rig_children_ok(&rig), "five processes, three objects, the same pages, %s",
		       background ? "faults and background" : "faults only");
		rig_end(&rig);
	}
}

/* one process, one object: the whole, its middle, its end; each place seen through each of them */
static int check_aliases(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	uint64_t n = o->pages, state = 1;
	unsigned char *whole = child_map(rig, o, 0, n);
	unsigned char *middle = child_map(rig, o, n / 4, n / 2);
	unsigned char *end = child_map(rig, o, n - 3, 3);

	(void)arg;
	child_arm(rig);
	return !check_pages_randomly(o, middle, n / 4, n / 2, &state) || !check_pages(o, end, n - 3, 3) ||
	       !check_pages_randomly(o, whole, 0, n, &state) || !check_pages(o, middle, n / 4, n / 2);
}

static void test_aliases(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, false);
	rig_object(&rig, 300 * PAGE, RANDOM);
	rig_spawn(&rig, check_aliases, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig), "an object mapped three times in one process");
	rig_end(&rig);
}

struct thread {
	struct rig *rig;
	unsigned char *map;
	uint64_t state;
	bool ok;
};

static void *check_thread(void *arg)
{
	struct thread *t = arg;
	struct test_object *o = &t->rig->objects[0];

	t->ok = check_pages_randomly(o, t->map, 0, o->pages, &t->state);
	return NULL;
}

static int check_threads(struct rig *rig, void *arg)
{
	struct thread threads[8];
	pthread_t ids[8];
	unsigned char *map = child_map(rig, &rig->objects[0], 0, rig->objects[0].pages);
	bool ok = true;

	(void)arg;
	child_arm(rig);
	for (int i = 0; i < 8; i++) {
		/* pairs in the same order: they wait for the same page at the same time */
		threads[i] = (struct thread){ rig, map, (uint64_t)(i / 2), false };
		if (pthread_create(&ids[i], NULL, check_thread, &threads[i]))
			return 2;
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(ids[i], NULL);
		ok &= threads[i].ok;
	}
	return !ok;
}

static void test_threads(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, true);
	rig.config.cluster = PAGE;
	rig.config.stream_chunk = PAGE;
	rig_object(&rig, 2000 * PAGE, RANDOM);
	rig_spawn(&rig, check_threads, NULL);
	rig_spawn(&rig, check_threads, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig), "sixteen threads of two processes on the same pages");
	rig_end(&rig);
}

/* writes into every third page before it has seen it, and finds the rest of these pages as in the image */
static int write_early(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	child_arm(rig);
	for (uint64_t page = 0; page < o->pages; page += 3)
		*(volatile uint64_t *)(map + page * PAGE + 800) = 0xabcd0000 + page;
	/* all the others come in, by fault and in the background */
	for (uint64_t page = 0; page < o->pages; page++) {
		uint64_t *words = (uint64_t *)(map + page * PAGE);

		for (unsigned int i = 0; i < PAGE / 8; i++) {
			bool written = page % 3 == 0 && i == 100;

			if (words[i] != (written ? 0xabcd0000 + page : word_at(o, page, i)))
				return 1;
		}
	}
	return 0;
}

static void test_writes(void)
{
	for (int background = 0; background < 2; background++) {
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig_object(&rig, 900 * PAGE, RANDOM);
		rig_spawn(&rig, write_early, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK(!rc && rig_children_ok(&rig), "writes into missing pages stay, %s",
		       background ? "faults and background" : "faults only");
		rig_end(&rig);
	}
}

/* looks through a mapping that nobody watches, as remap_file_pages() makes one, and so has zeros instantiated */
static int look_outside(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *other;

	(void)arg;
	child_arm(rig);
	other = mmap(NULL, o->pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	if (other == MAP_FAILED)
		return 2;
	for (uint64_t page = 5; page < o->pages; page += 10)
		rig->shared->flags[0] += *(volatile unsigned char *)(other + page * PAGE);
	pause();
	return 0;
}

static void test_found(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, true);
	rig.quiet = true;
	rig.config.stream_chunk = PAGE;
	rig_object(&rig, 30000 * PAGE, DENSE);
	rig_spawn(&rig, look_outside, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -EEXIST && rig.stats.bytes_found == PAGE && rig.stats.spaces == 1,
	       "a page instantiated past the pager, perhaps with zeros: it stops, descriptors open");
	rig_end(&rig);
}

static void test_before_arming(void)
{
	struct test_object *o;
	unsigned char junk[3 * PAGE];
	struct rig rig;
	off_t position;
	int rc;

	memset(junk, 0x5a, sizeof(junk));
	rig_new(&rig, false);
	o = rig_object(&rig, 100 * PAGE + 100, ALTERNATE);
	/* over image pages and holes, at the beginning, in the middle, in the last page */
	rc = pwrite(o->fd, junk, sizeof(junk), 0) < 0 || pwrite(o->fd, junk, sizeof(junk), 50 * PAGE) < 0 ||
	     pwrite(o->fd, junk, 10, 100 * PAGE) < 0;
	o->in_image[100] = 1;
	for (unsigned int i = 0; i < PAGE / 8; i++) {
		uint64_t word = word_at(o, 100, i);

		rc |= pwrite(o->image, &word, 8, (off_t)(o->image_pages * PAGE + i * 8)) != 8;
	}
	o->extents[o->n_extents++] = (struct pager_extent){
		.offset = 100 * PAGE, .length = PAGE, .file_offset = o->image_pages * PAGE, .fd = o->image,
	};
	lseek(o->fd, 4711, SEEK_SET);
	rc |= rig_add_object(&rig, o) != 0;
	position = lseek(o->fd, 0, SEEK_CUR);
	TAP_OK(!rc && position == 4711, "data before arming: the owner's file position stays");
	rc = pager_fill(rig.pager, 0);
	for (uint64_t page = 0; page < o->pages; page++) {
		unsigned char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, o->fd, (off_t)(page * PAGE));

		/* what no extent covers stays as it was found */
		if (page == 0 || page == 2 || page == 50 || page == 52)
			rc |= memcmp(map, junk, PAGE);
		else
			rc |= !check_page(o, map, page);
		munmap(map, PAGE);
	}
	TAP_OK(!rc, "data before arming: overwritten where the image has pages, kept elsewhere");
	TAP_OK(!pager_run(rig.pager), "after pager_fill() there is nothing to run for");
	rig_end(&rig);

	/* behind all that the image has */
	for (int layout = EMPTY; layout <= ALTERNATE; layout++) {
		unsigned char page[PAGE];

		rig_new(&rig, false);
		o = rig_object(&rig, 99 * PAGE, (enum layout)layout);
		rc = pwrite(o->fd, junk, PAGE, 98 * PAGE) < 0 || rig_add_object(&rig, o) || pager_fill(rig.pager, 0) ||
		     pread(o->fd, page, PAGE, 98 * PAGE) != (ssize_t)PAGE || memcmp(page, junk, PAGE);
		TAP_OK(!rc, "data before arming: kept behind the image's last page, %s",
		       layout == EMPTY ? "of which there is none" : "too");
		rig_end(&rig);
	}

	/* after the look at what is there: zeros that somebody has touched, as khugepaged does, and other bytes */
	rig_new(&rig, false);
	o = rig_object(&rig, 64 * PAGE + 100, DENSE);
	rc = rig_add_object(&rig, o);
	memset(junk, 0, PAGE);
	rc |= pwrite(o->fd, junk, sizeof(junk), 10 * PAGE) != sizeof(junk) || pwrite(o->fd, junk, 100, 64 * PAGE) != 100 ||
	      pager_fill(rig.pager, 0);
	TAP_OK(!rc && check_object(o), "data after that, before arming: overwritten");
	rig_end(&rig);

	/* allocated, but neither written nor read: no hole for a fault, no data for SEEK_DATA */
	rig_new(&rig, false);
	o = rig_object(&rig, 64 * PAGE, DENSE);
	rc = fallocate(o->fd, 0, 0, 32 * PAGE);
	rig_spawn(&rig, check_all, NULL);
	rig_arm(&rig);
	TAP_OK(!rc && !rig_run(&rig) && rig_children_ok(&rig), "preallocated pages get the image's bytes");
	rig_end(&rig);
}

static int reads_and_writes(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages), *page;
	char path[] = "/tmp/pager-io-XXXXXX";
	int file, pipes[2];

	(void)arg;
	child_arm(rig);
	file = mkostemp(path, O_CLOEXEC);
	if (file < 0 || unlink(path) || pipe2(pipes, O_CLOEXEC))
		return 2;
	/* out of missing pages */
	if (write(file, map, 40 * PAGE) != (ssize_t)(40 * PAGE) || write(pipes[1], map + 45 * PAGE, PAGE) != (ssize_t)PAGE)
		return 3;
	page = malloc(40 * PAGE);
	if (!page || pread(file, page, 40 * PAGE, 0) != (ssize_t)(40 * PAGE) || !check_pages(o, page, 0, 40))
		return 4;
	if (read(pipes[0], page, PAGE) != (ssize_t)PAGE || !check_page(o, page, 45))
		return 5;
	/* into missing pages, not at their edges */
	memset(page, 0x33, 2 * PAGE);
	if (pwrite(file, page, 2 * PAGE, 0) != (ssize_t)(2 * PAGE) || pread(file, map + 60 * PAGE + 8, PAGE, 0) != (ssize_t)PAGE)
		return 6;
	if (*(uint64_t *)(map + 60 * PAGE) != word_at(o, 60, 0) || map[60 * PAGE + 8] != 0x33 || map[61 * PAGE + 7] != 0x33 ||
	    *(uint64_t *)(map + 61 * PAGE + 8) != word_at(o, 61, 1))
		return 7;
	/* write() holds the object's lock while its source, in the same object, is missing; its destination is not */
	if (!check_pages(o, map + 100 * PAGE, 100, 10))
		return 10;
	if (pwrite(o->fd, map + 80 * PAGE, 10 * PAGE, 100 * PAGE) != (ssize_t)(10 * PAGE))
		return 8;
	if (!check_pages(o, map + 100 * PAGE, 80, 10))
		return 9;
	free(page);
	return 0;
}

static void test_system_calls(void)
{
	for (int background = 0; background < 2; background++) {
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig.quiet = true;
		/* slow enough that the child finds pages missing */
		rig.config.stream_chunk = PAGE;
		rig_object(&rig, 4000 * PAGE, DENSE);
		rig_spawn(&rig, reads_and_writes, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig), "read and write system calls on missing memory, %s",
		       background ? "faults and background" : "faults only");
		rig_end(&rig);
	}
}

static void test_huge(void)
{
	struct pager_extent extents[2];
	struct test_object *o;
	struct rig rig;
	int rc;

	/* 300 GB of hole with two pages of image: nothing may take time or memory in proportion */
	rig_new(&rig, true);
	o = rig_object(&rig, 2 * PAGE, DENSE);
	if (ftruncate(o->fd, 300LL << 30)) {
		tap_skip("no object of 300 GB");
		rig_end(&rig);
		return;
	}
	extents[0] = (struct pager_extent){ .offset = 0, .length = PAGE, .file_offset = 0, .fd = o->image };
	extents[1] = (struct pager_extent){
		.offset = (300ULL << 30) - PAGE, .length = PAGE, .file_offset = PAGE, .fd = o->image,
	};
	rc = -1;
	rig.pager = pager_new(&rig.config);
	if (rig.pager)
		rc = pager_add_object(rig.pager, "huge", o->fd, 300ULL << 30, extents, 2);
	if (!rc)
		rc = pager_run(rig.pager);
	if (!rc) {
		unsigned char *map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, o->fd, (off_t)((300ULL << 30) - PAGE));

		rc = map == MAP_FAILED || !check_page(o, map, 1);
		munmap(map, PAGE);
	}
	TAP_OK(!rc, "300 GB of hole with a page at either end");
	rig_end(&rig);
}

int main(int argc, char **argv)
{
	rig_seed(argc, argv);
	if (!have_userfaultfd()) {
		tap_skip("no userfaultfd for this user on this kernel");
		return tap_done();
	}
	test_layouts();
	test_accounts();
	test_sharing();
	test_aliases();
	test_threads();
	test_writes();
	test_found();
	test_before_arming();
	test_system_calls();
	test_huge();
	return tap_done();
}
