// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process tree to be dumped and restored: three processes, six threads each, that hold every kind of shared memory
 * object the hook must tell apart, and that can prove every byte of it.
 *
 *   shmtest [--huge] DIR
 *
 * Every byte is a function of object, offset and generation, so any process can check any page at any time. The tree
 * keeps no descriptor open but those that a case is about; orders are files in DIR:
 *
 *   DIR/ready          written when the tree is complete
 *   DIR/go.N           the N-th order (1, 2, ...), its content a word: "check" compares all, once, in random order;
 *                      "storm" compares while threads write, read(2), write(2), fork, exec, mremap, munmap and madvise,
 *                      and advances the generation; "lives" begins processes that come, change and go in every way
 *   DIR/lives          a line for each of these, "WHAT PID"; DIR/flood has one of them make a flood of events and exit,
 *                      DIR/end has the others end, and the order is carried out
 *   DIR/result.N.ROLE  written by each process when it is done: a line per object, ok or FAILED
 *   DIR/wrong          a line for each first wrong byte, appended at once: what a process saw before it died counts
 *
 * A storm changes pages by rules that all processes know (state()): while it lasts a page may be as before or as after,
 * byte for byte, and nothing else; after it, exactly as after.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define PAGE 4096UL
#define WORDS (PAGE / 8)
#define MIB (1UL << 20)
#define ROLES 3
#define ZERO (-1)		/* a generation: the page is a hole */
#define NO_PATCH (-2)

enum {
	MUTABLE = 1,		/* a storm changes it */
	SPARSE = 2,		/* 6 pages of 61 hold data; of huge pages one of 4 */
	PRIVATE = 4,		/* mapped MAP_PRIVATE as well, with pages of its own */
	LOCKED = 8,
	KEEP_FD = 16,
	SEAL_SIZE = 32,		/* F_SEAL_GROW | F_SEAL_SHRINK */
	SEAL_FUTURE = 64,	/* F_SEAL_FUTURE_WRITE */
	TWICE = 128,		/* [1 MiB, 3 MiB) is mapped a second time; of huge pages [2 MiB, 6 MiB) */
	HUGE = 256,
	SEAL_WRITE = 512,	/* F_SEAL_WRITE; mapped MAP_PRIVATE only */
	ONLY_PRIVATE = 1024,	/* mapped MAP_PRIVATE only */
};

struct object {
	const char *label;	/* in results */
	const char *name;	/* of the memfd; NULL: MAP_SHARED|MAP_ANONYMOUS */
	size_t size;
	unsigned int flags;
	unsigned int roles;	/* bit per process that maps it */
	char *map;		/* from here on: not in the table */
	char *second;		/* PRIVATE: the private mapping; TWICE: the second one */
	int fd;
};

static struct object objects[] = {
	{ "anon",        NULL,          4 * MIB,        MUTABLE,             3 },
	{ "mapped-only", "mapped-only", 3 * MIB - 1000, MUTABLE | SEAL_SIZE, 1 },
	{ "twin-a",      "twin",        1 * MIB,        0,                   1 },
	{ "twin-b",      "twin",        1 * MIB,        MUTABLE,             5 },
	{ "sparse",      "sparse",      8 * MIB,        MUTABLE | SPARSE,    3 },
	{ "shared3",     "shared3",     12 * MIB,       MUTABLE,             7 },
	{ "twice",       "twice",       3 * MIB,        MUTABLE | TWICE,     1 },
	{ "cowed",       "cowed",       1 * MIB,        PRIVATE | MUTABLE,   1 },
	{ "cow-twice",   "cow-twice",   1 * MIB,        PRIVATE,             3 },
	{ "cow-holes",   "cow-holes",   1 * MIB,        PRIVATE | SPARSE,    1 },
	{ "private",     "private",     1 * MIB,        ONLY_PRIVATE | SPARSE, 1 },
	{ "sealed",      "sealed",      1 * MIB,        SEAL_FUTURE,         1 },
	{ "write-sealed", "write-sealed", 1 * MIB,      SEAL_WRITE,          1 },
	{ "locked",      "locked",      1 * MIB,        LOCKED,              1 },
	{ "open-fd",     "open-fd",     1 * MIB,        MUTABLE | KEEP_FD,   1 },
	{ "small",       "small",       256 * 1024,     MUTABLE,             7 },
	/* from here on: optional */
	{ "huge",        "huge",        8 * MIB,        HUGE | MUTABLE,      3 },
	{ "huge-anon",   NULL,          6 * MIB,        HUGE | MUTABLE,      3 },
	{ "huge-sparse", "huge-sparse", 24 * MIB,       HUGE | SPARSE,       1 },
	{ "huge-twice",  "huge-twice",  6 * MIB,        HUGE | MUTABLE | TWICE, 1 },
	{ "huge-cowed",  "huge-cowed",  4 * MIB,        HUGE | PRIVATE,      1 },
};
#define OPTIONAL 5
#define MAX_OBJECTS 32
#define MISHAP (MAX_OBJECTS - 1)
static unsigned int n_objects = sizeof(objects) / sizeof(objects[0]) - OPTIONAL;
#define SHARED3 (&objects[5])

/* what the processes share beside the objects; itself restored, eagerly for its size */
struct control {
	_Atomic unsigned int arrived;	/* at barriers, ever */
};
static struct control *control;
static unsigned int barriers;		/* this process went through */

