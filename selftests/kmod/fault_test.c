// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the module when memory runs out, in every place where it asks for some: each request fails with ENOMEM or is
 * answered rightly, what cannot be told counts as lost, no page becomes zeros, and afterwards everything works.
 *
 * That nothing leaks is judged at the end of the machine, by init.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/memfdcr.h>

#include "harness.h"
#include "factory.h"
#include "fault.h"
#include "hooks.h"
#include "module.h"
#include "process.h"
#include "request.h"
#include "watching.h"

#define MOST 1000		/* no request asks for memory that often */
#define LONG (60000 * SLOWNESS)		/* ms */

/* what requests are about; and what they were told, added up so that two answers can be compared */
struct scene {
	struct mnl_socket *sock;
	pid_t pid;			/* stopped, with objects of every kind */
	int mem, fd, guarded;		/* of that process; a memfd with holes; a guarded userfaultfd */
	uint32_t watch;
	uint64_t told;
};

/* ---- requests ---- */

/* all but the time, which is another one each time */
static void add_message(const struct nlmsghdr *nlh, void *arg)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	struct scene *s = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		const unsigned char *value = mnl_attr_get_payload(attr);
		int type = mnl_attr_get_type(attr);

		if (genl->cmd == MEMFDCR_CMD_WATCH_START && type == MEMFDCR_A_WATCH_WATCH) {
			s->watch = mnl_attr_get_u32(attr);
			continue;
		}
		if ((genl->cmd == MEMFDCR_CMD_OBJECT_GET && type == MEMFDCR_A_OBJECT_TIME) ||
		    (genl->cmd == MEMFDCR_CMD_HOLDER_GET && type == MEMFDCR_A_HOLDER_TIME))
			continue;
		s->told = (s->told ^ type) * 0x100000001b3;
		for (int i = 0; i < mnl_attr_get_payload_len(attr); i++)
			s->told = (s->told ^ value[i]) * 0x100000001b3;
	}
}

static struct answer get(struct scene *s, int cmd, const struct attribute *attributes)
{
	return request_do(s->sock, cmd, attributes, add_message, s);
}

static struct answer get_all(struct scene *s, int cmd, const struct attribute *attributes)
{
	return request_dump(s->sock, cmd, attributes, add_message, s);
}

static struct answer object_by_fd(struct scene *s)
{
	return get(s, MEMFDCR_CMD_OBJECT_GET, LIST({ MEMFDCR_A_OBJECT_FD, 4, s->fd }));
}

static struct answer object_by_target_fd(struct scene *s)
{
	return get(s, MEMFDCR_CMD_OBJECT_GET, LIST({ MEMFDCR_A_OBJECT_PID, 4, getpid() },
						   { MEMFDCR_A_OBJECT_TARGET_FD, 4, s->fd }));
}

static struct answer object_by_address(struct scene *s)
{
	return get(s, MEMFDCR_CMD_OBJECT_GET, LIST({ MEMFDCR_A_OBJECT_PID, 4, getpid() },
						   { MEMFDCR_A_OBJECT_ADDRESS, 8, (unsigned long)region }));
}

static struct answer objects_of_pid(struct scene *s)
{
	return get_all(s, MEMFDCR_CMD_OBJECT_GET, LIST({ MEMFDCR_A_OBJECT_PID, 4, s->pid },
						       { MEMFDCR_A_OBJECT_HOLDERS }, { MEMFDCR_A_OBJECT_OUTSIDE }));
}

static struct answer objects_of_tree(struct scene *s)
{
	return get_all(s, MEMFDCR_CMD_OBJECT_GET, LIST({ MEMFDCR_A_OBJECT_TREE, 4, s->pid }));
}

static struct answer holders_of_pid(struct scene *s)
{
	return get_all(s, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_PID, 4, s->pid }));
}

static struct answer extents(struct scene *s)
{
	return get_all(s, MEMFDCR_CMD_EXTENT_GET, LIST({ MEMFDCR_A_EXTENTS_FD, 4, s->fd }));
}

static struct answer uffd_known(struct scene *s)
{
	return get(s, MEMFDCR_CMD_UFFD_GET, LIST({ MEMFDCR_A_UFFD_FD, 4, s->guarded }));
}

static struct answer uffd_watched(struct scene *s)
{
	return get_all(s, MEMFDCR_CMD_UFFD_GET, LIST({ MEMFDCR_A_UFFD_FD, 4, s->guarded }));
}

