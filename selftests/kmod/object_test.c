// SPDX-License-Identifier: GPL-2.0-only
/* Tests of object-get and holder-get: what they tell is what /proc and the system calls tell, and all of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kcmp.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "harness.h"
#include "ask.h"
#include "factory.h"

/* ---- every flavour in every way ---- */

FIXTURE(flavour)
{
	pid_t pid;
	struct held want;
};

FIXTURE_VARIANT(flavour)
{
	enum flavour flavour;
};

#define VARIANT(name) FIXTURE_VARIANT_ADD(flavour, name) { .flavour = name }

VARIANT(PLAIN);
VARIANT(SEALABLE);
VARIANT(NOEXEC);
VARIANT(HUGE_2M);
VARIANT(HUGE_2M_SEALABLE);
VARIANT(HUGE_1G);
VARIANT(SECRET);
VARIANT(ANONYMOUS);
VARIANT(DEV_ZERO);
VARIANT(ANONYMOUS_HUGE);
VARIANT(SYSV);
VARIANT(SYSV_HUGE);

FIXTURE_SETUP(flavour)
{
	const char *lacks = factory_lacks(variant->flavour);

	if (lacks)
		SKIP(return, "%s", lacks);
	self->pid = factory_start(factory_all_of_flavour, (void *)(long)variant->flavour);
	ASSERT_LT(0, self->pid);
	walk_tree(&self->want, self->pid);
	ASSERT_LT(0, self->want.n_objects);
}

FIXTURE_TEARDOWN(flavour)
{
	factory_end(self->pid);
}

TEST_F_TIMEOUT(flavour, tree_is_as_proc_says, 300)
{
	struct held got;

	dump(_metadata, MEMFDCR_CMD_OBJECT_GET, LIST(OF_TREE(self->pid)), true, &got);
	EXPECT_EQ(0, got.n_holders);
	EXPECT_EQ(0, got.hidden);
	EXPECT_EQ(0, held_compare_objects(&self->want, &got, OBJECT_COUNTED));
	held_free(&got);

	dump(_metadata, MEMFDCR_CMD_OBJECT_GET, LIST(OF_TREE(self->pid), WITH_HOLDERS), true, &got);
	EXPECT_EQ(0, held_compare_objects(&self->want, &got, OBJECT_COUNTED));
	EXPECT_EQ(0, held_compare_holders(&self->want, &got, HOLDER_ITSELF));
	held_free(&got);

	dump(_metadata, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_TREE, 4, self->pid }), true, &got);
	EXPECT_EQ(0, got.hidden);
	EXPECT_EQ(0, held_compare_holders(&self->want, &got, HOLDER_ITSELF));
}

TEST_F_TIMEOUT(flavour, process_is_as_proc_says, 300)
{
	struct held want = { 0 }, got;

	walk_process(&want, self->pid);
	dump(_metadata, MEMFDCR_CMD_OBJECT_GET, LIST(OF_PID(self->pid), WITH_HOLDERS), true, &got);
	EXPECT_EQ(0, held_compare_objects(&want, &got, OBJECT_COUNTED));
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	held_free(&got);
	dump(_metadata, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_PID, 4, self->pid }), true, &got);
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
}

/* every process that has descriptors of its own has a number that kcmp(2) knows */
static pid_t table_of(const struct holder *holder)
{
	return holder->has & HAS(HOLDER_TID) ? holder->tid : holder->pid;
}

TEST_F_TIMEOUT(flavour, file_ids_are_as_kcmp_says, 600)
{
	struct held got;

	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_TREE, 4, self->pid }), &got);
	for (size_t i = 0; i < got.n_holders; i++) {
		const struct holder *a = &got.holders[i];

		EXPECT_TRUE(a->has & HAS(HOLDER_FILE_ID)) TH_LOG("%u has none", a->fd);
		for (size_t j = 0; j < i; j++) {
			const struct holder *b = &got.holders[j];

			/* kcmp does not know mappings */
			if (!(a->has & b->has & HAS(HOLDER_FD)))
				continue;
			ASSERT_EQ(syscall(SYS_kcmp, table_of(a), table_of(b), KCMP_FILE, a->fd, b->fd) == 0,
				  a->file_id == b->file_id)
				TH_LOG("%u:%u, %u:%u", table_of(a), a->fd, table_of(b), b->fd);
		}
	}
}

