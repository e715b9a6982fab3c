// SPDX-License-Identifier: GPL-2.0-only
/* Tests of extent-get and uffd-get: where an object's bytes are, and which memory a userfaultfd watches. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "harness.h"
#include "ask.h"
#include "factory.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

#define OF_SELF(f) { MEMFDCR_A_EXTENTS_FD, 4, f }
#define FROM(s) { MEMFDCR_A_EXTENTS_START, 8, s }
#define TO(e) { MEMFDCR_A_EXTENTS_END, 8, e }

enum { HOLE = MEMFDCR_EXTENT_HOLE, THERE = MEMFDCR_EXTENT_ALLOCATED, SWAPPED = MEMFDCR_EXTENT_SWAPPED };

struct extent {
	uint64_t start, end;
	uint32_t state;
};

struct extents {
	struct extent *list;
	size_t n, room;
	int faults;
	bool begun;
	uint64_t size;			/* of the object */
};

/* exactly start, end and state, of a sort that is known */
static void read_extent(const struct nlmsghdr *nlh, void *arg)
{
	struct extents *extents = arg;
	const struct nlattr *attr;
	struct extent e = { 0 };
	int seen = 0;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		int type = mnl_attr_get_type(attr);

		if (type != MEMFDCR_A_EXTENTS_PAD)
			seen |= 1 << type;
		if (type == MEMFDCR_A_EXTENTS_START)
			e.start = mnl_attr_get_u64(attr);
		else if (type == MEMFDCR_A_EXTENTS_END)
			e.end = mnl_attr_get_u64(attr);
		else if (type == MEMFDCR_A_EXTENTS_STATE)
			e.state = mnl_attr_get_u32(attr);
		else if (type == MEMFDCR_A_EXTENTS_SIZE)
			extents->size = mnl_attr_get_u64(attr);
	}
	/* the first message has nothing but the size */
	if (!extents->begun) {
		extents->begun = true;
		extents->faults += seen != 1 << MEMFDCR_A_EXTENTS_SIZE;
		return;
	}
	if (seen != (1 << MEMFDCR_A_EXTENTS_START | 1 << MEMFDCR_A_EXTENTS_END | 1 << MEMFDCR_A_EXTENTS_STATE) ||
	    e.start >= e.end || e.state < HOLE || e.state > SWAPPED)
		extents->faults++;
	if (extents->n == extents->room) {
		extents->room = 2 * extents->room + 16;
		extents->list = realloc(extents->list, extents->room * sizeof(e));
		if (!extents->list)
			_exit(99);
	}
	extents->list[extents->n++] = e;
}

static struct answer ask_extents(const struct attribute *attributes, struct extents *extents)
{
	struct mnl_socket *sock = request_socket();
	struct answer answer;

	*extents = (struct extents){ 0 };
	answer = request_dump(sock, MEMFDCR_CMD_EXTENT_GET, attributes, read_extent, extents);
	mnl_socket_close(sock);
	return answer;
}

/* no gap, nothing twice, neighbours differ */
static void check_order(struct __test_metadata *_metadata, const struct extents *got)
{
	EXPECT_EQ(0, got->faults);
	for (size_t i = 1; i < got->n; i++) {
		ASSERT_EQ(got->list[i - 1].end, got->list[i].start) TH_LOG("extent %zu", i);
		ASSERT_NE(got->list[i - 1].state, got->list[i].state) TH_LOG("extent %zu", i);
	}
}

static void expect_extents(struct __test_metadata *_metadata, const struct attribute *attributes,
			   const struct extent *want, size_t n)
{
	struct extents got;
	struct answer answer = ask_extents(attributes, &got);

	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	check_order(_metadata, &got);
	ASSERT_EQ(n, got.n);
	for (size_t i = 0; i < n; i++) {
		EXPECT_EQ(want[i].start, got.list[i].start) TH_LOG("extent %zu", i);
		EXPECT_EQ(want[i].end, got.list[i].end) TH_LOG("extent %zu", i);
		EXPECT_EQ(want[i].state, got.list[i].state) TH_LOG("extent %zu", i);
	}
	free(got.list);
}

