// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose each space is, and when it ends: forks that are told before and after their events, or not at all; exec, exit,
 * shared memory, pids that are used again. The process that the pager serves tells of itself and of its children what
 * the test is about, in the module's place.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pager_fixture.h"
#include "tap.h"

#define PAGES		64
#define FIRST_ID	1000	/* of the first child's userfaultfd; the next has the next number */
#define SOON_US		30000000	/* what is done by and by is done by then, also on a slow machine */

enum what { TELL_NOTHING, TELL_FORK, TELL_EXEC, TELL_EXIT, TELL_LOST, TELL_BEGIN, TELL_END };

struct told {
	enum what what;
	struct pager_process process;
	uint64_t id;
};

/* how things are when something has been told */
struct view {
	char names[3][48];	/* of spaces 1 to 3; empty: there is none */
	unsigned int spaces;
	bool known;		/* whose space 1 is */
};

struct scene {
	struct rig rig;
	int pipe[2];
	struct view *view;	/* shared with the child */
	unsigned char *map;	/* in the child */
	struct pager_process user;	/* the answer to whose a space is; pid 0: nobody's */
	unsigned int ids, asked;
};

static struct scene scene;

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- the pager's side ---- */

static int give_id(struct rig *rig, int uffd, uint64_t *id)
{
	(void)rig;
	(void)uffd;
	*id = FIRST_ID + scene.ids++;
	return 0;
}

static int give_user(struct rig *rig, int uffd, struct pager_process *process)
{
	(void)uffd;
	if (process->pid == rig->children[0].pid)
		return 1;
	scene.asked++;
	if (!scene.user.pid)
		return 0;
	*process = scene.user;
	return 1;
}

static void look_around(void)
{
	struct view *v = scene.view;
	struct pager_process process;
	struct pager_stats stats;

	for (unsigned int i = 0; i < 3; i++) {
		const char *name = pager_space_name(scene.rig.pager, i + 1);

		snprintf(v->names[i], sizeof(v->names[i]), "%s", name ? name : "");
	}
	pager_get_stats(scene.rig.pager, &stats);
	v->spaces = stats.spaces;
	v->known = pager_space_process(scene.rig.pager, 1, &process);
}

static void take_told(void *data, int fd)
{
	struct pager *p = ((struct rig *)data)->pager;
	struct told t;

	if (read(fd, &t, sizeof(t)) != sizeof(t))
		return;
	switch (t.what) {
	case TELL_FORK:
		pager_told_fork(p, &t.process, &t.id, 1);
		break;
	case TELL_EXEC:
		pager_told_exec(p, t.process.pid);
		break;
	case TELL_EXIT:
		pager_told_exit(p, t.process.pid);
		break;
	case TELL_LOST:
		pager_told_lost(p);
		break;
	case TELL_BEGIN:
		pager_told_begin(p);
		break;
	case TELL_END:
		pager_told_end(p);
		break;
	case TELL_NOTHING:
		break;
	}
	look_around();
	__atomic_fetch_add(&scene.rig.shared->flags[0], 1, __ATOMIC_RELEASE);
}

/* ---- the child's side ---- */

static const struct view *tell(const struct told *t)
{
	int before = __atomic_load_n(&scene.rig.shared->flags[0], __ATOMIC_ACQUIRE);

	if (write(scene.pipe[1], t, sizeof(*t)) != sizeof(*t))
		_exit(9);
	while (__atomic_load_n(&scene.rig.shared->flags[0], __ATOMIC_ACQUIRE) == before)
		usleep(200);
	return scene.view;
}

static const struct view *tell_fork(pid_t pid, uint64_t start, uint64_t id)
{
	return tell(&(struct told){ TELL_FORK, { pid, start, "told" }, id });
}

static const struct view *tell_of(enum what what, pid_t pid)
{
	return tell(&(struct told){ .what = what, .process.pid = pid });
}

static const struct view *look(void)
{
	return tell_of(TELL_NOTHING, 0);
}

static bool has_name(const struct view *v, unsigned int space, pid_t pid, const char *name)
{
	char expected[48];

	snprintf(expected, sizeof(expected), "%d#%u (%s)", (int)pid, space, name);
	if (!strcmp(v->names[space - 1], expected))
		return true;
	say("# space %u is \"%s\", not \"%s\"", space, v->names[space - 1], expected);
	return false;
}

static bool has_no_process(const struct view *v)
{
	if (!strcmp(v->names[0], "?#1 (child)") && !v->known)
		return true;
	say("# space 1 is \"%s\"", v->names[0]);
	return false;
}

