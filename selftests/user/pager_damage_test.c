// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pager with images that are damaged: no byte of a chunk that is not right gets anywhere, no page of it turns into
 * zeros, and everything else comes as ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump_maker.h"
#include "huge_pool.h"
#include "image/layout.h"
#include "image/reader.h"
#include "pager_fixture.h"
#include "tap.h"

#define HUGE		(HUGE_PAGES * PAGE)
#define POOL		16L		/* huge pages that the tests may take at once */
#define CHUNK		65536UL
#define CHUNK_PAGES	(CHUNK / PAGE)
#define MAX_CHUNKS	1024

/* flags of the rig */
enum { SETTLED, GO };

/* of the object 0, which the tests damage; shared with the children by being set before they are made */
static bool damaged[MAX_CHUNKS];
static unsigned int checks, told_settled;
static uint64_t told_damaged;
static bool early;		/* some page of a chunk was in the object before the first check of it */
static bool checked_once[MAX_CHUNKS];

static void wait_for_flag(struct rig *rig, int flag)
{
	while (!__atomic_load_n(&rig->shared->flags[flag], __ATOMIC_ACQUIRE))
		usleep(1000);
}

static void set_flag(struct rig *rig, int flag)
{
	__atomic_store_n(&rig->shared->flags[flag], 1, __ATOMIC_RELEASE);
}

/* --- the pager's owner --- */

/* something that the image has of this chunk is in the object; of small pages only */
static bool is_in_object(const struct test_object *o, uint64_t offset)
{
	for (uint64_t page = offset / PAGE; page < o->pages && page < (offset + CHUNK) / PAGE; page++)
		if (o->in_image[page] && lseek(o->fd, (off_t)(page * PAGE), SEEK_DATA) == (off_t)(page * PAGE))
			return true;
	return false;
}

static int check(void *data, unsigned int object, uint64_t offset, const void *bytes)
{
	struct rig *rig = data;
	struct test_object *o = &rig->objects[object];
	struct stat st;

	checks++;
	if (offset % rig->config.check_chunk || fstat(o->fd, &st))
		return -EINVAL;
	if (!object && st.st_blksize == (blksize_t)PAGE && !checked_once[offset / CHUNK] && is_in_object(o, offset))
		early = true;
	if (!object)
		checked_once[offset / CHUNK] = true;
	for (uint64_t k = 0; k < rig->config.check_chunk / PAGE; k++)
		for (unsigned int i = 0; i < PAGE / 8; i++)
			if (((const uint64_t *)bytes)[k * PAGE / 8 + i] != word_at(o, offset / PAGE + k, i))
				return -EBADMSG;
	return 0;
}

static int note_damage(void *data, unsigned int object, uint64_t offset, uint64_t length)
{
	(void)data;
	(void)object;
	(void)offset;
	told_damaged += length;
	return 0;
}

static int stop_at_damage(void *data, unsigned int object, uint64_t offset, uint64_t length)
{
	(void)data;
	(void)object;
	(void)offset;
	(void)length;
	return -EUCLEAN;
}

static void note_settled(void *data)
{
	told_settled++;
	set_flag(data, SETTLED);
}

static int kill_child(void *data, unsigned int space, int uffd)
{
	struct rig *rig = data;

	(void)uffd;
	for (unsigned int i = 0; i < rig->n_children; i++) {
		struct test_child *c = &rig->children[i];

		if (c->space != (int)space)
			continue;
		if (kill(c->pid, SIGKILL) || waitpid(c->pid, &c->status, 0) != c->pid)
			return -errno;
		c->reaped = true;
		return 0;
	}
	return -ESRCH;
}

static void begin(struct rig *rig, bool background)
{
	rig_new(rig, background);
	rig->ops.check = check;
	rig->ops.damaged = note_damage;
	rig->ops.settled = note_settled;
	rig->config.check_chunk = CHUNK;
	rig->quiet = true;
	memset(damaged, 0, sizeof(damaged));
	memset(checked_once, 0, sizeof(checked_once));
	checks = told_settled = 0;
	told_damaged = 0;
	early = false;
}