#define EXPECT_EXTENTS(attributes, ...) \
	do { \
		const struct extent want_[] = { __VA_ARGS__ }; \
		expect_extents(_metadata, attributes, want_, ARRAY_SIZE(want_)); \
	} while (0)

/* how many bytes are in one state */
static uint64_t bytes_in(const struct extents *extents, uint32_t state)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < extents->n; i++)
		if (extents->list[i].state == state)
			bytes += extents->list[i].end - extents->list[i].start;
	return bytes;
}

static uint64_t blocks(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_blocks;
}

/* page n of fd, pages of any size, by one byte */
static void put(struct __test_metadata *_metadata, int fd, size_t page, size_t n)
{
	unsigned char *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, n * page);

	ASSERT_NE(MAP_FAILED, at) TH_LOG("%s", strerror(errno));
	at[page / 2] = 1;
	munmap(at, page);
}

/* ---- extents of every flavour that has a descriptor ---- */

FIXTURE(extents)
{
	size_t page;
	int fd;
};

FIXTURE_VARIANT(extents)
{
	enum flavour flavour;
};

FIXTURE_VARIANT_ADD(extents, memfd) { .flavour = PLAIN };
FIXTURE_VARIANT_ADD(extents, hugetlb) { .flavour = HUGE_2M };
FIXTURE_VARIANT_ADD(extents, gigantic) { .flavour = HUGE_1G };
FIXTURE_VARIANT_ADD(extents, secret) { .flavour = SECRET };

FIXTURE_SETUP(extents)
{
	const char *lacks = factory_lacks(variant->flavour);

	if (lacks)
		SKIP(return, "%s", lacks);
	self->page = factory_page(variant->flavour);
	self->fd = factory_fd(variant->flavour, "extents", 64 * self->page);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(extents)
{
	close(self->fd);
}

TEST_F(extents, nothing_there)
{
	uint64_t before = blocks(self->fd);

	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, 64 * self->page, HOLE });
	EXPECT_EQ(before, blocks(self->fd));
	EXPECT_EQ(0, before);
}

/* lseek(2) says of hugetlb that all is data */
TEST_F(extents, one_page_there)
{
	size_t page = self->page;
	uint64_t before;

	if (variant->flavour == HUGE_1G)
		SKIP(return, "no gigantic page can be had");
	put(_metadata, self->fd, page, 17);
	before = blocks(self->fd);
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, 17 * page, HOLE }, { 17 * page, 18 * page, THERE },
		       { 18 * page, 64 * page, HOLE });
	put(_metadata, self->fd, page, 18);
	put(_metadata, self->fd, page, 0);
	before = blocks(self->fd);
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, page, THERE }, { page, 17 * page, HOLE },
		       { 17 * page, 19 * page, THERE }, { 19 * page, 64 * page, HOLE });
	EXPECT_EQ(before, blocks(self->fd));
}

TEST_F(extents, all_there)
{
	size_t n = self->page == PAGE ? 64 : 8;
	int fd;

	if (variant->flavour == HUGE_1G)
		SKIP(return, "no gigantic page can be had");
	fd = factory_fd(variant->flavour, "all", n * self->page);
	ASSERT_LE(0, fd);
	for (size_t i = 0; i < n; i++)
		put(_metadata, fd, self->page, i);
	EXPECT_EXTENTS(LIST(OF_SELF(fd)), { 0, n * self->page, THERE });
	close(fd);
}

