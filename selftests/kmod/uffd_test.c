// SPDX-License-Identifier: GPL-2.0-only
/* Tests of uffd-open without a guard: what it gives, and whom it refuses. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/memfdcr.h>

#include "harness.h"
#include "process.h"
#include "request.h"

#define NEEDS_CAPABILITY \
	"without UFFD_USER_MODE_ONLY, CAP_SYS_PTRACE in the initial user namespace is needed"

/* a refusal, with everything that it says */
#define EXPECT_REFUSED(got, err, text, bad_attribute)			\
	do {								\
		struct answer a_ = (got);				\
									\
		EXPECT_EQ(-(err), a_.error);				\
		EXPECT_STREQ(text, a_.message);				\
		EXPECT_EQ(bad_attribute, a_.bad);			\
		EXPECT_EQ(-1, a_.fd);					\
	} while (0)

static int capability(bool effective)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return -1;
	if (effective)
		data[0].effective |= 1U << CAP_SYS_PTRACE;
	else
		data[0].effective &= ~(1U << CAP_SYS_PTRACE);
	return syscall(SYS_capset, &head, data);
}

FIXTURE(target)
{
	pid_t pid;
	int mem;
};

FIXTURE_SETUP(target)
{
	process_prepare();
	self->pid = process_start(target_wait, NULL);
	self->mem = open_mem(self->pid, O_RDWR);
	ASSERT_LE(0, self->mem);
}

FIXTURE_TEARDOWN(target)
{
	kill(self->pid, SIGKILL);
	waitpid(self->pid, NULL, 0);
	close(self->mem);
}

static int target_reads(void *page)
{
	while (board->step != 1)
		usleep(1000);
	return look((unsigned long)page);
}

TEST_F(target, serves_a_fault)
{
	struct uffd_msg msg;
	struct answer answer;
	int mem, status;
	pid_t pid;

	pid = process_start(target_reads, (void *)7);
	/* stopped, so that it certainly helps with nothing */
	kill(pid, SIGSTOP);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	mem = open_mem(pid, O_RDWR);
	answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, false);
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	EXPECT_NE(0, answer.uffd_id);
	EXPECT_EQ(0, close(mem));
	ASSERT_EQ(0, uffd_api(answer.fd, 0));
	ASSERT_EQ(0, uffd_register(answer.fd, region, PAGES * PAGE));
	kill(pid, SIGCONT);
	board->step = 1;
	ASSERT_EQ(0, uffd_read(answer.fd, &msg, 10000));
	EXPECT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
	EXPECT_EQ((unsigned long)region + 7 * PAGE, msg.arg.pagefault.address & ~(PAGE - 1));
	EXPECT_EQ(0, uffd_fill(answer.fd, region + 7 * PAGE, PAGE));
	status = process_end(pid, 10000);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(FILL, WEXITSTATUS(status));
	close(answer.fd);
}

TEST_F(target, ids_differ)
{
	struct answer first = uffd_open(self->mem, 0, false), second = uffd_open(self->mem, 0, false);

	ASSERT_EQ(0, first.error);
	ASSERT_EQ(0, second.error);
	EXPECT_NE(first.fd, second.fd);
	EXPECT_NE(first.uffd_id, second.uffd_id);
	close(first.fd);
	close(second.fd);
}

TEST_F(target, id_is_that_of_the_descriptor)
{
	char path[64], value[64], again[64];
	struct answer answer = uffd_open(self->mem, 0, true);

	ASSERT_EQ(0, answer.error);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", answer.fd);
	ASSERT_TRUE(read_line(path, "uffd-id:\t", value, sizeof(value)));
	EXPECT_EQ(answer.uffd_id, strtoull(value, NULL, 10));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", dup(answer.fd));
	ASSERT_TRUE(read_line(path, "uffd-id:\t", again, sizeof(again)));
	EXPECT_STREQ(value, again);
	EXPECT_TRUE(read_line(path, "pending:\t", value, sizeof(value)));
}

TEST_F(target, flags_are_honoured)
{
	static const unsigned int flags[] = { 0, O_CLOEXEC, O_NONBLOCK, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY };

	for (int guard = 0; guard < 2; guard++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
			struct answer answer = uffd_open(self->mem, flags[i], guard);

			ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
			EXPECT_EQ(!!(flags[i] & O_CLOEXEC), !!(fcntl(answer.fd, F_GETFD) & FD_CLOEXEC));
			EXPECT_EQ(flags[i] & O_NONBLOCK, fcntl(answer.fd, F_GETFL) & O_NONBLOCK);
			close(answer.fd);
		}
	}
}