/* what the descriptor itself says, not /proc */
TEST_F_TIMEOUT(flavour, descriptors_say_the_same, 300)
{
	int process = syscall(SYS_pidfd_open, self->pid, 0);
	struct held got;

	ASSERT_LE(0, process);
	dump(_metadata, MEMFDCR_CMD_OBJECT_GET, LIST(OF_PID(self->pid), WITH_HOLDERS), false, &got);
	for (size_t i = 0; i < got.n_holders; i++) {
		const struct holder *h = &got.holders[i];
		struct object *o = held_object(&got, h->dev, h->ino, h->generation);
		struct stat st;
		int fd, seals;

		ASSERT_NE(NULL, o);
		if (!(h->has & HAS(HOLDER_FD)) || h->has & HAS(HOLDER_TID))
			continue;
		fd = syscall(SYS_pidfd_getfd, process, h->fd, 0);
		ASSERT_LE(0, fd);
		EXPECT_EQ(fcntl(fd, F_GETFL), h->flags);
		ASSERT_EQ(0, fstat(fd, &st));
		EXPECT_EQ(st.st_dev, o->dev);
		EXPECT_EQ(st.st_ino, o->ino);
		EXPECT_EQ(st.st_size, o->size);
		EXPECT_EQ(st.st_mode & 07777, o->mode);
		if (!(h->flags & O_PATH)) {
			off_t position = lseek(fd, 0, SEEK_CUR);

			/* there is none in a memfd_secret */
			EXPECT_EQ(position < 0 ? 0 : position, h->position);
			seals = fcntl(fd, F_GET_SEALS);
			EXPECT_EQ(seals >= 0, !!(o->has & HAS(OBJECT_SEALS)));
			if (seals >= 0) {
				EXPECT_EQ(seals, o->seals);
			}
		}
		close(fd);
	}
	close(process);
}

/* asks for one object, which must be the one that the dump had, and in the dump's words */
static void expect_same(struct __test_metadata *_metadata, struct held *dumped, const struct holder *h,
			const struct attribute *attributes)
{
	struct held want = { .objects = held_object(dumped, h->dev, h->ino, h->generation), .n_objects = 1 }, got;
	struct answer answer = held_do(&got, attributes);

	ASSERT_EQ(0, answer.error) TH_LOG("%u:%u %llx: %s", h->pid, h->fd, (long long)h->start, answer.message);
	ASSERT_NE(NULL, want.objects);
	EXPECT_EQ(0, held_compare_objects(&want, &got, OBJECT_ITSELF | HAS(OBJECT_ID)));
	EXPECT_EQ(1, got.messages);
	EXPECT_EQ(0, got.faults);
	/* what only a dump can tell */
	EXPECT_EQ(0, got.objects[0].has & ~(OBJECT_ITSELF | HAS(OBJECT_ID)));
	held_free(&got);
}

TEST_F_TIMEOUT(flavour, do_says_what_dump_says, 300)
{
	int process = syscall(SYS_pidfd_open, self->pid, 0);
	struct held all;

	ASSERT_LE(0, process);
	objects(_metadata, LIST(OF_TREE(self->pid), WITH_HOLDERS), &all);
	for (size_t i = 0; i < all.n_holders; i++) {
		const struct holder *h = &all.holders[i];
		int fd;

		if (h->has & HAS(HOLDER_START)) {
			expect_same(_metadata, &all, h, LIST(OF_PID(h->pid), OF_ADDRESS(h->start)));
			expect_same(_metadata, &all, h, LIST(OF_PID(h->pid), OF_ADDRESS(h->end - 1)));
			continue;
		}
		if (h->has & HAS(HOLDER_TID))
			continue;
		expect_same(_metadata, &all, h, LIST(OF_PID(h->pid), OF_TARGET(h->fd)));
		if (h->pid != self->pid)
			continue;
		/* as our own, and as one more that is good for nothing else */
		fd = syscall(SYS_pidfd_getfd, process, h->fd, 0);
		ASSERT_LE(0, fd);
		expect_same(_metadata, &all, h, LIST(OF_FD(fd)));
		expect_same(_metadata, &all, h, LIST(OF_PID(getpid()), OF_TARGET(fd)));
		expect_same(_metadata, &all, h, LIST(OF_FD(factory_reopen(fd, O_PATH))));
		close(fd);
	}
	close(process);
}

/* ---- all flavours, and what is none ---- */

FIXTURE(mixed)
{
	pid_t each, decoys;
};

