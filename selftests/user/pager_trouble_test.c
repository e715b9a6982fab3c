// SPDX-License-Identifier: GPL-2.0-only
/* The pager when something goes wrong: processes that vanish, images that cannot be read, no memory, lies. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pager_fixture.h"
#include "tap.h"

static int open_timer(unsigned int ms)
{
	struct itimerspec when = { .it_value = { ms / 1000, ms % 1000 * 1000000L } };
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0)
		timerfd_settime(fd, 0, &when, NULL);
	return fd;
}

static void stop_pager(void *data, int fd)
{
	uint64_t ticks;

	if (read(fd, &ticks, sizeof(ticks)) > 0)
		pager_stop(((struct rig *)data)->pager);
}

/* --- processes that vanish --- */

static int exits(struct rig *rig, void *arg)
{
	unsigned char *map = child_map(rig, &rig->objects[0], 0, 100);

	(void)arg;
	child_arm(rig);
	return !check_pages(&rig->objects[0], map, 0, 3);
}

static int execs(struct rig *rig, void *arg)
{
	unsigned char *map = child_map(rig, &rig->objects[0], 0, 100);

	(void)arg;
	child_arm(rig);
	if (!check_page(&rig->objects[0], map + 40 * PAGE, 40))
		return 1;
	execl("/bin/sh", "sh", "-c", "sleep 2", (char *)NULL);
	return 2;
}

static int waits_and_looks(struct rig *rig, void *microseconds)
{
	unsigned char *map = child_map(rig, &rig->objects[0], 0, rig->objects[0].pages);

	child_arm(rig);
	usleep((useconds_t)(uintptr_t)microseconds);
	return !check_pages(&rig->objects[0], map, 0, rig->objects[0].pages);
}

static void *touch_thread(void *arg)
{
	return (void *)(uintptr_t)*(volatile unsigned char *)arg;
}

/* threads that wait for a page when the process is killed */
static int is_killed(struct rig *rig, void *arg)
{
	unsigned char *map = child_map(rig, &rig->objects[0], 0, 100);
	pthread_t id;

	(void)arg;
	child_arm(rig);
	for (int i = 0; i < 20; i++)
		if (pthread_create(&id, NULL, touch_thread, map + i * 5 * PAGE))
			return 1;
	kill(getpid(), SIGKILL);
	return 2;
}

static void test_vanishing(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, false);
	rig_object(&rig, 100 * PAGE, DENSE);
	rig_spawn(&rig, exits, NULL);
	rig_spawn(&rig, exits, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -ESRCH && rig.stats.bytes_left && !rig.stats.spaces && rig_children_ok(&rig),
	       "all processes exit while pages are missing: ESRCH");
	rig_end(&rig);

	rig_new(&rig, false);
	rig_object(&rig, 100 * PAGE, DENSE);
	rig_spawn(&rig, execs, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -ESRCH && !waitpid(rig.children[0].pid, NULL, WNOHANG),
	       "the only process calls exec: ESRCH while it still runs");
	rig_end(&rig);

	rig_new(&rig, false);
	rig_object(&rig, 100 * PAGE, DENSE);
	rig_spawn(&rig, exits, NULL);
	rig_spawn(&rig, execs, NULL);
	rig_spawn(&rig, is_killed, NULL);
	/* not before the others are gone */
	rig_spawn(&rig, waits_and_looks, (void *)600000);
	rig_arm(&rig);
	rc = rig_run(&rig);
	waitpid(rig.children[2].pid, &rig.children[2].status, 0);
	rig.children[2].reaped = true;
	TAP_OK(WIFSIGNALED(rig.children[2].status) && WTERMSIG(rig.children[2].status) == SIGKILL,
	       "killed while its threads wait for pages");
	rig.children[2].status = 0;
	TAP_OK(!rc && rig_children_ok(&rig) && rig.completed == 1,
	       "exit, exec and kill of some: the last one gets all its pages");
	rig_end(&rig);
}