/* one that works: it can be registered */
static struct answer open_one(struct scene *s, bool guard)
{
	struct answer answer = request(s->sock, MEMFDCR_CMD_UFFD_OPEN,
				       LIST({ MEMFDCR_A_UFFD_MEM_FD, 4, s->mem },
					    { MEMFDCR_A_UFFD_FLAGS, 4, O_CLOEXEC | O_NONBLOCK },
					    { guard ? MEMFDCR_A_UFFD_GUARD : 0 }));

	if (answer.error)
		return answer;
	s->told += !uffd_api(answer.fd, ALL_EVENTS);
	close(answer.fd);
	return answer;
}

static struct answer open_plain(struct scene *s)
{
	return open_one(s, false);
}

static struct answer open_guard(struct scene *s)
{
	return open_one(s, true);
}

static struct answer watch_tree(struct scene *s)
{
	struct answer answer = get(s, MEMFDCR_CMD_WATCH_START, LIST({ MEMFDCR_A_WATCH_TREE, 4, s->pid }));

	if (answer.error)
		return answer;
	return get(s, MEMFDCR_CMD_WATCH_STOP, LIST({ MEMFDCR_A_WATCH_WATCH, 4, s->watch }));
}

static const struct {
	const char *name;
	struct answer (*ask)(struct scene *s);
	bool workers;			/* workers help with it, and need memory */
	const char *const *hooks;	/* it is about these, which it has to place */
	bool fresh;			/* it is the first since the module was loaded */
} requests[] = {
	{ "object-get by fd", object_by_fd },
	{ "object-get by pid and fd", object_by_target_fd },
	{ "object-get by pid and address", object_by_address },
	{ "object-get of a process", objects_of_pid },
	{ "object-get of a tree", objects_of_tree },
	{ "holder-get of a process", holders_of_pid },
	{ "extent-get", extents },
	{ "uffd-get", uffd_known },
	{ "uffd-get of what it watches", uffd_watched },
	{ "uffd-open", open_plain, true },
	{ "uffd-open with a guard", open_guard, true },
	{ "watch-start and watch-stop", watch_tree, true },
	{ "watch-start with hooks to be placed", watch_tree, false, hooks_of_watches },
	{ "watch-start with functions to be found", watch_tree, false, NULL, true },
	{ "uffd-open with probes to be placed", open_guard, false, hooks_of_guards },
};

FIXTURE(fault)
{
	struct scene scene;
	pid_t target;
};

FIXTURE_SETUP(fault)
{
	struct scene *s = &self->scene;
	const char *why;

	self->target = 0;
	process_prepare();
	ASSERT_LT(0, request_family());
	why = fault_aim();
	if (why)
		SKIP(return, "%s", why);
	s->sock = request_socket();
	ASSERT_NE(NULL, s->sock);
	s->pid = factory_start(factory_one_of_each, NULL);
	ASSERT_LT(0, s->pid);
	s->mem = open_mem(s->pid, O_RDWR);
	ASSERT_LE(0, s->mem);
	s->fd = factory_fd(PLAIN, "fault", 64 * PAGE);
	ASSERT_LE(0, s->fd);
	for (int i = 0; i < 64; i += 3)
		ASSERT_EQ(1, pwrite(s->fd, "x", 1, i * PAGE));
	self->target = process_start(target_wait, NULL);
	s->guarded = open_guarded(self->target, O_CLOEXEC | O_NONBLOCK);
	ASSERT_LE(0, s->guarded);
	ASSERT_EQ(0, uffd_register(s->guarded, region, PAGES * PAGE));
}

FIXTURE_TEARDOWN(fault)
{
	if (!self->target)
		return;
	EXPECT_EQ(0, fault_rate(0));
	kill(self->target, SIGKILL);
	waitpid(self->target, NULL, 0);
	factory_end(self->scene.pid);
	close(self->scene.guarded);
	close(self->scene.mem);
	close(self->scene.fd);
	mnl_socket_close(self->scene.sock);
	EXPECT_TRUE(module_unused_soon());
}

static void forget_guarded(struct scene *s)
{
	if (s->guarded < 0)
		return;
	uffd_complete(s->guarded);
	close(s->guarded);
	s->guarded = -1;
}

/* hooks go a second after whoever needed them */
static void prepare(struct __test_metadata *_metadata, struct scene *s, size_t i)
{
	if (requests[i].hooks == hooks_of_guards || requests[i].fresh)
		forget_guarded(s);
	if (requests[i].hooks) {
		ASSERT_TRUE(hooks_gone_soon(requests[i].hooks));
	}
	if (requests[i].fresh) {
		ASSERT_EQ(0, module_unload_soon());
		ASSERT_LT(0, request_family());
		ASSERT_EQ(NULL, fault_aim());
	}
}