TEST_F(target, unknown_flag)
{
	struct answer answer = uffd_open(self->mem, O_APPEND, false);

	EXPECT_EQ(-EINVAL, answer.error);
	EXPECT_EQ(MEMFDCR_A_UFFD_FLAGS, answer.bad);
}

TEST_F(target, unknown_attribute)
{
	struct mnl_socket *sock = request_socket();
	const struct attribute attributes[] = {
		{ MEMFDCR_A_UFFD_MEM_FD, 4, self->mem }, { MEMFDCR_A_UFFD_MAX + 1, 4, 1 }, { 0 }
	};
	struct answer answer = request(sock, MEMFDCR_CMD_UFFD_OPEN, attributes);

	EXPECT_EQ(-EINVAL, answer.error);
	EXPECT_EQ(MEMFDCR_A_UFFD_MAX + 1, answer.bad);
	mnl_socket_close(sock);
}

TEST_F(target, missing_attribute)
{
	struct mnl_socket *sock = request_socket();
	const struct attribute attributes[] = { { MEMFDCR_A_UFFD_FLAGS, 4, 0 }, { 0 } };
	struct answer answer = request(sock, MEMFDCR_CMD_UFFD_OPEN, attributes);

	EXPECT_REFUSED(answer, EINVAL, "mem-fd is missing", 0);
	EXPECT_EQ(MEMFDCR_A_UFFD_MEM_FD, answer.missing);
	answer = request(sock, MEMFDCR_CMD_UFFD_COMPLETE, &(struct attribute){ 0 });
	EXPECT_REFUSED(answer, EINVAL, "fd is missing", 0);
	EXPECT_EQ(MEMFDCR_A_UFFD_FD, answer.missing);
	mnl_socket_close(sock);
}

TEST_F(target, bad_descriptor)
{
	EXPECT_REFUSED(uffd_open(-1, 0, false), EBADF, "no such descriptor", MEMFDCR_A_UFFD_MEM_FD);
	EXPECT_REFUSED(uffd_open(987, 0, false), EBADF, "no such descriptor", MEMFDCR_A_UFFD_MEM_FD);
	EXPECT_REFUSED(uffd_open(open("/proc/self/mem", O_PATH), 0, false), EBADF, "no such descriptor",
		       MEMFDCR_A_UFFD_MEM_FD);
	EXPECT_REFUSED(uffd_complete(987), EBADF, "no such descriptor", MEMFDCR_A_UFFD_FD);
}

TEST_F(target, wrong_descriptor)
{
	static const char * const of_proc[] = { "/proc/self/maps", "/proc/self/clear_refs", "/proc/version", "/proc" };

	EXPECT_REFUSED(uffd_open(open("/dev/null", O_RDWR), 0, false), EINVAL, "not a descriptor of /proc/PID/mem",
		       MEMFDCR_A_UFFD_MEM_FD);
	EXPECT_REFUSED(uffd_open(memfd_create("mem", 0), 0, false), EINVAL, "not a descriptor of /proc/PID/mem",
		       MEMFDCR_A_UFFD_MEM_FD);
	for (unsigned int i = 0; i < ARRAY_SIZE(of_proc); i++) {
		int fd = open(of_proc[i], i == 1 ? O_WRONLY : O_RDONLY);

		ASSERT_LE(0, fd) TH_LOG("%s", of_proc[i]);
		EXPECT_REFUSED(uffd_open(fd, 0, false), EINVAL, "a file of /proc, but not /proc/PID/mem",
			       MEMFDCR_A_UFFD_MEM_FD);
	}
}

TEST_F(target, read_only_descriptor)
{
	EXPECT_REFUSED(uffd_open(open_mem(self->pid, O_RDONLY), UFFD_USER_MODE_ONLY, false), EACCES,
		       "the descriptor of /proc/PID/mem is not open for writing", MEMFDCR_A_UFFD_MEM_FD);
}

TEST_F(target, exited)
{
	pid_t pid = process_start(target_wait, NULL);
	int mem = open_mem(pid, O_RDWR);

	ASSERT_LE(0, mem);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_REFUSED(uffd_open(mem, 0, true), ESRCH, "the process has exited", MEMFDCR_A_UFFD_MEM_FD);
}