FIXTURE_SETUP(mixed)
{
	self->each = factory_start(factory_one_of_each, NULL);
	self->decoys = factory_start(factory_decoys, NULL);
	ASSERT_LT(0, self->each);
	ASSERT_LT(0, self->decoys);
}

FIXTURE_TEARDOWN(mixed)
{
	factory_end(self->each);
	factory_end(self->decoys);
}

/* not one attribute of anything in the machine differs */
TEST_F_TIMEOUT(mixed, everything_is_as_proc_says, 600)
{
	struct held want = { 0 }, got;

	walk_all(&want);
	objects(_metadata, LIST(WITH_HOLDERS), &got);
	EXPECT_EQ(0, got.hidden);
	EXPECT_EQ(0, held_compare_objects(&want, &got, OBJECT_COUNTED));
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	held_free(&got);
	holders(_metadata, EVERYTHING, &got);
	EXPECT_EQ(0, got.hidden);
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
}

/* the same by numbers, as many as there are */
TEST_F_TIMEOUT(mixed, all_processes_by_number, 600)
{
	static struct attribute attributes[4097];
	static pid_t pids[4096];
	struct held want = { 0 }, got;

	walk_all(&want);
	list_pids(attributes, MEMFDCR_A_HOLDER_PID, pids, walk_pids(pids, ARRAY_SIZE(pids)));
	holders(_metadata, attributes, &got);
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
}

TEST_F(mixed, decoys_are_not_reported)
{
	struct held want = { 0 }, got;

	/* what it inherited from us is all there is */
	walk_process(&want, self->decoys);
	objects(_metadata, LIST(OF_PID(self->decoys), WITH_HOLDERS), &got);
	for (size_t i = 0; i < got.n_holders; i++) {
		EXPECT_FALSE(got.holders[i].has & HAS(HOLDER_FD)) TH_LOG("descriptor %u", got.holders[i].fd);
	}
	for (size_t i = 0; i < got.n_objects; i++) {
		EXPECT_EQ(MEMFDCR_KIND_SHARED_ANONYMOUS, got.objects[i].kind) TH_LOG("%s", got.objects[i].name);
	}
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
}

static bool is_mapped_object(const struct held *held, unsigned long start)
{
	for (size_t i = 0; i < held->n_holders; i++)
		if (held->holders[i].has & HAS(HOLDER_START) && held->holders[i].start == start)
			return true;
	return false;
}

TEST_F_TIMEOUT(mixed, do_refuses_decoys, 120)
{
	struct held want = { 0 }, got;
	char path[64], line[512];
	FILE *maps;

	walk_process(&want, self->decoys);
	for (int fd = 0; fd < 20; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", self->decoys, fd);
		if (access(path, F_OK))
			continue;
		EXPECT_GT(0, held_do(&got, LIST(OF_PID(self->decoys), OF_TARGET(fd))).error) TH_LOG("%d", fd);
	}
	snprintf(path, sizeof(path), "/proc/%d/maps", self->decoys);
	maps = fopen(path, "r");
	ASSERT_NE(NULL, maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start = strtoul(line, NULL, 16);

		EXPECT_EQ(is_mapped_object(&want, start),
			  held_do(&got, LIST(OF_PID(self->decoys), OF_ADDRESS(start))).error == 0) TH_LOG("%s", line);
	}
	fclose(maps);
}

static uint32_t kinds_of(const struct held *held)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < held->n_objects; i++)
		kinds |= 1U << held->objects[i].kind;
	return kinds;
}

/* what is left of want when only these kinds count */
static struct held only_kinds(const struct held *from, uint32_t kinds)
{
	struct held left = { 0 };
	size_t i;

	for (i = 0; i < from->n_objects; i++)
		if (kinds & 1U << from->objects[i].kind)
			*held_new_object(&left) = from->objects[i];
	for (i = 0; i < from->n_holders; i++) {
		const struct holder *h = &from->holders[i];

		if (held_object(&left, h->dev, h->ino, h->generation))
			*held_new_holder(&left) = *h;
	}
	return left;
}