static struct answer ask(struct scene *s, size_t i)
{
	s->told = 0;
	return requests[i].ask(s);
}

/* an answer that was not refused: as it is with memory enough, unless it says itself that it may not be */
static void expect_right(struct __test_metadata *_metadata, const struct scene *s, size_t i, struct answer answer,
			 uint64_t want)
{
	ASSERT_EQ(0, answer.error) TH_LOG("%s: %s", requests[i].name, answer.message);
	if (!answer.interrupted) {
		EXPECT_EQ(want, s->told) TH_LOG("%s: the answer is another one", requests[i].name);
	}
}

/* what it says when nobody runs meanwhile */
static uint64_t right_answer(struct __test_metadata *_metadata, struct scene *s, size_t i)
{
	struct answer answer;

	for (int tries = 0; tries < 100; tries++) {
		prepare(_metadata, s, i);
		answer = ask(s, i);
		ASSERT_EQ(0, answer.error) TH_LOG("%s: %s", requests[i].name, answer.message);
		if (!answer.interrupted)
			break;
	}
	EXPECT_FALSE(answer.interrupted) TH_LOG("%s: somebody always runs", requests[i].name);
	return s->told;
}

/* each allocation fails once, until there are no more of them; how often the request was refused then */
static int each_failure(struct __test_metadata *_metadata, struct scene *s, size_t i, int (*arm)(unsigned int),
			 bool (*disarm)(void))
{
	uint64_t want = right_answer(_metadata, s, i);
	int fds = count_fds(), refused = 0, n;
	bool failed = true, slow = requests[i].hooks || requests[i].fresh;

	/* what is slow asks for the same again and again: not each of these then */
	for (n = 1; failed && n < MOST; n += slow && n > 16 ? 8 : 1) {
		struct answer answer;

		prepare(_metadata, s, i);
		ASSERT_EQ(0, arm(n));
		answer = ask(s, i);
		failed = disarm();
		if (failed && answer.error) {
			EXPECT_EQ(-ENOMEM, answer.error) TH_LOG("%s, failure %d: %s", requests[i].name, n, answer.message);
			refused++;
		} else {
			if (requests[i].hooks) {
				EXPECT_LT(0, hooks_count(requests[i].hooks)) TH_LOG("%s, failure %d", requests[i].name, n);
			}
			expect_right(_metadata, s, i, answer, want);
		}
		ASSERT_EQ(fds, count_fds()) TH_LOG("%s, failure %d", requests[i].name, n);
		/* what a request does for the first time after a while, it may do again the next time */
		if (n % 8 == 0 && !slow)
			expect_right(_metadata, s, i, ask(s, i), want);
	}
	ASSERT_LT(n, MOST);
	prepare(_metadata, s, i);
	expect_right(_metadata, s, i, ask(s, i), want);
	printf("# %s: up to failure %d, %d refused\n", requests[i].name, n, refused);
	return refused;
}

TEST_F_TIMEOUT(fault, requests, 1800)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		EXPECT_LT(0, each_failure(_metadata, &self->scene, i, fault_arm, fault_disarm));
}

TEST_F_TIMEOUT(fault, workers, 1800)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		int refused = !requests[i].workers;

		/* it may have been a worker that was made after the others were armed */
		for (int tries = 0; !refused && tries < 20; tries++)
			refused = each_failure(_metadata, &self->scene, i, fault_arm_workers, fault_disarm_workers);
		EXPECT_LT(0, refused) TH_LOG("%s", requests[i].name);
	}
}

/* hooks that there is no memory to take away stay, and go later */
TEST_F_TIMEOUT(fault, hooks_go, 1800)
{
	bool failed = true;
	int n;

	for (n = 1; failed && n < MOST; n++) {
		struct answer answer = watch_tree(&self->scene);

		ASSERT_EQ(0, answer.error) TH_LOG("failure %d: %s", n, answer.message);
		ASSERT_EQ(0, fault_arm_workers(n));
		sleep(2);
		failed = fault_disarm_workers();
		EXPECT_TRUE(hooks_gone_soon(hooks_of_watches)) TH_LOG("failure %d", n);
	}
	printf("# %d failures\n", n - 2);
	EXPECT_LT(2, n);
}

/* ---- what watches tell ---- */

/* shared with the processes that are watched */
static struct {
	atomic_int nth, failed;
} *shared;