TEST_F(extents, parts)
{
	size_t page = self->page;

	if (variant->flavour == HUGE_1G)
		SKIP(return, "no gigantic page can be had");
	put(_metadata, self->fd, page, 4);
	put(_metadata, self->fd, page, 5);
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd), FROM(5 * page)), { 5 * page, 6 * page, THERE },
		       { 6 * page, 64 * page, HOLE });
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd), TO(5 * page)), { 0, 4 * page, HOLE }, { 4 * page, 5 * page, THERE });
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd), FROM(4 * page), TO(6 * page)), { 4 * page, 6 * page, THERE });
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd), FROM(6 * page), TO(7 * page)), { 6 * page, 7 * page, HOLE });
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd), FROM(63 * page), TO(1000 * page)), { 63 * page, 64 * page, HOLE });
}

/* the same object in the other ways to name it */
TEST_F(extents, named_otherwise)
{
	size_t page = self->page;
	unsigned char *at = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, self->fd, 0);

	ASSERT_NE(MAP_FAILED, at);
	if (variant->flavour != HUGE_1G)
		put(_metadata, self->fd, page, 0);
	for (int way = 0; way < 3; way++) {
		const struct attribute *attributes[] = {
			LIST(OF_SELF(factory_reopen(self->fd, O_PATH))),
			LIST({ MEMFDCR_A_EXTENTS_PID, 4, getpid() }, { MEMFDCR_A_EXTENTS_TARGET_FD, 4, self->fd }),
			LIST({ MEMFDCR_A_EXTENTS_PID, 4, getpid() },
			     { MEMFDCR_A_EXTENTS_ADDRESS, 8, (unsigned long)at }),
		};

		if (variant->flavour == HUGE_1G) {
			EXPECT_EXTENTS(attributes[way], { 0, 64 * page, HOLE });
		}
		else {
			EXPECT_EXTENTS(attributes[way], { 0, page, THERE }, { page, 64 * page, HOLE });
		}
	}
}

/* what a dump of objects says is allocated is what the extents add up to */
TEST_F(extents, allocated_is_their_sum)
{
	size_t page = self->page;
	struct held got;

	for (int i = 0; i < 3 && variant->flavour != HUGE_1G; i++)
		put(_metadata, self->fd, page, 5 * i);
	ASSERT_EQ(0, held_do(&got, LIST(OF_FD(self->fd))).error);
	EXPECT_EQ(variant->flavour == HUGE_1G ? 0 : 3 * page, got.objects[0].allocated);
	EXPECT_EQ(0, got.objects[0].swapped);
}

/* ---- what only ordinary pages can do ---- */

FIXTURE(pages)
{
	int fd;
};

FIXTURE_SETUP(pages)
{
	process_prepare();
	self->fd = memfd_create("pages", MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(pages)
{
	close(self->fd);
}

TEST_F(pages, empty)
{
	struct extents got;

	ASSERT_EQ(0, ask_extents(LIST(OF_SELF(self->fd)), &got).error);
	EXPECT_EQ(0, got.n);
}

TEST_F(pages, size_is_no_multiple)
{
	ASSERT_EQ(0, ftruncate(self->fd, 2 * PAGE + 1));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, 3 * PAGE, HOLE });
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, 2 * PAGE));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, 2 * PAGE, HOLE }, { 2 * PAGE, 3 * PAGE, THERE });
	ASSERT_EQ(0, ftruncate(self->fd, 1));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, PAGE, HOLE });
}

TEST_F(pages, fallocated)
{
	ASSERT_EQ(0, ftruncate(self->fd, 64 * PAGE));
	ASSERT_EQ(0, fallocate(self->fd, 0, 8 * PAGE, 8 * PAGE));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, 8 * PAGE, HOLE }, { 8 * PAGE, 16 * PAGE, THERE },
		       { 16 * PAGE, 64 * PAGE, HOLE });
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 10 * PAGE, 2 * PAGE));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, 8 * PAGE, HOLE }, { 8 * PAGE, 10 * PAGE, THERE },
		       { 10 * PAGE, 12 * PAGE, HOLE }, { 12 * PAGE, 16 * PAGE, THERE }, { 16 * PAGE, 64 * PAGE, HOLE });
}

/* allocated, but nothing can be read there: not before the object grows */
TEST_F(pages, beyond_the_size)
{
	ASSERT_EQ(0, ftruncate(self->fd, PAGE));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, PAGE, THERE });
}