/* what pager.h recommends to an owner that must not take the mmap_lock */
static void test_pagemap(void)
{
	pid_t pid = fork();
	char path[32], byte;
	ssize_t n;
	int fd, err;

	if (!pid) {
		pause();
		_exit(0);
	}
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = pread(fd, &byte, 1, 0);
	err = errno;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	TAP_OK(n == -1 && err == EINVAL && pread(fd, &byte, 1, 0) == 0, "one byte of pagemap tells whether an mm lives");
	close(fd);
}

/* --- images --- */

/* 100 pages good, then none may ever look like anything else */
static int never_zeros(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);

	(void)arg;
	child_arm(rig);
	for (uint64_t page = 0; page < o->pages; page++) {
		if (!check_page(o, map + page * PAGE, page))
			__atomic_store_n(&rig->shared->flags[1], 1, __ATOMIC_RELEASE);
		__atomic_store_n(&rig->shared->flags[0], (int)page + 1, __ATOMIC_RELEASE);
	}
	return 0;
}

static void test_truncated_image(void)
{
	for (int background = 0; background < 2; background++) {
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig.quiet = true;
		rig_object(&rig, 200 * PAGE, DENSE);
		rig_spawn(&rig, never_zeros, NULL);
		rig_arm(&rig);
		/* inside a page, too: what is left of it is not served */
		rc = ftruncate(rig.objects[0].image, 128 * PAGE + 100);
		rc = rc ? rc : rig_run(&rig);
		usleep(50000);
		TAP_OK(rc == -ENODATA && rig.stats.spaces == 1 && !rig.shared->flags[1] && rig.shared->flags[0] <= 128 &&
		       !waitpid(rig.children[0].pid, NULL, WNOHANG),
		       "image truncated under the pager, %s: ENODATA, descriptors open, no zeros seen",
		       background ? "faults and background" : "faults only");
		rig_end(&rig);
	}
}

static void test_unreadable_image(void)
{
	struct pager_extent extent = { .offset = 0, .length = 4 * PAGE };
	struct rig rig;
	int pipes[2], directory;

	rig_new(&rig, false);
	rig.quiet = true;
	rig_object(&rig, 4 * PAGE, EMPTY);
	rig_arm(&rig);
	/* every pread() from a directory fails, from a pipe as well */
	directory = open("/", O_RDONLY | O_CLOEXEC);
	extent.fd = directory;
	TAP_OK(pager_add_object(rig.pager, "x", rig.objects[0].fd, 4 * PAGE, &extent, 1) == 1 &&
	       pager_fill(rig.pager, 1) == -EISDIR && pager_run(rig.pager) == -ESRCH, "an image that cannot be read");
	close(directory);
	if (!pipe2(pipes, O_CLOEXEC)) {
		extent.fd = pipes[0];
		TAP_OK(pager_add_object(rig.pager, "x", rig.objects[0].fd, 4 * PAGE, &extent, 1) == 2 &&
		       pager_fill(rig.pager, 2) == -ESPIPE, "an image that is a pipe");
		close(pipes[0]);
		close(pipes[1]);
	}
	rig_end(&rig);
}