/* one bit of what the image has of page, or back again; false: it has nothing */
static bool spoil(struct test_object *o, uint64_t page)
{
	for (size_t i = 0; i < o->n_extents; i++) {
		const struct pager_extent *e = &o->extents[i];
		off_t at = (off_t)(e->file_offset + page * PAGE - e->offset + 1234);
		unsigned char byte;

		if (page * PAGE < e->offset || page * PAGE >= e->offset + e->length)
			continue;
		if (pread(e->fd, &byte, 1, at) != 1)
			abort();
		byte ^= 4;
		if (pwrite(e->fd, &byte, 1, at) != 1)
			abort();
		damaged[page / CHUNK_PAGES] = true;
		return true;
	}
	return false;
}

/* is this page not to be had? with huge pages one wrong chunk spoils 32 */
static bool is_refused(const struct test_object *o, uint64_t page, bool huge)
{
	const uint64_t n = huge ? HUGE_PAGES / CHUNK_PAGES : 1;
	uint64_t first = page / CHUNK_PAGES / n * n;

	if (!huge)
		return damaged[first] && o->in_image[page];
	for (uint64_t k = 0; k < n; k++)
		if (damaged[first + k])
			return true;
	return false;
}

static uint64_t refused_bytes(const struct test_object *o, bool huge)
{
	uint64_t n = 0;

	for (uint64_t page = 0; page < o->pages; page++)
		n += is_refused(o, page, huge);
	return n * PAGE;
}

/* --- the processes --- */

static _Thread_local sigjmp_buf on_sigbus;

static void got_sigbus(int signal)
{
	(void)signal;
	siglongjmp(on_sigbus, 1);
}

/* reading, or writing back what is there, is answered by SIGBUS */
static bool refuses(unsigned char *address, bool write)
{
	volatile unsigned char *byte = address;

	signal(SIGBUS, got_sigbus);
	if (sigsetjmp(on_sigbus, 1))
		return true;
	if (write)
		*byte = 1;
	else
		(void)*byte;
	return false;
}

/* pages [first, first + count) at address: all as they should be, be that by SIGBUS */
static bool as_they_should(const struct test_object *o, unsigned char *address, uint64_t first, uint64_t count,
			   bool huge)
{
	for (uint64_t k = 0; k < count; k++) {
		unsigned char *at = address + k * PAGE;

		if (is_refused(o, first + k, huge) ? !refuses(at, k % 2) : !check_page(o, at, first + k)) {
			say("# pid %d: page %llu of object %u is not as it should be", getpid(),
			    (unsigned long long)(first + k), o->number);
			return false;
		}
	}
	return true;
}

static bool is_huge(const struct test_object *o)
{
	struct stat st;

	return !fstat(o->fd, &st) && st.st_blksize == (blksize_t)HUGE;
}

static int looks(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	child_arm(rig);
	return !as_they_should(o, map, 0, o->pages, is_huge(o));
}

static int looks_privately(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map_private(rig, o, 0, o->pages);
	pid_t child;

	(void)arg;
	child_arm(rig);
	if (!as_they_should(o, map, 0, o->pages / 2, false))
		return 1;
	child = fork_here();
	if (!child)
		_exit(!as_they_should(o, map, 0, o->pages, false));
	return !waited_ok(child) || !as_they_should(o, map, 0, o->pages, false);
}

struct look {
	const struct test_object *o;
	unsigned char *map;
	bool ok;
};

static void *look(void *arg)
{
	struct look *l = arg;

	l->ok = as_they_should(l->o, l->map, 0, l->o->pages, is_huge(l->o));
	return NULL;
}

/* all at the same place at the same time */
static int looks_in_threads(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	struct look l = { o, child_map(rig, o, 0, o->pages), false }, each[6];
	pthread_t ids[6];

	(void)arg;
	child_arm(rig);
	for (int i = 0; i < 6; i++) {
		each[i] = l;
		if (pthread_create(&ids[i], NULL, look, &each[i]))
			return 1;
	}
	for (int i = 0; i < 6; i++) {
		pthread_join(ids[i], NULL);
		if (!each[i].ok)
			return 2;
	}
	return 0;
}

/*
 * When all that can come is in, and nothing but damage keeps the pager: whatever makes a new page table, or empties
 * one, shows no zeros.
 */
