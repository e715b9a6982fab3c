// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/dump/freeze.c: everybody stops, and goes on as if nothing had been. */
#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dump/freeze.h"
#include "tap.h"

#define N_COUNTERS 64

/* what the processes do: each thread counts in a place of its own */
static volatile unsigned long *counters;
static char error[1024];

static void *count(void *counter)
{
	for (;;)
		++*(volatile unsigned long *)counter;
	return NULL;
}

/* fork() of one that does not outlive its parent */
static pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		abort();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(0);
	}
	return pid;
}

static pid_t start(void (*fn)(void))
{
	pid_t pid;

	memset((void *)counters, 0, N_COUNTERS * sizeof(*counters));
	pid = child();
	if (!pid) {
		fn();
		_exit(0);
	}
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* how many of the counters change within a while */
static int moving(void)
{
	unsigned long before[N_COUNTERS];
	int n = 0, i;

	for (i = 0; i < N_COUNTERS; i++)
		before[i] = counters[i];
	/* processors are few, and busy with other tests */
	usleep(200000);
	for (i = 0; i < N_COUNTERS; i++)
		n += counters[i] != before[i];
	return n;
}

static bool wait_until_moving(int n)
{
	int tries;

	for (tries = 0; tries < 50; tries++)
		if (moving() >= n)
			return true;
	return false;
}

static bool wait_until_still(void)
{
	int tries;

	for (tries = 0; tries < 50; tries++)
		if (!moving())
			return true;
	return false;
}

static char state_of(pid_t pid)
{
	char path[64], line[256], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "State: %c", &state) != 1)
		;
	if (f)
		fclose(f);
	return state;
}

static int freeze(pid_t pid, struct freezer **f)
{
	return freezer_start(pid, f, NULL, NULL, error, sizeof(error));
}

/* a process with two threads, its child with two, and the child's child */
static void family(void)
{
	pthread_t t;

	pthread_create(&t, NULL, count, (void *)&counters[0]);
	if (child())
		count((void *)&counters[1]);
	pthread_create(&t, NULL, count, (void *)&counters[2]);
	if (child())
		count((void *)&counters[3]);
	count((void *)&counters[4]);
}

static void test_family(void)
{
	pid_t pid = start(family);
	struct freezer *f;

	if (!wait_until_moving(5))
		abort();
	TAP_OK(!freeze(pid, &f) && !moving() && freezer_threads(f) == 5 && freezer_held(f), "five threads of three processes stop");
	freezer_release(f);
	TAP_OK(wait_until_moving(5), "and run on");
	TAP_OK(!freeze(pid, &f) && !moving(), "they stop again");
	freezer_leave_stopped(f);
	TAP_OK(!moving() && state_of(pid) == 'T', "and are left so, as by SIGSTOP");
	TAP_OK(!freeze(pid, &f) && freezer_threads(f) == 5, "who is stopped can be frozen");
	freezer_release(f);
	TAP_OK(!moving() && state_of(pid) == 'T', "and stays stopped");
	kill(0, SIGCONT);
	TAP_OK(wait_until_moving(5), "until SIGCONT");
	TAP_OK(!freeze(pid, &f), "they stop once more");
	freezer_kill(f);
	/* we are their parent, too: nothing is left to be waited for */
	TAP_OK(kill(pid, 0) && errno == ESRCH && !moving(), "and are killed, all of them");
}

/* children that make children and end, as fast as they can */
static void multiply(void)
{
	unsigned int i;

	signal(SIGCHLD, SIG_IGN);
	for (i = 0;; i++) {
		pid_t pid = child();
		pthread_t t;

		++counters[i % N_COUNTERS];
		if (!pid) {
			pthread_create(&t, NULL, count, (void *)&counters[i % N_COUNTERS]);
			usleep(1000);
			_exit(0);
		}
		if (i % 8 == 7)
			usleep(500);
	}
}

static void test_growing(void)
{
	pid_t pid = start(multiply);
	int ok = 0, i;

	for (i = 0; i < 5; i++) {
		struct freezer *f;

		if (!wait_until_moving(1) || freeze(pid, &f))
			break;
		ok += !moving();
		freezer_release(f);
	}
	TAP_OK(ok == 5, "a tree that grows all the time stops five times: %s", error);
	TAP_OK(wait_until_moving(1), "and goes on growing");
	end(pid);
}

static volatile sig_atomic_t got;

static void take(int signal)
{
	(void)signal;
	++counters[1];
	got = 1;
}

static void take_signals(void)
{
	signal(SIGUSR1, take);
	for (;;) {
		++counters[0];
		got = 0;
	}
}

