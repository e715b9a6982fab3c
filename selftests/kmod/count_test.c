// SPDX-License-Identifier: GPL-2.0-only
/* Tests of object-get and holder-get: who counts as a holder, what remains unexplained, and what is refused. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "harness.h"
#include "ask.h"
#include "factory.h"

FIXTURE(counted)
{
	int fd;
	struct object object;
};

FIXTURE_SETUP(counted)
{
	process_prepare();
	self->fd = memfd_create("counted", MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, 16 * PAGE));
	self->object = own_object(self->fd);
}

FIXTURE_TEARDOWN(counted)
{
	close(self->fd);
}

/* the object as a dump tells it */
static struct object counted(struct __test_metadata *_metadata, const struct attribute *attributes)
{
	struct object object = { 0 };
	struct held got;

	objects(_metadata, attributes, &got);
	EXPECT_EQ(1, got.n_objects);
	if (got.n_objects)
		object = got.objects[0];
	held_free(&got);
	return object;
}

#define OWN(self) LIST(OF_PID(getpid()), NAMING((self)->object))

TEST_F(counted, descriptors_and_mappings)
{
	struct object o = counted(_metadata, OWN(self));

	EXPECT_EQ(1, o.descriptors);
	EXPECT_EQ(0, o.mappings);
	EXPECT_EQ(0, o.unexplained);
	EXPECT_FALSE(o.has & HAS(OBJECT_OUTSIDE_HOLDERS));
	dup(self->fd);
	factory_reopen(self->fd, O_PATH);
	mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, factory_reopen(self->fd, O_RDONLY), PAGE);
	o = counted(_metadata, OWN(self));
	EXPECT_EQ(4, o.descriptors);
	EXPECT_EQ(2, o.mappings);
	EXPECT_EQ(0, o.unexplained);
}

/* a mapping in pieces is several, but what opened the file did so once */
TEST_F(counted, mapping_in_pieces)
{
	unsigned char *at = mmap(NULL, 9 * PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	struct object o;
	struct held got;
	uint64_t id;

	ASSERT_NE(MAP_FAILED, at);
	ASSERT_EQ(0, munmap(at + PAGE, PAGE));
	ASSERT_EQ(0, mprotect(at + 4 * PAGE, PAGE, PROT_NONE));
	o = counted(_metadata, OWN(self));
	EXPECT_EQ(4, o.mappings);
	EXPECT_EQ(0, o.unexplained);
	objects(_metadata, LIST(OF_PID(getpid()), NAMING(self->object), WITH_HOLDERS), &got);
	ASSERT_EQ(5, got.n_holders);
	id = got.holders[0].file_id;
	for (int i = 1; i < 5; i++) {
		EXPECT_EQ(id, got.holders[i].file_id);
	}
}

TEST_F(counted, in_flight)
{
	int again = factory_reopen(self->fd, O_RDONLY);
	int ends[] = { factory_in_flight(self->fd), factory_in_flight(again) };
	struct object o = counted(_metadata, OWN(self));

	EXPECT_EQ(2, o.descriptors);
	EXPECT_EQ(2, o.unexplained);
	/* an open file that is nowhere else any more */
	close(again);
	o = counted(_metadata, OWN(self));
	EXPECT_EQ(1, o.descriptors);
	EXPECT_EQ(2, o.unexplained);
	close(ends[0]);
	close(ends[1]);
}

TEST_F(counted, io_uring)
{
	int ring = factory_io_uring(self->fd);
	struct object o;

	if (ring < 0)
		SKIP(return, "no io_uring: %s", strerror(errno));
	o = counted(_metadata, OWN(self));
	EXPECT_EQ(1, o.descriptors);
	EXPECT_EQ(1, o.unexplained);
	close(ring);
}

TEST_F(counted, system_v)
{
	void *at = factory_map(SYSV, 3 * PAGE), *again;
	struct object o;
	struct held got;

	ASSERT_NE(MAP_FAILED, at);
	ASSERT_EQ(0, held_do(&got, LIST(OF_PID(getpid()), OF_ADDRESS((unsigned long)at))).error);
	EXPECT_STREQ("SYSV1234abcd", got.objects[0].name);
	self->object = got.objects[0];
	o = counted(_metadata, OWN(self));
	EXPECT_EQ(1, o.mappings);
	EXPECT_EQ(0, o.descriptors);
	EXPECT_EQ(1, o.unexplained);	/* the namespace */
	again = shmat(o.ino, NULL, SHM_RDONLY);
	ASSERT_NE(MAP_FAILED, again);
	ASSERT_EQ(0, munmap(again + PAGE, PAGE));
	o = counted(_metadata, OWN(self));
	EXPECT_EQ(3, o.mappings);
	EXPECT_EQ(1, o.unexplained);
}

TEST_F(counted, system_v_is_as_ipcs_says)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE + 1, IPC_CREAT | 0600);
	void *at = shmat(id, NULL, 0);
	struct shmid_ds ds;
	struct held got;

	ASSERT_NE((void *)-1, at);
	ASSERT_EQ(0, shmctl(id, IPC_STAT, &ds));
	ASSERT_EQ(0, shmctl(id, IPC_RMID, NULL));
	ASSERT_EQ(0, held_do(&got, LIST(OF_PID(getpid()), OF_ADDRESS((unsigned long)at))).error);
	EXPECT_EQ(MEMFDCR_KIND_SYSV, got.objects[0].kind);
	EXPECT_EQ(id, got.objects[0].ino);
	EXPECT_EQ(ds.shm_segsz, got.objects[0].size);
	EXPECT_EQ(ds.shm_perm.uid, got.objects[0].uid);
	EXPECT_EQ(ds.shm_perm.gid, got.objects[0].gid);
	EXPECT_STREQ("SYSV00000000", got.objects[0].name);
}