static void test_bad_arguments(void)
{
	struct rig rig;
	struct test_object *o;
	const struct pager_process nobody = { 0 };
	struct pager_extent e[2];
	struct pager *p;
	int fd, pipes[2];

	rig_new(&rig, false);
	rig.quiet = true;
	o = rig_object(&rig, 10 * PAGE, DENSE);
	rig_arm(&rig);
	p = rig.pager;
	e[0] = (struct pager_extent){ 0, 4 * PAGE, 0, o->image };
	e[1] = (struct pager_extent){ 3 * PAGE, PAGE, 0, o->image };
	TAP_OK(pager_add_object(p, "x", o->fd, 10 * PAGE, e, 2) == -EINVAL, "overlapping extents");
	e[0].length = 11 * PAGE;
	TAP_OK(pager_add_object(p, "x", o->fd, 10 * PAGE, e, 1) == -EINVAL, "extent beyond the object");
	e[0] = (struct pager_extent){ -2 * PAGE, 4 * PAGE, 0, o->image };
	TAP_OK(pager_add_object(p, "x", o->fd, 10 * PAGE, e, 1) == -EINVAL, "extent that wraps around");
	e[0] = (struct pager_extent){ 0, PAGE / 2, 0, o->image };
	TAP_OK(pager_add_object(p, "x", o->fd, 10 * PAGE, e, 1) == -EINVAL, "extent of half a page");
	e[0] = (struct pager_extent){ 0, 4 * PAGE, 7 * PAGE, o->image };
	TAP_OK(pager_add_object(p, "x", o->fd, 10 * PAGE, e, 1) == -ENODATA, "extent beyond its file");
	e[0] = (struct pager_extent){ 0, 4 * PAGE, -PAGE, o->image };
	TAP_OK(pager_add_object(p, "x", o->fd, 10 * PAGE, e, 1) == -ENODATA, "file offset that wraps around");
	e[0] = (struct pager_extent){ 0, 4 * PAGE, 0, 999 };
	TAP_OK(pager_add_object(p, "x", o->fd, 10 * PAGE, e, 1) == -EBADF, "extent without a file");
	TAP_OK(pager_add_object(p, "x", o->fd, 11 * PAGE, NULL, 0) == -EINVAL, "object smaller than told");
	/* /tmp may be a tmpfs, so the image will not do */
	fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
	TAP_OK(pager_add_object(p, "x", fd, 0, NULL, 0) == -EOPNOTSUPP, "object that is no shmem");
	close(fd);
	TAP_OK(pager_add_object(p, "x", 999, PAGE, NULL, 0) == -EBADF, "object that is not open");

	if (!pipe2(pipes, O_CLOEXEC)) {
		TAP_OK(pager_add_space(p, &nobody, pipes[0]) == -ENOTTY && fcntl(pipes[0], F_GETFD) < 0,
		       "a pipe is no userfaultfd, and is closed");
		close(pipes[1]);
	}
	fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	TAP_OK(pager_add_space(p, &nobody, fd) == 0, "a blocking userfaultfd is made non-blocking");
	TAP_OK(pager_add_range(p, 0, 0x10000, 0x20000, 1, 0) == -EINVAL, "range of an unknown object");
	TAP_OK(pager_add_range(p, 7, 0x10000, 0x20000, 0, 0) == -EINVAL, "range of an unknown space");
	TAP_OK(pager_add_range(p, 0, 0x10001, 0x20000, 0, 0) == -EINVAL, "range that is not aligned");
	TAP_OK(pager_add_range(p, 0, 0x20000, 0x10000, 0, 0) == -EINVAL, "range that ends before it starts");
	TAP_OK(pager_add_range(p, 0, 0x10000, 0x20000, 0, -PAGE) == -EINVAL, "range whose offset wraps around");
	TAP_OK(pager_add_range(p, 0, 0x10000, 0x20000, 0, 0) < 0, "range where nothing is mapped");
	rig_end(&rig);
}

/* --- objects that change under the pager --- */

static int truncates(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	pid_t pid;
	int status;

	(void)arg;
	child_arm(rig);
	if (!check_pages(o, map, 0, 10) || ftruncate(o->fd, 150 * PAGE))
		return 1;
	pid = fork();
	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(*(volatile unsigned char *)(map + 180 * PAGE));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGBUS)
		return 2;
	return !check_pages(o, map, 0, 150);
}

static void test_truncated_object(void)
{
	for (int background = 0; background < 2; background++) {
		struct rig rig;
		int rc;

		rig_new(&rig, background);
		rig.config.stream_chunk = PAGE;
		rig_object(&rig, 4000 * PAGE, DENSE);
		rig_spawn(&rig, truncates, NULL);
		rig_arm(&rig);
		rc = rig_run(&rig);
		TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig), "the object is truncated, %s",
		       background ? "faults and background" : "faults only");
		rig_end(&rig);
	}
}

