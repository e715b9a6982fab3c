// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/cmd-monitor.c with a watch made here: options, what it prints, when it ends, with what exit status. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../user/cmd-monitor.c"
#include "common/names.h"
#include "tap.h"
#include "words.h"

#define N_MANY 20000	/* lines, more than a pipe has room for */

/* ---- the watch: events come from a pipe; in place of user/netlink/watch.c and genl.c ---- */

struct watch {
	watch_callback *callback;
	void *data;
};

static int events[2];	/* whole struct watch_event at a time */
static struct {
	int open_error, start_error, read_error;	/* read_error: when the pipe is empty and closed */
	bool expect_tree;
	bool floods;	/* watch_stop() finds N_MANY more */
} fake;

const char *genl_error(void)
{
	return "this is why";
}

struct watch *watch_open(watch_callback *callback, void *data)
{
	static struct watch w;

	w = (struct watch){ callback, data };
	errno = fake.open_error;
	return fake.open_error ? NULL : &w;
}

void watch_close(struct watch *w)
{
	w->callback = NULL;
}

int watch_start(struct watch *w, uint32_t pid, bool tree, uint32_t limit)
{
	return !w->callback || pid != 10 || tree != fake.expect_tree || limit ? -EINVAL : -fake.start_error;
}

int watch_fd(const struct watch *w)
{
	return w->callback ? events[0] : -1;
}

int watch_read(struct watch *w)
{
	struct watch_event e;
	ssize_t n = read(events[0], &e, sizeof(e));

	if (n < 0)
		return -errno;
	if (!n)
		return -fake.read_error;
	w->callback(&e, w->data);
	return 0;
}

static const struct watch_event exec_event = { .command = MEMFDCR_CMD_EXEC_NTF, .sequence = 1, .time = 5, .pid = 10,
					       .tid = 10 };
static const struct watch_event last_event = { .command = MEMFDCR_CMD_EXIT_NTF, .sequence = 2, .time = 6, .pid = 10,
					       .tid = 10, .last = true };

int watch_stop(struct watch *w)
{
	int i, ret = 0;

	while (!ret)
		ret = watch_read(w);
	for (i = 0; fake.floods && i < N_MANY; i++)
		w->callback(&exec_event, w->data);
	return ret == -EAGAIN ? 0 : ret;
}

/* ---- running it ---- */

static struct {
	pid_t pid;
	int out;	/* what it prints */
	int status;
	char text[8192];
	size_t used;
	size_t lines;
} run;

static void start(const char *line)
{
	char copy[64], *argv[N_WORDS + 1];
	int out[2], argc;

	if (pipe2(events, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || fcntl(events[0], F_SETFL, O_NONBLOCK))
		abort();
	snprintf(copy, sizeof(copy), "%s", line);
	argc = words(copy, argv);
	fflush(NULL);
	run.pid = fork();
	if (run.pid < 0)
		abort();
	if (!run.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(30);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		close(out[1]);
		close(events[1]);
		exit(cmd_monitor(argc, argv));
	}
	close(out[1]);
	close(events[0]);
	run.out = out[0];
	run.used = run.lines = 0;
	*run.text = '\0';
}

static void give(const struct watch_event *e)
{
	if (write(events[1], e, sizeof(*e)) != sizeof(*e))
		abort();
}

/* reads lines as they come; true: that many are there before the output ends or 10 s have passed */
static bool lines(size_t n)
{
	struct pollfd fd = { .fd = run.out, .events = POLLIN };
	char chunk[4096];
	ssize_t got = 1;

	while (run.lines < n && got > 0 && poll(&fd, 1, 10000) > 0) {
		ssize_t i;

		got = read(run.out, chunk, sizeof(chunk));
		for (i = 0; i < got; i++) {
			run.lines += chunk[i] == '\n';
			if (run.used < sizeof(run.text) - 1)
				run.text[run.used++] = chunk[i];
		}
		run.text[run.used] = '\0';
	}
	return run.lines == n;
}

/* the exit status, after the rest of the output; negative: of the signal that killed it */
static int finish(void)
{
	lines(SIZE_MAX);
	close(run.out);
	close(events[1]);
	if (waitpid(run.pid, &run.status, 0) != run.pid)
		abort();
	return WIFEXITED(run.status) ? WEXITSTATUS(run.status) : -WTERMSIG(run.status);
}

static bool is_sleeping(void)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", run.pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%*d %*s %c", &state) != 1)
		state = 0;
	if (f)
		fclose(f);
	return state == 'S';
}