/* the number of a segment can be that of a memfd */
TEST_F(counted, same_inode_number_twice)
{
	struct held got, want = { 0 };
	char number[32];
	void *at;
	int id;

	snprintf(number, sizeof(number), "%llu", (long long)self->object.ino);
	if (!write_file("/proc/sys/kernel/shm_next_id", number))
		SKIP(return, "ids of segments cannot be chosen");
	id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	ASSERT_EQ(self->object.ino, id);
	at = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	ASSERT_NE((void *)-1, at);
	walk_process(&want, getpid());
	objects(_metadata, LIST(OF_PID(getpid()), WITH_HOLDERS), &got);
	EXPECT_EQ(0, held_compare_objects(&want, &got, OBJECT_COUNTED));
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	held_free(&got);
	EXPECT_EQ(MEMFDCR_KIND_MEMFD, counted(_metadata, OWN(self)).kind);
	objects(_metadata, LIST(OF_PID(getpid()), { MEMFDCR_A_OBJECT_DEV, 4, self->object.dev },
				{ MEMFDCR_A_OBJECT_INO, 8, self->object.ino }), &got);
	EXPECT_EQ(2, got.n_objects);
}

/* hugetlb keeps no generations: only the id tells these apart, and neither must be taken for the other */
TEST_F(counted, same_inode_number_twice_in_hugetlb)
{
	const char *lacks = factory_lacks(HUGE_2M);
	struct object memfd;
	struct held got;
	char number[32];
	int fd, id;
	void *at;

	if (lacks)
		SKIP(return, "%s", lacks);
	fd = factory_fd(HUGE_2M, "huge", 2 * HUGE_PAGE);
	ASSERT_LE(0, fd);
	memfd = own_object(fd);
	snprintf(number, sizeof(number), "%llu", (long long)memfd.ino);
	if (!write_file("/proc/sys/kernel/shm_next_id", number))
		SKIP(return, "ids of segments cannot be chosen");
	id = shmget(IPC_PRIVATE, HUGE_PAGE, IPC_CREAT | 0600 | SHM_HUGETLB);
	ASSERT_EQ(memfd.ino, id);
	at = shmat(id, NULL, 0);
	shmctl(id, IPC_RMID, NULL);
	ASSERT_NE((void *)-1, at);
	objects(_metadata, LIST(OF_PID(getpid()), { MEMFDCR_A_OBJECT_DEV, 4, memfd.dev },
				{ MEMFDCR_A_OBJECT_INO, 8, memfd.ino }, WITH_HOLDERS), &got);
	ASSERT_EQ(2, got.n_objects);
	ASSERT_EQ(2, got.n_holders);
	EXPECT_NE(got.objects[0].id, got.objects[1].id);
	EXPECT_NE(got.objects[0].kind, got.objects[1].kind);
	EXPECT_NE(got.objects[0].size, got.objects[1].size);
	for (int i = 0; i < 2; i++) {
		const struct object *o = &got.objects[i];
		bool sysv = o->kind == MEMFDCR_KIND_SYSV;
		struct object one;

		EXPECT_EQ(sysv, o->mappings);
		EXPECT_EQ(!sysv, o->descriptors);
		EXPECT_EQ(sysv, o->unexplained);
		one = counted(_metadata, LIST(OF_PID(getpid()), { MEMFDCR_A_OBJECT_ID, 8, o->id }));
		EXPECT_EQ(o->kind, one.kind);
	}
	close(fd);
}