TEST_F_TIMEOUT(mixed, kinds, 300)
{
	struct held all, got, want;

	objects(_metadata, LIST(OF_PID(self->each), WITH_HOLDERS), &all);
	ASSERT_LE(3, __builtin_popcount(kinds_of(&all)));
	for (uint32_t kinds = 2; kinds < 1U << (MEMFDCR_KIND_SECRET + 1); kinds += 2) {
		want = only_kinds(&all, kinds);
		objects(_metadata, LIST(OF_PID(self->each), { MEMFDCR_A_OBJECT_KINDS, 4, kinds }, WITH_HOLDERS), &got);
		EXPECT_EQ(0, held_compare_objects(&want, &got, ~0ULL));
		EXPECT_EQ(0, held_compare_holders(&want, &got, ~0ULL));
		held_free(&got);
		holders(_metadata, LIST({ MEMFDCR_A_HOLDER_PID, 4, self->each },
					{ MEMFDCR_A_HOLDER_KINDS, 4, kinds }), &got);
		EXPECT_EQ(0, held_compare_holders(&want, &got, ~0ULL));
		held_free(&got);
		held_free(&want);
	}
}

/* every object has a number of its own, by which its holders name it */
TEST_F_TIMEOUT(mixed, ids, 300)
{
	struct held all, got;

	objects(_metadata, LIST(OF_PID(self->each), WITH_HOLDERS), &all);
	for (size_t i = 0; i < all.n_objects; i++) {
		const struct object *o = &all.objects[i];

		EXPECT_TRUE(o->has & HAS(OBJECT_ID));
		for (size_t j = 0; j < i; j++) {
			EXPECT_NE(o->id, all.objects[j].id);
		}
		objects(_metadata, LIST(OF_PID(self->each), { MEMFDCR_A_OBJECT_ID, 8, o->id }), &got);
		ASSERT_EQ(1, got.n_objects);
		EXPECT_EQ(o->ino, got.objects[0].ino);
		EXPECT_EQ(o->kind, got.objects[0].kind);
		held_free(&got);
		holders(_metadata, LIST({ MEMFDCR_A_HOLDER_PID, 4, self->each },
					{ MEMFDCR_A_HOLDER_ID, 8, o->id }), &got);
		EXPECT_EQ(o->descriptors + o->mappings, got.n_holders);
		held_free(&got);
	}
	for (size_t i = 0; i < all.n_holders; i++) {
		const struct holder *h = &all.holders[i];
		const struct object *o = held_object(&all, h->dev, h->ino, h->generation);

		ASSERT_NE(NULL, o);
		EXPECT_EQ(o->id, h->id);
	}
	objects(_metadata, LIST(OF_PID(self->each), { MEMFDCR_A_OBJECT_ID, 8, 1 }), &got);
	EXPECT_EQ(0, got.n_objects);
}

TEST_F_TIMEOUT(mixed, one_object, 300)
{
	struct held all, got;

	objects(_metadata, LIST(OF_PID(self->each), WITH_HOLDERS), &all);
	for (size_t i = 0; i < all.n_objects; i++) {
		const struct object *o = &all.objects[i];

		objects(_metadata, LIST(OF_PID(self->each), NAMING(*o)), &got);
		ASSERT_EQ(1, got.n_objects);
		EXPECT_EQ(o->ino, got.objects[0].ino);
		EXPECT_EQ(o->dev, got.objects[0].dev);
		EXPECT_EQ(o->generation, got.objects[0].generation);
		held_free(&got);
		/* any generation */
		objects(_metadata, LIST(OF_PID(self->each), { MEMFDCR_A_OBJECT_DEV, 4, o->dev },
					{ MEMFDCR_A_OBJECT_INO, 8, o->ino }), &got);
		EXPECT_LE(1, got.n_objects);
		held_free(&got);
		/* another one */
		objects(_metadata, LIST(OF_PID(self->each), { MEMFDCR_A_OBJECT_DEV, 4, o->dev },
					{ MEMFDCR_A_OBJECT_INO, 8, o->ino },
					{ MEMFDCR_A_OBJECT_GENERATION, 4, o->generation + 1 }), &got);
		EXPECT_EQ(0, got.n_objects);
		held_free(&got);
		holders(_metadata, LIST({ MEMFDCR_A_HOLDER_PID, 4, self->each }, { MEMFDCR_A_HOLDER_DEV, 4, o->dev },
					{ MEMFDCR_A_HOLDER_INO, 8, o->ino },
					{ MEMFDCR_A_HOLDER_GENERATION, 4, o->generation }), &got);
		EXPECT_EQ(o->descriptors + o->mappings, got.n_holders);
		held_free(&got);
	}
}

TEST_HARNESS_MAIN
