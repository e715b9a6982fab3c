// SPDX-License-Identifier: GPL-2.0-only
/*
 * PTRACE_SEIZE and PTRACE_INTERRUPT: no signal is sent, nothing in the process changes, a group stop stays one.
 *
 * Who is stopped makes no new threads. So when everybody who is known has stopped, and then a look at the whole tree finds
 * nobody new, that is all.
 */
#include "dump/freeze.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/explain.h"
#include "common/process.h"

#define PATIENCE_MS 10000	/* for a thread that does not stop, in an uninterruptible sleep */
#define ROUND_MS 20		/* after that long look for somebody whom the others wait for */
#define LAST_WAIT_MS 1000
#define MAX_DOUBTS 100

enum state {
	COMING,		/* seized, and will stop before it runs any more code of its own */
	STOPPED,
	FOREIGN,	/* stopped, but not by us */
	GONE,
};

struct thread {
	pid_t pid, tid;
	enum state state;
	int signal;		/* that it was about to get when it stopped; 0: none */
	char how;		/* FOREIGN: state, as in /proc/PID/status */
	uint64_t switches;	/* FOREIGN: how often it had left its processor */
};

struct freezer {
	pid_t root;
	struct thread *v;
	size_t n, room;
	unsigned int doubts;	/* threads that could not be stopped, and why was not to be seen */
	bool again;		/* the last look at the tree found one of them */
	bool version_1;		/* of cgroups, with its freezer, is there: one file less to read for each thread if not */
	char *error;
	size_t error_size;
};

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void nap(long us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

/* what /proc/PID/task/TID/status says of a thread */
struct status {
	char state;
	pid_t tracer;
	uint64_t switches;
};

static int read_status(const struct thread *t, struct status *s)
{
	unsigned long long voluntary = 0, other = 0;
	char path[64], line[256];
	FILE *f;

	*s = (struct status){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)t->pid, (int)t->tid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		int tracer;

		if (sscanf(line, "State: %c", &s->state) == 1 || sscanf(line, "voluntary_ctxt_switches: %llu", &voluntary) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %llu", &other) == 1)
			continue;
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			s->tracer = tracer;
	}
	fclose(f);
	s->switches = voluntary + other;
	return s->state ? 0 : -ESRCH;
}

static void leave_alone(struct thread *t, const struct status *s)
{
	t->how = s->state;
	t->switches = s->switches;
	t->state = FOREIGN;
}

/* a tracer that stops for a dump or a restore: what it does, and what we do, would spoil each other */
static bool is_one_of_us(pid_t tracer)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)tracer);
	f = fopen(path, "re");
	if (f) {
		if (!fgets(name, sizeof(name), f))
			*name = '\0';
		fclose(f);
	}
	return !strncmp(name, "memfdcr", 7);
}

/* PTRACE_SEIZE was not allowed: because it is dead, or somebody else's */
static int not_ours(struct freezer *f, struct thread *t)
{
	struct status s;
	int ret = read_status(t, &s);

	if (ret && ret != -ENOENT && ret != -ESRCH)
		return explain(ret, f->error, f->error_size, "cannot read the state of process %d: %s", (int)t->pid,
			       strerror(-ret));
	if (ret || s.state == 'Z' || s.state == 'X') {
		t->state = GONE;
		return 0;
	}
	if (s.tracer == getpid()) {
		/* another thread of its process, which we have, has executed a program and taken the first one's place */
		ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
		t->state = COMING;
		return 0;
	}
	if (!s.tracer && f->doubts++ < MAX_DOUBTS) {
		/* it may have been dying, and is another one by now that has executed a program: look again */
		nap(1000);
		t->state = GONE;
		f->again = true;
		return 0;
	}
	if (!s.tracer)
		return explain(-EPERM, f->error, f->error_size, "process %d may not be stopped: run as root", (int)t->pid);
	if (is_one_of_us(s.tracer))
		return explain(-EBUSY, f->error, f->error_size,
			       "process %d is being dumped or restored by process %d: wait for that", (int)t->pid, (int)s.tracer);
	if (s.state != 't' && s.state != 'T')
		return explain(-EBUSY, f->error, f->error_size,
			       "thread %d of process %d is traced by process %d and runs: stop it there, or end the tracer",
			       (int)t->tid, (int)t->pid, (int)s.tracer);
	leave_alone(t, &s);
	return 0;
}