static int lives_on(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages), *second = child_map(rig, o, 0, o->pages), *to;
	const bool huge = is_huge(o);
	const uint64_t half = o->pages / 2;
	pid_t child, grandchild;

	(void)arg;
	child_arm(rig);
	if (!as_they_should(o, map, 0, half, huge))
		return 1;
	if (!rig->config.no_background)
		wait_for_flag(rig, SETTLED);
	if (!as_they_should(o, map, 0, o->pages, huge))
		return 2;
	/* what this mapping has been refused, the other has not been yet */
	if (!as_they_should(o, second, 0, o->pages, huge))
		return 3;
	if (child_madvise(rig, map, o->pages * PAGE, MADV_DONTNEED) || !as_they_should(o, map, 0, o->pages, huge))
		return 4;
	child = fork_here();
	if (!child) {
		grandchild = fork_here();
		if (!grandchild)
			_exit(!as_they_should(o, second, 0, o->pages, huge));
		if (!waited_ok(grandchild))
			_exit(1);
		_exit(!as_they_should(o, map, 0, o->pages, huge));
	}
	if (!waited_ok(child))
		return 5;
	/* with the marks, and, behind MADV_DONTNEED, without */
	to = mmap(NULL, o->pages * PAGE + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	to = (void *)(((uintptr_t)to + HUGE - 1) & ~(HUGE - 1));
	to = mremap(map, half * PAGE, half * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to == MAP_FAILED || !as_they_should(o, to, 0, half, huge))
		return 6;
	if (child_madvise(rig, to, half * PAGE, MADV_DONTNEED))
		return 7;
	to = mremap(to, half * PAGE, half * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, map);
	if (to == MAP_FAILED || !as_they_should(o, to, 0, half, huge))
		return 8;
	/* and not by a system call either */
	for (uint64_t page = 0; page < o->pages; page++) {
		int fd[2];
		ssize_t n;

		if (!is_refused(o, page, huge))
			continue;
		if (child_madvise(rig, second + page * PAGE, PAGE, MADV_DONTNEED) && !huge)
			return 9;
		if (pipe(fd))
			return 10;
		n = write(fd[1], second + page * PAGE, PAGE);
		if (n > 0)
			return 11;
		close(fd[0]);
		close(fd[1]);
		break;
	}
	return 0;
}

/* --- tests --- */

static bool all_accounted_for(const struct pager_stats *s)
{
	return !s->bytes_found && s->bytes_total == s->bytes_by_fault + s->bytes_background + s->bytes_dropped +
						    s->bytes_holes + s->bytes_left + s->bytes_damaged;
}

