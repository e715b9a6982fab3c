// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of user/restore: the hook's runs and its daemon, with this program in CRIU's place and no module: what is eager and
 * with which words, what is refused, and that nothing is left behind, whoever dies. Needs root for mount(2).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/config.h"
#include "image_maker.h"
#include "netlink/genl.h"
#include "serve/channel.h"
#include "status/ask.h"
#include "restore/hide.h"
#include "restore/hook.h"
#include "tap.h"

static char top[] = "/tmp/memfdcr-hook-XXXXXX";
static char images[64], work[64];
static int images_fd;

/* what the last run of the hook printed */
static char said[4096];

/* one run of the hook by process criu, as CRIU does it: no standard input, output to a log, its work directory */
static int run_hook(pid_t criu, int dirfd, const char *action, pid_t root)
{
	int out[2], status;
	size_t n = 0;
	ssize_t got;
	pid_t child;

	if (pipe2(out, O_CLOEXEC))
		abort();
	child = fork();
	if (!child) {
		char text[64];
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		/* the daemon is forked, not executed, here: it must not keep what CRIU would have closed */
		close(out[0]);
		close(out[1]);
		close(null);
		snprintf(text, sizeof(text), "/proc/%d/fd/%d", criu, dirfd);
		setenv("CRTOOLS_IMAGE_DIR", text, 1);
		snprintf(text, sizeof(text), "%d", root);
		if (root)
			setenv("CRTOOLS_INIT_PID", text, 1);
		if (chdir(work))
			abort();
		_exit(hook_run(action));
	}
	close(out[1]);
	while (n < sizeof(said) - 1 && (got = read(out[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += got;
	/* the last line ends where the name of a test would go on */
	if (n && said[n - 1] == '\n')
		n--;
	said[n] = '\0';
	close(out[0]);
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* a process in CRIU's place that does nothing but hold the image directory, for tests that kill it */
static pid_t fake_criu(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

static bool run_is_empty(void)
{
	DIR *dir = opendir(CHANNEL_ROOT);
	struct dirent *entry;
	bool empty = true;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			empty = false;
	if (dir)
		closedir(dir);
	return empty;
}

/* the daemon ends in its own time; this is no measure of speed */
static bool daemon_ends(void)
{
	int i;

	for (i = 0; i < 1000 && !run_is_empty(); i++)
		usleep(10000);
	return run_is_empty();
}

static void make_images(void)
{
	struct world w;

	dir_clear(images_fd);
	world_init(&w);
	world_write(&w, images_fd);
}

static bool log_says(const char *text)
{
	char path[128], content[8192];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/memfdcr-restore.log", work);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	n = read(fd, content, sizeof(content) - 1);
	close(fd);
	unlink(path);
	content[n < 0 ? 0 : n] = '\0';
	return strstr(content, text);
}

static void configure(const char *text)
{
	FILE *f = fopen(CONFIG_PATH, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		abort();
}

static void test_eager(void)
{
	int ret;

	make_images();
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(!ret && strstr(said, "memfdcr: eager restore: the memfdcr module is not loaded"), "without the module CRIU goes on: %s",
	       strstr(said, "memfdcr:") ? strstr(said, "memfdcr:") : said);
	TAP_OK(!hide_present(images_fd), "and sees its own images");
	TAP_OK(!run_is_empty(), "the daemon is there");
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(!ret && !*said, "a second run of the same stage, from a second configuration file, has nothing to do");
	ret = run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(!ret && !*said, "post-restore has nothing to do and nothing to say");
	ret = run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(!ret && !*said, "nor a second time");
	TAP_OK(daemon_ends(), "the daemon has ended");
	TAP_OK(log_says("\"data\": eager, nothing is lazy in this restore"), "the log names the objects");

	configure("min-size = 1G\n");
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(!ret && !*said, "no object can be lazy: nothing to say");
	run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(daemon_ends() && log_says("\"data\": eager, it is smaller than"), "the log says why an object is eager");

	configure("lazy = no\nmin-size = 4096\n");
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(!ret && strstr(said, "eager restore: switched off in /etc/memfdcr.conf"), "lazy = no switches off");
	run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(daemon_ends(), "and the daemon ends");

	configure("min-sighs = 4096\n");
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(!ret && strstr(said, "/etc/memfdcr.conf:1: not a setting"), "an error in the configuration is reported");
	run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(daemon_ends(), "and does not stop the restore");
	configure("min-size = 4096\n");
}

/* what the daemon says of itself, while CRIU restores */
static void test_status(void)
{
	struct pager_answers answers;
	const struct status *status;
	char error[256];

	make_images();
	configure("min-size = 1G\n");
	TAP_OK(!run_hook(getpid(), images_fd, "pre-restore", 0), "a restore begins");
	TAP_OK(!pager_answers_get(CHANNEL_ROOT, &answers, error, sizeof(error)) && answers.n == 1 && !*answers.v[0].error,
	       "its daemon answers");
	status = answers.n ? &answers.v[0].status : &(const struct status){ 0 };
	TAP_OK(status->pid > 1 && status->pid != getpid() && !status->serving && !status->root && status->directory &&
	       !strcmp(status->directory, images) && (uint64_t)time(NULL) - status->since < 100, "who it is, since when, from where");
	TAP_OK(status->n_objects && status->objects[0].why && strstr(status->objects[0].why, "it is smaller than") &&
	       !status->counts.total && !status->n_spaces, "what is not lazy, and why");
	pager_answers_free(&answers);
	run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(daemon_ends() && !pager_answers_get(CHANNEL_ROOT, &answers, error, sizeof(error)) && !answers.n,
	       "it ends, and nobody answers any more");
	pager_answers_free(&answers);
	configure("min-size = 4096\n");
}

static void test_criu_dies(void)
{
	pid_t criu = fake_criu();
	int lock = open(images, O_RDONLY | O_DIRECTORY);

	make_images();
	TAP_OK(!run_hook(criu, images_fd, "pre-restore", 0), "a restore begins");
	TAP_OK(flock(lock, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK, "its directory is locked");
	kill(criu, SIGKILL);
	waitpid(criu, NULL, 0);
	TAP_OK(daemon_ends(), "CRIU is killed: the daemon ends");
	TAP_OK(!flock(lock, LOCK_EX | LOCK_NB), "the directory is free");
	close(lock);
}

static void test_two(void)
{
	pid_t one = fake_criu(), two = fake_criu();

	make_images();
	TAP_OK(!run_hook(one, images_fd, "pre-restore", 0) && !run_hook(two, images_fd, "pre-restore", 0),
	       "two eager restores read one directory");
	kill(one, SIGKILL);
	kill(two, SIGKILL);
	waitpid(one, NULL, 0);
	waitpid(two, NULL, 0);
	TAP_OK(daemon_ends(), "both daemons end");
}

/* who hides is alone: the next one waits */
static void test_waits(void)
{
	/* in this order: who is forked with the lock open keeps it */
	pid_t waiter, criu = fake_criu();
	int status, lock = open(images, O_RDONLY | O_DIRECTORY);

	make_images();
	if (flock(lock, LOCK_EX))
		abort();
	waiter = fork();
	if (!waiter) {
		close(lock);
		_exit(run_hook(criu, images_fd, "pre-restore", 0) || !strstr(said, "waiting until it has read it"));
	}
	usleep(300000);
	TAP_OK(!waitpid(waiter, &status, WNOHANG), "a restore waits for one that hides content");
	close(lock);
	waitpid(waiter, &status, 0);
	TAP_OK(WIFEXITED(status) && !WEXITSTATUS(status), "then goes on, and has said that it waited");
	kill(criu, SIGKILL);
	waitpid(criu, NULL, 0);
	TAP_OK(daemon_ends(), "its daemon ends");
}

static void test_damaged(void)
{
	int ret;

	make_images();
	dir_truncate(images_fd, "pages-3.img", 4096);
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(ret == 1 && strstr(said, "pages-3.img") && strstr(said, "refused"), "a cut pages file is refused: %.300s",
	       strstr(said, "memfdcr:") ? strstr(said, "memfdcr:") : said);
	TAP_OK(daemon_ends(), "no daemon stays");

	dir_clear(images_fd);
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(!ret && strstr(said, "eager restore: "), "a directory without images is CRIU's business");
	run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(daemon_ends(), "no daemon stays then either");
}

/* stubs are mounted and the daemon is gone, as after kill -9 of it */
static void leave_stubs(pid_t criu, char *directory, size_t size)
{
	char scratch[PATH_MAX];
	pid_t child;

	if (channel_make_directory(criu, directory, size) || hide_mark(directory))
		abort();
	snprintf(scratch, sizeof(scratch), "%s/stubs", top);
	child = fork();
	if (!child) {
		struct hide *h = hide_new(images_fd, scratch);

		if (!h || hide_file(h, "pagemap-shmem-7.img"))
			_exit(1);
		raise(SIGKILL);
	}
	waitpid(child, NULL, 0);
	umount2(scratch, MNT_DETACH);
	rmdir(scratch);
}

static void test_daemon_dies(void)
{
	char directory[PATH_MAX];
	pid_t criu;
	int ret;

	make_images();
	leave_stubs(getpid(), directory, sizeof(directory));
	TAP_OK(hide_present(images_fd) == 1, "a daemon was killed and has left stubs");
	ret = run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(ret == 1 && strstr(said, "the restore is given up"), "post-restore stops CRIU");
	TAP_OK(!hide_present(images_fd) && run_is_empty(), "and has cleaned up");

	criu = fake_criu();
	leave_stubs(criu, directory, sizeof(directory));
	kill(criu, SIGKILL);
	waitpid(criu, NULL, 0);
	channel_remove(directory);
	ret = run_hook(getpid(), images_fd, "pre-restore", 0);
	TAP_OK(!ret && strstr(said, "took away 1 stubs"), "the next restore takes stubs away");
	TAP_OK(!hide_present(images_fd), "and CRIU sees its own images");
	run_hook(getpid(), images_fd, "post-restore", getpid());
	TAP_OK(daemon_ends(), "no daemon stays");
}

static void test_other_stages(void)
{
	static const char *const stages[] = { "pre-dump", "post-dump", "network-lock", "network-unlock", "setup-namespaces",
					      "post-setup-namespaces", "pre-resume", "post-resume", "a-stage-to-come" };
	size_t i;

	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		TAP_OK(!run_hook(getpid(), images_fd, stages[i], getpid()) && !*said, "%s: nothing to do", stages[i]);
	TAP_OK(!run_hook(getpid(), images_fd, "post-restore", getpid()), "post-restore without a pre-restore: nothing to do");
}

int main(void)
{
	char path[128];
	struct genl *g;

	if (geteuid()) {
		tap_skip("mount(2) needs root");
		return tap_done();
	}
	g = genl_open();
	if (g) {
		genl_close(g);
		tap_skip("the memfdcr module is loaded here: these tests are about a machine without it");
		return tap_done();
	}
	/* whatever goes wrong here stays here */
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", "/run", "tmpfs", 0, NULL) || mount("none", "/etc", "tmpfs", 0, NULL) || !mkdtemp(top))
		return 1;
	configure("min-size = 4096\n");
	snprintf(images, sizeof(images), "%s/images", top);
	snprintf(work, sizeof(work), "%s/work", top);
	if (mkdir(images, 0700) || mkdir(work, 0700))
		return 1;
	images_fd = open(images, O_RDONLY | O_DIRECTORY);

	test_eager();
	test_status();
	test_criu_dies();
	test_two();
	test_waits();
	test_damaged();
	test_daemon_dies();
	test_other_stages();

	snprintf(path, sizeof(path), "rm -rf %s", top);
	return system(path) ? 1 : tap_done();
}
