// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of asking daemons for their status: some that answer, and all that may go wrong with one. Then the real answer,
 * around a real pager: its numbers add up, and nobody keeps it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "pager_fixture.h"
#include "serve/channel.h"
#include "serve/serving.h"
#include "status/ask.h"
#include "status/print.h"
#include "status/tell.h"
#include "tap.h"

static char top[] = "/tmp/memfdcr-status-XXXXXX";

/* the fake daemons */

#define MAX_FAKES 16

static pid_t fakes[MAX_FAKES];
static unsigned int n_fakes;

/* the part of an answer from there on: of three objects, as many as there is room for */
static void tell_part(int fd, unsigned int first, unsigned int room, int64_t since)
{
	struct status s = { .pid = 1, .serving = true, .since = since, .counts = { .total = 100, .left = 100 - first } };
	unsigned int i;

	for (i = first; i < 3 && room; i++, room--) {
		struct status_object *o = status_add_object(&s);

		if (!o || asprintf(&o->name, "object %u", i) < 0)
			abort();
	}
	s.next = i < 3 ? i : 0;
	if (status_send(fd, &s))
		abort();
	status_free(&s);
}

static void answer_whole(int fd, unsigned int first)
{
	tell_part(fd, first, 3, 1);
}

static void answer_parts(int fd, unsigned int first)
{
	tell_part(fd, first, 1, 2);
}

static void answer_late(int fd, unsigned int first)
{
	usleep(500000);
	tell_part(fd, first, 3, 3);
}

static void answer_after_log(int fd, unsigned int first)
{
	channel_send(fd, "log 6 something else");
	tell_part(fd, first, 3, 4);
}

static void answer_never(int fd, unsigned int first)
{
	(void)fd;
	(void)first;
	pause();
}

static void answer_hangup(int fd, unsigned int first)
{
	(void)fd;
	(void)first;
}

/* as a daemon does that ends while it is asked, but comes again */
static void answer_third_time(int fd, unsigned int first)
{
	static unsigned int n;

	if (n++ >= 2)
		tell_part(fd, first, 3, 5);
}

static void answer_old(int fd, unsigned int first)
{
	(void)first;
	channel_send(fd, "result %d", CHANNEL_FAILED);
}

static void answer_cut(int fd, unsigned int first)
{
	(void)first;
	channel_send(fd, "status {\"pid\":1,\"state\":\"ser");
}

static void answer_garbage(int fd, unsigned int first)
{
	(void)first;
	send(fd, "\0\377\0", 3, MSG_NOSIGNAL);
}

static void answer_empty_parts(int fd, unsigned int first)
{
	struct status s = { .pid = 1, .next = first ? first : 1 };

	if (status_send(fd, &s))
		abort();
}

static void answer_long(int fd, unsigned int first)
{
	const int room = 8 << 20;
	char *text = calloc(1, 2 << 20);

	(void)first;
	memset(text, 'x', 2 << 20);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	if (send(fd, text, 2 << 20, MSG_NOSIGNAL) < 0)
		perror("send");
	free(text);
}

static void log_forever(int fd, unsigned int first)
{
	(void)first;
	while (!channel_send(fd, "log 6 still at it"))
		usleep(10000);
	pause();
}

static void serve_fake(int listen_fd, void (*fn)(int fd, unsigned int first))
{
	char request[CHANNEL_MESSAGE_MAX];
	unsigned int first;

	for (;;) {
		int fd = accept(listen_fd, NULL, NULL);

		if (fd < 0 || channel_receive(fd, request, sizeof(request)) <= 0 ||
		    sscanf(request, "status %u", &first) != 1)
			abort();
		fn(fd, first);
		close(fd);
	}
}