static void test_signals(void)
{
	pid_t pid = start(take_signals);
	unsigned long sent = 0;
	int i;

	if (!wait_until_moving(1))
		abort();
	/* some come while it stops, some while it is stopped: none is lost, none is made */
	for (i = 0; i < 200; i++) {
		unsigned long before = counters[1];
		struct freezer *f;
		int tries;

		kill(pid, SIGUSR1);
		sent++;
		if (freeze(pid, &f))
			break;
		freezer_release(f);
		for (tries = 0; counters[1] == before && tries < 2000; tries++)
			usleep(1000);
	}
	TAP_OK(i == 200 && counters[1] == sent, "%lu signals at that time, %lu arrived", sent, counters[1]);
	end(pid);
}

/* one more of us stops the process, and is killed with it in its hands; *in_delivery: when it was to get a signal */
static bool freeze_and_die(pid_t pid, volatile unsigned long *in_delivery)
{
	pid_t dumper = child();
	int status;

	if (!dumper) {
		struct freezer *f;
		siginfo_t info;

		if (freeze(pid, &f))
			_exit(1);
		*in_delivery += !ptrace(PTRACE_GETSIGINFO, pid, NULL, &info) && info.si_signo == SIGRTMIN;
		kill(getpid(), SIGKILL);
	}
	return waitpid(dumper, &status, 0) == dumper && WIFSIGNALED(status);
}

static void take_queued_signals(void)
{
	signal(SIGRTMIN, take);
	for (;;)
		++counters[0];
}

/* counts those that were accepted; few are on their way at a time, for the queue is shared with all that a user runs */
static void send_signals(pid_t pid)
{
	while (!counters[3]) {
		if (counters[2] - counters[1] >= 256)
			sched_yield();
		else if (!sigqueue(pid, SIGRTMIN, (union sigval){ 0 }))
			++counters[2];
	}
}

static void test_signals_and_death(void)
{
	pid_t pid = start(take_queued_signals), sender;
	int i, tries;

	if (!wait_until_moving(1))
		abort();
	sender = child();
	if (!sender) {
		send_signals(pid);
		_exit(0);
	}
	for (i = 0; i < 300 && counters[4] < 3 && freeze_and_die(pid, &counters[4]); i++)
		;
	counters[3] = 1;
	waitpid(sender, NULL, 0);
	for (tries = 0; counters[1] != counters[2] && tries < 5000; tries++)
		usleep(1000);
	tap_diag("stopped %d times, of that %lu times when it was to get a signal", i, counters[4]);
	if (counters[4] || counters[1] != counters[2])
		TAP_OK(counters[1] == counters[2], "%lu signals while it is stopped by others who are killed, %lu arrived",
		       counters[2], counters[1]);
	else
		tap_skip("it never stopped in the delivery of a signal");
	end(pid);
}