static int role;
static pid_t parent;
static int gen;				/* storms that are over */
static unsigned int order;
static bool storm, lives;

/* mappings of shared3 that exist to be moved and cut; the last one private, and only in the first process */
static char *x1, *x2, *xp;
#define X1_LEN (4 * MIB)
#define X2_OFF (4 * MIB)
#define X2_LEN (2 * MIB)
#define XP_OFF (9 * MIB)
#define XP_LEN MIB
#define X_BASE(n) ((char *)0x300000000000UL + (n) * 0x1000000000UL)

static pthread_barrier_t begin, end;
static _Atomic unsigned int pages_ok[MAX_OBJECTS], failed[MAX_OBJECTS];
static _Atomic unsigned int children, remaps, advices, transfers, writes;

static uint64_t rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* word n of an object, counted from its beginning; cheap from one to the next, for machines that are emulated */
static uint64_t first_word(unsigned int obj, uint64_t page, int g)
{
	uint64_t x = ((uint64_t)obj + 1) << 40 ^ (uint64_t)g << 52 ^ page;

	x = (x + 1) * 0x9E3779B97F4A7C15ULL;
	x ^= x >> 29;
	x *= 0xBF58476D1CE4E5B9ULL;
	return x ^ x >> 32;
}

#define STEP 0xD1B54A32D192ED03ULL

static uint64_t word(unsigned int obj, uint64_t n, int g)
{
	return first_word(obj, n / WORDS, g) + n % WORDS * STEP;
}

static unsigned int index_of(const struct object *o)
{
	return o - objects;
}

static size_t pages_of(const struct object *o)
{
	return (o->size + PAGE - 1) / PAGE;
}

static size_t words_in(const struct object *o, size_t page)
{
	size_t left = o->size - page * PAGE;

	return left >= PAGE ? WORDS : left / 8;
}

static size_t unit_of(const struct object *o)
{
	return o->flags & HUGE ? 2 * MIB : PAGE;
}

/* how long its mapping is */
static size_t length_of(const struct object *o)
{
	return (o->size + unit_of(o) - 1) / unit_of(o) * unit_of(o);
}

/* what of it is mapped a second time */
static size_t second_offset(const struct object *o)
{
	return o->flags & TWICE ? o->flags & HUGE ? 2 * MIB : MIB : 0;
}

static size_t second_length(const struct object *o)
{
	return o->flags & TWICE ? o->flags & HUGE ? 4 * MIB : 2 * MIB : length_of(o);
}

/* the range that is removed at once: of huge pages the end of one, one, and the beginning of a third */
static size_t range_first(const struct object *o)
{
	return o->flags & HUGE ? 448 : 96;
}

static size_t range_end(const struct object *o)
{
	return o->flags & HUGE ? 1056 : 160;
}

static bool in_range(const struct object *o, size_t page)
{
	return o->size >= MIB && page >= range_first(o) && page < range_end(o);
}

/* in a private mapping: the process's own */
static bool is_own(size_t page)
{
	return page % 8 == 5;
}

/* what use_privately() writes to: of a private mapping nobody else knows what it has during a storm */
static bool is_scratch(size_t page)
{
	return page % 8 == 6;
}

/*
 * Whose page it is in a storm, and what becomes of it:
 *   in_range()      one MADV_REMOVE of all in odd storms, written again in even ones
 *   page % 16 == 10 written anew        11 as 96..159, one by one     12 MADV_DONTNEED: stays
 *               13 read(2) into it      14 one word written           others: never changed
 */
static int owner(const struct object *o, size_t page)
{
	int sharers[ROLES], n = 0;

	for (int r = 0; r < ROLES; r++)
		if (o->roles & 1U << r)
			sharers[n++] = r;
	return sharers[in_range(o, page) ? 0 : (page / 16) % n];
}

/* the generation that fills the page after g storms; *patch: that of word 8, where it differs */
static int state(const struct object *o, size_t page, int g, int *patch)
{
	bool hole = o->flags & HUGE ? page / 512 % 4 != 1 : page % 61 >= 6;
	int base = (o->flags & SPARSE) && hole ? ZERO : 0;

	*patch = NO_PATCH;
	if (!(o->flags & MUTABLE) || g == 0)
		return base;
	if (in_range(o, page))
		return g & 1 ? ZERO : g;
	switch (page % 16) {
	case 10:
	case 13:
		return g;
	case 11:
		return g & 1 ? ZERO : g;
	case 14:
		*patch = g;
		return base;
	}
	return base;
}

static uint64_t value(const struct object *o, size_t page, size_t w, int g, int patch)
{
	if (w == 8 && patch != NO_PATCH)
		g = patch;
	return g == ZERO ? 0 : word(index_of(o), page * WORDS + w, g);
}

/* no stdio streams: also called in children forked from a threaded process */
static void append(const char *file, const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n, fd;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line))
		n = sizeof(line) - 1;
	fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, line, n) != n)
		abort();
	close(fd);
}

static void wrong(const struct object *o, const char *context, uint64_t offset, unsigned int got, unsigned int expected)
{
	if (atomic_fetch_add(&failed[index_of(o)], 1) == 0)
		append("wrong", "order %u role %d pid %d object %s offset %#llx: got %02x, expected %02x (%s)\n", order,
		       role, (int)getpid(), o->label, (unsigned long long)offset, got, expected, context);
}