static int seize(struct freezer *f, struct thread *t)
{
	struct status s;

	/* it would stop for us when it is thawed, and not before */
	if (f->version_1 && process_is_frozen(t->tid) && !read_status(t, &s)) {
		leave_alone(t, &s);
		return 0;
	}
	if (!ptrace(PTRACE_SEIZE, t->tid, NULL, NULL)) {
		t->state = COMING;
		/* fails only if it is dead, which waitpid() tells */
		ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
		return 0;
	}
	if (errno == EPERM)
		return not_ours(f, t);
	if (errno != ESRCH)
		return explain(-errno, f->error, f->error_size, "cannot stop process %d: %s", (int)t->pid, strerror(errno));
	t->state = GONE;
	return 0;
}

static bool is_known(const struct freezer *f, pid_t tid)
{
	size_t i;

	for (i = f->n; i--;)
		if (f->v[i].tid == tid)
			return f->v[i].state != GONE;
	return false;
}

static int add(struct freezer *f, pid_t pid, pid_t tid)
{
	if (f->n == f->room) {
		size_t room = f->room ? 2 * f->room : 64;
		struct thread *v = reallocarray(f->v, room, sizeof(*v));

		if (!v)
			return explain(-ENOMEM, f->error, f->error_size, "out of memory");
		f->v = v;
		f->room = room;
	}
	f->v[f->n] = (struct thread){ .pid = pid, .tid = tid };
	return seize(f, &f->v[f->n++]);
}

/* the threads of a process that are not known yet; *found: how many of them live */
static int add_threads(struct freezer *f, pid_t pid, size_t *found)
{
	const struct dirent *entry;
	char path[64];
	int ret = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	if (!dir && errno != ENOENT && errno != ESRCH)
		return explain(-errno, f->error, f->error_size, "%s: %s", path, strerror(errno));
	while (!ret && dir && (entry = readdir(dir))) {
		pid_t tid = atoi(entry->d_name);

		if (!tid || is_known(f, tid))
			continue;
		ret = add(f, pid, tid);
		/* a zombie is found again and again */
		if (!ret && f->v[f->n - 1].state == GONE)
			f->n--;
		else
			++*found;
	}
	if (dir)
		closedir(dir);
	return ret;
}

static int add_new(struct freezer *f, size_t *found)
{
	struct process_list tree;
	int ret = process_tree(f->root, &tree);
	size_t i;

	*found = 0;
	f->again = false;
	if (ret)
		return explain(ret, f->error, f->error_size, ret == -ESRCH ? "there is no process %d" :
			       "cannot read the tree of process %d", (int)f->root);
	/* before anybody stops */
	for (i = 0; !ret && i < tree.n; i++)
		if (tree.v[i].pid == getpid())
			ret = explain(-EDEADLK, f->error, f->error_size,
				      "this command itself is in the tree of process %d: run it from outside", (int)f->root);
	for (i = 0; !ret && i < tree.n; i++)
		ret = add_threads(f, tree.v[i].pid, found);
	process_list_free(&tree);
	*found += f->again;
	return ret;
}

/*
 * What waitid() says without waiting. A stop stays untaken: whom a signal has stopped gets that signal also if we are
 * killed, but not if we had taken the stop from the kernel.
 */