/* until it waits for something, as when nobody takes what it prints */
static void wait_until_idle(void)
{
	const struct timespec step = { .tv_nsec = 10000000 };
	int i, idle = 0;

	for (i = 0; i < 1000 && idle < 10; i++) {
		idle = is_sleeping() ? idle + 1 : 0;
		nanosleep(&step, NULL);
	}
}

/* ---- tests ---- */

static void test_end(void)
{
	start("monitor -p 10 -j");
	give(&exec_event);
	TAP_OK(lines(1) && !strcmp(run.text, "{\"event\":\"exec\",\"time\":5,\"seq\":1,\"pid\":10,\"tid\":10,\"hidden\":false}\n"),
	       "a line is printed at once");
	give(&last_event);
	TAP_OK(finish() == EXIT_DONE && run.lines == 2 && strstr(run.text, "\"last\":true}\n"), "the last exit ends it");

	fake.expect_tree = true;
	start("monitor -t 10");
	give(&exec_event);
	TAP_OK(lines(1) && strstr(run.text, " 10 exec\n"), "a tree, as text");
	give(&(struct watch_event){ .command = MEMFDCR_CMD_OVERRUN_NTF, .lost = 3 });
	TAP_OK(lines(2) && strstr(run.text, "overrun: 3 events lost; \"memfdcr list -t 10\" shows"),
	       "what to do after losses");
	give(&last_event);
	TAP_OK(finish() == EXIT_DONE, "and the end");
	fake.expect_tree = false;
}

static void test_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM };
	size_t i;

	for (i = 0; i < 2; i++) {
		start("monitor -p 10");
		give(&exec_event);
		lines(1);
		/* what is there when the signal comes is not lost, whichever is seen first */
		kill(run.pid, SIGSTOP);
		give(&exec_event);
		give(&exec_event);
		kill(run.pid, signals[i]);
		kill(run.pid, SIGCONT);
		TAP_OK(finish() == EXIT_DONE && run.lines == 3, "%s: what was received is printed",
		       strsignal(signals[i]));
	}
	fake.floods = true;
	start("monitor -p 10");
	give(&exec_event);
	lines(1);
	kill(run.pid, SIGTERM);
	TAP_OK(finish() == EXIT_DONE && run.lines == N_MANY + 1, "also more than the pipe has room for");

	start("monitor -p 10");
	give(&exec_event);
	lines(1);
	kill(run.pid, SIGTERM);
	wait_until_idle();
	TAP_OK(waitpid(run.pid, &run.status, 0) == run.pid && WIFEXITED(run.status) && !WEXITSTATUS(run.status),
	       "unless nobody reads it");
	close(run.out);
	close(events[1]);
	fake.floods = false;
}

static void test_reader(void)
{
	start("monitor -p 10");
	give(&exec_event);
	lines(1);
	close(run.out);
	run.out = -1;
	waitpid(run.pid, &run.status, 0);
	TAP_OK(WIFSIGNALED(run.status) && WTERMSIG(run.status) == SIGPIPE,
	       "a reader that goes ends it, without an event");
	close(events[1]);

	signal(SIGPIPE, SIG_IGN);
	start("monitor -p 10");
	close(run.out);
	run.out = -1;
	waitpid(run.pid, &run.status, 0);
	TAP_OK(WIFEXITED(run.status) && WEXITSTATUS(run.status) == EXIT_FAILED, "also when SIGPIPE is ignored");
	close(events[1]);
	signal(SIGPIPE, SIG_DFL);
}