static void mishap(const char *what)
{
	int e = errno;

	append("wrong", "order %u role %d pid %d: %s: %s\n", order, role, (int)getpid(), what, strerror(e));
	atomic_fetch_add(&failed[MISHAP], 1);
}

static bool byte_either(uint64_t got, uint64_t a, uint64_t b, unsigned int *at)
{
	for (*at = 0; *at < 8; (*at)++) {
		uint8_t g = got >> *at * 8;

		if (g != (uint8_t)(a >> *at * 8) && g != (uint8_t)(b >> *at * 8))
			return false;
	}
	return true;
}

/* is the page at p that page of the object after g storms, or, with next, somewhere between that and one more? */
static bool check_page(const struct object *o, const void *p, size_t page, int g, bool next, const char *context)
{
	const volatile uint64_t *w = p;
	int patch, patch2 = NO_PATCH, s = state(o, page, g, &patch), s2 = s;
	size_t n = words_in(o, page);
	uint64_t plain = 0;

	if (next)
		s2 = state(o, page, g + 1, &patch2);
	if (s != ZERO)
		plain = first_word(index_of(o), page, s);
	for (size_t i = 0; i < n; i++, plain += s == ZERO ? 0 : STEP) {
		uint64_t got = w[i], a, b;
		unsigned int at;

		if (got == plain && (i != 8 || patch == NO_PATCH))
			continue;
		a = value(o, page, i, s, patch);
		if (got == a)
			continue;
		b = next ? value(o, page, i, s2, patch2) : a;
		if (byte_either(got, a, b, &at))
			continue;
		wrong(o, context, page * PAGE + i * 8 + at, got >> at * 8 & 0xff, b >> at * 8 & 0xff);
		return false;
	}
	atomic_fetch_add_explicit(&pages_ok[index_of(o)], 1, memory_order_relaxed);
	return true;
}

static void fill_page(const struct object *o, void *p, size_t page, int g)
{
	uint64_t *w = p;
	int patch, s = state(o, page, g, &patch);
	size_t n = words_in(o, page);

	if (s == ZERO && patch == NO_PATCH)
		return;
	for (size_t i = 0; i < n; i++)
		w[i] = s == ZERO ? 0 : word(index_of(o), page * WORDS + i, s);
	if (patch != NO_PATCH)
		w[8] = value(o, page, 8, s, patch);
}

/* the mapping at p shows the object from page first on */
static void check_run(const struct object *o, const char *p, size_t first, size_t n, const char *context)
{
	for (size_t i = 0; i < n; i++)
		if (!check_page(o, p + i * PAGE, first + i, gen, storm, context))
			return;
}

/* a page of the private mapping: the process's own (of cow-twice those of the second are zeros), or the object's */
static bool check_private(const struct object *o, size_t page, bool next)
{
	const volatile uint64_t *w = (const void *)(o->second + page * PAGE);
	bool own_zeros = role == 1 && page % 8 == 3;

	if (next && is_scratch(page))
		return true;
	if (!is_own(page) && !own_zeros)
		return check_page(o, (const void *)w, page, gen, next, "private mapping");
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t v = own_zeros ? 0 : word(index_of(o), page * WORDS + i, 5);

		if (w[i] != v) {
			wrong(o, "private page, word", page * PAGE + i * 8, w[i] & 0xff, v & 0xff);
			return false;
		}
	}
	return true;
}

/* all pages once, in an order that salt decides; every stride-th of them */
static void check_object(const struct object *o, uint64_t salt, size_t stride, bool next, const char *context)
{
	size_t n = pages_of(o), limit, step, at;
	uint64_t s = salt * 0x9E3779B97F4A7C15ULL + index_of(o) + 1;

	for (limit = 1; limit < n; limit *= 2)
		;
	at = rnd(&s) % limit;
	step = rnd(&s) | 1;	/* odd: visits every number below a power of two */
	for (size_t i = 0; i < limit; i++, at = (at + step) & (limit - 1)) {
		size_t offset = at * PAGE - second_offset(o);

		if (at >= n || i % stride || (next && (o->flags & ONLY_PRIVATE) && is_scratch(at)))
			continue;
		/* which of the mappings has the page first is up to chance */
		if ((o->flags & TWICE) && i & 1 && offset < second_length(o) &&
		    !check_page(o, o->second + offset, at, gen, next, "second mapping"))
			return;
		if ((o->flags & PRIVATE) && i & 1 && !check_private(o, at, next))
			return;
		if (!check_page(o, o->map + at * PAGE, at, gen, next, context))
			return;
		if ((o->flags & TWICE) && offset < second_length(o) &&
		    !check_page(o, o->second + offset, at, gen, next, "second mapping"))
			return;
		if ((o->flags & PRIVATE) && !check_private(o, at, next))
			return;
	}
	if (o->flags & KEEP_FD) {
		uint64_t page[WORDS];

		for (size_t i = 0; i < n; i += 7) {
			if (pread(o->fd, page, PAGE, i * PAGE) != (ssize_t)PAGE)
				mishap("pread of open-fd");
			else if (!check_page(o, page, i, gen, next, "pread"))
				return;
		}
	}
}