static bool spaces_soon(unsigned int n)
{
	uint64_t end = now_us() + SOON_US;

	while (look()->spaces != n)
		if (now_us() > end)
			return false;
	return true;
}

static bool named_soon(pid_t pid, const char *name)
{
	uint64_t end = now_us() + SOON_US;
	char expected[48];

	snprintf(expected, sizeof(expected), "%d#1 (%s)", (int)pid, name);
	while (strcmp(look()->names[0], expected))
		if (now_us() > end)
			return false;
	return true;
}

/* a child that sees right bytes and goes when flags[1] says so */
static pid_t fork_one(void)
{
	struct test_object *o = &scene.rig.objects[0];
	pid_t pid = fork();

	if (pid)
		return pid;
	if (!check_pages(o, scene.map, 0, 8))
		_exit(1);
	while (!__atomic_load_n(&scene.rig.shared->flags[1], __ATOMIC_ACQUIRE))
		usleep(500);
	_exit(!check_pages(o, scene.map + 8 * PAGE, 8, 8));
}

static bool end_one(pid_t pid)
{
	int status = 1;

	__atomic_store_n(&scene.rig.shared->flags[1], 1, __ATOMIC_RELEASE);
	if (waitpid(pid, &status, 0) != pid)
		return false;
	__atomic_store_n(&scene.rig.shared->flags[1], 0, __ATOMIC_RELEASE);
	return !status;
}

/* the number of the first line of a child's test that does not hold */
#define NEED(x) do { if (!(x)) return __LINE__ & 0xff ? __LINE__ & 0xff : 1; } while (0)

static int event_first(void)
{
	pid_t pid = fork_one();

	NEED(has_no_process(look()));
	NEED(has_name(tell_fork(pid, 7, FIRST_ID), 1, pid, "told") && look()->known);
	NEED(look()->spaces == 2);
	NEED(end_one(pid));
	NEED(tell_of(TELL_EXIT, pid)->spaces == 1);
	return 0;
}

static int told_first(void)
{
	pid_t pid;

	NEED(!*tell_fork(4242, 7, FIRST_ID)->names[0]);
	pid = fork_one();
	NEED(has_name(look(), 1, 4242, "told"));
	NEED(end_one(pid));
	NEED(tell_of(TELL_EXIT, 4242)->spaces == 1);
	return 0;
}

/* an id belongs to another userfaultfd when the first is gone */
static int older(void)
{
	pid_t pid;

	tell_fork(4242, 7, FIRST_ID);
	usleep(1100000);
	pid = fork_one();
	NEED(has_no_process(look()));
	/* told late */
	NEED(has_name(tell_fork(4243, 8, FIRST_ID), 1, 4243, "told"));
	NEED(has_name(tell_fork(pid, 9, FIRST_ID), 1, pid, "told"));
	return !end_one(pid);
}

/* there is room for so many that were told too early: the oldest goes, and the space is found out by asking */
static int too_many(void)
{
	pid_t pid;

	tell_fork(4242, 7, FIRST_ID);
	for (unsigned int i = 1; i <= 32; i++)
		tell_fork(5000 + (int)i, 7, 9 * FIRST_ID + i);
	pid = fork_one();
	NEED(has_no_process(look()));
	NEED(named_soon(777, "asked"));
	/* what is found by asking may still be told: that is better */
	NEED(has_name(tell_fork(pid, 7, FIRST_ID), 1, pid, "told"));
	return !end_one(pid);
}

static int not_told(void)
{
	pid_t pid = fork_one();

	NEED(has_no_process(look()));
	NEED(named_soon(777, "asked"));
	NEED(end_one(pid));
	/* and if its end is not told either */
	NEED(spaces_soon(1));
	return 0;
}

/* a child that is gone before anybody has told of it is no fork that failed */
static int told_late(void)
{
	pid_t pid = fork_one();

	NEED(has_no_process(look()));
	NEED(end_one(pid));
	/* it has been looked at meanwhile */
	usleep(700000);
	NEED(look()->spaces == 2);
	NEED(has_name(tell_fork(pid, 7, FIRST_ID), 1, pid, "told"));
	NEED(tell_of(TELL_EXIT, pid)->spaces == 1);
	return 0;
}

