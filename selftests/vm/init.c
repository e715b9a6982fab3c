// SPDX-License-Identifier: GPL-2.0-only
/*
 * PID 1 of a guest: goes from the initramfs to the root disk, runs one command and reports how it ended.
 *
 * It talks to selftests/vm/run by two virtio ports, away from the console: the first carries what the command
 * prints, byte for byte, the second one line, the verdict: "exit N", "signal N" or "lost REASON". A guest that ends
 * without a verdict is lost too, so every way out of here that is not finish() simply ends.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAYLOAD		"/mnt/.memfdcr"
/* The host keeps the output in a file until the end of the run: a command that never stops must not fill its disk. */
#define OUTPUT_MAX	(1ULL << 30)

static int output_port, verdict_port = -1, kmsg;
static unsigned long long output_bytes;

static void write_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		len -= n;
	}
}

__attribute__((noreturn, format(printf, 1, 2)))
static void finish(const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (verdict_port >= 0)
		write_all(verdict_port, line, len);
	write_all(STDERR_FILENO, line, len);
	/* QEMU runs with -no-reboot, so this ends it; unlike a power-off it needs nothing from ACPI. */
	reboot(RB_AUTOBOOT);
	_exit(1);
}

static void must(bool ok, const char *what)
{
	if (!ok)
		finish("lost init: %s: %s", what, strerror(errno));
}

/* The initramfs: modules come numbered in the order they want to be loaded in. */

static int load_module(const char *path, const char *parameters)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -1;
	ret = syscall(SYS_finit_module, fd, parameters, 0);
	close(fd);
	return ret;
}

static void load_boot_modules(void)
{
	char path[64];

	for (int i = 0; ; i++) {
		snprintf(path, sizeof(path), "/modules/%d.ko", i);
		if (access(path, F_OK))
			return;
		must(!load_module(path, "") || errno == EEXIST, path);
	}
}

static void mount_disk(const char *disk, const char *where)
{
	/* The disk's driver may still be probing. */
	for (int i = 0; i < 1000 && access(disk, F_OK); i++)
		usleep(10000);
	must(!mount(disk, where, "ext4", MS_NOATIME, NULL), disk);
}

static void enter_root(void)
{
	mkdir("/dev", 0755);
	must(!mount("dev", "/dev", "devtmpfs", 0, NULL), "/dev");
	load_boot_modules();
	mkdir("/root", 0755);
	mount_disk("/dev/vda", "/root");
	must(!chdir("/root") && !mount(".", "/", NULL, MS_MOVE, NULL) && !chroot(".") && !chdir("/"), "switch root");
}

/* The root. */

static void mount_all(void)
{
	static const struct {
		const char *type, *where, *options;
		bool optional;
	} mounts[] = {
		{ "devtmpfs", "/dev", "", false },
		{ "proc", "/proc", "", false },
		{ "sysfs", "/sys", "", false },
		{ "devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666", false },
		{ "tmpfs", "/dev/shm", "mode=1777", false },
		{ "tmpfs", "/run", "mode=755", false },
		{ "tmpfs", "/tmp", "mode=1777", false },
		{ "cgroup2", "/sys/fs/cgroup", "", false },
		{ "debugfs", "/sys/kernel/debug", "", false },
		{ "tracefs", "/sys/kernel/tracing", "", false },
		{ "hugetlbfs", "/dev/hugepages", "", true },
		{ "mqueue", "/dev/mqueue", "", true },
	};

	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		mkdir(mounts[i].where, 0755);
		must(!mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, mounts[i].options) ||
		     mounts[i].optional, mounts[i].where);
	}
	symlink("/proc/self/fd", "/dev/fd");
	symlink("fd/0", "/dev/stdin");
	symlink("fd/1", "/dev/stdout");
	symlink("fd/2", "/dev/stderr");
	mkdir("/run/lock", 01777);
}

static void bring_lo_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && !ioctl(fd, SIOCSIFFLAGS, &request), "lo");
	close(fd);
}

/* The port that QEMU's command line gave this name; there is no udev to make a link from it. */
static int open_port(const char *name)
{
	char path[300], found[64];

	/* The host announces its ports only after the driver is there. */
	for (int i = 0; i < 1000; i++, usleep(10000)) {
		DIR *dir = opendir("/sys/class/virtio-ports");

		for (struct dirent *d; dir && (d = readdir(dir));) {
			int fd;
			ssize_t n;

			snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", d->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			n = fd < 0 ? -1 : read(fd, found, sizeof(found) - 1);
			if (fd >= 0)
				close(fd);
			if (n != (ssize_t)strlen(name) + 1 || strncmp(found, name, n - 1))
				continue;
			snprintf(path, sizeof(path), "/dev/%s", d->d_name);
			closedir(dir);
			return open(path, O_WRONLY | O_CLOEXEC);
		}
		if (dir)
			closedir(dir);
	}
	errno = ENODEV;
	return -1;
}