/* how many of a kind have been told */
static int count(const struct reader *r, int cmd)
{
	size_t at = 0;
	int n = 0;

	while (next_of(r, &at, cmd, 0))
		n++;
	return n;
}

static void must(bool ok)
{
	if (!ok)
		_exit(90);
}

/* everything that is told, each once by itself and once by a child, which is told from the first on; arms itself */
static int actor(void *arg)
{
	int status;
	pid_t pid;

	map(0, 16);
	at_step(1);
	must(!fault_arm(shared->nth));
	pid = fork();
	if (!pid) {
		unmap(0, 1);
		must(mremap(PLACE(2), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(8)) == PLACE(8));
		_exit(0);
	}
	must(pid > 0);
	unmap(0, 1);
	must(mremap(PLACE(2), PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE(8)) == PLACE(8));
	must(waitpid(pid, &status, 0) == pid && !status);
	shared->failed = fault_disarm();
	return 0;
}

/* nothing is told of a child that there was no memory to watch, and that is told */
static bool has_hidden_child(const struct reader *r)
{
	size_t at = 0;
	const struct told *t = next_of(r, &at, FORK, 0);

	return t && (t->has & HAS(WATCH_HIDDEN));
}

/* one watched family; what it does is told, or counts as lost; returns whether something failed */
static bool act(struct __test_metadata *_metadata, unsigned int n)
{
	struct reader r = { .starved = true };
	struct answer answer;
	int told;
	pid_t pid;

	board->step = 0;
	shared->nth = n;
	shared->failed = 0;
	pid = process_start(actor, NULL);
	do {
		answer = watch(&r, LIST(OF_TREE(pid)));
	} while (answer.error == -ENOMEM);
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	board->step = 1;
	END_WELL(&r);
	EXPECT_EQ(0, process_end(pid, LONG));
	told = has_hidden_child(&r) ? 1 : 2;
	if (!count(&r, OVERRUN)) {
		EXPECT_EQ(1, count(&r, FORK)) TH_LOG("failure %u, nothing counted as lost", n);
		EXPECT_EQ(told, count(&r, MREMAP)) TH_LOG("failure %u, nothing counted as lost", n);
		EXPECT_EQ(told, count(&r, EXIT)) TH_LOG("failure %u, nothing counted as lost", n);
		/* each by munmap() and by exit(), and what the C library does */
		EXPECT_LE(2 * told, count(&r, UNMAP)) TH_LOG("failure %u, nothing counted as lost", n);
	}
	reader_close(&r);
	return shared->failed;
}

static void share(struct __test_metadata *_metadata)
{
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
}

TEST_F_TIMEOUT(fault, events, 600)
{
	unsigned int n = 1;

	share(_metadata);
	while (act(_metadata, n))
		n++;
	printf("# %u failures\n", n - 1);
	EXPECT_LT(1, n);
}

/* ---- a guarded userfaultfd ---- */

#define ENDED 0x10000

/* forks a child that looks at a missing page, and says how that one ended; both live until they are killed */
static int forks_a_looker(void *arg)
{
	int status;
	pid_t pid;

	while (board->step < 1)
		usleep(1000);
	pid = fork();
	if (!pid) {
		board->child_step = look(3);
		return target_wait(NULL);
	}
	board->child = pid;
	waitpid(pid, &status, 0);
	board->result = ENDED | status;
	return target_wait(NULL);
}

/*
 * The child's userfaultfd does not come through: then the event comes again, or the child is killed. false: nothing
 * failed.
 */