/* n children of this kind, and some chunks that are damaged, with and without the background transfer */
static void scenario(const char *name, int (*fn)(struct rig *rig, void *arg), unsigned int n, uint64_t huge,
		     enum layout layout, uint64_t cluster)
{
	for (int background = 0; background < 2; background++) {
		struct test_object *o;
		struct rig rig;
		char line[64];
		int rc;

		begin(&rig, background);
		rig.config.stream_chunk = 5 * PAGE;
		rig.config.cluster = cluster;
		if (huge)
			o = rig_huge_object(&rig, huge, layout);
		else
			o = rig_object(&rig, 600 * PAGE, layout);
		while (!spoil(o, rig_random() % CHUNK_PAGES))
			;
		while (!spoil(o, o->pages - 1 - rig_random() % CHUNK_PAGES))
			;
		spoil(o, o->pages / 2);
		spoil(o, o->pages / 2 + CHUNK_PAGES);
		for (unsigned int i = 0; i < n; i++)
			rig_spawn(&rig, fn, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK(rc == -ESRCH && rig_children_ok(&rig) && all_accounted_for(&rig.stats) && !rig.completed &&
		       !early, "%s, %s", name, background ? "faults and background" : "faults only");
		snprintf(line, sizeof(line), "object0: bytes 0 to %lu are damaged", CHUNK);
		TAP_OK(rig.stats.bytes_damaged == refused_bytes(o, huge) && rig.stats.faults_damaged && told_damaged &&
		       strstr(rig.log, line) && strstr(rig.log, ": gets SIGBUS: it needs byte ") &&
		       told_settled <= 1, "told and counted: %llu bytes",
		       (unsigned long long)rig.stats.bytes_damaged);
		rig_end(&rig);
	}
}

/* what is right comes as without a check, whatever the sizes; and chunks are not read again and again */
static void test_undamaged(void)
{
	static const struct {
		uint64_t chunk, cluster, stream;
		enum layout layout;
	} cases[] = {
		{ CHUNK, 0, 0, DENSE },
		{ CHUNK, PAGE, PAGE, DENSE },
		{ CHUNK, 0, 0, RANDOM },
		{ CHUNK, 4 * PAGE, 100 * PAGE, RANDOM },
		{ CHUNK, 0, 0, ALTERNATE },
		{ CHUNK, 0, 0, EMPTY },
		{ PAGE, 0, 0, RANDOM },
		{ HUGE, PAGE, 3 * PAGE, RANDOM },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct test_object *o;
		uint64_t chunks;
		struct rig rig;
		int rc;

		begin(&rig, true);
		rig.config.check_chunk = cases[i].chunk;
		rig.config.cluster = cases[i].cluster;
		rig.config.stream_chunk = cases[i].stream;
		/* not even a whole page at the end */
		o = rig_object(&rig, 700 * PAGE + 77, cases[i].layout);
		rig_spawn(&rig, looks, NULL);
		rig_spawn(&rig, looks, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		chunks = (o->pages * PAGE + cases[i].chunk - 1) / cases[i].chunk;
		TAP_OK(!rc && rig_children_ok(&rig) && check_object(o) && rig.completed == 2 && !told_settled &&
		       (cases[i].chunk != CHUNK || !early), "nothing damaged, chunks of %llu, case %zu",
		       (unsigned long long)cases[i].chunk, i);
		/* twice is a step of the background transfer that gave way to a fault, which large chunks do often */
		TAP_OK((checks <= 2 * chunks || cases[i].chunk > CHUNK) &&
		       (cases[i].layout == EMPTY ? !checks : checks >= chunks / 2), "%u checks of %llu chunks", checks,
		       (unsigned long long)chunks);
		rig_end(&rig);
	}
}

/* before anybody runs, damage is an error */
static void test_fill(void)
{
	struct test_object *o;
	struct rig rig;
	int rc;

	begin(&rig, true);
	o = rig_object(&rig, 64 * PAGE, DENSE);
	rig_object(&rig, 300 * PAGE, RANDOM);
	spoil(o, 40);
	rig_arm(&rig);
	rc = pager_fill(rig.pager, 0);
	TAP_OK(rc == -EBADMSG && !is_in_object(o, 2 * CHUNK) && !early &&
	       strstr(rig.log, "object0: bytes 131072 to 196608 are damaged in the image: the checksum is wrong"),
	       "a damaged object cannot be filled (%s), nothing of the chunk is in it", strerror(-rc));
	rc = pager_fill(rig.pager, 1);
	TAP_OK(!rc && check_object(&rig.objects[1]), "another one can");
	rc = pager_run(rig.pager);
	TAP_OK(rc == -EBADMSG && told_settled == 1, "what is left is not complete when nobody needs it (%s)",
	       strerror(-rc));
	rc = pager_fill(rig.pager, 0);
	TAP_OK(rc == -EBADMSG, "nor later");
	rig_end(&rig);
}

/* pages of zeros from somebody who was there before */
static bool scribble(const struct test_object *o, uint64_t first, uint64_t step)
{
	unsigned char *map = mmap(NULL, o->pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);

	if (map == MAP_FAILED)
		return false;
	for (uint64_t page = first; page < o->pages; page += step)
		map[page * PAGE] = 0;
	munmap(map, o->pages * PAGE);
	return true;
}

static void test_instantiated(bool huge)
{
	const char *kind = huge ? "huge pages" : "pages";
	struct test_object *o;
	struct rig rig;
	int rc;

	begin(&rig, true);
	o = huge ? rig_huge_object(&rig, 4, RANDOM) : rig_object(&rig, 500 * PAGE + 5, RANDOM);
	rig_spawn(&rig, looks, NULL);
	if (!scribble(o, 3, 3 + o->pages / 100))
		abort();
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig) && !rig.stats.bytes_found && check_object(o),
	       "%s that are there already are written over, checked", kind);
	rig_end(&rig);