TEST_F(pages, huge_size)
{
	const uint64_t size = 1ULL << 62;

	ASSERT_EQ(0, ftruncate(self->fd, size));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, size, HOLE });
	ASSERT_EQ(1, pwrite(self->fd, "x", 1, size - 1));
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd)), { 0, size - PAGE, HOLE }, { size - PAGE, size, THERE });
	EXPECT_EXTENTS(LIST(OF_SELF(self->fd), FROM(size - PAGE), TO(-1)), { size - PAGE, size, THERE });
}

/* transparent huge pages have holes only where they end */
TEST_F(pages, transparent_huge_page)
{
	struct extents got;

	ASSERT_EQ(0, ftruncate(self->fd, 4 * HUGE_PAGE));
	char *at = mmap(NULL, 4 * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, at);
	madvise(at, 4 * HUGE_PAGE, MADV_HUGEPAGE);
	at[HUGE_PAGE + 5 * PAGE] = 1;
	ASSERT_EQ(0, ask_extents(LIST(OF_SELF(self->fd)), &got).error);
	check_order(_metadata, &got);
	EXPECT_EQ(4 * HUGE_PAGE, got.list[got.n - 1].end);
	EXPECT_EQ(blocks(self->fd) * 512, bytes_in(&got, THERE));
}

/* more than fit into one message */
TEST_F_TIMEOUT(pages, alternating, 600)
{
	const size_t n = 200000;
	uint64_t before;
	struct extents got;
	struct answer answer;

	ASSERT_EQ(0, ftruncate(self->fd, n * PAGE));
	for (size_t i = 0; i < n; i += 2) {
		ASSERT_EQ(1, pwrite(self->fd, "x", 1, i * PAGE)) TH_LOG("%s", strerror(errno));
	}
	before = blocks(self->fd);
	answer = ask_extents(LIST(OF_SELF(self->fd)), &got);
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	check_order(_metadata, &got);
	ASSERT_EQ(n, got.n);
	for (size_t i = 0; i < n; i++) {
		ASSERT_EQ(i * PAGE, got.list[i].start);
		ASSERT_EQ(i % 2 ? HOLE : THERE, got.list[i].state);
	}
	EXPECT_EQ(before, blocks(self->fd));
	free(got.list);
}

TEST_F(pages, system_v)
{
	unsigned char *at = factory_map(SYSV, 8 * PAGE);

	ASSERT_NE(MAP_FAILED, at);
	at[3 * PAGE] = 1;
	EXPECT_EXTENTS(LIST({ MEMFDCR_A_EXTENTS_PID, 4, getpid() },
			    { MEMFDCR_A_EXTENTS_ADDRESS, 8, (unsigned long)at + 5 * PAGE }),
		       { 0, 3 * PAGE, HOLE }, { 3 * PAGE, 4 * PAGE, THERE }, { 4 * PAGE, 8 * PAGE, HOLE });
}

TEST_F(pages, anonymous)
{
	unsigned char *at = factory_map(ANONYMOUS, 8 * PAGE);

	ASSERT_NE(MAP_FAILED, at);
	at[0] = 1;
	at[7 * PAGE] = 1;
	EXPECT_EXTENTS(LIST({ MEMFDCR_A_EXTENTS_PID, 4, getpid() },
			    { MEMFDCR_A_EXTENTS_ADDRESS, 8, (unsigned long)at + 5 * PAGE }),
		       { 0, PAGE, THERE }, { PAGE, 7 * PAGE, HOLE }, { 7 * PAGE, 8 * PAGE, THERE });
}

/* what smaps says of a mapping of all of it */
static uint64_t smaps_swap(unsigned long start)
{
	char line[512], head[32];
	uint64_t kilobytes = 0;
	FILE *file = fopen("/proc/self/smaps", "r");
	bool here = false;

	snprintf(head, sizeof(head), "%lx-", start);
	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, head, strlen(head)))
			here = true;
		if (here && !strncmp(line, "Swap:", 5)) {
			kilobytes = strtoull(line + 5, NULL, 10);
			break;
		}
	}
	if (file)
		fclose(file);
	return kilobytes * 1024;
}