static bool hand_over(struct __test_metadata *_metadata, unsigned int n)
{
	int uffd, child = -1, err, tries, fds = count_fds();
	struct uffd_msg msg;
	bool failed;
	pid_t pid;

	board->step = board->child = board->child_step = board->result = 0;
	/* the page that is missing is missing each time */
	ASSERT_EQ(0, madvise(region, PAGES * PAGE, MADV_REMOVE));
	pid = process_start(forks_a_looker, NULL);
	uffd = open_guarded(pid, O_CLOEXEC | O_NONBLOCK);
	ASSERT_LE(0, uffd);
	ASSERT_EQ(0, uffd_register(uffd, region, PAGES * PAGE));
	board->step = 1;
	ASSERT_EQ(0, fault_arm(n));
	err = uffd_read(uffd, &msg, LONG);
	failed = fault_disarm();
	if (err) {
		EXPECT_EQ(-ENOMEM, err) TH_LOG("failure %u", n);
		EXPECT_TRUE(failed);
	}
	/* the kernel keeps the event that it could not deliver */
	for (tries = 0; err && !board->result && tries < LONG / 20; tries++)
		err = uffd_read(uffd, &msg, 20);
	if (!err) {
		EXPECT_EQ(UFFD_EVENT_FORK, msg.event);
		child = msg.arg.fork.ufd;
		ASSERT_EQ(0, uffd_read(child, &msg, LONG));
		EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
		EXPECT_EQ(0, uffd_fill(child, (void *)(unsigned long)msg.arg.pagefault.address, PAGE));
		EXPECT_TRUE(wait_for(&board->child_step, FILL, LONG));
		close(child);
	} else {
		EXPECT_EQ(ENDED | SIGKILL, board->result) TH_LOG("failure %u", n);
		EXPECT_EQ(0, board->child_step) TH_LOG("failure %u: the child has seen a page", n);
	}
	EXPECT_EQ(0, board->zeros);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (board->child)
		kill(board->child, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	close(uffd);
	EXPECT_EQ(fds, count_fds()) TH_LOG("failure %u", n);
	return failed;
}

TEST_F_TIMEOUT(fault, children_of_guarded_processes, 600)
{
	unsigned int n = 1;

	while (hand_over(_metadata, n))
		n++;
	printf("# %u failures\n", n - 1);
	EXPECT_LT(1, n);
}

/* ---- anywhere ---- */

/* also where no thread of ours is: in tracepoints, before a child's first instruction, in workers */
TEST_F_TIMEOUT(fault, at_random, 1800)
{
	const char *rounds = getenv("MEMFDCR_FAULT_ROUNDS");
	struct scene *s = &self->scene;
	struct reader r = { 0 };
	int refused = 0;

	share(_metadata);
	/* the hooks stay: placing them takes so many allocations that one of these would always fail */
	ASSERT_EQ(0, watch(&r, LIST(OF_TREE(s->pid))).error);
	for (int round = rounds ? atoi(rounds) : 20; round > 0; round--) {
		ASSERT_EQ(0, fault_rate(10 + round % 3 * 10));
		for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
			struct answer answer;

			if (requests[i].hooks || requests[i].fresh)
				continue;
			answer = ask(s, i);
			if (!answer.error)
				continue;
			EXPECT_EQ(-ENOMEM, answer.error) TH_LOG("%s: %s", requests[i].name, answer.message);
			refused++;
		}
		act(_metadata, 0);
		ASSERT_EQ(0, fault_rate(0));
	}
	EXPECT_LT(0, refused);
	reader_close(&r);
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct answer answer = ask(s, i);

		EXPECT_EQ(0, answer.error) TH_LOG("%s: %s", requests[i].name, answer.message);
	}
}

/* ---- loading ---- */

FIXTURE(absent)
{
	int unused;
};

FIXTURE_SETUP(absent)
{
	const char *why;

	process_prepare();
	why = fault_aim();
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, module_is_loaded() ? module_unload_soon() : 0);
	/* with nothing to aim at */
	ASSERT_EQ(NULL, fault_aim());
}

FIXTURE_TEARDOWN(absent)
{
	EXPECT_LT(0, request_family());
}

/*
 * Any allocation, of the kernel's as well, for where the module will be is not known before. From memory, not from the
 * file: when the kernel has no memory to read a file it says so with a stack, which would pass for a mistake.
 */
TEST_F_TIMEOUT(absent, loading, 1800)
{
	int fd, n, err = -1, refused = 0;
	struct utsname name;
	struct stat st;
	char path[256];
	void *image;

	uname(&name);
	snprintf(path, sizeof(path), "/usr/lib/modules/%s/updates/memfdcr.ko", name.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st));
	image = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	ASSERT_NE(MAP_FAILED, image);
	for (n = 1; n < 10 * MOST; n++) {
		bool failed;

		ASSERT_EQ(0, fault_arm(n));
		err = syscall(SYS_init_module, image, st.st_size, "") ? -errno : 0;
		failed = fault_disarm();
		if (!failed)
			break;
		refused += !!err;
		if (err) {
			EXPECT_FALSE(module_is_loaded()) TH_LOG("failure %d", n);
		} else {
			ASSERT_EQ(0, module_unload_soon());
		}
	}
	EXPECT_EQ(0, err);
	printf("# %d failures, %d refused\n", n - 1, refused);
	EXPECT_LT(0, refused);
	munmap(image, st.st_size);
	close(fd);
}

TEST_HARNESS_MAIN