	begin(&rig, true);
	o = huge ? rig_huge_object(&rig, 4, DENSE) : rig_object(&rig, 500 * PAGE + 5, DENSE);
	if (!scribble(o, o->pages - 1, 1))
		abort();
	spoil(o, o->pages - 2);
	rc = rig_add_object(&rig, o);
	TAP_OK(rc == -EBADMSG, "but not by what is damaged (%s)", strerror(-rc));
	rig_end(&rig);
}

/* a chunk is read as a whole, and written only where the image has something */
static void test_instantiated_holes(void)
{
	unsigned char junk[12 * PAGE], page[PAGE];
	struct test_object *o;
	struct rig rig;
	int rc;

	begin(&rig, true);
	o = rig_object(&rig, 40 * PAGE, ALTERNATE);
	memset(junk, 0x5a, sizeof(junk));
	rc = pwrite(o->fd, junk, sizeof(junk), 10 * PAGE) != sizeof(junk);
	rig_arm(&rig);
	rc |= pager_fill(rig.pager, 0);
	for (uint64_t i = 0; !rc && i < o->pages; i++) {
		rc = pread(o->fd, page, PAGE, (off_t)(i * PAGE)) != (ssize_t)PAGE;
		if (i >= 10 && i < 22 && i % 2 == 0)
			rc |= memcmp(page, junk, PAGE);
		else
			rc |= !check_page(o, page, i);
	}
	TAP_OK(!rc && checks, "what the image does not have of a checked chunk stays as it is");
	rig_end(&rig);
}

/* on a kernel that cannot refuse a page: who needs it is killed, nobody else */
static int needs_damage(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	signal(SIGBUS, SIG_IGN);
	child_arm(rig);
	for (uint64_t page = 0; page < o->pages; page++)
		if (!is_refused(o, page, is_huge(o)) && !check_page(o, map + page * PAGE, page))
			return 1;
	for (uint64_t page = 0; page < o->pages; page++)
		if (is_refused(o, page, is_huge(o)))
			(void)*(volatile unsigned char *)(map + page * PAGE);
	set_flag(rig, GO);
	return 2;
}

static int needs_no_damage(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	child_arm(rig);
	for (uint64_t page = 0; page < o->pages; page++)
		if (!is_refused(o, page, is_huge(o)) && !check_page(o, map + page * PAGE, page))
			return 1;
	return 0;
}

static void test_no_poison(bool huge, bool background)
{
	struct test_object *o;
	struct rig rig;
	char line[64];
	int rc;

	begin(&rig, background);
	rig.config.no_poison = true;
	rig.ops.abandon = kill_child;
	o = huge ? rig_huge_object(&rig, 4, DENSE) : rig_object(&rig, 400 * PAGE, DENSE);
	spoil(o, o->pages / 2);
	rig_spawn(&rig, needs_damage, NULL);
	rig_spawn(&rig, needs_no_damage, NULL);
	rig_spawn(&rig, needs_damage, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	snprintf(line, sizeof(line), ": is killed: it needs byte %lu of object0",
		 huge ? o->pages / 2 * PAGE : o->pages / 2 / CHUNK_PAGES * CHUNK);
	TAP_OK(rc == -ESRCH && !rig_children_ok(&rig) && rig.children[0].status == SIGKILL &&
	       rig.children[2].status == SIGKILL && !rig.children[1].status && !rig.shared->flags[GO] &&
	       strstr(rig.log, line), "without UFFDIO_POISON those who need the damage are killed, %s, %s",
	       huge ? "huge pages" : "small pages", background ? "faults and background" : "faults only");
	rig_end(&rig);
}

static void test_no_abandon(void)
{
	struct test_object *o;
	struct rig rig;
	int rc;

	begin(&rig, false);
	rig.config.no_poison = true;
	o = rig_object(&rig, 400 * PAGE, DENSE);
	spoil(o, 300);
	rig_spawn(&rig, needs_damage, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -EBADMSG && rig.stats.spaces == 1 && !rig.shared->flags[GO],
	       "and where nobody can be killed alone the pager ends, descriptors open (%s)", strerror(-rc));
	rig_end(&rig);
}

static int waits(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];

	(void)arg;
	child_map(rig, o, 0, o->pages);
	child_arm(rig);
	pause();
	return 1;
}