TEST_F(target, execed)
{
	/* the descriptor is that of the old program's memory, which is gone */
	pid_t pid = fork();
	int mem;

	if (!pid) {
		raise(SIGSTOP);
		execl("/bin/sleep", "sleep", "1000", NULL);
		_exit(1);
	}
	ASSERT_EQ(pid, waitpid(pid, NULL, WUNTRACED));
	mem = open_mem(pid, O_RDWR);
	kill(pid, SIGCONT);
	for (int i = 0; i < 1000; i++) {
		char path[64], name[64];

		snprintf(path, sizeof(path), "/proc/%d/status", pid);
		if (read_line(path, "Name:\t", name, sizeof(name)) && !strcmp(name, "sleep"))
			break;
		usleep(10000);
	}
	EXPECT_REFUSED(uffd_open(mem, 0, false), ESRCH, "the process has exited", MEMFDCR_A_UFFD_MEM_FD);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(target, needs_capability)
{
	struct answer answer;

	ASSERT_EQ(0, capability(false));
	EXPECT_REFUSED(uffd_open(self->mem, 0, false), EPERM, NEEDS_CAPABILITY, MEMFDCR_A_UFFD_MEM_FD);
	EXPECT_REFUSED(uffd_open(self->mem, O_CLOEXEC, true), EPERM, NEEDS_CAPABILITY, MEMFDCR_A_UFFD_MEM_FD);
	answer = uffd_open(self->mem, UFFD_USER_MODE_ONLY, false);
	EXPECT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	EXPECT_REFUSED(uffd_open(self->mem, UFFD_USER_MODE_ONLY, true), EPERM,
		       "for a guard, CAP_SYS_PTRACE in the initial user namespace is needed", MEMFDCR_A_UFFD_MEM_FD);
	ASSERT_EQ(0, capability(true));
}

/*
 * Who opened the socket counts, and who sends: neither can lend the other what it lacks. (As everywhere in netlink,
 * only the sender counts for what it addresses itself: that cannot be the output of a program that knows nothing.)
 */
TEST_F(target, opener_and_sender)
{
	const struct attribute attributes[] = { { MEMFDCR_A_UFFD_MEM_FD, 4, self->mem }, { 0 } };
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct mnl_socket *powerful, *powerless;
	struct answer answer;

	powerful = request_socket();
	ASSERT_EQ(0, connect(mnl_socket_get_fd(powerful), (void *)&kernel, sizeof(kernel)));
	ASSERT_EQ(0, capability(false));
	powerless = request_socket();
	ASSERT_EQ(0, connect(mnl_socket_get_fd(powerless), (void *)&kernel, sizeof(kernel)));
	EXPECT_REFUSED(request(powerful, MEMFDCR_CMD_UFFD_OPEN, attributes), EPERM, NEEDS_CAPABILITY,
		       MEMFDCR_A_UFFD_MEM_FD);
	connected = true;
	EXPECT_REFUSED(request(powerful, MEMFDCR_CMD_UFFD_OPEN, attributes), EPERM, NEEDS_CAPABILITY,
		       MEMFDCR_A_UFFD_MEM_FD);
	ASSERT_EQ(0, capability(true));
	EXPECT_REFUSED(request(powerless, MEMFDCR_CMD_UFFD_OPEN, attributes), EPERM, NEEDS_CAPABILITY,
		       MEMFDCR_A_UFFD_MEM_FD);
	answer = request(powerful, MEMFDCR_CMD_UFFD_OPEN, attributes);
	EXPECT_EQ(0, answer.error);
}

TEST_F(target, outside_user_namespace)
{
	if (unshare(CLONE_NEWUSER))
		SKIP(return, "no user namespaces here");
	EXPECT_REFUSED(uffd_open(self->mem, 0, false), EPERM,
		       "the process belongs to a user namespace outside the caller's", MEMFDCR_A_UFFD_MEM_FD);
	EXPECT_REFUSED(uffd_open(self->mem, UFFD_USER_MODE_ONLY, true), EPERM,
		       "the process belongs to a user namespace outside the caller's", MEMFDCR_A_UFFD_MEM_FD);
}

#define OWN_USER_NAMESPACE "own-user-namespace"

/* this program again, with all capabilities in a user namespace of its own, and memory that belongs to that */
static void __attribute__((constructor)) run_in_own_user_namespace(int argc, char **argv)
{
	struct answer plain, guarded, user;
	int mem;

	if (argc != 2 || strcmp(argv[1], OWN_USER_NAMESPACE))
		return;
	mem = open("/proc/self/mem", O_RDWR);
	plain = uffd_open(mem, 0, false);
	guarded = uffd_open(mem, UFFD_USER_MODE_ONLY, true);
	user = uffd_open(mem, UFFD_USER_MODE_ONLY, false);
	if (capability(true) || mem < 0)
		_exit(2);	/* not what was to be tried */
	_exit(plain.error != -EPERM || strcmp(plain.message, NEEDS_CAPABILITY) ||
	      guarded.error != -EPERM || !strstr(guarded.message, "for a guard, ") || user.error);
}

/* everybody can have all capabilities in a user namespace of his own: they must not be enough to stop the kernel */
TEST_F(target, own_user_namespace)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		int map;

		if (unshare(CLONE_NEWUSER))
			_exit(77);
		/* root there, or else exec would take the capabilities away */
		map = open("/proc/self/uid_map", O_WRONLY);
		if (map < 0 || write(map, "0 0 1", 5) != 5)
			_exit(3);
		close(map);
		/* makes the memory that of the new namespace, too; main() goes on there */
		execl("/proc/self/exe", "uffd_test", OWN_USER_NAMESPACE, NULL);
		_exit(1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP(return, "no user namespaces here");
	EXPECT_EQ(0, status);
}

/* memory that was made in a user namespace below the caller's */
TEST_F(target, inner_user_namespace)
{
	struct answer answer;
	int ends[2], mem;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(ends));
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWUSER))
			_exit(1);
		dup2(ends[1], 1);
		close(ends[0]);
		close(ends[1]);
		execl("/bin/sh", "sh", "-c", "echo; exec sleep 1000", NULL);
		_exit(1);
	}
	close(ends[1]);
	if (read(ends[0], &c, 1) != 1) {
		waitpid(pid, NULL, 0);
		SKIP(return, "no user namespaces here");
	}
	usleep(200000);
	mem = open_mem(pid, O_RDWR);
	ASSERT_LE(0, mem);
	answer = uffd_open(mem, 0, false);
	EXPECT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_F(target, other_network_namespace)
{
	struct answer answer;

	ASSERT_EQ(0, unshare(CLONE_NEWNET));
	answer = uffd_open(self->mem, 0, false);
	EXPECT_EQ(0, answer.error) TH_LOG("%s", answer.message);
}