/*
 * Which of the pages go is the kernel's business. What must hold is that each is either in memory or swapped, as many
 * as smaps says, and that asking brings none of them in.
 */
TEST_F_TIMEOUT(pages, swapped, 300)
{
	const size_t n = 1024;
	const char *why = factory_swap_on(64 << 20);
	uint64_t swapped = 0, before;
	struct extents got, again;
	unsigned char *at;
	struct held held;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, ftruncate(self->fd, 2 * n * PAGE));
	at = mmap(NULL, 2 * n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, at);
	for (size_t i = 0; i < n; i++)
		at[i * PAGE] = 1;
	/* pages under writeback are still in memory for a while */
	for (int tries = 0; tries < 200; tries++) {
		madvise(at, n * PAGE, MADV_PAGEOUT);
		if (smaps_swap((unsigned long)at) >= n * PAGE / 2)
			break;
		usleep(50000);
	}
	before = smaps_swap((unsigned long)at);
	if (!before) {
		factory_swap_off();
		SKIP(return, "the kernel swaps nothing out");
	}
	ASSERT_EQ(0, ask_extents(LIST(OF_SELF(self->fd)), &got).error);
	check_order(_metadata, &got);
	swapped = bytes_in(&got, SWAPPED);
	EXPECT_EQ(before, swapped);
	EXPECT_EQ(n * PAGE, swapped + bytes_in(&got, THERE));
	EXPECT_EQ(n * PAGE, bytes_in(&got, HOLE));
	ASSERT_EQ(0, held_do(&held, LIST(OF_FD(self->fd))).error);
	EXPECT_EQ(swapped, held.objects[0].swapped);
	EXPECT_EQ(n * PAGE, held.objects[0].allocated);
	ASSERT_EQ(0, ask_extents(LIST(OF_SELF(self->fd)), &again).error);
	EXPECT_EQ(swapped, bytes_in(&again, SWAPPED));
	EXPECT_EQ(before, smaps_swap((unsigned long)at));
	munmap(at, 2 * n * PAGE);
	close(self->fd);
	factory_swap_off();
}

#define A(name) MEMFDCR_A_EXTENTS_##name