static void test_failures(void)
{
	static const struct {
		const char *line;
		int open_error, start_error, status;
	} cases[] = {
		{ "monitor -j", 0, 0, EXIT_USAGE },
		{ "monitor -j -p 10 -t 10", 0, 0, EXIT_USAGE },
		{ "monitor -j -p 10", ENOENT, 0, EXIT_NO_MODULE },
		{ "monitor -j -p 10", EPROTONOSUPPORT, 0, EXIT_NO_MODULE },
		{ "monitor -j -p 10", 0, EPROTONOSUPPORT, EXIT_NO_MODULE },
		{ "monitor -j -p 10", 0, EPERM, EXIT_FAILED },
		{ "monitor -j -p 10", 0, EOPNOTSUPP, EXIT_FAILED },
		{ "monitor -j -p 10", 0, ESRCH, EXIT_PARTIAL },
	};
	size_t i;
	int status;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake.open_error = cases[i].open_error;
		fake.start_error = cases[i].start_error;
		start(cases[i].line);
		status = finish();
		run.text[strcspn(run.text, "\n")] = '\0';
		TAP_OK(status == cases[i].status && run.lines == 1 && !strncmp(run.text, "{\"error\":\"", 10) &&
		       (i < 2 || strstr(run.text, "this is why")), "%s: %s", cases[i].line, run.text);
	}
	fake.open_error = fake.start_error = 0;
	fake.read_error = EBADMSG;
	start("monitor -j -p 10");
	give(&exec_event);
	lines(1);
	close(events[1]);
	events[1] = -1;
	TAP_OK(finish() == EXIT_FAILED && run.lines == 2 && strstr(run.text, "\n{\"error\":\"this is why\"}\n"),
	       "a notification that is not understood");
}

static void test_options(void)
{
	static const struct {
		const char *line, *error;	/* NULL: none */
		bool tree, json;
	} cases[] = {
		{ "monitor -p 7", NULL, false, false },
		{ "monitor -t 7 -j", NULL, true, true },
		{ "monitor --json --tree 7", NULL, true, true },
		{ "monitor", "monitor wants a process (-p PID) or a tree (-t PID)", false, false },
		{ "monitor -j", "monitor wants a process", false, true },
		{ "monitor -p 7 -t 7", "monitor watches one process (-p) or one tree (-t)", true, false },
		{ "monitor -p 7 -p 8 -j", "monitor watches one", false, true },
		{ "monitor -p 7,8", "-p wants a pid, not \"7,8\"", false, false },
		{ "monitor -t 0", "-t wants a pid, not \"0\"", true, false },
		{ "monitor -t", "-t wants an argument", false, false },
		{ "monitor -p 7 8", "monitor takes no argument \"8\"", false, false },
		{ "monitor -p 7 -x", "-x is not an option", false, false },
	};
	char error[512];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char copy[64], *argv[N_WORDS + 1];
		struct monitor_options o;
		int ret;

		*error = '\0';
		snprintf(copy, sizeof(copy), "%s", cases[i].line);
		ret = monitor_options_parse(words(copy, argv), argv, &o, error, sizeof(error));
		TAP_OK(ret == (cases[i].error ? -EINVAL : 0) && o.json == cases[i].json && o.tree == cases[i].tree &&
		       (cases[i].error ? !!strstr(error, cases[i].error) : o.pid == 7), "%s: %s", cases[i].line, error);
	}
}

static void test_causes(void)
{
	TAP_OK(!strcmp(cause_name(MEMFDCR_CAUSE_DROPPED), "dropped") && !strcmp(cause_name(99), "unknown"), "causes");
}

int main(void)
{
	/* the children's sentences on standard error are no results */
	if (!freopen("/dev/null", "we", stderr))
		abort();
	test_options();
	test_causes();
	test_end();
	test_signals();
	test_reader();
	test_failures();
	return tap_done();
}