static unsigned long files_open(void)
{
	char value[64];

	read_line("/proc/sys/fs/file-nr", "", value, sizeof(value));
	return strtoul(value, NULL, 10);
}

TEST_F_TIMEOUT(target, nothing_leaks, 120)
{
	unsigned long before = files_open(), after;
	int fds = count_fds();

	for (int i = 0; i < 400; i++) {
		struct answer answer = uffd_open(self->mem, O_CLOEXEC, i % 2);

		ASSERT_EQ(0, answer.error);
		EXPECT_EQ(0, close(answer.fd));
		/* and with an error on the way */
		answer = uffd_open(1, O_CLOEXEC, i % 2);
		ASSERT_EQ(-EINVAL, answer.error);
	}
	EXPECT_EQ(fds, count_fds());
	/* the counter is exact to a few dozens; one file per round would be 400, the device or mem descriptor more */
	usleep(100000);
	after = files_open();
	EXPECT_GT(before + 200, after) TH_LOG("%lu open files before, %lu after", before, after);
}

TEST_F(target, no_descriptor_free)
{
	const struct attribute attributes[] = { { MEMFDCR_A_UFFD_MEM_FD, 4, self->mem }, { 0 } };
	struct mnl_socket *sock = request_socket();
	struct rlimit limit;
	struct answer answer;

	answer = request(sock, MEMFDCR_CMD_UFFD_OPEN, attributes);
	ASSERT_EQ(0, answer.error);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = 64;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	while (dup(0) >= 0)
		;
	EXPECT_REFUSED(request(sock, MEMFDCR_CMD_UFFD_OPEN, attributes), EMFILE, "no descriptor is free", 0);
	close(63);
	answer = request(sock, MEMFDCR_CMD_UFFD_OPEN, attributes);
	EXPECT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	EXPECT_EQ(63, answer.fd);
	mnl_socket_close(sock);
}

TEST_HARNESS_MAIN