TEST_F(pages, extent_get_refuses)
{
	int file = open("/proc/self/exe", O_RDONLY);
	const struct {
		int bad, or_bad, missing;
		const struct attribute *attributes;
	} refusals[] = {
		{ A(FD), 0, 0, LIST(OF_SELF(987)) },
		{ A(FD), 0, 0, LIST(OF_SELF(file)) },
		{ 0, 0, A(FD), (const struct attribute[]){ { 0 } } },
		{ A(FD), A(PID), 0, LIST(OF_SELF(self->fd), { A(PID), 4, getpid() }) },
		{ A(TARGET_FD), 0, A(PID), LIST({ A(TARGET_FD), 4, self->fd }) },
		{ A(ADDRESS), 0, A(PID), LIST({ A(ADDRESS), 8, (unsigned long)region }) },
		{ A(ADDRESS), 0, 0, LIST({ A(PID), 4, getpid() }, { A(ADDRESS), 8, 0 }) },
		{ A(PID), 0, 0, LIST({ A(PID), 4, 4194303 }, { A(TARGET_FD), 4, 0 }) },
		{ A(START), 0, 0, LIST(OF_SELF(self->fd), FROM(1)) },
		{ A(END), 0, 0, LIST(OF_SELF(self->fd), TO(PAGE - 1)) },
		{ A(END), A(START), 0, LIST(OF_SELF(self->fd), FROM(2 * PAGE), TO(PAGE)) },
		{ A(STATE), 0, 0, LIST(OF_SELF(self->fd), { A(STATE), 4, 1 }) },
		{ A(MAX) + 1, 0, 0, LIST(OF_SELF(self->fd), { A(MAX) + 1, 4, 1 }) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct extents got;
		struct answer a = ask_extents(refusals[i].attributes, &got);

		/* start and end need not be multiples of the page size; if they may be anything, that is no error */
		if (!a.error && (refusals[i].bad == A(START) || refusals[i].bad == A(END)) && !refusals[i].or_bad)
			continue;
		EXPECT_GT(0, a.error) TH_LOG("%zu was not refused", i);
		EXPECT_NE(0, strlen(a.message)) TH_LOG("%zu: error %d without a sentence", i, a.error);
		EXPECT_TRUE((a.bad && (a.bad == refusals[i].bad || a.bad == refusals[i].or_bad)) ||
			    (a.missing && a.missing == refusals[i].missing))
			TH_LOG("%zu: %s: bad %d, missing %d", i, a.message, a.bad, a.missing);
		EXPECT_EQ(0, got.n);
	}
}

/* ---- uffd-get ---- */

struct range {
	uint64_t start, end, offset, ino;
	uint32_t modes, dev, generation, has;
};

/* both kinds of reply */
struct watched {
	uint64_t id;
	bool guard;
	pid_t pids[16];
	int n_pids;
	struct range ranges[64];
	int n_ranges, faults;
};

static void read_watched(const struct nlmsghdr *nlh, void *arg)
{
	struct watched *w = arg;
	const struct nlattr *attr;
	struct range range = { 0 };

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		range.has |= 1 << mnl_attr_get_type(attr);
		switch (mnl_attr_get_type(attr)) {
		case MEMFDCR_A_UFFD_UFFD_ID: w->id = mnl_attr_get_u64(attr); break;
		case MEMFDCR_A_UFFD_GUARD: w->guard = true; break;
		case MEMFDCR_A_UFFD_PID: w->pids[w->n_pids++ % 16] = mnl_attr_get_u32(attr); break;
		case MEMFDCR_A_UFFD_START: range.start = mnl_attr_get_u64(attr); break;
		case MEMFDCR_A_UFFD_END: range.end = mnl_attr_get_u64(attr); break;
		case MEMFDCR_A_UFFD_MODES: range.modes = mnl_attr_get_u32(attr); break;
		case MEMFDCR_A_UFFD_OFFSET: range.offset = mnl_attr_get_u64(attr); break;
		case MEMFDCR_A_UFFD_DEV: range.dev = mnl_attr_get_u32(attr); break;
		case MEMFDCR_A_UFFD_INO: range.ino = mnl_attr_get_u64(attr); break;
		case MEMFDCR_A_UFFD_GENERATION: range.generation = mnl_attr_get_u32(attr); break;
		case MEMFDCR_A_UFFD_PAD: break;
		default: w->faults++;
		}
	}
	if (range.has & 1 << MEMFDCR_A_UFFD_START)
		w->ranges[w->n_ranges++ % 64] = range;
}

static struct answer ask_uffd(int fd, bool dump, struct watched *watched)
{
	const struct attribute attributes[] = { { MEMFDCR_A_UFFD_FD, 4, fd }, { 0 } };
	struct mnl_socket *sock = request_socket();
	struct answer answer;

	*watched = (struct watched){ 0 };
	answer = (dump ? request_dump : request_do)(sock, MEMFDCR_CMD_UFFD_GET, attributes, read_watched, watched);
	mnl_socket_close(sock);
	return answer;
}

FIXTURE(uffd)
{
	pid_t pid;
	int fd;
	uint64_t id;
	struct object object;	/* that region maps */
	void *private;
};

FIXTURE_VARIANT(uffd)
{
	bool guard, own;
};

FIXTURE_VARIANT_ADD(uffd, plain) { false, false };
FIXTURE_VARIANT_ADD(uffd, guarded) { true, false };
FIXTURE_VARIANT_ADD(uffd, plain_on_itself) { false, true };
FIXTURE_VARIANT_ADD(uffd, guarded_on_itself) { true, true };