static void test_owner_stops(void)
{
	struct rig rig;
	int rc;

	begin(&rig, true);
	rig.ops.damaged = stop_at_damage;
	spoil(rig_object(&rig, 400 * PAGE, DENSE), 300);
	rig_spawn(&rig, waits, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -EUCLEAN && rig.stats.spaces == 1, "the owner may end it at the first damage (%s)", strerror(-rc));
	rig_end(&rig);
}

/* what was damaged is not wanted any more: then all is complete */
static int removes(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	const bool huge = is_huge(o);
	uint64_t unit = huge ? HUGE_PAGES : CHUNK_PAGES;

	(void)arg;
	child_arm(rig);
	wait_for_flag(rig, SETTLED);
	/* refused in one place, never touched in another: zeros now, or still SIGBUS until the mark is dropped */
	for (uint64_t page = 0; page < o->pages; page += unit) {
		if (!is_refused(o, page, huge))
			continue;
		if (!refuses(map + page * PAGE, false) ||
		    child_madvise(rig, map + page * PAGE, unit * PAGE, MADV_REMOVE))
			return 1;
		if (!refuses(map + page * PAGE, false) && !is_zero(map + page * PAGE, PAGE))
			return 2;
		if (child_madvise(rig, map + page * PAGE, unit * PAGE, MADV_DONTNEED) ||
		    !is_zero(map + page * PAGE, unit * PAGE))
			return 3;
		memset(o->in_image + page, 0, unit);
	}
	memset(damaged, 0, sizeof(damaged));
	return !as_they_should(o, map, 0, o->pages, huge);
}

/* of a huge page that is punched in parts whole chunks are checked all the same, and nothing of the parts comes back */
static int punches_parts(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	bool *gone = calloc(o->pages, sizeof(*gone));
	uint64_t state = (uint64_t)getpid();

	(void)arg;
	child_arm(rig);
	/* all of the one damaged chunk: nobody misses it */
	if (child_madvise(rig, map + 9 * HUGE + CHUNK, CHUNK, MADV_REMOVE))
		return 1;
	for (uint64_t k = 0; k < CHUNK_PAGES; k++)
		gone[9 * HUGE_PAGES + CHUNK_PAGES + k] = true;
	for (int i = 0; i < 60; i++) {
		uint64_t first = next_random(&state) % o->pages, n = 1 + next_random(&state) % 100;

		if (n > o->pages - first)
			n = o->pages - first;
		if (child_madvise(rig, map + first * PAGE, n * PAGE, MADV_REMOVE))
			return 2;
		for (uint64_t k = 0; k < n; k++)
			gone[first + k] = true;
	}
	for (uint64_t k = 0; k < o->pages; k++)
		if (gone[k] ? !is_zero(map + k * PAGE, PAGE) : !check_page(o, map + k * PAGE, k))
			return 3;
	free(gone);
	return 0;
}

static void test_removed(bool huge)
{
	struct test_object *o;
	struct rig rig;
	int rc;

	begin(&rig, true);
	o = huge ? rig_huge_object(&rig, 6, DENSE) : rig_object(&rig, 640 * PAGE, DENSE);
	spoil(o, 5);
	spoil(o, o->pages - 50);
	rig_spawn(&rig, removes, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig) && rig.completed == 1 && told_settled == 1 && !rig.stats.bytes_damaged &&
	       all_accounted_for(&rig.stats), "when the damage is punched all is complete, %s",
	       huge ? "huge pages" : "small pages");
	rig_end(&rig);
}