static void open_channels(void)
{
	verdict_port = open_port("verdict");
	must(verdict_port >= 0, "verdict port");
	output_port = open_port("output");
	must(output_port >= 0, "output port");
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	must(kmsg >= 0, "/dev/kmsg");
}

static unsigned int read_number(const char *path)
{
	unsigned int number = 0;
	FILE *file = fopen(path, "r");

	must(file && fscanf(file, "%u", &number) == 1, path);
	fclose(file);
	return number;
}

/* Runs a helper of the root and waits for it; its output goes to the console. */
static void run_helper(char *const argv[])
{
	int status = 0;
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (!pid) {
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR, "waitpid");
	if (status)
		finish("lost %s %s failed, see the console", argv[0], argv[1]);
}

static bool unpack(const char *archive)
{
	if (access(archive, F_OK))
		return false;
	run_helper((char *[]){ "tar", "-x", "--keep-directory-symlink", "-C", "/", "-f", (char *)archive, NULL });
	return true;
}

static void install_build(void)
{
	unpack(PAYLOAD "/tool.tar");
	if (unpack(PAYLOAD "/module.tar"))
		run_helper((char *[]){ "modprobe", "memfdcr", NULL });
}

/* The kernel's log, read all the time so that its ring never runs over what we have not seen. */

static const char *const trouble[] = {
	"WARNING:", "BUG:", "kernel BUG at", "Oops", "Kernel panic", "Call Trace:", "soft lockup", "hard LOCKUP",
	"blocked for more than", "detected stall", "KASAN:", "KCSAN:", "UBSAN:", "KFENCE:", "possible recursive locking",
	"possible circular locking", "suspicious RCU usage", "refcount_t:", "ODEBUG:", "bad unlock balance",
	"held lock freed", "inconsistent lock state", "lockdep is turned off",
};

static bool says(const char *line, const char *word)
{
	for (const char *at = line; (at = strstr(at, word)); at++)
		if (at == line || at[-1] < 'A' || at[-1] > 'Z')		/* BUG: but not DEBUG: */
			return true;
	return false;
}

/*
 * Where it finds no memory for vmalloc() the kernel says from where it was called. That is nobody's mistake, least of
 * all where the failure is injected: the one trace after that line is no trouble.
 */
static bool is_excused(const char *line)
{
	static bool excused;
	bool was = excused;

	if (strstr(line, ": vmalloc error: size "))
		excused = true;
	else if (strstr(line, "Call Trace:"))
		excused = false;
	return was && !excused;
}

static void check_log(void)
{
	char record[8192];

	for (;;) {
		ssize_t n = read(kmsg, record, sizeof(record) - 1);
		char *text;

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno == EPIPE)
			finish("lost the kernel's log ran over before it was checked (raise log_buf_len=)");
		must(n > 0, "/dev/kmsg");
		record[n] = '\0';
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		text[strcspn(text, "\n")] = '\0';
		if (is_excused(text))
			continue;
		for (size_t i = 0; i < sizeof(trouble) / sizeof(trouble[0]); i++) {
			if (!says(text, trouble[i]))
				continue;
			/* Let what belongs to it, a trace say, reach the console. */
			sleep(1);
			finish("lost kernel log: %.400s", text);
		}
	}
}

/* Out of tree and unsigned is what our module may be, and nothing else; a kernel without signatures misses none. */
static void check_taint(void)
{
	unsigned int taint = read_number("/proc/sys/kernel/tainted");

	if (taint & ~12288U)
		finish("lost kernel tainted: %u", taint);
}

/* The lock checker gives up at the first thing it finds, or for want of room: nothing has been checked since then. */
static void check_lockdep(void)
{
	char line[128];
	FILE *file = fopen("/proc/lockdep_stats", "r");
	int on;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " debug_locks: %d", &on) == 1 && !on)
			finish("lost lockdep has switched itself off");
	if (file)
		fclose(file);
}

/* Where everything waits, on the console: the first question about a command that does not end. */

static void copy_to_console(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0)
		write_all(STDERR_FILENO, text, n);
	if (fd >= 0)
		close(fd);
}