/* a daemon that answers by fn, NULL: takes no connection at all. Returns its pid. */
static pid_t fake(const char *name, void (*fn)(int fd, unsigned int first))
{
	char directory[256], c;
	int ready[2];
	pid_t pid;

	snprintf(directory, sizeof(directory), "%s/%s", top, name);
	if (n_fakes == MAX_FAKES || mkdir(directory, 0700) || pipe(ready))
		abort();
	pid = fork();
	if (!pid) {
		int fd = channel_listen(directory);

		if (fd < 0 || write(ready[1], "", 1) != 1)
			abort();
		while (!fn)
			pause();
		serve_fake(fd, fn);
	}
	fakes[n_fakes++] = pid;
	if (read(ready[0], &c, 1) != 1)
		abort();
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void clear(void)
{
	char command[128];

	while (n_fakes) {
		kill(fakes[--n_fakes], SIGKILL);
		waitpid(fakes[n_fakes], NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s/*", top);
	if (system(command))
		abort();
}

static struct pager_answers answers;
static int64_t took_ms;

static int get(void)
{
	int64_t begin = clock_ns(CLOCK_MONOTONIC);
	char error[256];
	int ret;

	pager_answers_free(&answers);
	ret = pager_answers_get(top, &answers, error, sizeof(error));
	took_ms = (clock_ns(CLOCK_MONOTONIC) - begin) / 1000000;
	return ret;
}

static bool is_whole(const struct pager_answer *a, pid_t pid)
{
	return !*a->error && a->status.pid == pid && a->status.n_objects == 3 &&
	       !strcmp(a->status.objects[0].name, "object 0") && !strcmp(a->status.objects[2].name, "object 2") &&
	       a->status.counts.total == 100;
}

static void test_none(void)
{
	char path[256], error[256];
	int fd;

	pager_answers_free(&answers);
	TAP_OK(!pager_answers_get("/tmp/no such directory", &answers, error, sizeof(error)) && !answers.n,
	       "there has never been a daemon");
	TAP_OK(!get() && !answers.n, "there is none now");
	snprintf(path, sizeof(path), "%s/restore.log", top);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	snprintf(path, sizeof(path), "%s/1.2", top);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/1.3", top);
	mkdir(path, 0700);
	/* a socket stays when its process is killed */
	fd = channel_listen(path);
	close(fd);
	TAP_OK(fd >= 0 && !get() && !answers.n && took_ms < 1000, "a log, a channel not made yet and one of a daemon that was killed");
	snprintf(path, sizeof(path), "%s/%0200d", top, 1);
	mkdir(path, 0700);
	TAP_OK(!get() && !answers.n, "and what is none of ours");
	clear();
}

static void test_refused(void)
{
	char error[256];
	int ret;

	pager_answers_free(&answers);
	if (chmod(top, 0) || seteuid(65534))
		abort();
	ret = pager_answers_get(top, &answers, error, sizeof(error));
	if (seteuid(0) || chmod(top, 0700))
		abort();
	TAP_OK(ret == -EACCES && strstr(error, "Permission denied: run as root"), "others may not ask: %s", error);
}

static void test_good(void)
{
	pid_t whole, parts, late, after_log, third;

	late = fake("5.5", answer_late);
	third = fake("3.3", answer_third_time);
	parts = fake("4.4", answer_parts);
	whole = fake("1.1", answer_whole);
	after_log = fake("2.2", answer_after_log);
	TAP_OK(!get() && answers.n == 5, "five daemons answer");
	if (answers.n == 5) {
		TAP_OK(is_whole(&answers.v[0], whole), "in one part");
		TAP_OK(is_whole(&answers.v[1], parts) && answers.v[1].status.counts.left == 98,
		       "in three parts, the numbers are those of the last one");
		TAP_OK(is_whole(&answers.v[2], late), "late");
		TAP_OK(is_whole(&answers.v[3], after_log), "after a line for the log");
		TAP_OK(is_whole(&answers.v[4], third), "the third time that it is asked");
	}
	TAP_OK(took_ms < 1500, "all at the same time (%d ms)", (int)took_ms);
	clear();
}

/* fills the queue of connections that nobody takes */
static void besiege(const char *name)
{
	char directory[256];
	int n;

	snprintf(directory, sizeof(directory), "%s/%s", top, name);
	for (n = 0; channel_connect_now(directory) >= 0; n++)
		;
	if (!n)
		abort();
}

static void test_bad(void)
{
	static const struct {
		const char *name;
		void (*fn)(int fd, unsigned int first);
		const char *error;
	} cases[] = {
		{ "10.0", answer_never, "it does not answer" },
		{ "11.0", NULL, "it does not answer" },
		{ "12.0", answer_hangup, "it hangs up without an answer" },
		{ "13.0", answer_old, "it is of a memfdcr that does not know status yet" },
		{ "14.0", answer_cut, "its answer is no JSON, or cut" },
		{ "15.0", answer_garbage, "its answer is none" },
		{ "16.0", answer_empty_parts, "its answer has no end" },
		{ "17.0", answer_long, "its answer is too long" },
		{ "18.0", log_forever, "it does not answer" },
		{ "19.0", NULL, "it does not answer" },
	};
	const size_t n = sizeof(cases) / sizeof(cases[0]);
	char error[512];
	pid_t pids[MAX_FAKES], whole;
	int ret;
	size_t i;

	for (i = 0; i < n; i++)
		pids[i] = fake(cases[i].name, cases[i].fn);
	besiege("19.0");
	whole = fake("20.0", answer_whole);
	ret = get();
	TAP_OK(!ret && answers.n == n + 1 && took_ms >= 2000 && took_ms < 3000,
	       "asking %zu that do not answer as they should takes %d ms", n, (int)took_ms);
	for (i = 0; i < n && i < answers.n; i++) {
		snprintf(error, sizeof(error), "%s: %s", cases[i].name, answers.v[i].error);
		/* whom nobody has connected to, nobody knows */
		TAP_OK(!strcmp(answers.v[i].channel, cases[i].name) && !strcmp(answers.v[i].error, cases[i].error) &&
		       answers.v[i].status.pid == (i == n - 1 ? 0 : pids[i]) && !answers.v[i].status.n_objects, "%s", error);
	}
	TAP_OK(answers.n == n + 1 && is_whole(&answers.v[n], whole), "and the one that does answer is heard");
	clear();
}

/* the real answer */

/* what serving_tell_status() sends for a request, taken apart */
static int tell(const struct serving *s, uint32_t first, struct status *status)
{
	static char message[1 << 20];
	char error[128];
	ssize_t n;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		abort();
	serving_tell_status(s, fds[1], first);
	n = channel_receive(fds[0], message, sizeof(message));
	close(fds[0]);
	if (n < 7 || strncmp(message, "status ", 7)) {
		tap_diag("%zd bytes: %.100s", n, message);
		return -ENODATA;
	}
	return status_from_json(message + 7, n - 7, status, error, sizeof(error));
}

static void test_waiting(void)
{
	struct serving s = { .since = 1234, .images = top };
	struct status status;

	TAP_OK(!tell(&s, 0, &status) && !status.n_objects && !status.counts.total, "before anything is known, there is an answer");
	status_free(&status);
	serving_list(&s, "lazy", 5 * PAGE, 3 * PAGE, NULL, -1);
	serving_list(&s, "eager", 7 * PAGE, 7 * PAGE, "of a reason", -1);
	TAP_OK(!tell(&s, 0, &status) && status.pid == getpid() && !status.serving && status.since == 1234 && !status.root &&
	       !status.next && status.directory && !strcmp(status.directory, top) && !status.elapsed_us && !status.n_spaces,
	       "who, since when, where from");
	TAP_OK(status.n_objects == 2 && !strcmp(status.objects[0].name, "lazy") && !status.objects[0].why &&
	       status.objects[0].size == 5 * PAGE && status.objects[0].counts.left == 3 * PAGE && !status.objects[0].ino &&
	       !strcmp(status.objects[1].why, "of a reason") && !status.objects[1].counts.total,
	       "what is lazy is to come, what is eager is not");
	TAP_OK(status.counts.total == 3 * PAGE && status.counts.left == 3 * PAGE, "nothing has come yet");
	status_free(&status);
	TAP_OK(!tell(&s, UINT32_MAX, &status) && !status.n_objects && !status.next, "there is nothing behind the end");
	status_free(&status);
	serving_unlist_lazy(&s);
	TAP_OK(!tell(&s, 0, &status) && status.n_objects == 1 && status.objects[0].why, "what is to come can be taken back");
	status_free(&status);
	serving_unlist(&s);
}

#define N_MANY 1000

static void test_many(void)
{
	struct status status = { 0 }, part;
	struct serving s = { 0 };
	size_t i, wrong = 0;
	unsigned int n = 0;
	char longest[250];
	int ret;

	/* the longest that memfd_create() takes, and each of its bytes becomes six */
	memset(longest, 1, 249);
	longest[249] = '\0';
	for (i = 0; i < N_MANY; i++)
		serving_list(&s, longest, i, i, NULL, -1);
	do {
		ret = tell(&s, status.next, &part);
		if (!ret && part.next && part.next <= status.next)
			ret = -ELOOP;
		if (!ret)
			ret = status_append(&status, &part);
		n++;
	} while (!ret && status.next);
	for (i = 0; !ret && i < status.n_objects; i++)
		wrong += status.objects[i].size != i || strcmp(status.objects[i].name, longest);
	TAP_OK(!ret && status.n_objects == N_MANY && !wrong && n > 5 && n < 100, "%d objects in %u parts", N_MANY, n);
	status_free(&status);
	serving_unlist(&s);
}

/* nobody reads what is sent, or nobody is there any more */
static void test_nobody_reads(void)
{
	const struct serving s = { 0 };
	const int small = 0;
	int64_t begin;
	int fds[2], fill;

	begin = clock_ns(CLOCK_MONOTONIC);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
		abort();
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fill = dup(fds[1]);
	while (send(fill, "x", 1, MSG_DONTWAIT) == 1)
		;
	serving_tell_status(&s, fds[1], 0);
	close(fill);
	close(fds[0]);
	TAP_OK(clock_ns(CLOCK_MONOTONIC) - begin < NS_PER_S, "whoever does not read keeps nobody");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
		abort();
	close(fds[0]);
	serving_tell_status(&s, fds[1], 0);
	TAP_OK(fcntl(fds[1], F_GETFD) < 0 && errno == EBADF, "nor does whoever has gone, and the connection is closed");
}

/* asks while the pager runs, from its watched descriptor, as the daemon is asked */
struct scene {
	struct rig rig;
	struct serving serving;
	struct status during;
	unsigned int asked, inconsistent;
	int pipe[2];
};

static bool adds_up(const struct status_counts *c)
{
	return c->total == c->left + c->by_fault + c->background + c->dropped + c->holes + c->damaged;
}

static bool all_add_up(const struct status *s)
{
	struct status_counts sum = { 0 };
	size_t i;

	for (i = 0; i < s->n_objects; i++) {
		const struct status_counts *c = &s->objects[i].counts;

		if (!adds_up(c))
			return false;
		sum.total += c->total;
		sum.left += c->left;
		sum.by_fault += c->by_fault;
		sum.background += c->background;
		sum.dropped += c->dropped;
		sum.faults += c->faults;
	}
	return adds_up(&s->counts) && sum.total == s->counts.total && sum.left == s->counts.left &&
	       sum.by_fault == s->counts.by_fault && sum.background == s->counts.background &&
	       sum.dropped == s->counts.dropped && sum.faults <= s->counts.faults;
}

static void ask_during(void *data, int fd)
{
	struct scene *scene = data;
	struct status status;
	char c;

	if (read(fd, &c, 1) != 1 || tell(&scene->serving, 0, &status))
		abort();
	scene->asked++;
	scene->inconsistent += !all_add_up(&status);
	status_free(&scene->during);
	scene->during = status;
}

/* touches the first object page by page, and has the pager asked at each tenth; leaves the second one alone */
static int touch(struct rig *rig, void *arg)
{
	struct scene *scene = arg;
	unsigned char *map = child_map(rig, &rig->objects[0], 0, rig->objects[0].pages), sum = 0;
	uint64_t i;

	child_map(rig, &rig->objects[1], 0, rig->objects[1].pages);
	child_arm(rig);
	for (i = 0; i < rig->objects[0].pages; i++) {
		sum += *(volatile unsigned char *)(map + i * PAGE);
		if (i % 10 == 0 && write(scene->pipe[1], "", 1) != 1)
			return 1;
	}
	return sum == 1 && !check_pages(&rig->objects[0], map, 0, i);
}

/* as serving_begin() and serving_add_object() leave it, but the pager is the rig's */
static void make_serving(struct scene *scene)
{
	static struct serving_object objects[2];
	struct serving *s = &scene->serving;
	unsigned int i;

	serving_list(s, "third", 1, 1, "reason", -1);
	for (i = 0; i < 2; i++) {
		objects[i] = (struct serving_object){ .dev = 1, .ino = scene->rig.objects[i].inode };
		serving_list(s, i ? "second" : "first", scene->rig.objects[i].size, 0, NULL, i);
	}
	s->objects = objects;
	s->n_objects = 2;
	s->pager = scene->rig.pager;
	serving_process(scene->rig.children[0].pid, &s->root);
}

static void check_during(const struct scene *scene, bool background)
{
	const struct status *s = &scene->during;

	TAP_OK(scene->asked && !scene->inconsistent, "asked %u times while it runs, %s: the numbers add up", scene->asked,
	       background ? "with background" : "faults only");
	/* the background may have been faster */
	TAP_OK(s->n_objects == 3 && s->objects[1].ino == scene->rig.objects[0].inode && (background || s->objects[1].counts.faults) &&
	       !s->objects[2].counts.by_fault && !s->objects[2].counts.faults && !s->objects[0].ino &&
	       s->objects[1].counts.total == 300 * PAGE, "each object has its own");
	TAP_OK(s->serving && s->root == scene->rig.children[0].pid && *s->command && s->n_spaces == 1 &&
	       s->spaces[0].pid == s->root && strstr(s->spaces[0].name, "#0 (") &&
	       s->elapsed_us, "whose memory it serves, and since when: %s", s->n_spaces ? s->spaces[0].name : "");
}

static void test_serving(bool background)
{
	static struct scene scene;
	struct status after;
	int rc;

	memset(&scene, 0, sizeof(scene));
	if (pipe(scene.pipe))
		abort();
	rig_new(&scene.rig, background);
	rig_object(&scene.rig, 300 * PAGE, DENSE);
	rig_object(&scene.rig, 40 * PAGE, DENSE);
	rig_spawn(&scene.rig, touch, &scene);
	rig_arm(&scene.rig);
	make_serving(&scene);
	if (pager_watch_fd(scene.rig.pager, scene.pipe[0], ask_during, &scene))
		abort();
	rc = rig_run(&scene.rig);
	TAP_OK(rig_children_ok(&scene.rig) && rc == (background ? 0 : -ESRCH), "a pager runs to its end");
	check_during(&scene, background);
	TAP_OK(!tell(&scene.serving, 0, &after) && all_add_up(&after) && !after.n_spaces &&
	       after.counts.left == (background ? 0 : 40 * PAGE) && after.counts.total == 340 * PAGE &&
	       after.counts.faults == scene.rig.stats.faults, "and at the end they are those of the summary");
	status_free(&after);
	status_free(&scene.during);
	serving_unlist(&scene.serving);
	rig_end(&scene.rig);
	close(scene.pipe[0]);
	close(scene.pipe[1]);
}

/* requests to a pager that runs: while some connect and say nothing, others are answered, and faults are */

struct asker {
	struct rig rig;
	struct serving serving;
	char directory[256];
};

/* what comes next from a connection: its first bytes are answer; "": it has been closed */
static bool next_is(int fd, const char *answer)
{
	const struct timeval patience = { .tv_sec = 2 };
	char text[CHANNEL_MESSAGE_MAX];
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	n = channel_receive(fd, text, sizeof(text));
	return *answer ? n > 0 && !strncmp(text, answer, strlen(answer)) : !n || n == -ECONNRESET;
}

static bool asks(const char *directory, const char *request, const char *answer)
{
	int fd = channel_connect(directory);
	bool ok = fd >= 0 && !channel_send(fd, "%s", request) && next_is(fd, answer);

	close(fd);
	return ok;
}

#define N_SILENT (3 * SERVING_MAX_SILENT)

/* connections that say nothing, with a fault behind each, and requests in between */
static int ask_in_many_ways(struct rig *rig, void *arg)
{
	const struct asker *a = arg;
	unsigned char *map = child_map(rig, &rig->objects[0], 0, rig->objects[0].pages);
	int fds[N_SILENT], i;

	child_arm(rig);
	for (i = 0; i < N_SILENT; i++) {
		fds[i] = channel_connect(a->directory);
		if (fds[i] < 0 || !check_page(&rig->objects[0], map + i * PAGE, i))
			return 1;
		if (i % 20 == 19 && !asks(a->directory, "status 0", "status {"))
			return 2;
	}
	if (!asks(a->directory, "nonsense", "") || !asks(a->directory, "arm 1", "result 0") ||
	    !asks(a->directory, "what 1", "result 1"))
		return 3;
	/* too many of them: the older ones are closed, the newer ones may still ask */
	if (!next_is(fds[0], "") || channel_send(fds[N_SILENT - 1], "status 0") || !next_is(fds[N_SILENT - 1], "status {"))
		return 4;
	return !check_pages(&rig->objects[0], map, 0, rig->objects[0].pages);
}

static void test_requests(void)
{
	static struct asker a;
	int64_t begin;
	int rc;

	snprintf(a.directory, sizeof(a.directory), "%s/9.9", top);
	if (mkdir(a.directory, 0700))
		abort();
	a.serving.listen_fd = channel_listen(a.directory);
	rig_new(&a.rig, false);
	a.rig.config.cluster = PAGE;
	rig_object(&a.rig, 300 * PAGE, DENSE);
	rig_spawn(&a.rig, ask_in_many_ways, &a);
	rig_arm(&a.rig);
	a.serving.pager = a.rig.pager;
	TAP_OK(a.serving.listen_fd >= 0 && !serving_listen(&a.serving), "a pager takes requests");
	begin = clock_ns(CLOCK_MONOTONIC);
	rc = rig_run(&a.rig);
	TAP_OK(!rc && rig_children_ok(&a.rig), "it answers those who ask, and serves faults, whoever else says nothing");
	TAP_OK(clock_ns(CLOCK_MONOTONIC) - begin < 5 * NS_PER_S, "without waiting for these");
	close(a.serving.listen_fd);
	close(a.serving.requests_fd);
	close(a.serving.spare_fd);
	rig_end(&a.rig);
}

int main(int argc, char **argv)
{
	if (geteuid()) {
		tap_skip("daemons answer root only");
		return tap_done();
	}
	rig_seed(argc, argv);
	if (!mkdtemp(top))
		return 1;
	test_none();
	test_refused();
	test_good();
	test_bad();
	test_waiting();
	test_many();
	test_nobody_reads();
	if (have_userfaultfd()) {
		test_serving(false);
		test_serving(true);
		test_requests();
	} else {
		tap_skip("no userfaultfd");
	}
	pager_answers_free(&answers);
	clear();
	rmdir(top);
	return tap_done();
}