/* --- no memory, no descriptors --- */

static int forks_and_looks(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	uint64_t state = (uint64_t)getpid();
	pid_t pid;

	(void)arg;
	child_arm(rig);
	/* waits in a thread while the main thread forks: events are read although no fill succeeds */
	pid = fork();
	if (!pid)
		_exit(!check_pages_randomly(o, map, 0, o->pages, &state));
	for (int i = 0; i < 20; i++) {
		pid_t other = fork();

		if (!other)
			_exit(0);
		if (!waited_ok(other))
			return 1;
	}
	__atomic_store_n(&rig->shared->flags[0], 1, __ATOMIC_RELEASE);
	if (!waited_ok(pid))
		return 2;
	return !check_pages(o, map, 0, o->pages);
}

struct ballast {
	struct rig *rig;
	const char *path;
	int looks;
	bool forks_went_on;
};

static void drop_ballast(void *data, int fd)
{
	struct ballast *b = data;
	struct itimerspec again = { .it_value = { .tv_nsec = 20000000 } };
	uint64_t ticks;

	if (read(fd, &ticks, sizeof(ticks)) < 0)
		return;
	b->forks_went_on = __atomic_load_n(&b->rig->shared->flags[0], __ATOMIC_ACQUIRE);
	/* five seconds for what should need a moment: the sanitizers make forks slow */
	if (!b->forks_went_on && ++b->looks < 250) {
		timerfd_settime(fd, 0, &again, NULL);
		return;
	}
	unlink(b->path);
}

static void test_no_memory(void)
{
	char directory[] = "/tmp/pager-tmpfs-XXXXXX", ballast[64], path[64];
	struct ballast b = { .path = ballast };
	struct test_object *o;
	struct rig rig;
	int rc, fd, timer;

	if (!mkdtemp(directory) || unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", directory, "tmpfs", 0, "size=4m")) {
		tap_skip("no tmpfs of a limited size");
		return;
	}
	snprintf(ballast, sizeof(ballast), "%s/ballast", directory);
	snprintf(path, sizeof(path), "%s/object", directory);
	fd = open(ballast, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fallocate(fd, 0, 0, 3 << 20))
		exit(1);
	close(fd);

	rig_new(&rig, true);
	rig.quiet = true;
	o = rig_object(&rig, 600 * PAGE, DENSE);
	close(o->fd);
	o->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (o->fd < 0 || ftruncate(o->fd, 600 * PAGE))
		exit(1);
	b.rig = &rig;
	rig_spawn(&rig, forks_and_looks, NULL);
	rig_arm(&rig);
	timer = open_timer(100);
	rc = pager_watch_fd(rig.pager, timer, drop_ballast, &b);
	rc = rc ? rc : rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig) && b.forks_went_on && strstr(rig.log, "no memory"),
	       "no memory for pages: forks go on, and the pages come when there is memory");
	close(timer);
	rig_end(&rig);
	umount2(directory, MNT_DETACH);
	rmdir(directory);
}

static int forks_many(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	pid_t pids[20];
	int bad = 0;

	(void)arg;
	child_arm(rig);
	for (unsigned int i = 0; i < 20; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			bad = !check_page(o, map + i * 9 * PAGE, i * 9);
			usleep(300000);
			_exit(bad);
		}
	}
	for (int i = 0; i < 20; i++)
		bad |= !waited_ok(pids[i]);
	return bad;
}