/* a dump says when it was made */
TEST_F(counted, time)
{
	struct timespec before, after;
	struct held got;

	for (int cmd = MEMFDCR_CMD_OBJECT_GET; cmd <= MEMFDCR_CMD_HOLDER_GET; cmd++) {
		ASSERT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &before));
		dump(_metadata, cmd, EVERYTHING, false, &got);
		ASSERT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &after));
		EXPECT_LE(before.tv_sec * 1000000000ULL + before.tv_nsec, got.began);
		EXPECT_LT(got.began, got.ended);
		EXPECT_LE(got.ended, after.tv_sec * 1000000000ULL + after.tv_nsec);
		held_free(&got);
	}
}

/* ---- others who hold it ---- */

/* where the child of a test is told what to hold: the descriptor, and what else */
struct keeper {
	int fd;
	bool reopen;
};

static int keep(void *arg)
{
	struct keeper *keeper = arg;
	int fd = keeper->fd;

	if (keeper->reopen) {
		fd = factory_reopen(fd, O_RDONLY);
		close(keeper->fd);
	}
	for (;;)
		raise(SIGSTOP);
	return fd;
}

TEST_F(counted, inherited)
{
	pid_t child = factory_start(keep, &(struct keeper){ self->fd });
	struct object o = counted(_metadata, OWN(self));

	EXPECT_EQ(1, o.descriptors);
	EXPECT_EQ(1, o.unexplained);
	o = counted(_metadata, LIST(OF_TREE(getpid()), NAMING(self->object)));
	EXPECT_EQ(2, o.descriptors);
	EXPECT_EQ(0, o.unexplained);
	o = counted(_metadata, LIST(OF_PID(getpid()), OF_PID(child), NAMING(self->object)));
	EXPECT_EQ(2, o.descriptors);
	EXPECT_EQ(0, o.unexplained);
	factory_end(child);
	EXPECT_EQ(0, counted(_metadata, OWN(self)).unexplained);
}

/* an open file of its own, that nobody who was looked at has */
TEST_F(counted, opened_by_another)
{
	pid_t child = factory_start(keep, &(struct keeper){ self->fd, .reopen = true });
	struct object o = counted(_metadata, OWN(self));

	EXPECT_EQ(1, o.descriptors);
	EXPECT_EQ(1, o.unexplained);
	o = counted(_metadata, LIST(OF_TREE(getpid()), NAMING(self->object)));
	EXPECT_EQ(2, o.descriptors);
	EXPECT_EQ(0, o.unexplained);
	factory_end(child);
}

TEST_F(counted, outside)
{
	void *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	pid_t child = factory_start(keep, &(struct keeper){ self->fd });
	struct object o;
	struct held got;
	int outside = 0;

	ASSERT_NE(MAP_FAILED, at);
	objects(_metadata, LIST(OF_PID(getpid()), NAMING(self->object), WITH_HOLDERS, { MEMFDCR_A_OBJECT_OUTSIDE }),
		&got);
	ASSERT_EQ(1, got.n_objects);
	o = got.objects[0];
	EXPECT_EQ(0, o.unexplained);
	EXPECT_TRUE(o.has & HAS(OBJECT_OUTSIDE_HOLDERS));
	EXPECT_EQ(2, o.outside_holders);
	EXPECT_EQ(4, got.n_holders);
	for (size_t i = 0; i < got.n_holders; i++) {
		bool is = got.holders[i].has & HAS(HOLDER_OUTSIDE);

		outside += is;
		EXPECT_EQ(is, got.holders[i].pid == child);
	}
	EXPECT_EQ(2, outside);
	held_free(&got);
	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_PID, 4, getpid() }, { MEMFDCR_A_HOLDER_OUTSIDE },
				{ MEMFDCR_A_HOLDER_DEV, 4, self->object.dev },
				{ MEMFDCR_A_HOLDER_INO, 8, self->object.ino }), &got);
	EXPECT_EQ(4, got.n_holders);
	for (size_t i = 0; i < got.n_holders; i++) {
		EXPECT_EQ(!!(got.holders[i].has & HAS(HOLDER_OUTSIDE)), got.holders[i].pid == child);
	}
	factory_end(child);
	/* nobody is outside of a tree that has all */
	objects(_metadata, LIST(OF_TREE(getpid()), NAMING(self->object), { MEMFDCR_A_OBJECT_OUTSIDE }), &got);
	EXPECT_EQ(0, got.objects[0].outside_holders);
	EXPECT_TRUE(got.objects[0].has & HAS(OBJECT_OUTSIDE_HOLDERS));
}

