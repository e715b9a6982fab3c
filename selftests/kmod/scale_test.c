// SPDX-License-Identifier: GPL-2.0-only
/* Tests of dumps that are large: they are complete, their memory is bounded, and nothing is left of one given up. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>

#include "harness.h"
#include "ask.h"
#include "factory.h"

#define PROCESSES 1000
#define MAPPERS 16
#define MAPPINGS 4000UL

FIXTURE(scale)
{
	int fd;
	struct object object;
	pid_t pids[PROCESSES];
	int n;
};

FIXTURE_SETUP(scale)
{
	process_prepare();
	self->fd = memfd_create("scale", 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, MAPPINGS * PAGE));
	self->object = own_object(self->fd);
}

FIXTURE_TEARDOWN(scale)
{
	while (self->n)
		kill(self->pids[--self->n], SIGKILL);
	while (wait(NULL) > 0)
		;
}

static int stay(void *arg)
{
	for (;;)
		raise(SIGSTOP);
	return 0;
}

static void start_many(struct __test_metadata *_metadata, FIXTURE_DATA(scale) *self, int n)
{
	while (self->n < n) {
		pid_t pid = factory_start(stay, NULL);

		ASSERT_LT(0, pid) TH_LOG("process %d", self->n);
		self->pids[self->n++] = pid;
	}
}

/* maps the pages from the last to the first, so that no two mappings become one */
static unsigned char *map_all(struct __test_metadata *_metadata, int fd)
{
	unsigned char *at = mmap(NULL, MAPPINGS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, at);
	for (size_t i = 0; i < MAPPINGS; i++) {
		ASSERT_NE(MAP_FAILED, mmap(at + i * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd,
					   (MAPPINGS - 1 - i) * PAGE));
	}
	return at;
}

/* what each of them holds: the descriptor, and if start is not 0, the mappings from there on */
static void expect_holders(struct held *want, FIXTURE_DATA(scale) *self, pid_t pid, unsigned long start)
{
	struct holder common = {
		.has = HAS(HOLDER_PID) | HAS(HOLDER_DEV) | HAS(HOLDER_INO) | HAS(HOLDER_GENERATION),
		.pid = pid, .dev = self->object.dev, .ino = self->object.ino, .generation = self->object.generation,
	}, h = common;

	h.has |= HAS(HOLDER_FD) | HAS(HOLDER_FLAGS) | HAS(HOLDER_POSITION);
	h.fd = self->fd;
	h.flags = fcntl(self->fd, F_GETFL);
	*held_new_holder(want) = h;
	for (size_t i = 0; start && i < MAPPINGS; i++) {
		h = common;
		h.has |= HAS(HOLDER_START) | HAS(HOLDER_END) | HAS(HOLDER_OFFSET) | HAS(HOLDER_PROT) |
			 HAS(HOLDER_SHARED) | HAS(HOLDER_MAY_WRITE);
		h.start = start + i * PAGE;
		h.end = h.start + PAGE;
		h.offset = (MAPPINGS - 1 - i) * PAGE;
		h.prot = PROT_READ;
		*held_new_holder(want) = h;
	}
}

static void expect_all(struct __test_metadata *_metadata, FIXTURE_DATA(scale) *self, unsigned long start)
{
	unsigned long each = start ? MAPPINGS : 0;
	struct held want = { 0 }, got;

	expect_holders(&want, self, getpid(), start);
	for (int i = 0; i < self->n; i++)
		expect_holders(&want, self, self->pids[i], start);

	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_DEV, 4, self->object.dev },
				{ MEMFDCR_A_HOLDER_INO, 8, self->object.ino }), &got);
	EXPECT_EQ(0, got.hidden);
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	held_free(&got);

	objects(_metadata, LIST(OF_TREE(getpid()), NAMING(self->object), WITH_HOLDERS), &got);
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	ASSERT_EQ(1, got.n_objects);
	EXPECT_EQ(self->n + 1, got.objects[0].descriptors);
	EXPECT_EQ((self->n + 1) * each, got.objects[0].mappings);
	EXPECT_EQ(0, got.objects[0].unexplained);
	held_free(&got);
	held_free(&want);
}