static void test_death(void)
{
	pid_t pid = start(family), dumper;
	int ends[2];
	char c;

	if (!wait_until_moving(5) || pipe(ends))
		abort();
	dumper = child();
	if (!dumper) {
		struct freezer *f;

		/* the tree is its sibling's */
		if (freeze(pid, &f) || write(ends[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	TAP_OK(read(ends[0], &c, 1) == 1 && !moving(), "another one stops them");
	kill(dumper, SIGKILL);
	waitpid(dumper, NULL, 0);
	TAP_OK(wait_until_moving(5), "and is killed: they run on");
	end(pid);
	close(ends[0]);
	close(ends[1]);
}

static void one(void)
{
	count((void *)&counters[0]);
}

static void test_tracers(void)
{
	pid_t pid = start(one), tracer;
	struct freezer *f;
	int ends[2];
	char c;

	if (!wait_until_moving(1) || pipe(ends))
		abort();
	tracer = child();
	if (!tracer) {
		if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;) {
			sigset_t set;
			int signal;

			sigemptyset(&set);
			sigaddset(&set, SIGUSR1);
			sigprocmask(SIG_BLOCK, &set, NULL);
			if (write(ends[1], "", 1) != 1)
				_exit(1);
			sigwait(&set, &signal);
			ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
			waitpid(pid, NULL, __WALL);
			if (write(ends[1], "", 1) != 1)
				_exit(1);
			sigwait(&set, &signal);
			ptrace(PTRACE_CONT, pid, NULL, NULL);
		}
	}
	if (read(ends[0], &c, 1) != 1 || read(ends[0], &c, 1) != 1)
		abort();
	TAP_OK(freeze(pid, &f) == -EBUSY && strstr(error, "is traced by process"), "somebody else's, and runs: %s", error);
	TAP_OK(wait_until_moving(1), "and goes on");
	kill(tracer, SIGUSR1);
	if (read(ends[0], &c, 1) != 1)
		abort();
	TAP_OK(!freeze(pid, &f) && freezer_held(f) && !moving(), "somebody else's, who has stopped it");
	kill(tracer, SIGUSR1);
	if (read(ends[0], &c, 1) != 1)
		abort();
	TAP_OK(wait_until_moving(1) && !freezer_held(f), "and lets it go: that is told");
	freezer_release(f);
	kill(tracer, SIGKILL);
	waitpid(tracer, NULL, 0);
	end(pid);
	close(ends[0]);
	close(ends[1]);
}

static void test_killed(void)
{
	pid_t pid = start(family);
	struct freezer *f;
	int tries;

	if (!wait_until_moving(5))
		abort();
	TAP_OK(!freeze(pid, &f) && freezer_held(f), "a tree stops");
	kill(pid, SIGKILL);
	/* dying takes a moment */
	for (tries = 0; tries < 500 && freezer_held(f); tries++)
		usleep(10000);
	TAP_OK(!freezer_held(f), "one of it is killed, which may write to robust mutexes: that is told");
	freezer_release(f);
	waitpid(pid, NULL, 0);
	/* its children die because of it, one after the other */
	TAP_OK(wait_until_still(), "and no harm to letting it go");
}

static bool write_text(const char *dir, const char *file, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "we");
	if (!f)
		return false;
	return fputs(text, f) >= 0 && !fclose(f);
}

static bool wait_for_text(const char *dir, const char *file, const char *text)
{
	char path[128], line[64];
	int tries;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	for (tries = 0; tries < 500; tries++) {
		FILE *f = fopen(path, "re");
		bool found = false;

		while (f && !found && fgets(line, sizeof(line), f))
			found = !strcmp(line, text);
		if (f)
			fclose(f);
		if (found)
			return true;
		usleep(10000);
	}
	return false;
}

/* the freezer of one version of cgroups: what is written where, and what is read when it is so */
struct cgroup {
	const char *version, *top, *file, *freeze, *thaw, *state, *frozen;
};

static void test_cgroup(const struct cgroup *g)
{
	char dir[96], text[32];
	struct freezer *f;
	pid_t pid;

	snprintf(dir, sizeof(dir), "%s/memfdcr-freeze-test.%d", g->top, (int)getpid());
	if (mkdir(dir, 0755)) {
		snprintf(text, sizeof(text), "no cgroups version %s", g->version);
		tap_skip(text);
		return;
	}
	pid = start(one);
	snprintf(text, sizeof(text), "%d", (int)pid);
	if (!write_text(dir, "cgroup.procs", text) || !wait_until_moving(1) || !write_text(dir, g->file, g->freeze) ||
	    !wait_for_text(dir, g->state, g->frozen)) {
		TAP_OK(false, "a cgroup of version %s can be frozen: %s", g->version, strerror(errno));
	} else {
		TAP_OK(!freeze(pid, &f) && freezer_threads(f) == 1 && freezer_held(f) && !moving(),
		       "who is frozen by cgroups version %s is taken as it is: %s", g->version, error);
		freezer_release(f);
		TAP_OK(wait_for_text(dir, g->state, g->frozen) && !moving(), "and stays so");
		if (freeze(pid, &f))
			abort();
		write_text(dir, g->file, g->thaw);
		if (moving())
			TAP_OK(!freezer_held(f), "thawed by others, it runs, which is told");
		else
			TAP_OK(freezer_held(f), "thawed by others, it does not run yet");
		freezer_release(f);
		TAP_OK(wait_until_moving(1), "but then");
	}
	write_text(dir, g->file, g->thaw);
	end(pid);
	TAP_OK(!rmdir(dir), "nothing is left");
}

static void test_cgroups(void)
{
	static const struct cgroup version_1 = {
		"1", "/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED", "freezer.state", "FROZEN\n",
	};
	struct cgroup version_2 = { "2", "/sys/fs/cgroup", "cgroup.freeze", "1", "0", "cgroup.events", "frozen 1\n" };

	if (!access("/sys/fs/cgroup/unified", F_OK))
		version_2.top = "/sys/fs/cgroup/unified";
	test_cgroup(&version_1);
	test_cgroup(&version_2);
}

static void wait_in_vfork(void)
{
	if (!vfork()) {
		count((void *)&counters[0]);
		_exit(0);
	}
}

static void leader_exits(void)
{
	pthread_t t;

	pthread_create(&t, NULL, count, (void *)&counters[0]);
	pthread_exit(NULL);
}

static void test_oddities(void)
{
	pid_t pid = start(wait_in_vfork);
	struct freezer *f;

	if (!wait_until_moving(1))
		abort();
	TAP_OK(!freeze(pid, &f) && !moving() && freezer_threads(f) == 2, "who waits in vfork() does not hold us up: %s", error);
	freezer_kill(f);
	TAP_OK(kill(pid, 0) && errno == ESRCH, "and can be killed");
	pid = start(leader_exits);
	if (!wait_until_moving(1))
		abort();
	TAP_OK(!freeze(pid, &f) && !moving() && freezer_threads(f) == 1, "a process whose first thread has ended");
	freezer_release(f);
	TAP_OK(wait_until_moving(1), "runs on");
	end(pid);
	TAP_OK(freeze(getpid(), &f) == -EDEADLK && strstr(error, "run it from outside"), "not oneself: %s", error);
	TAP_OK(freeze(pid, &f) == -ESRCH, "nor who is no more: %s", error);
}

/* executes itself again and again, by a thread that is not the first */
static void *execute(void *arg)
{
	execl("/proc/self/exe", "execute", (char *)NULL);
	return arg;
}

static void execute_again(void)
{
	pthread_t t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* it may come at any moment of that */
	usleep(getpid() % 7 * 300);
	pthread_create(&t, NULL, execute, NULL);
	for (;;)
		pause();
}

/* how long the first thread has run, in nanoseconds */
static unsigned long long run_time(pid_t pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	if (f)
		fclose(f);
	return ns;
}

static void become_executor(void)
{
	execl("/proc/self/exe", "execute", (char *)NULL);
}

static void test_exec(void)
{
	pid_t pid = start(become_executor);
	int stood = 0, went_on = 0, i, tries;

	for (i = 0; i < 40; i++) {
		unsigned long long before;
		struct freezer *f;

		usleep(20000 + i * 777);
		if (freeze(pid, &f))
			break;
		before = run_time(pid);
		usleep(5000);
		stood += state_of(pid) == 't' && run_time(pid) == before;
		freezer_release(f);
		for (tries = 0; tries < 500 && run_time(pid) == before; tries++)
			usleep(10000);
		went_on += run_time(pid) != before;
	}
	TAP_OK(i == 40 && stood == 40 && went_on == 40, "who executes programs all the time: %d, %d, %d: %s", i, stood, went_on,
	       error);
	end(pid);
}

/* a ring with a thread of the kernel's that polls it, and one that waits in a read() for it; then counts */
static void use_io_uring(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 60000 };
	int ring = (int)syscall(SYS_io_uring_setup, 4, &p), ends[2], i;
	struct io_uring_sqe *sqes;
	char *sq;

	if (ring < 0 || pipe(ends))
		_exit(1);
	sq = mmap(NULL, p.sq_off.array + p.sq_entries * sizeof(uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		  IORING_OFF_SQ_RING);
	sqes = mmap(NULL, p.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || sqes == MAP_FAILED)
		_exit(1);
	for (i = 0; i < 2; i++) {
		sqes[i] = (struct io_uring_sqe){
			.opcode = IORING_OP_READ, .flags = IOSQE_ASYNC, .fd = ends[0], .len = 1,
			.addr = (uintptr_t)&counters[N_COUNTERS - 1],
		};
		((uint32_t *)(sq + p.sq_off.array))[i] = i;
	}
	__atomic_store_n((uint32_t *)(sq + p.sq_off.tail), 2, __ATOMIC_RELEASE);
	count((void *)&counters[0]);
}

static size_t n_tasks(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return stat(path, &st) ? 0 : st.st_nlink - 2;
}

static void test_io_uring(void)
{
	pid_t pid = start(use_io_uring);
	struct freezer *f;
	size_t n = 0;
	int tries;

	for (tries = 0; tries < 6000 && n < 3; tries++) {
		usleep(10000);
		n = n_tasks(pid);
	}
	if (waitpid(pid, NULL, WNOHANG)) {
		tap_skip("no io_uring with a thread that polls on this kernel");
		return;
	}
	TAP_OK(!freeze(pid, &f) && freezer_threads(f) == n && n >= 3 && freezer_held(f) && !moving(),
	       "threads that the kernel runs for io_uring stop, too: %zu in all: %s", n, error);
	freezer_release(f);
	TAP_OK(wait_until_moving(1), "and the process runs on");
	end(pid);
}

static bool always(void *data)
{
	++*(int *)data;
	return true;
}

static void test_interruption(void)
{
	pid_t pid = start(family);
	struct freezer *f;
	int asked = 0;

	if (!wait_until_moving(5))
		abort();
	TAP_OK(freezer_start(pid, &f, always, &asked, error, sizeof(error)) == -EINTR && asked == 1, "it can be given up: %s", error);
	TAP_OK(wait_until_moving(5), "and all run on");
	end(pid);
}

int main(int argc, char **argv)
{
	if (argc == 1 && !strcmp(argv[0], "execute"))
		execute_again();
	counters = mmap(NULL, N_COUNTERS * sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counters == MAP_FAILED || setpgid(0, 0))
		abort();
	signal(SIGCONT, SIG_IGN);
	test_family();
	test_growing();
	test_signals();
	test_signals_and_death();
	test_death();
	test_tracers();
	test_killed();
	test_cgroups();
	test_oddities();
	test_io_uring();
	test_interruption();
	test_exec();
	return tap_done();
}