/* objects that only others hold are not what was asked for, outside or not */
TEST_F(counted, outside_adds_no_objects)
{
	pid_t child = factory_start(factory_one_of_each, NULL);
	struct held plain, outside;

	ASSERT_LT(0, child);
	objects(_metadata, LIST(OF_PID(getpid())), &plain);
	objects(_metadata, LIST(OF_PID(getpid()), { MEMFDCR_A_OBJECT_OUTSIDE }), &outside);
	EXPECT_EQ(0, held_compare_objects(&plain, &outside, OBJECT_ITSELF));
	factory_end(child);
}

/* grandchildren are descendants; those whose parent has gone are whoever's they are now */
static int parent_of_keeper(void *arg)
{
	board->child = factory_start(keep, arg);
	for (;;)
		raise(SIGSTOP);
	return 0;
}

static int leaves_a_child(void *arg)
{
	pid_t pid = fork();

	if (!pid)
		keep(arg);
	board->child = pid;
	if (waitpid(pid, NULL, WUNTRACED) != pid)
		return 1;
	return 0;
}

TEST_F(counted, tree)
{
	struct keeper keeper = { self->fd };
	pid_t child = factory_start(parent_of_keeper, &keeper), orphan, sibling;
	struct held got;
	int status;

	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_TREE, 4, child }, { MEMFDCR_A_HOLDER_DEV, 4, self->object.dev },
				{ MEMFDCR_A_HOLDER_INO, 8, self->object.ino }), &got);
	ASSERT_EQ(2, got.n_holders);
	EXPECT_EQ(child + board->child, got.holders[0].pid + got.holders[1].pid);
	held_free(&got);

	/* this one becomes ours: we are a subreaper */
	sibling = fork();
	if (!sibling)
		_exit(leaves_a_child(&keeper));
	ASSERT_EQ(sibling, waitpid(sibling, &status, 0));
	ASSERT_EQ(0, status);
	orphan = board->child;
	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_TREE, 4, child }, { MEMFDCR_A_HOLDER_DEV, 4, self->object.dev },
				{ MEMFDCR_A_HOLDER_INO, 8, self->object.ino }), &got);
	EXPECT_EQ(2, got.n_holders);
	held_free(&got);
	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_TREE, 4, getpid() }, { MEMFDCR_A_HOLDER_DEV, 4, self->object.dev },
				{ MEMFDCR_A_HOLDER_INO, 8, self->object.ino }), &got);
	EXPECT_EQ(4, got.n_holders);
	factory_end(orphan);
	factory_end(child);
}

/* ---- unusual processes ---- */

static int hold_twice(void *arg)
{
	for (;;)
		raise(SIGSTOP);
	return 0;
}

static char other_stack[64 * 1024];

/* one table of descriptors, one address space, two processes: both hold, but there is one reference */
TEST_F(counted, process_that_shares_all)
{
	void *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	struct held want = { 0 }, got;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, at);
	pid = clone(hold_twice, other_stack + sizeof(other_stack), CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, NULL, WUNTRACED));
	walk_tree(&want, getpid());
	objects(_metadata, LIST(OF_TREE(getpid()), WITH_HOLDERS), &got);
	EXPECT_EQ(0, held_compare_objects(&want, &got, OBJECT_COUNTED));
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	EXPECT_EQ(0, held_object(&got, self->object.dev, self->object.ino, self->object.generation)->unexplained);
	held_free(&got);
	EXPECT_EQ(0, counted(_metadata, OWN(self)).unexplained);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static atomic_int alone;

static void *leaves_the_table(void *arg)
{
	if (!unshare(CLONE_FILES))
		alone++;
	for (;;)
		pause();
	return NULL;
}

/* the same, where the number of threads does not tell how many share */
TEST_F(counted, process_that_shares_all_with_threads)
{
	int flight = factory_in_flight(self->fd);
	struct object before, after;
	pthread_t thread;
	pid_t pid;

	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, leaves_the_table, NULL));
	}
	while (alone < 3)
		usleep(1000);
	before = counted(_metadata, OWN(self));
	EXPECT_EQ(4, before.descriptors);
	EXPECT_EQ(1, before.unexplained);
	pid = clone(hold_twice, other_stack + sizeof(other_stack), CLONE_FILES | SIGCHLD, NULL);
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, NULL, WUNTRACED));
	after = counted(_metadata, LIST(OF_TREE(getpid()), NAMING(self->object)));
	EXPECT_EQ(5, after.descriptors);
	EXPECT_EQ(1, after.unexplained);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(flight);
}