TEST_F_TIMEOUT(scale, many_processes, 900)
{
	start_many(_metadata, self, PROCESSES);
	expect_all(_metadata, self, 0);
}

TEST_F_TIMEOUT(scale, many_mappings, 900)
{
	unsigned char *at = map_all(_metadata, self->fd);

	start_many(_metadata, self, MAPPERS);
	expect_all(_metadata, self, (unsigned long)at);
}

/* open files and objects, of which a dump has to remember what it has seen */
TEST_F_TIMEOUT(scale, many_objects, 900)
{
	struct rlimit limit = { 16384, 16384 };
	struct held got, want = { 0 };

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (int i = 0; i < 5000; i++) {
		ASSERT_LE(0, memfd_create("one of many", 0));
	}
	objects(_metadata, LIST(OF_PID(getpid()), WITH_HOLDERS), &got);
	walk_process(&want, getpid());
	EXPECT_EQ(0, held_compare_objects(&want, &got, OBJECT_COUNTED));
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
}

/* ---- dumps that are given up ---- */

/* kB of a line of /proc/meminfo */
static long memory(const char *key)
{
	char value[64];

	return read_line("/proc/meminfo", key, value, sizeof(value)) ? atol(value) : 0;
}

/* what can be had at least, and what the kernel itself takes at most; caches that shrink are nobody's fault */
static void settle(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	if (fd >= 0) {
		if (write(fd, "3", 1) != 1)
			fprintf(stderr, "# caches are not dropped\n");
		close(fd);
	}
}

static int unload(void)
{
	request_forget();
	return syscall(SYS_delete_module, "memfdcr", O_NONBLOCK) ? -errno : 0;
}

/* what a closed socket leaves is cleared away a moment later */
static int unload_soon(void)
{
	int err = -1;

	for (int i = 0; i < 3000 && err; i++) {
		err = unload();
		if (err)
			usleep(10000);
	}
	return err;
}

/* reads one part of an answer; true: that was the last */
static bool read_part(struct __test_metadata *_metadata, struct mnl_socket *sock)
{
	static char buf[65536];
	const struct nlmsghdr *nlh = (void *)buf;
	int len = mnl_socket_recvfrom(sock, buf, sizeof(buf));
	bool last = false;

	ASSERT_LT(0, len) TH_LOG("%s", strerror(errno));
	for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
		last |= nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR;
	return last;
}

/* begins a dump of everything with holders and reads so many parts of the answer, no more */
static struct mnl_socket *begin_dump(struct __test_metadata *_metadata, int parts)
{
	struct mnl_socket *sock = request_socket();

	ASSERT_NE(NULL, sock);
	ASSERT_EQ(0, request_send_dump(sock, MEMFDCR_CMD_OBJECT_GET, LIST(WITH_HOLDERS)));
	while (parts--) {
		ASSERT_FALSE(read_part(_metadata, sock));
	}
	return sock;
}

/* how many parts it has, which depends on the kernel's buffers */
static int count_parts(struct __test_metadata *_metadata)
{
	struct mnl_socket *sock = begin_dump(_metadata, 0);
	int parts = 1;

	while (!read_part(_metadata, sock))
		parts++;
	mnl_socket_close(sock);
	return parts;
}

#define DUMPS 16
/* buffers that wait to be read, and tables; remembering 64,000 holders would take ten times that */
#define ALLOWED_KB (DUMPS * 512)