static void check_all(uint64_t salt, size_t stride, bool next, const char *context)
{
	unsigned int first = salt % n_objects;

	for (unsigned int i = 0; i < n_objects; i++) {
		const struct object *o = &objects[(first + i) % n_objects];

		if (o->roles & 1U << role)
			check_object(o, salt + i, stride, next, context);
	}
}

static int seals_of(const struct object *o)
{
	return (o->flags & SEAL_SIZE ? F_SEAL_GROW | F_SEAL_SHRINK : 0) | (o->flags & SEAL_FUTURE ? F_SEAL_FUTURE_WRITE : 0) |
		(o->flags & SEAL_WRITE ? F_SEAL_WRITE : 0);
}

/* size and seals, through the mapping */
static void check_inode(const struct object *o)
{
	char path[80];
	struct stat st;
	int fd, seals;

	if (!o->name)
		return;
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)o->map,
		 (unsigned long)o->map + length_of(o));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		mishap(path);
		return;
	}
	if (fstat(fd, &st) || st.st_size != (off_t)o->size)
		mishap("size of object differs");
	seals = fcntl(fd, F_GET_SEALS);
	/* F_SEAL_EXEC comes by itself where vm.memfd_noexec asks for it; sealed against seals: CRIU's affair */
	if (seals >= 0 && (seals & ~(F_SEAL_SEAL | 0x20)) != seals_of(o))
		mishap("seals of object differ");
	close(fd);
}

/* -- the workers of a storm -------------------------------------------------------------------------------------- */

static void *verifier(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&begin);
		check_all((uintptr_t)arg + role * 3 + order * 17, (uintptr_t)arg == 1 ? 1 : 3, storm, storm ? "in storm" : "check");
		pthread_barrier_wait(&end);
	}
	return NULL;
}

static bool mine(const struct object *o, size_t page)
{
	return (o->flags & MUTABLE) && (o->roles & 1U << role) && owner(o, page) == role;
}

static void write_one(const struct object *o, size_t page, uint64_t *seed)
{
	char *p = o->map + page * PAGE;
	int patch;

	if (in_range(o, page) || page % 16 == 13)
		return;
	if (page % 16 == 12 && o->roles & 1U << role && !(o->flags & HUGE)) {
		if (madvise(p, PAGE, MADV_DONTNEED))
			mishap("MADV_DONTNEED");
		atomic_fetch_add(&advices, 1);
		check_page(o, p, page, gen, false, "after MADV_DONTNEED");
		return;
	}
	if (!mine(o, page))
		return;
	if (rnd(seed) & 1)
		check_page(o, p, page, gen, false, "before a write");
	switch (page % 16) {
	case 11:
		if (state(o, page, gen + 1, &patch) == ZERO) {
			if (madvise(p, PAGE, MADV_REMOVE))
				mishap("MADV_REMOVE");
			atomic_fetch_add(&advices, 1);
			break;
		}
		/* fallthrough */
	case 10:
		fill_page(o, p, page, gen + 1);
		atomic_fetch_add(&writes, 1);
		break;
	case 14:
		((volatile uint64_t *)p)[8] = word(index_of(o), page * WORDS + 8, gen + 1);
		atomic_fetch_add(&writes, 1);
		break;
	default:
		return;
	}
	check_page(o, p, page, gen + 1, false, "after a write");
}

/*
 * MADV_REMOVE by a forked child, and at a place that only the child has: nobody has told the pager of either. A part
 * of a huge page cannot be moved.
 */