static void test_punched_parts(void)
{
	for (int background = 0; background < 2; background++) {
		struct test_object *o;
		struct rig rig;
		int rc;

		begin(&rig, background);
		o = rig_huge_object(&rig, 10, RANDOM);
		while (!spoil(o, 9 * HUGE_PAGES + CHUNK_PAGES + rig_random() % CHUNK_PAGES))
			;
		rig_spawn(&rig, punches_parts, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		/* the background transfer may come to that huge page before the child does */
		if (rig.stats.bytes_damaged)
			TAP_OK(background && rc == -ESRCH, "huge pages punched in parts: damage was found first");
		else
			TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig) && checks,
			       "huge pages punched in parts, %s", background ? "faults and background" : "faults only");
		rig_end(&rig);
	}
}

/* the image file got shorter since */
static void test_unreadable(void)
{
	struct test_object *o;
	struct rig rig;
	int rc;

	begin(&rig, true);
	o = rig_object(&rig, 160 * PAGE, DENSE);
	for (uint64_t page = 130; page < 160; page++)
		damaged[page / CHUNK_PAGES] = true;
	rig_spawn(&rig, looks, NULL);
	rig_arm(&rig);
	if (ftruncate(o->image, 133 * PAGE + 7))
		abort();
	rc = rig_run(&rig);
	TAP_OK(rc == -ESRCH && rig_children_ok(&rig) && rig.stats.bytes_damaged == 32 * PAGE,
	       "what cannot be read is damaged, too");
	rig_end(&rig);
}