static void look(struct thread *t)
{
	siginfo_t info = { 0 };

	/* without WSTOPPED only those who are traced are told to have stopped, whoever's children they are */
	if (waitid(P_PID, (id_t)t->tid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL)) {
		if (errno != EINTR)
			t->state = GONE;
		return;
	}
	if (!info.si_pid)
		return;
	if (info.si_code != CLD_TRAPPED) {
		/* its parent is told only when we have been */
		waitpid(t->tid, NULL, __WALL | WNOHANG);
		t->state = GONE;
		return;
	}
	t->state = STOPPED;
	/* 0: no event of ptrace but a signal, which is to come through when we let go */
	t->signal = info.si_status >> 8 ? 0 : info.si_status;
}

/* waits a little for those who are coming; how many still are */
static size_t wait_for_all(struct freezer *f, unsigned int ms)
{
	uint64_t end = now_ms() + ms;
	size_t coming, i;
	long us = 10;

	for (;;) {
		for (coming = i = 0; i < f->n; i++) {
			if (f->v[i].state == COMING)
				look(&f->v[i]);
			coming += f->v[i].state == COMING;
		}
		if (!coming || now_ms() >= end)
			return coming;
		nap(us);
		us = us < 1000 ? 2 * us : 1000;
	}
}

/*
 * vfork() waits in the kernel until the child lets go of the memory, and cannot be stopped meanwhile. The child has
 * been, so it will not.
 */
static bool waits_for_child(const struct freezer *f, const struct thread *t)
{
	struct status s;
	size_t i;

	if (read_status(t, &s) || s.state != 'D')
		return false;
	for (i = 0; i < f->n; i++) {
		const struct thread *c = &f->v[i];

		if (c->pid != t->pid && (c->state == STOPPED || c->state == FOREIGN) && process_parent(c->pid) == t->pid &&
		    !syscall(SYS_kcmp, t->pid, c->pid, KCMP_VM, 0, 0))
			return true;
	}
	return false;
}

/* the first who is coming and does not wait for somebody who is stopped; NULL: that is all */
static const struct thread *straggler(const struct freezer *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (f->v[i].state == COMING && !waits_for_child(f, &f->v[i]))
			return &f->v[i];
	return NULL;
}

/*
 * Whether those who had stopped are the ones who stand there now. A thread that executes a program ends all others of its
 * process, those who have stopped included, and goes on under the number of the first.
 */
static bool all_stand(struct freezer *f)
{
	bool stand = true;
	siginfo_t info;
	size_t i;

	for (i = 0; i < f->n; i++) {
		struct thread *t = &f->v[i];

		/* EINVAL: it stands, in a group stop */
		if (t->state != STOPPED || !ptrace(PTRACE_GETSIGINFO, t->tid, NULL, &info) || errno != ESRCH)
			continue;
		t->state = COMING;
		ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
		stand = false;
	}
	return stand;
}

/*
 * For those who have not come in time. Who was dying when it was to stop has not been told to; if another has taken its
 * number, that one may be nobody's, or may have stopped already without our being told.
 */
static void nudge_all(struct freezer *f)
{
	struct status s;
	siginfo_t info;
	size_t i;

	for (i = 0; i < f->n; i++) {
		struct thread *t = &f->v[i];

		if (t->state != COMING || read_status(t, &s))
			continue;
		if (s.tracer != getpid()) {
			t->state = GONE;	/* and is found anew */
			continue;
		}
		if (ptrace(PTRACE_GETSIGINFO, t->tid, NULL, &info) && errno == ESRCH) {
			ptrace(PTRACE_INTERRUPT, t->tid, NULL, NULL);
			continue;
		}
		look(t);
		/* it stands, and that has been told before */
		if (t->state == COMING)
			t->state = STOPPED;
	}
}