static void remove_in_child(const char *start, size_t length, bool move)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		void *to = (void *)start;

		if (move) {
			to = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			to = mremap((void *)start, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		}
		_exit(to == MAP_FAILED || madvise(to, length, MADV_REMOVE) ? 1 : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		mishap("MADV_REMOVE in a child");
}

/* what happens to a private mapping is its own affair, and what it drops is the object's again */
static void use_privately(const struct object *o, char *map)
{
	size_t n = pages_of(o);

	for (size_t p = 0; p < n; p++) {
		char *at = map + p * PAGE;

		if (!is_scratch(p))
			continue;
		if (p & 8)
			check_page(o, at, p, gen, storm, "private page before it is written");
		memset(at, 0x77, PAGE);
		if (at[0] != 0x77 || memcmp(at, at + 1, PAGE - 1))
			wrong(o, "private page after a write", p * PAGE, at[0] & 0xff, 0x77);
		if (madvise(at, PAGE, MADV_DONTNEED))
			mishap("MADV_DONTNEED of a private page");
		check_page(o, at, p, gen, storm, "private page after MADV_DONTNEED");
		if (!madvise(at, PAGE, MADV_REMOVE))
			mishap("MADV_REMOVE of a private page is allowed");
		atomic_fetch_add(&advices, 2);
	}
}

static void *writer(void *arg)
{
	uint64_t seed = 77 + role;

	(void)arg;
	for (;;) {
		pthread_barrier_wait(&begin);
		for (unsigned int i = 0; storm && i < n_objects; i++) {
			struct object *o = &objects[(i + role * 2) % n_objects];
			size_t n = pages_of(o), first;

			if (!(o->roles & 1U << role))
				continue;
			/* of huge pages such an object is restored at once, and MADV_DONTNEED takes only whole ones */
			if ((o->flags & PRIVATE) && !(o->flags & HUGE))
				use_privately(o, o->second);
			if (o->flags & ONLY_PRIVATE)
				use_privately(o, o->map);
			if (!(o->flags & MUTABLE))
				continue;
			first = range_first(o);
			if (in_range(o, first) && owner(o, first) == role) {
				size_t length = (range_end(o) - first) * PAGE;

				if ((gen + 1) & 1) {
					if (index_of(o) & 1)
						remove_in_child(o->map + first * PAGE, length, !(o->flags & HUGE));
					else if (madvise(o->map + first * PAGE, length, MADV_REMOVE))
						mishap("MADV_REMOVE of a range");
					atomic_fetch_add(&advices, 1);
				} else {
					for (size_t p = first; p < range_end(o); p++)
						fill_page(o, o->map + p * PAGE, p, gen + 1);
				}
				for (size_t p = first; p < range_end(o); p++)
					check_page(o, o->map + p * PAGE, p, gen + 1, false, "range after its change");
			}
			first = rnd(&seed) % n;
			for (size_t p = 0; p < n; p++)
				write_one(o, (first + p) % n, &seed);
			/* a long range, whatever is in it: nothing may change */
			if (n > 512) {
				size_t from = o->flags & HUGE ? 0 : 300, pages = o->flags & HUGE ? 1024 : 128;

				if (madvise(o->map + from * PAGE, pages * PAGE, MADV_DONTNEED))
					mishap("MADV_DONTNEED of a range");
				atomic_fetch_add(&advices, 1);
				check_run(o, o->map + from * PAGE, from, pages, "range after MADV_DONTNEED");
			}
		}
		pthread_barrier_wait(&end);
	}
	return NULL;
}

/* through a pipe: what the kernel copies from and to missing memory */
static void pass_one(const struct object *o, size_t page, int in, int out)
{
	static __thread uint64_t buf[WORDS];
	char *p = o->map + page * PAGE;
	size_t len = words_in(o, page) * 8;
	struct iovec local = { buf, len }, remote = { p, len };

	switch (page / 16 % 3) {
	case 0:
		if (write(out, p, len) != (ssize_t)len || read(in, buf, len) != (ssize_t)len)
			mishap("write(2) from missing memory");
		else
			check_page(o, buf, page, gen, false, "write(2)");
		break;
	case 1:
		if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)len)
			mishap("process_vm_readv() of missing memory");
		else
			check_page(o, buf, page, gen, false, "process_vm_readv");
		break;
	}
	memset(buf, 0, sizeof(buf));
	fill_page(o, buf, page, gen + 1);
	if (write(out, buf, len) != (ssize_t)len || read(in, p, len) != (ssize_t)len)
		mishap("read(2) into missing memory");
	check_page(o, p, page, gen + 1, false, "read(2)");
	atomic_fetch_add(&transfers, 1);
}

static void *passer(void *arg)
{
	(void)arg;
	for (;;) {
		int fds[2];

		pthread_barrier_wait(&begin);
		if (storm && pipe2(fds, O_CLOEXEC))
			mishap("pipe");
		for (unsigned int i = 0; storm && i < n_objects; i++) {
			struct object *o = &objects[n_objects - 1 - i];

			for (size_t p = pages_of(o); p-- > 0;)
				if (p % 16 == 13 && !in_range(o, p) && mine(o, p))
					pass_one(o, p, fds[0], fds[1]);
		}
		if (storm) {
			close(fds[0]);
			close(fds[1]);
		}
		pthread_barrier_wait(&end);
	}
	return NULL;
}

static void must_map(const void *got, const void *want, const char *what)
{
	if (got == MAP_FAILED || (want && got != want)) {
		mishap(what);
		_exit(3);
	}
	atomic_fetch_add(&remaps, 1);
}