static char third_stack[64 * 1024];
static atomic_int third;

static void *shares_its_table(void *arg)
{
	if (unshare(CLONE_FILES))
		return NULL;
	third = clone(hold_twice, third_stack + sizeof(third_stack), CLONE_FILES | SIGCHLD, NULL);
	for (;;)
		pause();
	return NULL;
}

/* the table of a thread alone can be another process's, too */
TEST_F(counted, thread_that_shares_with_a_process)
{
	int flight = factory_in_flight(self->fd);
	struct held want = { 0 }, got;
	pthread_t thread;
	struct object *o;

	ASSERT_EQ(0, pthread_create(&thread, NULL, shares_its_table, NULL));
	while (!third)
		usleep(1000);
	ASSERT_LT(0, third);
	ASSERT_EQ(third, waitpid(third, NULL, WUNTRACED));
	walk_tree(&want, getpid());
	objects(_metadata, LIST(OF_TREE(getpid()), WITH_HOLDERS), &got);
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	o = held_object(&got, self->object.dev, self->object.ino, self->object.generation);
	ASSERT_NE(NULL, o);
	EXPECT_EQ(3, o->descriptors);
	EXPECT_EQ(1, o->unexplained);
	/* without the other process */
	EXPECT_EQ(1, counted(_metadata, OWN(self)).unexplained);
	kill(third, SIGKILL);
	waitpid(third, NULL, 0);
	close(flight);
}

/* the same table with all its descriptors, held by two threads of one process that are not the first */
static void *joins_a_table(void *arg)
{
	alone++;
	for (;;)
		pause();
	return NULL;
}

static void *makes_a_table(void *arg)
{
	pthread_t thread;

	if (unshare(CLONE_FILES) || pthread_create(&thread, NULL, joins_a_table, NULL))
		return NULL;
	alone++;
	for (;;)
		pause();
	return NULL;
}

TEST_F(counted, two_threads_with_one_table)
{
	pthread_t thread;
	struct object o;

	ASSERT_EQ(0, pthread_create(&thread, NULL, makes_a_table, NULL));
	while (alone < 2)
		usleep(1000);
	o = counted(_metadata, OWN(self));
	EXPECT_EQ(2, o.descriptors);
	EXPECT_EQ(0, o.unexplained);
}

static void *outlive(void *fd)
{
	board->result = gettid();
	for (;;) {
		char state[64], path[64];

		snprintf(path, sizeof(path), "/proc/%d/status", getpid());
		if (read_line(path, "State:\t", state, sizeof(state)) && state[0] == 'Z')
			break;
		usleep(1000);
	}
	board->step = 2;
	for (;;)
		pause();
	return NULL;
}

static int leave_a_thread(void *fd)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, outlive, fd))
		return 1;
	/* not pthread_exit(): that is for threads that somebody may join */
	syscall(SYS_exit, 0);
	return 0;
}

/* a process whose first thread is gone still holds all that it held */
TEST_F(counted, first_thread_is_gone)
{
	void *at = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 0);
	struct held got;
	pid_t pid;
	int n = 0;

	ASSERT_NE(MAP_FAILED, at);
	pid = process_start(leave_a_thread, NULL);
	ASSERT_TRUE(wait_for(&board->step, 2, 60000));
	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_PID, 4, pid }, { MEMFDCR_A_HOLDER_DEV, 4, self->object.dev },
				{ MEMFDCR_A_HOLDER_INO, 8, self->object.ino }), &got);
	for (size_t i = 0; i < got.n_holders; i++) {
		n += got.holders[i].has & HAS(HOLDER_FD) ? 1 : 10;
		if (got.holders[i].has & HAS(HOLDER_FD)) {
			EXPECT_EQ(board->result, got.holders[i].tid);
		}
	}
	EXPECT_EQ(11, n);
	held_free(&got);
	EXPECT_EQ(0, counted(_metadata, LIST(OF_TREE(getpid()), NAMING(self->object))).unexplained);
	EXPECT_EQ(0, held_do(&got, LIST(OF_PID(pid), OF_ADDRESS((unsigned long)at))).error);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(counted, zombie)
{
	pid_t pid = fork();
	struct held got;

	if (!pid)
		_exit(0);
	ASSERT_EQ(0, waitid(P_PID, pid, NULL, WEXITED | WNOWAIT));
	objects(_metadata, LIST(OF_PID(pid)), &got);
	EXPECT_EQ(0, got.n_objects);
	EXPECT_EQ(0, got.hidden);
	waitpid(pid, NULL, 0);
}