static int stop_all(struct freezer *f, bool (*may_stop)(void *data), void *data)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	const struct thread *late = NULL;
	size_t found;
	int ret;

	for (;;) {
		ret = add_new(f, &found);
		if (ret || (!found && !late && all_stand(f)))
			return ret;
		late = NULL;
		if (wait_for_all(f, ROUND_MS)) {
			nudge_all(f);
			late = straggler(f);
		}
		if (may_stop && may_stop(data))
			return explain(-EINTR, f->error, f->error_size, "interrupted");
		if (now_ms() < end)
			continue;
		if (late)
			return explain(-ETIMEDOUT, f->error, f->error_size,
				       "thread %d of process %d does not stop: what it waits for in the kernel does not come",
				       (int)late->tid, (int)late->pid);
		if (found)
			return explain(-ETIMEDOUT, f->error, f->error_size,
				       "process %d and its descendants make new ones faster than they can be stopped",
				       (int)f->root);
	}
}

int freezer_start(pid_t root, struct freezer **f, bool (*may_stop)(void *data), void *data, char *error,
		  size_t error_size)
{
	int ret;

	*f = calloc(1, sizeof(**f));
	if (!*f)
		return explain(-ENOMEM, error, error_size, "out of memory");
	(*f)->root = root;
	(*f)->version_1 = !access("/sys/fs/cgroup/freezer", F_OK);
	(*f)->error = error;
	(*f)->error_size = error_size;
	ret = stop_all(*f, may_stop, data);
	if (ret) {
		freezer_release(*f);
		*f = NULL;
	}
	return ret;
}

/* whether a thread that stood has not run since */
static bool still_stands(const struct thread *t)
{
	struct status s;

	if (t->state != STOPPED && t->state != FOREIGN)
		return true;
	if (read_status(t, &s))
		return false;
	return t->state == STOPPED ? s.state == 't' : s.state == t->how && s.switches == t->switches;
}

bool freezer_held(const struct freezer *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (!still_stands(&f->v[i]))
			return false;
	return true;
}

size_t freezer_threads(const struct freezer *f)
{
	size_t n = 0, i;

	for (i = 0; i < f->n; i++)
		n += f->v[i].state != GONE;
	return n;
}

static void detach(struct thread *t)
{
	/* ESRCH: it was killed meanwhile, and nobody else is told before us */
	if (t->state == STOPPED && ptrace(PTRACE_DETACH, t->tid, NULL, (void *)(intptr_t)t->signal))
		t->state = COMING;
	else
		t->state = GONE;
}

void freezer_release(struct freezer *f)
{
	size_t i;

	for (i = 0; i < f->n; i++)
		if (f->v[i].state == STOPPED)
			detach(&f->v[i]);
	/* they can be let go only when they have stopped, or died; who takes longer is free when we end */
	wait_for_all(f, LAST_WAIT_MS);
	for (i = 0; i < f->n; i++)
		if (f->v[i].state == STOPPED)
			detach(&f->v[i]);
	free(f->v);
	free(f);
}

void freezer_leave_stopped(struct freezer *f)
{
	size_t i;

	/* each thread gets one of its own, or some would run before another has taken the process's */
	for (i = 0; i < f->n; i++)
		if (f->v[i].state != GONE)
			syscall(SYS_tgkill, f->v[i].pid, f->v[i].tid, SIGSTOP);
	freezer_release(f);
}

/* waits for the end of one that was killed */
static void reap(struct thread *t)
{
	int status = 0;

	while (t->state == STOPPED || t->state == COMING)
		if ((waitpid(t->tid, &status, __WALL) < 0 && errno != EINTR) || WIFEXITED(status) || WIFSIGNALED(status))
			t->state = GONE;
}

void freezer_kill(struct freezer *f)
{
	size_t i;

	/* who has not stopped for us, and is gone, may have left its number to somebody else */
	for (i = 0; i < f->n; i++)
		if (f->v[i].state != GONE && (f->v[i].state != FOREIGN || still_stands(&f->v[i])))
			kill(f->v[i].pid, SIGKILL);
	/* the first thread of a process is told to be dead only when nothing is left of the others */
	for (i = 0; i < f->n; i++)
		if (f->v[i].tid != f->v[i].pid)
			reap(&f->v[i]);
	for (i = 0; i < f->n; i++)
		reap(&f->v[i]);
	free(f->v);
	free(f);
}