static int exit_lost(void)
{
	pid_t pid = fork_one();

	tell_fork(pid, 7, FIRST_ID);
	NEED(end_one(pid));
	/* nobody looks where everything is told */
	usleep(700000);
	NEED(look()->spaces == 2);
	tell_of(TELL_LOST, 0);
	NEED(spaces_soon(1));
	return 0;
}

/* something was lost, but nothing of this one, and it is asked for */
static int other_lost(void)
{
	pid_t pid = fork_one();

	tell_fork(777, 7, FIRST_ID);
	tell_of(TELL_LOST, 0);
	tell_of(TELL_LOST, 0);
	usleep(1000000);
	NEED(has_name(look(), 1, 777, "told") && look()->known);
	NEED(end_one(pid));
	/* who knows whether it would be told */
	NEED(spaces_soon(1));
	return 0;
}

static int told_no_more(void)
{
	pid_t pid = fork_one();

	tell_fork(pid, 7, FIRST_ID);
	tell_of(TELL_END, 0);
	NEED(end_one(pid));
	NEED(spaces_soon(1));
	return 0;
}

static int execs(void)
{
	int pair[2], status;
	char c;
	pid_t pid;

	NEED(!pipe2(pair, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		execl("/bin/sleep", "sleep", "100", (char *)NULL);
		_exit(1);
	}
	close(pair[1]);
	tell_fork(pid, 7, FIRST_ID);
	/* closed by exec, when the old memory has gone */
	NEED(read(pair[0], &c, 1) == 0);
	NEED(tell_of(TELL_EXEC, pid)->spaces == 1);
	NEED(!waitpid(pid, &status, WNOHANG));
	kill(pid, SIGKILL);
	NEED(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	return 0;
}

static int survivor(void *arg)
{
	struct test_object *o = &scene.rig.objects[0];

	(void)arg;
	while (!__atomic_load_n(&scene.rig.shared->flags[1], __ATOMIC_ACQUIRE))
		usleep(500);
	__atomic_store_n(&scene.rig.shared->flags[2], check_pages(o, scene.map + 16 * PAGE, 16, 8) ? 1 : 2, __ATOMIC_RELEASE);
	/* without what the sanitizer does in _exit(): this stack is none of those it knows */
	return (int)syscall(SYS_exit_group, 0);
}

/* somebody else has the memory of a process that exits */
static int shared(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t pid = fork();

	if (!pid)
		_exit(clone(survivor, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) < 0);
	tell_fork(pid, 7, FIRST_ID);
	NEED(waited_ok(pid));
	NEED(tell_of(TELL_EXIT, pid)->spaces == 2);
	NEED(named_soon(777, "asked"));
	__atomic_store_n(&scene.rig.shared->flags[1], 1, __ATOMIC_RELEASE);
	NEED(spaces_soon(1));
	NEED(__atomic_load_n(&scene.rig.shared->flags[2], __ATOMIC_ACQUIRE) == 1);
	return 0;
}

/* told of a process whose pid another one has by now, which has not exited at all */
static int mistaken(void)
{
	uint64_t end = now_us() + SOON_US;
	pid_t pid = fork_one();

	tell_fork(777, 3, FIRST_ID);
	NEED(tell_of(TELL_EXIT, 777)->spaces == 2 && !look()->known);
	while (!look()->known)
		NEED(now_us() < end);
	NEED(has_name(look(), 1, 777, "told"));
	NEED(end_one(pid));
	NEED(spaces_soon(1));
	return 0;
}

/* the memory of one who has exited may still be there for a moment: nobody's, but not to be closed either */
static int lingers(void)
{
	pid_t pid = fork_one();

	tell_fork(pid, 7, FIRST_ID);
	NEED(tell_of(TELL_EXIT, pid)->spaces == 2 && !look()->known);
	usleep(400000);
	NEED(look()->spaces == 2);
	NEED(end_one(pid));
	NEED(spaces_soon(1));
	return 0;
}

static int pid_again(void)
{
	pid_t first = fork_one(), second;

	/* its exit is not told */
	tell_fork(5555, 1, FIRST_ID);
	NEED(end_one(first));
	second = fork_one();
	NEED(has_name(tell_fork(5555, 2, FIRST_ID + 1), 2, 5555, "told"));
	NEED(look()->spaces == 3);
	/* told of a process with this pid: the one whose memory is gone, not the one that uses it */
	NEED(tell_of(TELL_EXIT, 5555)->spaces == 2 && has_name(look(), 2, 5555, "told"));
	NEED(end_one(second));
	NEED(spaces_soon(1));
	return 0;
}

/* the fork fails when its event has been read already: in a pid namespace whose first process has gone */
static int fails(void)
{
	int status;
	pid_t pid;

	NEED(!unshare(CLONE_NEWPID));
	pid = fork_one();
	tell_fork(pid, 7, FIRST_ID);
	NEED(end_one(pid));
	NEED(tell_of(TELL_EXIT, pid)->spaces == 1);
	NEED(fork() < 0 && errno == ENOMEM);
	NEED(look()->spaces == 2);
	NEED(spaces_soon(1));
	return !(waitpid(-1, &status, 0) < 0);
}

/* ---- both ---- */

static const struct test {
	int (*child)(void);
	const char *meaning;
	struct pager_process user;
	const char *log;
} tests[] = {
	{ event_first, "a fork is told after its event; its exit ends the space at once", { 0 },
	  "has exited, its memory is served no more" },
	{ told_first, "a fork is told before its event", { 0 }, "4242#1 (told): forked from #0, start time 7" },
	{ older, "a fork with the same id that was told long before is another one; the last one told is right", { 0 }, NULL },
	{ too_many, "more forks told too early than there is room for: found by asking", { 777, 3, "asked" },
	  "?#1 (child): is 777#1 (asked) now, start time 3, found by asking" },
	{ not_told, "a fork that is not told: found by asking, and so is its end", { 777, 3, "asked" },
	  "777#1 (asked): its memory is gone" },
	{ told_late, "a fork that is told when the child is gone already", { 0 },
	  "(told): has exited, its memory is served no more" },
	{ exit_lost, "an exit that is lost: nobody looks before the loss is told, then it is found", { 0 },
	  "its memory is gone" },
	{ other_lost, "something else is lost: whose the space is, is confirmed", { 777, 7, "told" }, NULL },
	{ told_no_more, "nothing is told any more: the end is found by looking", { 0 }, "its memory is gone" },
	{ execs, "exec ends the space at once, the process goes on", { 0 },
	  "executes another program, its memory is served no more" },
	{ shared, "exit of one of two that share their memory: the other one is served", { 777, 3, "asked" },
	  "has exited, its memory is still there" },
	{ lingers, "memory that is there after its process has exited is served until it goes", { 0 },
	  "its memory is gone" },
	{ mistaken, "exit of one whose pid is another one's by now", { 777, 3, "told" }, NULL },
	{ pid_again, "a pid that is used again", { 5555, 2, "told" }, "5555#1 (told): has exited" },
	{ fails, "a fork that fails after its event", { 0 }, "?#2 (child): a fork that failed" },
};

static int run_child(struct rig *rig, void *arg)
{
	const struct test *t = arg;
	int status;

	scene.map = child_map(rig, &rig->objects[0], 0, PAGES);
	child_arm(rig);
	tell_of(TELL_BEGIN, 0);
	status = t->child();
	/* nobody will tell of this one */
	tell_of(TELL_END, 0);
	return status;
}

static void run_test(const struct test *t)
{
	bool said, ok;
	int rc;

	scene.ids = scene.asked = 0;
	scene.user = t->user;
	rig_new(&scene.rig, false);
	scene.rig.uffd_id = give_id;
	scene.rig.user = give_user;
	scene.view = mmap(NULL, sizeof(*scene.view), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (scene.view == MAP_FAILED || pipe2(scene.pipe, O_CLOEXEC))
		exit(1);
	rig_object(&scene.rig, PAGES * PAGE, DENSE);
	rig_spawn(&scene.rig, run_child, (void *)t);
	rig_arm(&scene.rig);
	pager_watch_fd(scene.rig.pager, scene.pipe[0], take_told, &scene.rig);
	rc = rig_run(&scene.rig);
	said = !t->log || strstr(scene.rig.log, t->log);
	ok = rc == -ESRCH && rig_children_ok(&scene.rig) && said;
	if (!said)
		say("# nothing like \"%s\" in:", t->log);
	if (!ok)
		say("%s", scene.rig.log);
	TAP_OK(ok, "%s", t->meaning);
	rig_end(&scene.rig);
	munmap(scene.view, sizeof(*scene.view));
	close(scene.pipe[0]);
	close(scene.pipe[1]);
}

int main(int argc, char **argv)
{
	rig_seed(argc, argv);
	if (!have_userfaultfd()) {
		tap_skip("no userfaultfd for this user on this kernel");
		return tap_done();
	}
	for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++)
		run_test(&tests[i]);
	return tap_done();
}