static void move_mappings(void)
{
	const struct object *o = SHARED3;
	char *to, *y;

	/* a move, to where nothing is */
	check_run(o, x1 + 64 * PAGE, 64, 16, "before mremap");
	to = mmap(NULL, X1_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must_map(to, NULL, "mmap for a target");
	must_map(mremap(x1, X1_LEN, X1_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to), to, "mremap, move");
	x1 = to;
	check_run(o, x1, 0, 256, "moved mapping");
	/* shorter, then a hole in the middle */
	must_map(mremap(x1, X1_LEN, X1_LEN - MIB, 0), x1, "mremap, shrink");
	check_run(o, x1 + 5 * MIB / 2, 5 * MIB / 2 / PAGE, 128, "shrunk mapping");
	if (munmap(x1 + MIB, MIB))
		mishap("munmap in the middle");
	check_run(o, x1 + 2 * MIB, 2 * MIB / PAGE, 128, "behind an unmapped part");
	check_run(o, x1 + MIB - 16 * PAGE, 256 - 16, 16, "before an unmapped part");
	/* longer in place, then longer by a move */
	must_map(mremap(x2, X2_LEN, 2 * X2_LEN, 0), x2, "mremap, grow in place");
	check_run(o, x2 + X2_LEN, (X2_OFF + X2_LEN) / PAGE, X2_LEN / PAGE, "grown part");
	to = mmap(x2 + 2 * X2_LEN, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	must_map(to, x2 + 2 * X2_LEN, "mmap of a stopper");
	y = mremap(x2, 2 * X2_LEN, 3 * X2_LEN, MREMAP_MAYMOVE);
	must_map(y, NULL, "mremap, grow and move");
	munmap(to, PAGE);
	x2 = y;
	check_run(o, x2 + 2 * X2_LEN, (X2_OFF + 2 * X2_LEN) / PAGE, 192, "grown and moved part");
	if (munmap(x2, X2_LEN))
		mishap("munmap of the head");
	check_run(o, x2 + X2_LEN, (X2_OFF + X2_LEN) / PAGE, 192, "behind an unmapped head");
	/* one mapping more of the same memory */
	y = mremap(x2 + 2 * X2_LEN, 0, MIB, MREMAP_MAYMOVE);
	must_map(y, NULL, "mremap, duplicate");
	check_run(o, y, (X2_OFF + 2 * X2_LEN) / PAGE, 256, "duplicate mapping");
	munmap(y, MIB);
	/* as it was, for the next storm */
	munmap(x1, X1_LEN - MIB);
	munmap(x2 + X2_LEN, 2 * X2_LEN);
	x1 = mremap(o->map, 0, X1_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, X_BASE(1));
	must_map(x1, X_BASE(1), "mremap, first mapping again");
	x2 = mremap(o->map + X2_OFF, 0, X2_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, X_BASE(2));
	must_map(x2, X_BASE(2), "mremap, second mapping again");
	check_run(o, x1, 0, 32, "first mapping again");
	check_run(o, x2, X2_OFF / PAGE, 32, "second mapping again");
}

static void move_private_mapping(void)
{
	const struct object *o = SHARED3;
	const size_t first = XP_OFF / PAGE, n = XP_LEN / PAGE;
	char *to = mmap(NULL, XP_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status = -1;
	pid_t pid;

	must_map(to, NULL, "mmap for a private target");
	check_run(o, xp, first, 16, "private, before mremap");
	memset(xp + 64 * PAGE, 1, PAGE);
	must_map(mremap(xp, XP_LEN, XP_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to), to, "mremap, private");
	xp = to;
	pid = fork();
	if (pid == 0) {
		memset(xp + 65 * PAGE, 2, PAGE);
		_exit(xp[64 * PAGE] != 1 ||
		      !check_page(o, xp + 66 * PAGE, first + 66, gen, true, "private, in a child"));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		mishap("child with a private mapping");
	if (xp[64 * PAGE] != 1 || xp[65 * PAGE - 1] != 1)
		wrong(o, "private page, moved", XP_OFF + 64 * PAGE, xp[64 * PAGE], 1);
	if (madvise(xp + 64 * PAGE, PAGE, MADV_DONTNEED))
		mishap("MADV_DONTNEED of a private page");
	check_run(o, xp + 64 * PAGE, first + 64, n - 64, "private, moved");
	/* back, for the next storm */
	to = X_BASE(3);
	must_map(mremap(xp, XP_LEN, XP_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to), to, "mremap, private, back");
	xp = to;
}

static void *mover(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_barrier_wait(&begin);
		if (storm)
			move_mappings();
		if (storm && role == 0)
			move_private_mapping();
		pthread_barrier_wait(&end);
	}
	return NULL;
}

/* the life of the n-th child; its exit status says whether a byte was wrong */
static void child(unsigned int n)
{
	const struct object *o = SHARED3;

	for (unsigned int i = 0; i < MAX_OBJECTS; i++)
		failed[i] = 0;
	switch (n % 6) {
	case 0:			/* looks at some of everything */
		check_all(n * 31 + role, 32, true, "in a child");
		break;
	case 1:
		execl("/proc/self/exe", "shmtest", "--exit", "0", (char *)NULL);
		_exit(4);
	case 2:			/* gone at once */
		_exit(0);
	case 3:			/* unmaps and drops parts first; the parent keeps them */
		munmap(o->map + MIB, 2 * MIB);
		madvise(o->map + 4 * MIB, 2 * MIB, MADV_DONTNEED);
		check_run(o, o->map + 3 * MIB, 3 * MIB / PAGE, 64, "in a child, behind an unmapped part");
		check_run(o, o->map + 4 * MIB, 4 * MIB / PAGE, 64, "in a child, after MADV_DONTNEED");
		break;
	case 4: {		/* a grandchild */
		pid_t pid = fork();
		int status = 0;

		if (pid == 0) {
			check_all(n * 37 + role, 48, true, "in a grandchild");
			for (unsigned int i = 0; i < MAX_OBJECTS; i++)
				if (failed[i])
					_exit(1);
			_exit(0);
		}
		check_run(o, o->map + 10 * MIB, 10 * MIB / PAGE, 64, "in a child with a child");
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			_exit(1);
		break;
	}
	case 5:			/* is killed while it looks */
		while (getppid() != 1)
			check_all(n * 41 + role, 3, true, "in a child to be killed");
		_exit(5);
	}
	for (unsigned int i = 0; i < MAX_OBJECTS; i++)
		if (failed[i])
			_exit(1);
	_exit(0);
}

static void *forker(void *arg)
{
	(void)arg;
	for (;;) {
		pthread_barrier_wait(&begin);
		for (unsigned int n = 0; storm && n < 12; n++) {
			pid_t pid = fork();
			int status, expected = 0;

			if (pid == 0)
				child(n);
			if (pid < 0) {
				mishap("fork");
				break;
			}
			if (n % 6 == 5) {
				nanosleep(&(struct timespec){ .tv_nsec = 15000000 }, NULL);
				kill(pid, SIGKILL);
				expected = SIGKILL;
			}
			if (waitpid(pid, &status, 0) != pid || status != expected) {
				append("wrong", "order %u role %d: child %u ended with status %#x\n", order, role, n, status);
				atomic_fetch_add(&failed[MISHAP], 1);
			}
			atomic_fetch_add(&children, 1);
		}
		pthread_barrier_wait(&end);
	}
	return NULL;
}

/* -- lives ------------------------------------------------------------------------------------------------------- */

/* only system calls and what is on the stack: also in children of a process with threads, and in shared memory */
static void await_file(const char *file)
{
	while (access(file, F_OK))
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* [megabytes from, to) of the object that all have */
static void look_at(unsigned int from, unsigned int to)
{
	for (size_t p = from * MIB / PAGE; p < to * MIB / PAGE; p += 64)
		if (!check_page(SHARED3, SHARED3->map + p * PAGE, p, gen, false, "in one of many lives"))
			_exit(1);
}

static int survivor(void *arg)
{
	(void)arg;
	look_at(4, 5);
	await_file("end");
	look_at(5, 6);
	_exit(0);
}

static void begin_life(const char *what, void (*life)(void))
{
	pid_t pid = fork();

	if (!pid) {
		life();
		_exit(0);
	}
	if (pid < 0)
		mishap("fork");
	append("lives", "%s %d\n", what, (int)pid);
}

static void life_exits(void)
{
	look_at(1, 2);
}

static void life_execs(void)
{
	look_at(2, 3);
	execl("/proc/self/exe", "shmtest", "--await", "end", (char *)NULL);
	_exit(4);
}

/* nobody waits for its child */
static void life_forks(void)
{
	pid_t pid = fork();

	if (!pid) {
		look_at(3, 4);
		await_file("end");
		_exit(0);
	}
	append("lives", "orphan %d\n", (int)pid);
}

/* whom its memory survives in */
static void life_shares(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid = clone(survivor, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);

	append("lives", "survivor %d\n", (int)pid);
}

static void life_floods(void)
{
	look_at(6, 7);
	append("lives", "looked %d\n", (int)getpid());
	await_file("flood");
	for (int i = 0; i < 13000; i++)
		munmap(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), PAGE);
}

static pid_t begin_vforked(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/proc/self/exe", "shmtest", "--await", "end", (char *)NULL);
		_exit(4);
	}
	return pid;
}

static void lead_lives(void)
{
	int status, left = 6;
	pid_t pid;

	begin_life("exits", life_exits);
	begin_life("execs", life_execs);
	begin_life("forks", life_forks);
	begin_life("shares", life_shares);
	begin_life("floods", life_floods);
	append("lives", "vforked %d\n", (int)begin_vforked());
	append("lives", "complete\n");
	for (; left && (pid = wait(&status)) > 0; left--) {
		if (!status)
			continue;
		append("wrong", "order %u: life %d ended with status %#x\n", order, (int)pid, status);
		atomic_fetch_add(&failed[MISHAP], 1);
	}
	look_at(0, 1);
}

/* -- the tree ---------------------------------------------------------------------------------------------------- */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void make_object(struct object *o, unsigned int n)
{
	char *at = (char *)0x200000000000UL + n * 0x100000000UL;
	size_t len = length_of(o);
	int fd = -1, flags = MAP_SHARED | MAP_FIXED_NOREPLACE;

	o->fd = -1;
	if (!o->name) {
		flags |= MAP_ANONYMOUS | (o->flags & HUGE ? MAP_HUGETLB : 0);
	} else {
		fd = memfd_create(o->name, MFD_CLOEXEC | MFD_ALLOW_SEALING | (o->flags & HUGE ? MFD_HUGETLB : 0));
		if (fd < 0 || ftruncate(fd, o->size))
			die(o->label);
	}
	o->map = mmap(at, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (o->map == MAP_FAILED)
		die(o->label);
	for (size_t p = 0; p < pages_of(o); p++)
		fill_page(o, o->map + p * PAGE, p, 0);
	if (o->flags & SEAL_WRITE) {
		munmap(o->map, len);
		if (fcntl(fd, F_ADD_SEALS, seals_of(o)))
			die("F_ADD_SEALS");
		o->map = mmap(at, len, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
		if (o->map == MAP_FAILED)
			die(o->label);
	} else if (o->flags & ONLY_PRIVATE) {
		munmap(o->map, len);
		o->map = mmap(at, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
		if (o->map == MAP_FAILED)
			die(o->label);
	} else if (seals_of(o) && fcntl(fd, F_ADD_SEALS, seals_of(o))) {
		die("F_ADD_SEALS");
	}
	if ((o->flags & LOCKED) && mlock(o->map, len))
		die("mlock");
	if (o->flags & TWICE) {
		o->second = mmap(at + 0x80000000UL, second_length(o), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED_NOREPLACE, fd, second_offset(o));
		if (o->second == MAP_FAILED)
			die("second mapping");
	}
	if (o->flags & PRIVATE) {
		o->second = mmap(at + 0x80000000UL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, 0);
		if (o->second == MAP_FAILED)
			die("private mapping");
		for (size_t p = 5; p < pages_of(o); p += 8)
			for (size_t w = 0; w < WORDS; w++)
				((uint64_t *)(o->second + p * PAGE))[w] = word(n, p * WORDS + w, 5);
	}
	if (o == SHARED3) {
		x1 = mmap(X_BASE(1), X1_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
		x2 = mmap(X_BASE(2), X2_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, X2_OFF);
		xp = mmap(X_BASE(3), XP_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, XP_OFF);
		if (x1 != X_BASE(1) || x2 != X_BASE(2) || xp != X_BASE(3))
			die("extra mappings");
	}
	if (o->flags & KEEP_FD)
		o->fd = fd;
	else if (fd >= 0)
		close(fd);
}

/* a child keeps what is its own, at addresses of its own */
static void keep_own(void)
{
	munmap(xp, XP_LEN);
	for (unsigned int i = 0; i < n_objects; i++) {
		struct object *o = &objects[i];
		size_t len = length_of(o);

		if (o->roles & 1U << role) {
			char *to = o->map + role * 0x4000000000UL;

			if (mremap(o->map, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
				die("mremap to an own address");
			o->map = to;
			for (size_t p = 3; role == 1 && (o->flags & PRIVATE) && p < pages_of(o); p += 8)
				memset(o->second + p * PAGE, 0, PAGE);
			continue;
		}
		munmap(o->map, len);
		if (o->second)
			munmap(o->second, second_length(o));
		if (o->fd >= 0)
			close(o->fd);
	}
}

static void barrier(void)
{
	barriers++;
	atomic_fetch_add(&control->arrived, 1);
	while (atomic_load(&control->arrived) < barriers * ROLES) {
		if (role && getppid() != parent)
			_exit(5);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

static void wait_for_order(void)
{
	char path[32], what[16] = "";
	int fd;

	snprintf(path, sizeof(path), "go.%u", ++order);
	while ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0) {
		if (role && getppid() != parent)
			_exit(5);
		nanosleep(&(struct timespec){ .tv_nsec = 4000000 }, NULL);
	}
	if (read(fd, what, sizeof(what) - 1) < 0)
		mishap(path);
	close(fd);
	storm = !strncmp(what, "storm", 5);
	lives = !strncmp(what, "lives", 5);
}

static void report(void)
{
	char tmp[32], path[32];
	unsigned int bad = failed[MISHAP];

	snprintf(tmp, sizeof(tmp), ".result.%d", role);
	snprintf(path, sizeof(path), "result.%u.%d", order, role);
	unlink(tmp);
	for (unsigned int i = 0; i < n_objects; i++) {
		if (!(objects[i].roles & 1U << role))
			continue;
		append(tmp, "object %s role %d: %s, %u pages compared\n", objects[i].label, role, failed[i] ? "FAILED" : "ok",
		       pages_ok[i]);
		bad += failed[i];
	}
	append(tmp, "role %d: %s, %u children, %u remaps, %u advices, %u transfers, %u writes\n", role, bad ? "FAILED" : "ok",
	       children, remaps, advices, transfers, writes);
	if (rename(tmp, path))
		abort();
}

static void *(*const workers[])(void *) = { verifier, verifier, writer, passer, mover, forker };
#define N_WORKERS (sizeof(workers) / sizeof(workers[0]))

static void life(void)
{
	pthread_attr_t attr;
	pthread_t t;

	pthread_barrier_init(&begin, NULL, N_WORKERS + 1);
	pthread_barrier_init(&end, NULL, N_WORKERS + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	for (size_t i = 0; i < N_WORKERS; i++)
		if (pthread_create(&t, &attr, workers[i], (void *)(i * 1000 + 1)))
			die("pthread_create");
	barrier();
	if (role == 0)
		append("ready", "%d\n", (int)getpid());
	for (;;) {
		wait_for_order();
		memset((void *)pages_ok, 0, sizeof(pages_ok));
		memset((void *)failed, 0, sizeof(failed));
		children = remaps = advices = transfers = writes = 0;
		if (lives) {
			if (role == 0)
				lead_lives();
			barrier();
			report();
			continue;
		}
		pthread_barrier_wait(&begin);
		pthread_barrier_wait(&end);
		if (storm) {
			barrier();
			gen++;
			check_all(order * 13 + role, 1, false, "after the storm");
		}
		for (unsigned int i = 0; i < n_objects; i++)
			if (objects[i].roles & 1U << role)
				check_inode(&objects[i]);
		barrier();
		report();
	}
}

int main(int argc, char **argv)
{
	int null;

	if (argc == 3 && !strcmp(argv[1], "--exit"))
		return atoi(argv[2]);
	if (argc == 3 && !strcmp(argv[1], "--await")) {
		await_file(argv[2]);
		return 0;
	}
	if (argc == 3 && !strcmp(argv[1], "--huge")) {
		n_objects += OPTIONAL;
		argv++;
		argc--;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: shmtest [--huge] DIR\n");
		return 2;
	}
	if (chdir(argv[1]))
		die(argv[1]);
	setsid();
	umask(022);

	control = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (control == MAP_FAILED)
		die("control area");
	for (unsigned int i = 0; i < n_objects; i++)
		make_object(&objects[i], i);

	null = open("/dev/null", O_RDWR);
	if (null < 0)
		die("/dev/null");
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	if (null > 2)
		close(null);
	parent = getpid();
	for (int r = 1; r < ROLES; r++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid == 0) {
			role = r;
			keep_own();
			break;
		}
	}
	life();
}