static void test_no_descriptors(void)
{
	struct rlimit old, low;
	struct rig rig;
	int rc, next;

	rig_new(&rig, false);
	rig.quiet = true;
	rig_object(&rig, 200 * PAGE, DENSE);
	getrlimit(RLIMIT_NOFILE, &old);
	rig_spawn(&rig, forks_many, NULL);
	rig_arm(&rig);
	next = dup(0);
	close(next);
	low = old;
	low.rlim_cur = (rlim_t)next + 3;
	setrlimit(RLIMIT_NOFILE, &low);
	rc = rig_run(&rig);
	setrlimit(RLIMIT_NOFILE, &old);
	TAP_OK(rc == -ESRCH && rig_children_ok(&rig) && rig.forked == 20 && strstr(rig.log, "fork has to wait"),
	       "more forks than descriptors: they wait for one");
	rig_end(&rig);
}

/* --- lies and strangers --- */

static void *touch_for_ever(void *arg)
{
	(void)*(volatile unsigned char *)arg;
	return NULL;
}

/* keeps a duplicate of the descriptor, and registers memory the pager knows nothing of */
static int stranger(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages), *own;
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int uffd = child_arm_keep(rig);
	pthread_t id;

	(void)arg;
	own = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)own;
	reg.range.len = 100 * PAGE;
	if (own == MAP_FAILED || ioctl(uffd, UFFDIO_REGISTER, &reg))
		return 1;
	for (int i = 0; i < 10; i++)
		if (pthread_create(&id, NULL, touch_for_ever, own + i * PAGE))
			return 2;
	/* events about it, too */
	own = mremap(own + 50 * PAGE, 20 * PAGE, 40 * PAGE, MREMAP_MAYMOVE);
	if (own == MAP_FAILED || munmap(own, 10 * PAGE) || child_madvise(rig, own + 10 * PAGE, 5 * PAGE, MADV_DONTNEED))
		return 3;
	sleep(1);
	return !check_pages(o, map, 0, 100);
}

static void test_stranger(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, false);
	rig_object(&rig, 200 * PAGE, DENSE);
	rig_spawn(&rig, stranger, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -ESRCH && rig_children_ok(&rig), "faults in memory the pager knows nothing of: the rest is served");
	/* at full speed it would be some hundred thousands */
	TAP_OK(rig.stats.faults < 20000, "and no processor is kept busy with them (%llu faults)",
	       (unsigned long long)rig.stats.faults);
	rig_end(&rig);
}

static int sees_right_bytes(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 50 * PAGE);

	if (map != *(unsigned char **)arg)
		return 3;
	child_arm(rig);
	return !check_pages(o, map, 50, 100);
}