FIXTURE_SETUP(uffd)
{
	char path[64];
	struct answer answer;
	int mem;

	process_prepare();
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)region,
		 (unsigned long)region + PAGES * PAGE);
	ASSERT_TRUE(walk_object(path, &self->object));
	self->private = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->private);
	self->pid = variant->own ? getpid() : process_start(target_wait, NULL);
	mem = open_mem(self->pid, O_RDWR);
	answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, variant->guard);
	close(mem);
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	self->fd = answer.fd;
	self->id = answer.uffd_id;
	ASSERT_EQ(0, uffd_api(self->fd, 0));
}

/* a guard on oneself had better have nothing to guard at the end */
FIXTURE_TEARDOWN(uffd)
{
	uffd_unregister(self->fd, region, PAGES * PAGE);
	uffd_unregister(self->fd, self->private, 8 * PAGE);
	close(self->fd);
	if (!variant->own) {
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
	}
}

TEST_F(uffd, do_tells)
{
	struct watched got;
	struct answer answer = ask_uffd(self->fd, false, &got);

	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	EXPECT_EQ(self->id, got.id);
	EXPECT_EQ(variant->guard, got.guard);
	ASSERT_EQ(1, got.n_pids);
	EXPECT_EQ(self->pid, got.pids[0]);
	EXPECT_EQ(0, got.n_ranges);
	EXPECT_EQ(0, got.faults);
}

TEST_F(uffd, dump_tells)
{
	struct watched got;

	ASSERT_EQ(0, ask_uffd(self->fd, true, &got).error);
	EXPECT_EQ(0, got.n_ranges);
	ASSERT_EQ(0, uffd_register(self->fd, region + 2 * PAGE, 5 * PAGE));
	ASSERT_EQ(0, uffd_register(self->fd, region + 10 * PAGE, PAGE));
	ASSERT_EQ(0, uffd_register(self->fd, self->private + PAGE, 2 * PAGE));
	ASSERT_EQ(0, ask_uffd(self->fd, true, &got).error);
	ASSERT_EQ(3, got.n_ranges);
	EXPECT_EQ(0, got.faults);
	for (int i = 0; i < 3; i++) {
		const struct range *r = &got.ranges[i];
		unsigned long start = (unsigned long)region;

		EXPECT_EQ(UFFDIO_REGISTER_MODE_MISSING, r->modes);
		if (i) {
			EXPECT_LT(r[-1].start, r->start);
		}
		if (r->start == (unsigned long)self->private + PAGE) {
			EXPECT_EQ((unsigned long)self->private + 3 * PAGE, r->end);
			EXPECT_FALSE(r->has & (1 << MEMFDCR_A_UFFD_DEV | 1 << MEMFDCR_A_UFFD_INO |
					       1 << MEMFDCR_A_UFFD_GENERATION));
			continue;
		}
		EXPECT_TRUE((r->start == start + 2 * PAGE && r->end == start + 7 * PAGE) ||
			    (r->start == start + 10 * PAGE && r->end == start + 11 * PAGE));
		EXPECT_EQ(r->start - start, r->offset);
		EXPECT_EQ(self->object.dev, r->dev);
		EXPECT_EQ(self->object.ino, r->ino);
		EXPECT_EQ(self->object.generation, r->generation);
	}
}

TEST_F(uffd, modes)
{
	struct uffdio_register r = {
		.range = { .start = (unsigned long)self->private, .len = PAGE },
		.mode = UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MISSING
	};
	struct watched got;

	if (ioctl(self->fd, UFFDIO_REGISTER, &r))
		SKIP(return, "no write protection: %s", strerror(errno));
	ASSERT_EQ(0, ask_uffd(self->fd, true, &got).error);
	ASSERT_EQ(1, got.n_ranges);
	EXPECT_EQ(r.mode, got.ranges[0].modes);
}