TEST_F(counted, kernel_thread)
{
	struct held got;

	objects(_metadata, LIST(OF_PID(2)), &got);
	EXPECT_EQ(0, got.n_objects);
	EXPECT_EQ(0, got.hidden);
}

TEST_F(counted, same_process_many_times)
{
	static struct attribute attributes[4097];
	static pid_t pids[4096];
	struct held want, got;

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = getpid();
	holders(_metadata, LIST({ MEMFDCR_A_HOLDER_PID, 4, getpid() }), &want);
	list_pids(attributes, MEMFDCR_A_HOLDER_PID, pids, ARRAY_SIZE(pids));
	holders(_metadata, attributes, &got);
	EXPECT_EQ(0, held_compare_holders(&want, &got, ~0ULL));
}

/* a stopped process does not run, a spinning one does */
static int spin(void *arg)
{
	for (;;)
		board->reads++;
	return 0;
}

TEST_F(counted, dump_of_a_running_process_says_so)
{
	struct attribute attributes[66] = { 0 };
	struct answer answer;
	struct held got;
	pid_t pid = process_start(spin, NULL), stopped = factory_start(keep, &(struct keeper){ self->fd });
	unsigned long before;
	int tries;

	/* a dump can be quicker than the other CPU; not always */
	attributes[0] = (struct attribute)OF_PID(pid);
	for (tries = 0; tries < 1000; tries++) {
		before = board->reads;
		answer = held_dump(NULL, MEMFDCR_CMD_OBJECT_GET, attributes, &got);
		ASSERT_EQ(0, answer.error);
		held_free(&got);
		if (answer.interrupted)
			break;
	}
	EXPECT_TRUE(answer.interrupted) TH_LOG("it counted %lu meanwhile", board->reads - before);
	dump(_metadata, MEMFDCR_CMD_OBJECT_GET, LIST(OF_PID(stopped)), true, &got);
	factory_end(pid);
	factory_end(stopped);
}

/* ---- userfaultfds ---- */

TEST_F(counted, registered_with_a_userfaultfd)
{
	pid_t pid;
	struct held want = { 0 }, got;
	int mem, seen = 0;
	struct answer answer;

	pid = factory_start(keep, &(struct keeper){ self->fd });
	mem = open_mem(pid, O_RDWR);
	answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, false);
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	ASSERT_EQ(0, uffd_api(answer.fd, 0));
	ASSERT_EQ(0, uffd_register(answer.fd, region + PAGE, 3 * PAGE));
	walk_process(&want, pid);
	objects(_metadata, LIST(OF_PID(pid), WITH_HOLDERS), &got);
	EXPECT_EQ(0, held_compare_holders(&want, &got, HOLDER_ITSELF));
	for (size_t i = 0; i < got.n_holders; i++) {
		if (!(got.holders[i].has & HAS(HOLDER_UFFD_ID)))
			continue;
		seen++;
		EXPECT_EQ(answer.uffd_id, got.holders[i].uffd_id);
		EXPECT_EQ(UFFDIO_REGISTER_MODE_MISSING, got.holders[i].uffd_modes);
		EXPECT_EQ((unsigned long)region + PAGE, got.holders[i].start);
		EXPECT_EQ((unsigned long)region + 4 * PAGE, got.holders[i].end);
	}
	EXPECT_EQ(1, seen);
	close(answer.fd);
	close(mem);
	factory_end(pid);
}

/* ---- errors ---- */

/* what is wrong with a request; requests with the same thing wrong may have one sentence, others may not */
enum wrong {
	NO_DESCRIPTOR = 1, NO_OBJECT, NO_PROCESS, NOT_MAPPED, TOGETHER, INCOMPLETE, UNKNOWN_KINDS, TOO_MANY, UNKNOWN
};

struct refusal {
	enum wrong wrong;
	bool dump;
	int bad, or_bad, missing;	/* attributes of which one is to be named */
	const struct attribute *attributes;
};

static void expect_refusal(struct __test_metadata *_metadata, int line, const struct refusal *r, int cmd,
			   struct answer *answer)
{
	struct held got;