TEST_F_TIMEOUT(scale, memory_is_bounded_and_nothing_stays, 900)
{
	struct mnl_socket *socks[DUMPS];
	long slab, available, during_slab, during_available;
	int parts;

	map_all(_metadata, self->fd);
	start_many(_metadata, self, MAPPERS);
	/* and what is there once and for all is there now */
	parts = count_parts(_metadata);
	ASSERT_LT(20, parts);
	settle();
	slab = memory("Slab:");
	available = memory("MemAvailable:");
	for (int i = 0; i < DUMPS; i++)
		socks[i] = begin_dump(_metadata, parts * (i + 1) / (DUMPS + 1));
	during_slab = memory("Slab:");
	during_available = memory("MemAvailable:");
	TH_LOG("%d dumps under way: slab %+ld kB, available %+ld kB", DUMPS, during_slab - slab,
	       during_available - available);
	EXPECT_GT(ALLOWED_KB, during_slab - slab);
	EXPECT_GT(ALLOWED_KB, available - during_available);
	EXPECT_GT(0, unload());
	for (int i = 0; i < DUMPS; i++)
		mnl_socket_close(socks[i]);
	ASSERT_EQ(0, unload_soon());
	settle();
	TH_LOG("afterwards: slab %+ld kB, available %+ld kB", memory("Slab:") - slab,
	       memory("MemAvailable:") - available);
	EXPECT_GT(ALLOWED_KB / 2, memory("Slab:") - slab);
	EXPECT_LT(0, request_family());
}

/* a dump given up a thousand times leaves nothing each time */
TEST_F_TIMEOUT(scale, given_up_again_and_again, 900)
{
	const int rounds = 1000;
	long before;
	int parts;

	map_all(_metadata, self->fd);
	start_many(_metadata, self, 2);
	parts = count_parts(_metadata);
	ASSERT_LT(4, parts);
	for (int i = 0; i < 50; i++)
		mnl_socket_close(begin_dump(_metadata, i % (parts - 1)));
	settle();
	before = memory("Slab:");
	for (int i = 0; i < rounds; i++)
		mnl_socket_close(begin_dump(_metadata, i % 10 ? i % 3 : i / 10 % (parts - 1)));
	ASSERT_EQ(0, unload_soon());
	settle();
	TH_LOG("slab %+ld kB", memory("Slab:") - before);
	/* the tables of one dump alone are 64 kB */
	EXPECT_GT(rounds * 8, memory("Slab:") - before);
	EXPECT_LT(0, request_family());
}

/* the object of a dump of extents lives as long as that, and no longer */
TEST_F_TIMEOUT(scale, extents_given_up, 300)
{
	struct mnl_socket *sock = request_socket();
	struct held got;
	int unexplained = -1;

	for (size_t i = 0; i < MAPPINGS; i += 2) {
		ASSERT_EQ(1, pwrite(self->fd, "x", 1, i * PAGE));
	}
	ASSERT_EQ(0, request_send_dump(sock, MEMFDCR_CMD_EXTENT_GET, LIST({ MEMFDCR_A_EXTENTS_FD, 4, self->fd })));
	ASSERT_FALSE(read_part(_metadata, sock));
	objects(_metadata, LIST(OF_PID(getpid()), NAMING(self->object)), &got);
	EXPECT_EQ(1, got.objects[0].unexplained);
	held_free(&got);
	mnl_socket_close(sock);
	for (int i = 0; i < 3000 && unexplained; i++) {
		objects(_metadata, LIST(OF_PID(getpid()), NAMING(self->object)), &got);
		unexplained = got.objects[0].unexplained;
		held_free(&got);
		usleep(unexplained ? 10000 : 0);
	}
	EXPECT_EQ(0, unexplained);
	ASSERT_EQ(0, unload_soon());
	EXPECT_LT(0, request_family());
}

/* processes that die while they are looked at, and one that is killed while it reads */
TEST_F_TIMEOUT(scale, reader_is_killed, 900)
{
	int status;

	map_all(_metadata, self->fd);
	start_many(_metadata, self, MAPPERS);
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct held got;

			board->step = i + 1;
			for (;;) {
				held_dump(NULL, MEMFDCR_CMD_OBJECT_GET, LIST(WITH_HOLDERS), &got);
				held_free(&got);
			}
		}
		ASSERT_TRUE(wait_for(&board->step, i + 1, 60000));
		usleep(1000 * (i % 7) * (i % 5));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		if (i % 2 && self->n) {
			factory_end(self->pids[--self->n]);
		}
	}
	ASSERT_EQ(0, unload_soon());
	EXPECT_LT(0, request_family());
}

TEST_HARNESS_MAIN