static void show_waiters(void)
{
	DIR *dir = opendir("/proc");
	char path[300], exe[2];

	for (struct dirent *d; dir && (d = readdir(dir));) {
		if (d->d_name[0] < '1' || d->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/exe", d->d_name);
		if (readlink(path, exe, sizeof(exe)) < 0)	/* a kernel thread, a zombie */
			continue;
		dprintf(STDERR_FILENO, "process %s ", d->d_name);
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		copy_to_console(path);
		snprintf(path, sizeof(path), "/proc/%s/stack", d->d_name);
		copy_to_console(path);
	}
	if (dir)
		closedir(dir);
}

/* What the kernel still has when everything has ended. */

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

static void tell_kmemleak(const char *what)
{
	int fd = open(KMEMLEAK, O_WRONLY | O_CLOEXEC);

	must(fd >= 0 && write(fd, what, strlen(what)) > 0, KMEMLEAK);
	close(fd);
}

/*
 * Memory that nothing points to any more, on kernels that know (CONFIG_DEBUG_KMEMLEAK). What nothing points to while the
 * module is loaded, nothing points to without it. The kernel does not suspect what is younger than five seconds, nor
 * what the first scan finds: that may have been on the move. A scan takes a minute without KVM.
 */
static void check_leaks(void)
{
	char first[256] = "";
	FILE *file;

	if (access(KMEMLEAK, F_OK))
		return;
	sleep(6);
	tell_kmemleak("scan");
	tell_kmemleak("scan");
	file = fopen(KMEMLEAK, "r");
	must(file, KMEMLEAK);
	if (fgets(first, sizeof(first), file)) {
		first[strcspn(first, "\n")] = '\0';
		copy_to_console(KMEMLEAK);
		finish("lost memory leaked: %s", first);
	}
	fclose(file);
}

/* Whoever still runs ends; what their ends set off takes a while. */
static void end_everybody(void)
{
	kill(-1, SIGKILL);
	for (int i = 0; i < 6000; i++, usleep(10000)) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
	}
	show_waiters();
	finish("lost a killed process does not end");
}

/* Nobody is left who could have something of the module's, so it goes. */
static void unload_module(void)
{
	for (int i = 0; i < 3000; i++, usleep(10000)) {
		if (!syscall(SYS_delete_module, "memfdcr", O_NONBLOCK) || errno == ENOENT)
			return;
		if (errno != EAGAIN && errno != EBUSY)
			break;
	}
	finish("lost the module cannot be unloaded when every process has ended: %s", strerror(errno));
}

static void check_rest(void)
{
	end_everybody();
	unload_module();
	check_leaks();
}

/* The command. */

static char **read_command(void)
{
	static char text[128 * 1024];
	static char *argv[4096];
	int fd = open(PAYLOAD "/command", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	size_t argc = 0;

	must(len > 0, PAYLOAD "/command");
	close(fd);
	for (char *at = text; at < text + len && argc < 4095; at += strlen(at) + 1)
		argv[argc++] = at;
	return argv;
}

static pid_t start_command(int output)
{
	char **argv = read_command();
	sigset_t none;
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid)
		return pid;
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGCHLD, SIG_DFL);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	if (chdir("/mnt"))
		_exit(127);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Passes on what is in the pipe now; false when there is nothing. */
static bool pass_output(int pipe_end)
{
	static char buffer[65536];
	ssize_t n = read(pipe_end, buffer, sizeof(buffer));

	if (n <= 0)
		return false;
	write_all(output_port, buffer, n);
	output_bytes += n;
	if (output_bytes > OUTPUT_MAX)
		finish("lost more than %llu bytes of output", OUTPUT_MAX);
	return true;
}

/* Whatever the command left behind ends up as a child of ours. */
static bool reap(pid_t command, int *status)
{
	bool over = false;
	pid_t pid;
	int s;

	while ((pid = waitpid(-1, &s, WNOHANG)) > 0) {
		if (pid == command) {
			*status = s;
			over = true;
		}
	}
	return over;
}

static void on_signal(int number)
{
	(void)number;
}

static time_t uptime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/*
 * The pipe outlives the command when something it started still has it open, so the end is the command's death, not
 * the end of the pipe.
 */
static int run_command(void)
{
	sigset_t child, before;
	unsigned int seconds = read_number(PAYLOAD "/seconds");
	int ends[2], status = 0;
	time_t start;
	pid_t command;

	must(!pipe2(ends, O_CLOEXEC), "pipe");
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	signal(SIGCHLD, on_signal);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &before);
	dprintf(STDERR_FILENO, "init: command starts\n");
	start = uptime();
	command = start_command(ends[1]);
	/* Our own copy of ends[1] stays open: no end of file to spin on. */
	while (!reap(command, &status)) {
		struct pollfd fds[] = { { ends[0], POLLIN, 0 }, { kmsg, POLLIN, 0 } };

		if (uptime() - start > seconds) {
			show_waiters();
			finish("lost no end within %u s", seconds);
		}
		if (ppoll(fds, 2, &(struct timespec){ .tv_sec = 1 }, &before) <= 0)
			continue;
		if (fds[0].revents)
			pass_output(ends[0]);
		if (fds[1].revents)
			check_log();
	}
	while (pass_output(ends[0]))
		;
	return status;
}

int main(void)
{
	int status;

	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LANG", "C.UTF-8", 1);
	setenv("TERM", "dumb", 1);
	umask(022);
	enter_root();
	umask(0);
	mount_all();
	umask(022);
	open_channels();
	sethostname("memfdcr", 7);
	bring_lo_up();
	mount_disk("/dev/vdb", "/mnt");
	install_build();
	check_log();

	status = run_command();

	check_log();
	check_rest();
	check_log();
	check_taint();
	check_lockdep();
	if (WIFSIGNALED(status))
		finish("signal %d", WTERMSIG(status));
	finish("exit %d", WEXITSTATUS(status));
}