	*answer = r->dump ? held_dump(NULL, cmd, r->attributes, &got) : held_do(&got, r->attributes);
	EXPECT_GT(0, answer->error) TH_LOG("line %d was not refused", line);
	EXPECT_NE(0, strlen(answer->message)) TH_LOG("line %d: error %d without a sentence", line, answer->error);
	EXPECT_TRUE((answer->bad && (answer->bad == r->bad || answer->bad == r->or_bad)) ||
		    (answer->missing && answer->missing == r->missing))
		TH_LOG("line %d: %s: bad %d, missing %d", line, answer->message, answer->bad, answer->missing);
	EXPECT_EQ(0, got.messages);
	held_free(&got);
}

#define A(name) MEMFDCR_A_OBJECT_##name

TEST_F_TIMEOUT(counted, object_get_refuses, 120)
{
	static struct attribute many[4098];
	static pid_t pids[4097];
	void *anonymous = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *gone = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int file = open("/proc/self/exe", O_RDONLY), ends[2];
	const pid_t nobody = 4194303;
	const struct refusal refusals[] = {
		{ NO_DESCRIPTOR, false, A(FD), 0, 0, LIST(OF_FD(987)) },
		{ NO_DESCRIPTOR, false, A(FD), 0, 0, LIST(OF_FD(-1)) },
		{ NO_DESCRIPTOR, false, A(TARGET_FD), 0, 0, LIST(OF_PID(getpid()), OF_TARGET(987)) },
		{ NO_DESCRIPTOR, false, A(TARGET_FD), 0, 0, LIST(OF_PID(getpid()), OF_TARGET(-1)) },
		{ NO_OBJECT, false, A(FD), 0, 0, LIST(OF_FD(file)) },
		{ NO_OBJECT, false, A(FD), 0, 0, LIST(OF_FD(open("/", O_PATH))) },
		{ NO_OBJECT, false, A(FD), 0, 0, LIST(OF_FD(pipe(ends) ? -1 : ends[0])) },
		{ NO_OBJECT, false, A(TARGET_FD), 0, 0, LIST(OF_PID(getpid()), OF_TARGET(file)) },
		{ NO_PROCESS, false, A(PID), 0, 0, LIST(OF_PID(nobody), OF_TARGET(1)) },
		{ NO_PROCESS, false, A(PID), 0, 0, LIST(OF_PID(-1), OF_TARGET(1)) },
		{ NO_PROCESS, false, A(PID), 0, 0, LIST(OF_PID(0), OF_TARGET(1)) },
		{ NO_PROCESS, false, A(PID), 0, 0, LIST(OF_PID(nobody), OF_ADDRESS(0x1000)) },
		{ NO_PROCESS, true, A(PID), 0, 0, LIST(OF_PID(nobody)) },
		{ NO_PROCESS, true, A(PID), 0, 0, LIST(OF_PID(getpid()), OF_PID(nobody)) },
		{ NO_PROCESS, true, A(TREE), 0, 0, LIST(OF_TREE(nobody)) },
		{ NOT_MAPPED, false, A(ADDRESS), 0, 0, LIST(OF_PID(getpid()), OF_ADDRESS((unsigned long)gone)) },
		{ NOT_MAPPED, false, A(ADDRESS), 0, 0, LIST(OF_PID(getpid()), OF_ADDRESS(0)) },
		{ NOT_MAPPED, false, A(ADDRESS), 0, 0, LIST(OF_PID(getpid()), OF_ADDRESS(-1)) },
		{ 0, false, A(ADDRESS), 0, 0, LIST(OF_PID(getpid()), OF_ADDRESS((unsigned long)anonymous)) },
		{ 0, false, A(ADDRESS), 0, 0, LIST(OF_PID(getpid()), OF_ADDRESS((unsigned long)&getpid)) },
		{ TOGETHER, true, A(TREE), A(PID), 0, LIST(OF_TREE(getpid()), OF_PID(getpid())) },
		{ 0, false, A(FD), A(PID), 0, LIST(OF_FD(self->fd), OF_PID(getpid())) },
		{ 0, false, A(FD), A(PID), 0, LIST(OF_FD(self->fd), OF_PID(getpid()), OF_TARGET(1)) },
		{ 0, false, A(FD), A(TARGET_FD), A(PID), LIST(OF_FD(self->fd), OF_TARGET(1)) },
		{ 0, false, A(TARGET_FD), A(ADDRESS), 0, LIST(OF_PID(getpid()), OF_TARGET(1), OF_ADDRESS(0)) },
		{ 0, false, A(TARGET_FD), 0, A(PID), LIST(OF_TARGET(1)) },
		{ 0, false, A(ADDRESS), 0, A(PID), LIST(OF_ADDRESS(0x1000)) },
		{ 0, false, A(PID), A(TARGET_FD), A(TARGET_FD), LIST(OF_PID(getpid())) },
		{ 0, true, A(INO), A(DEV), A(DEV), LIST({ A(INO), 8, 1 }) },
		{ 0, true, A(INO), A(DEV), A(INO), LIST({ A(DEV), 4, 1 }) },
		{ UNKNOWN_KINDS, true, A(KINDS), 0, 0, LIST({ A(KINDS), 4, 1 }) },
		{ UNKNOWN_KINDS, true, A(KINDS), 0, 0, LIST({ A(KINDS), 4, 1 << (MEMFDCR_KIND_SECRET + 1) }) },
		{ UNKNOWN_KINDS, true, A(KINDS), 0, 0, LIST({ A(KINDS), 4, -1 }) },
		{ 0, true, A(KINDS), 0, 0, LIST({ A(KINDS), 4, 0 }) },
		{ TOO_MANY, true, A(PID), 0, 0, many },
		{ UNKNOWN, true, A(MAX) + 1, 0, 0, LIST({ A(MAX) + 1, 4, 0 }) },
		{ UNKNOWN, false, A(MAX) + 1, 0, 0, LIST(OF_FD(self->fd), { A(MAX) + 1, 4, 0 }) },
	};
	struct answer answers[ARRAY_SIZE(refusals)];

	munmap(gone, PAGE);
	for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = getpid();
	list_pids(many, A(PID), pids, ARRAY_SIZE(pids));
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		expect_refusal(_metadata, i, &refusals[i], MEMFDCR_CMD_OBJECT_GET, &answers[i]);
		for (size_t j = 0; j < i; j++)
			if (refusals[i].wrong && refusals[j].wrong && refusals[i].wrong != refusals[j].wrong) {
				EXPECT_STRNE(answers[j].message, answers[i].message);
			}
	}
}