/* a userfaultfd that is not from the module is one, too */
TEST_F(uffd, of_the_system_call)
{
	struct watched got;
	int fd;

	if (!variant->own)
		SKIP(return, "the system call is for one's own memory");
	fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	ASSERT_LE(0, fd) TH_LOG("%s", strerror(errno));
	ASSERT_EQ(0, uffd_api(fd, 0));
	ASSERT_EQ(0, uffd_register(fd, self->private, PAGE));
	ASSERT_EQ(0, ask_uffd(fd, false, &got).error);
	EXPECT_NE(0, got.id);
	EXPECT_NE(self->id, got.id);
	EXPECT_FALSE(got.guard);
	ASSERT_EQ(1, got.n_pids);
	EXPECT_EQ(getpid(), got.pids[0]);
	ASSERT_EQ(0, ask_uffd(fd, true, &got).error);
	ASSERT_EQ(1, got.n_ranges);
	EXPECT_EQ((unsigned long)self->private, got.ranges[0].start);
	/* the other one has nothing */
	ASSERT_EQ(0, ask_uffd(self->fd, true, &got).error);
	EXPECT_EQ(0, got.n_ranges);
	close(fd);
}

TEST_F(uffd, refuses)
{
	int none[] = { 987, -1, open("/dev/null", O_RDWR), memfd_create("uffd", 0), factory_reopen(self->fd, O_PATH) };
	struct watched got;

	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		for (int dump = 0; dump < 2; dump++) {
			struct answer answer = ask_uffd(none[i], dump, &got);

			EXPECT_GT(0, answer.error) TH_LOG("%d", none[i]);
			EXPECT_NE(0, strlen(answer.message)) TH_LOG("%d", none[i]);
			EXPECT_EQ(MEMFDCR_A_UFFD_FD, answer.bad) TH_LOG("%s", answer.message);
		}
	}
}

TEST_F(uffd, refuses_without_a_descriptor)
{
	struct mnl_socket *sock = request_socket();
	struct watched got = { 0 };

	for (int dump = 0; dump < 2; dump++) {
		struct answer answer = (dump ? request_dump : request_do)(sock, MEMFDCR_CMD_UFFD_GET,
			&(struct attribute){ 0 }, read_watched, &got);

		EXPECT_EQ(-EINVAL, answer.error);
		EXPECT_NE(0, strlen(answer.message));
		EXPECT_EQ(MEMFDCR_A_UFFD_FD, answer.missing);
	}
	mnl_socket_close(sock);
}

/* private huge pages are no object's */
TEST_F(uffd, private_huge_pages)
{
	const char *lacks = factory_lacks(HUGE_2M);
	struct watched got;
	void *at;

	if (!variant->own || lacks)
		SKIP(return, "%s", lacks ?: "only its own process can map them");
	at = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MFD_HUGE_2MB, -1, 0);
	ASSERT_NE(MAP_FAILED, at);
	ASSERT_EQ(0, uffd_register(self->fd, at, HUGE_PAGE));
	ASSERT_EQ(0, ask_uffd(self->fd, true, &got).error);
	ASSERT_EQ(1, got.n_ranges);
	EXPECT_EQ((unsigned long)at, got.ranges[0].start);
	EXPECT_FALSE(got.ranges[0].has & 1 << MEMFDCR_A_UFFD_INO);
	EXPECT_EQ(0, uffd_unregister(self->fd, at, HUGE_PAGE));
}

TEST_F(uffd, nothing_to_watch_any_more)
{
	struct watched got;

	if (variant->own)
		SKIP(return, "that would be the end of this test");
	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
	ASSERT_EQ(0, ask_uffd(self->fd, true, &got).error);
	EXPECT_EQ(0, got.n_ranges);
	ASSERT_EQ(0, ask_uffd(self->fd, false, &got).error);
	EXPECT_EQ(0, got.n_pids);
	EXPECT_EQ(self->id, got.id);
}

TEST_HARNESS_MAIN