/* more damage than anybody wants to read of */
static void test_all_damaged(void)
{
	struct test_object *o;
	unsigned int lines = 0;
	struct rig rig;
	int rc;

	begin(&rig, true);
	o = rig_object(&rig, 300 * CHUNK, DENSE);
	for (uint64_t page = 0; page < o->pages; page += CHUNK_PAGES)
		spoil(o, page + rig_random() % CHUNK_PAGES);
	rig_spawn(&rig, looks, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	for (const char *at = rig.log; (at = strstr(at, "in the image")); at++)
		lines++;
	TAP_OK(rc == -ESRCH && rig_children_ok(&rig) && rig.stats.bytes_damaged == o->size && told_settled == 1,
	       "an object of which nothing is right");
	TAP_OK(lines <= 101 && strstr(rig.log, "more about damage is not logged"), "told in %u lines", lines);
	rig_end(&rig);
}

/* an image of memfdcr dump */
static const Memfdcr__Image *dumped;

static int check_dumped(void *data, unsigned int object, uint64_t offset, const void *bytes)
{
	(void)data;
	return imgdir_check(dumped->objects[object], offset, bytes);
}

static bool same_bytes(int a, int b, uint64_t size)
{
	unsigned char x[LAYOUT_CHUNK], y[LAYOUT_CHUNK];

	for (uint64_t at = 0; at < size; at += sizeof(x)) {
		ssize_t n = pread(a, x, sizeof(x), (off_t)at);

		if (n <= 0 || pread(b, y, sizeof(y), (off_t)at) != n || memcmp(x, y, (size_t)n))
			return false;
	}
	return true;
}

/* 0, or what pager_fill() says of object i of the image */
static int fill_from(const struct imgdir *d, size_t i, int fd)
{
	const struct pager_ops ops = { .check = check_dumped };
	const struct pager_config config = { .ops = &ops, .check_chunk = LAYOUT_CHUNK };
	struct pager *p = pager_new(&config);
	int rc = p ? 0 : -errno;

	dumped = d->image;
	for (size_t k = 0; rc >= 0 && k <= i; k++) {
		const Memfdcr__Object *o = d->image->objects[k];
		struct pager_extent *extents;
		size_t n;
		int own = k == i ? dup(fd) : memfd_create("other", 0);

		if (own < 0 || ftruncate(own, (off_t)o->size) || imgdir_extents(d, o, &extents, &n))
			abort();
		rc = pager_add_object(p, "dumped", own, o->size, extents, n);
		free(extents);
		close(own);
	}
	rc = rc < 0 ? rc : pager_fill(p, (unsigned int)i);
	pager_free(p);
	return rc;
}

static void test_dumped(void)
{
	char top[] = "/tmp/memfdcr-damage-XXXXXX", error[512];
	struct dump_made m = { 0 };
	struct imgdir d;
	int fd[2];

	if (!dump_enter_tmpfs(top, 64)) {
		tap_skip("an image of memfdcr dump: no mount of our own allowed here");
		return;
	}
	for (int i = 0; i < 2; i++) {
		dump_add(&m, "dumped", 0, 5000000);
		dump_fill(&m, (size_t)i, 0, 1000000, 1);
		/* chunks of a few pages, and the last one not whole */
		for (uint64_t at = 1000000; at < 5000000; at += 50000)
			dump_fill(&m, (size_t)i, at, 10000, 2 + (unsigned int)i);
	}
	if (dump_make(&m, "dump", NULL) || imgdir_open("dump", &d, error, sizeof(error)))
		abort();
	for (int i = 0; i < 2; i++) {
		fd[i] = memfd_create("new", MFD_CLOEXEC);
		TAP_OK(!fill_from(&d, (size_t)i, fd[i]) && same_bytes(fd[i], m.fds[i], 5000000),
		       "object %d of a dump is filled, checked", i);
		close(fd[i]);
	}
	for (int flip = 0; flip < 40; flip++) {
		off_t at = (off_t)(rig_random() % (d.image->data_pages * LAYOUT_PAGE));
		int data = open("dump/" LAYOUT_DATA, O_RDWR | O_CLOEXEC), rc[2];
		unsigned char byte, other;

		if (data < 0 || pread(data, &byte, 1, at) != 1)
			abort();
		other = byte ^ (unsigned char)(1 << flip % 8);
		if (pwrite(data, &other, 1, at) != 1)
			abort();
		for (int i = 0; i < 2; i++) {
			fd[i] = memfd_create("new", MFD_CLOEXEC);
			rc[i] = fill_from(&d, (size_t)i, fd[i]);
			close(fd[i]);
		}
		if (pwrite(data, &byte, 1, at) != 1)
			abort();
		close(data);
		if (flip < 39 && rc[0] + rc[1] == -EBADMSG)
			continue;
		TAP_OK(rc[0] + rc[1] == -EBADMSG, "one bit is enough (byte %lld): %d, %d", (long long)at, rc[0], rc[1]);
		break;
	}
	imgdir_close(&d);
	dump_close(&m);
}

static void test_huge_pages(void)
{
	scenario("damaged huge pages", looks, 2, 6, DENSE, 0);
	scenario("damaged huge pages, many threads", looks_in_threads, 2, 6, DENSE, 0);
	scenario("damaged huge pages, forked, moved and dropped", lives_on, 2, 6, RANDOM, 0);
	test_instantiated(true);
	test_no_poison(true, true);
	test_removed(true);
	test_punched_parts();
}

int main(int argc, char **argv)
{
	struct huge_pool pool;

	if (!have_userfaultfd()) {
		tap_skip("no userfaultfd here");
		return tap_done();
	}
	rig_seed(argc, argv);
	test_undamaged();
	scenario("damaged chunks", looks, 2, 0, DENSE, 0);
	scenario("damaged chunks, clusters of a page", looks, 2, 0, DENSE, PAGE);
	scenario("damaged chunks, clusters of four", looks, 2, 0, DENSE, 4 * CHUNK);
	scenario("damaged chunks, many threads", looks_in_threads, 2, 0, DENSE, 0);
	scenario("damaged chunks that the image has in parts", looks, 2, 0, RANDOM, 0);
	scenario("damaged chunks of every other page", looks, 2, 0, ALTERNATE, 0);
	scenario("damaged chunks in private mappings", looks_privately, 2, 0, DENSE, 0);
	scenario("damaged chunks, forked, moved and dropped", lives_on, 2, 0, RANDOM, 0);
	test_fill();
	test_instantiated(false);
	test_instantiated_holes();
	test_no_poison(false, true);
	test_no_poison(false, false);
	test_no_abandon();
	test_owner_stops();
	test_removed(false);
	test_unreadable();
	test_all_damaged();
	if (huge_pool_borrow(&pool, POOL))
		test_huge_pages();
	else
		tap_skip("huge pages: fewer than 16 are free, and vm.nr_hugepages cannot be raised so far");
	huge_pool_return(&pool);
	test_dumped();
	return tap_done();
}