/* a table that is wrong from the start: by offset, and by object */
static void test_wrong_table(void)
{
	for (int variant = 0; variant < 3; variant++) {
		void *spot = mmap(NULL, 100 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct rig rig;
		int rc, timer = -1;

		/* the child maps at the same place: nothing else is mapped between here and the fork */
		munmap(spot, 100 * PAGE);
		rig_new(&rig, false);
		rig.quiet = true;
		rig.no_resolve = variant == 2;
		rig_object(&rig, 200 * PAGE, DENSE);
		rig_object(&rig, 200 * PAGE, DENSE);
		spot = mmap(NULL, 100 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(spot, 100 * PAGE);
		rig_spawn(&rig, sees_right_bytes, &spot);
		rig_arm(&rig);
		rc = pager_add_range(rig.pager, 0, (uintptr_t)spot, (uintptr_t)spot + 100 * PAGE, variant == 1,
				     variant == 1 ? 50 * PAGE : 0);
		if (variant == 2) {
			timer = open_timer(1000);
			pager_watch_fd(rig.pager, timer, stop_pager, &rig);
		}
		rc = rc ? rc : rig_run(&rig);
		if (variant < 2)
			TAP_OK(rc == -ESRCH && rig_children_ok(&rig) && rig.stats.faults_resolved,
			       "a table with the wrong %s: right bytes all the same", variant ? "object" : "offset");
		else
			TAP_OK(rc == -EINTR && rig.stats.faults < 200 && !waitpid(rig.children[0].pid, NULL, WNOHANG),
			       "a wrong table and nobody to ask: the thread waits, quietly (%llu faults)",
			       (unsigned long long)rig.stats.faults);
		if (timer >= 0)
			close(timer);
		rig_end(&rig);
	}
}

/* --- signals, stopping, resuming --- */

static int interruptions;

static void interrupted(int sig)
{
	(void)sig;
	interruptions++;
}

static int takes_signals(struct rig *rig, void *arg)
{
	struct itimerval every = { .it_interval.tv_usec = 200, .it_value.tv_usec = 200 };
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, o->pages);
	struct sigaction sa = { .sa_handler = interrupted, .sa_flags = SA_RESTART };
	uint64_t state = 1;

	(void)arg;
	child_arm(rig);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	return !check_pages_randomly(o, map, 0, o->pages, &state) || !interruptions;
}

static void test_signals(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, false);
	rig.config.cluster = PAGE;
	rig_object(&rig, 3000 * PAGE, RANDOM);
	rig_spawn(&rig, takes_signals, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK((!rc || rc == -ESRCH) && rig_children_ok(&rig), "signals while threads wait for pages");
	rig_end(&rig);
}

static void test_stop(void)
{
	struct rig rig;
	int rc, timer;

	rig_new(&rig, false);
	rig_object(&rig, 200 * PAGE, DENSE);
	rig_spawn(&rig, waits_and_looks, (void *)150000);
	rig_arm(&rig);
	timer = open_timer(30);
	pager_watch_fd(rig.pager, timer, stop_pager, &rig);
	rc = rig_run(&rig);
	TAP_OK(rc == -EINTR && rig.stats.bytes_left == 200 * PAGE && rig.stats.spaces == 1, "pager_stop() ends pager_run()");
	rc = pager_run(rig.pager);
	TAP_OK(!rc && rig_children_ok(&rig), "and pager_run() can be called again");
	close(timer);
	rig_end(&rig);
}

/* --- the end --- */

/* mappings of ours in which missing pages are a userfaultfd's */
static int watched(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += !strncmp(line, "VmFlags:", 8) && strstr(line, " um");
	if (f)
		fclose(f);
	return n;
}

/* a duplicate keeps the file, so that close() ends nothing */
static int is_let_go(struct rig *rig, void *arg)
{
	struct test_object *o = &rig->objects[0];
	unsigned char *map = child_map(rig, o, 0, 200), *again = child_map(rig, o, 50, 100);
	int uffd = child_arm_keep(rig), i;
	void *to = mmap(NULL, 100 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	if (to == MAP_FAILED || watched() != 2)
		return 1;
	again = mremap(again, 100 * PAGE, 100 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (again == MAP_FAILED || munmap(map + 60 * PAGE, 10 * PAGE) || !check_pages(o, again, 50, 100) ||
	    !check_pages(o, map, 0, 60) || !check_pages(o, map + 70 * PAGE, 70, 130))
		return 2;
	for (i = 0; watched() && i < 1000; i++)
		usleep(10000);
	close(uffd);
	return i < 1000 ? 0 : 3;
}

static void test_end(void)
{
	struct rig rig;
	int rc;

	rig_new(&rig, false);
	rig_object(&rig, 200 * PAGE, DENSE);
	rig_spawn(&rig, is_let_go, NULL);
	rig_arm(&rig);
	rc = rig_run(&rig);
	TAP_OK(!rc && rig_children_ok(&rig), "in the end nothing is registered, before the last descriptor closes");
	rig_end(&rig);
}

int main(int argc, char **argv)
{
	rig_seed(argc, argv);
	if (!have_userfaultfd()) {
		tap_skip("no userfaultfd for this user on this kernel");
		return tap_done();
	}
	test_vanishing();
	test_pagemap();
	test_truncated_image();
	test_unreadable_image();
	test_bad_arguments();
	test_truncated_object();
	test_no_memory();
	test_no_descriptors();
	test_stranger();
	test_wrong_table();
	test_signals();
	test_stop();
	test_end();
	return tap_done();
}