/* this has to be an error by the policy alone: the operation has no such attribute */
TEST_F(counted, attributes_of_other_operations_are_refused)
{
	const struct attribute *requests[] = {
		LIST(OF_FD(self->fd), WITH_HOLDERS), LIST(OF_FD(self->fd), OF_TREE(1)),
		LIST(OF_FD(self->fd), { A(KINDS), 4, 2 }), LIST(OF_FD(self->fd), { A(SIZE), 8, 2 }),
	};
	const struct attribute *dumps[] = {
		LIST(OF_FD(self->fd)), LIST(OF_TARGET(1)), LIST(OF_ADDRESS(1)), LIST({ A(SIZE), 8, 2 }),
		LIST({ A(KIND), 4, 2 }),
	};
	struct held got;

	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		EXPECT_GT(0, held_do(&got, requests[i]).error) TH_LOG("do %zu", i);
	}
	for (size_t i = 0; i < ARRAY_SIZE(dumps); i++) {
		EXPECT_GT(0, held_dump(NULL, MEMFDCR_CMD_OBJECT_GET, dumps[i], &got).error) TH_LOG("dump %zu", i);
	}
}

#undef A
#define A(name) MEMFDCR_A_HOLDER_##name

TEST_F(counted, holder_get_refuses)
{
	const pid_t nobody = 4194303;
	const struct refusal refusals[] = {
		{ 0, true, A(PID), 0, 0, LIST({ A(PID), 4, nobody }) },
		{ 0, true, A(TREE), 0, 0, LIST({ A(TREE), 4, nobody }) },
		{ 0, true, A(TREE), A(PID), 0, LIST({ A(TREE), 4, getpid() }, { A(PID), 4, getpid() }) },
		{ 0, true, A(KINDS), 0, 0, LIST({ A(KINDS), 4, 1 }) },
		{ 0, true, A(INO), A(DEV), A(DEV), LIST({ A(INO), 8, 1 }) },
		{ 0, true, A(MAX) + 1, 0, 0, LIST({ A(MAX) + 1, 4, 0 }) },
		{ 0, true, A(FD), 0, 0, LIST({ A(FD), 4, 0 }) },
	};
	struct answer answer;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++)
		expect_refusal(_metadata, i, &refusals[i], MEMFDCR_CMD_HOLDER_GET, &answer);
}

TEST_HARNESS_MAIN
