// SPDX-License-Identifier: GPL-2.0-only
/* Tests of object-get and holder-get: who sees whom, and that who is not seen is counted. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/capability.h>
#include <linux/genetlink.h>

#include "harness.h"
#include "ask.h"
#include "factory.h"

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

#define YAMA "/proc/sys/kernel/yama/ptrace_scope"
#define SOMEBODY 12345
#define SOMEBODY_ELSE 12346

/*
 * Everybody here holds the same memfd, which he has inherited, so whoever shows up among its holders was seen. A
 * process of the machine's own, the first one, is hidden from everybody but the privileged.
 */
FIXTURE(permission)
{
	int fd;
	struct object object;
	pid_t roots, somebodys, somebody_elses, undumpable;
};

/* who one of them is to be; as a body of a process: becomes that, and stops */
struct person {
	uid_t id;
	bool undumpable;
	int namespaces;		/* CLONE_NEW... */
};

/* for good, with all that an ordinary process of that user has: what setting ids takes away is not the point here */
static bool become(uid_t id)
{
	if (id && (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id)))
		return false;
	/* another user's process is not killed by our end unless it says so itself, and then only by one of its own */
	return !prctl(PR_SET_DUMPABLE, 1) && !prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static int be(void *arg)
{
	const struct person *person = arg;
	uid_t id = person->id;

	if (!become(id))
		return 1;
	if (person->namespaces && unshare(person->namespaces))
		return 77;
	if (person->namespaces & CLONE_NEWUSER && !map_ids(id))
		return 1;
	if (person->undumpable && prctl(PR_SET_DUMPABLE, 0))
		return 1;
	for (;;)
		raise(SIGSTOP);
	return 0;
}

FIXTURE_SETUP(permission)
{
	process_prepare();
	write_file(YAMA, "0");
	self->fd = memfd_create("permission", 0);
	ASSERT_LE(0, self->fd);
	self->object = own_object(self->fd);
	self->roots = factory_start(be, &(struct person){ 0 });
	self->somebodys = factory_start(be, &(struct person){ SOMEBODY });
	self->somebody_elses = factory_start(be, &(struct person){ SOMEBODY_ELSE });
	self->undumpable = factory_start(be, &(struct person){ SOMEBODY, .undumpable = true });
	ASSERT_LT(0, self->roots);
	ASSERT_LT(0, self->somebodys);
	ASSERT_LT(0, self->somebody_elses);
	ASSERT_LT(0, self->undumpable);
}

/* those of other users go when we do */
FIXTURE_TEARDOWN(permission)
{
	close(self->fd);
}

struct view {
	struct answer answer;
	uint32_t hidden;
	int n;			/* processes seen that hold it */
	bool roots, somebodys, somebody_elses, undumpable, own;
	pid_t last;
};

static bool shows(const struct held *held, pid_t pid)
{
	for (size_t i = 0; i < held->n_holders; i++)
		if (held->holders[i].pid == pid)
			return true;
	return false;
}

#define LOOK_AT(self) \
	{ MEMFDCR_A_HOLDER_DEV, 4, (self)->object.dev }, { MEMFDCR_A_HOLDER_INO, 8, (self)->object.ino }

static struct view view_of(struct held *got, struct answer answer, FIXTURE_DATA(permission) *self)
{
	struct view view = {
		.answer = answer, .hidden = got->hidden, .n = got->n_holders,
		.roots = shows(got, self->roots), .somebodys = shows(got, self->somebodys),
		.somebody_elses = shows(got, self->somebody_elses), .undumpable = shows(got, self->undumpable),
		.own = shows(got, getpid()), .last = got->n_holders ? got->holders[got->n_holders - 1].pid : 0,
	};

	held_free(got);
	return view;
}

/* sock: NULL for one that the sender opens himself */
static struct view look_around(struct mnl_socket *sock, FIXTURE_DATA(permission) *self)
{
	struct held got;
	struct answer answer = held_dump(sock, MEMFDCR_CMD_HOLDER_GET, LIST(LOOK_AT(self)), &got);

	return view_of(&got, answer, self);
}

/* the five that the fixture knows, by number: all but one's own process are asked for */
static struct view look_at_all(struct mnl_socket *sock, FIXTURE_DATA(permission) *self)
{
	struct held got;
	struct answer answer = held_dump(sock, MEMFDCR_CMD_HOLDER_GET, LIST(LOOK_AT(self),
		{ MEMFDCR_A_HOLDER_PID, 4, self->roots }, { MEMFDCR_A_HOLDER_PID, 4, self->somebodys },
		{ MEMFDCR_A_HOLDER_PID, 4, self->somebody_elses }, { MEMFDCR_A_HOLDER_PID, 4, self->undumpable },
		{ MEMFDCR_A_HOLDER_PID, 4, getpid() }), &got);

	return view_of(&got, answer, self);
}

#define EXPECT_SEEN(v, r, s, e, u, o, hidden_) \
	do { \
		EXPECT_EQ(0, (v).answer.error) TH_LOG("%s", (v).answer.message); \
		EXPECT_EQ(r, (v).roots); \
		EXPECT_EQ(s, (v).somebodys); \
		EXPECT_EQ(e, (v).somebody_elses); \
		EXPECT_EQ(u, (v).undumpable); \
		EXPECT_EQ(o, (v).own); \
		EXPECT_EQ(hidden_, (v).hidden); \
	} while (0)

TEST_F(permission, root_sees_all)
{
	struct view v = look_around(NULL, self);

	EXPECT_SEEN(v, true, true, true, true, true, 0);
	v = look_at_all(NULL, self);
	EXPECT_SEEN(v, true, true, true, true, true, 0);
}

TEST_F(permission, a_user_sees_his_own)
{
	struct view v;

	ASSERT_TRUE(become(SOMEBODY));
	v = look_at_all(NULL, self);
	EXPECT_SEEN(v, false, true, false, false, true, 3);
	/* more than these three belong to others */
	v = look_around(NULL, self);
	EXPECT_LT(3, v.hidden);
	EXPECT_SEEN(v, false, true, false, false, true, v.hidden);
	EXPECT_EQ(2, v.n);
}

/* what an administrator forbids debuggers is forbidden here */
TEST_F(permission, yama)
{
	struct view v;

	if (!write_file(YAMA, "1"))
		SKIP(return, "no " YAMA);
	v = look_at_all(NULL, self);
	EXPECT_SEEN(v, true, true, true, true, true, 0);
	ASSERT_TRUE(become(SOMEBODY));
	v = look_at_all(NULL, self);
	EXPECT_SEEN(v, false, v.somebodys, false, false, true, v.hidden);
	/* that one is our child, which may be looked at; these are not */
	v = look_around(NULL, self);
	EXPECT_FALSE(v.somebody_elses);
}

/* looking at what others hold needs no more, and gives no less */
TEST_F(permission, counts_are_of_what_is_seen)
{
	struct held got;
	struct answer answer;

	ASSERT_TRUE(become(SOMEBODY));
	answer = held_dump(NULL, MEMFDCR_CMD_OBJECT_GET,
			   LIST(OF_PID(getpid()), NAMING(self->object), { MEMFDCR_A_OBJECT_OUTSIDE }), &got);
	ASSERT_EQ(0, answer.error);
	ASSERT_EQ(1, got.n_objects);
	EXPECT_EQ(2, got.objects[0].descriptors);
	EXPECT_EQ(1, got.objects[0].outside_holders);
	/* the others' are references, but nobody's */
	EXPECT_EQ(3, got.objects[0].unexplained);
}

TEST_F(permission, do_refuses_what_a_dump_hides)
{
	/* of others do wants a capability, even where a dump shows them */
	const pid_t hidden[] = { self->roots, self->somebody_elses, self->undumpable, 1, self->somebodys };
	struct held got;

	ASSERT_TRUE(become(SOMEBODY));
	EXPECT_EQ(0, held_do(&got, LIST(OF_FD(self->fd))).error);
	EXPECT_EQ(0, held_do(&got, LIST(OF_PID(getpid()), OF_TARGET(self->fd))).error);
	EXPECT_EQ(0, held_do(&got, LIST(OF_PID(getpid()), OF_ADDRESS((unsigned long)region))).error);
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		struct answer answer = held_do(&got, LIST(OF_PID(hidden[i]), OF_TARGET(self->fd)));

		EXPECT_EQ(-EPERM, answer.error);
		EXPECT_EQ(MEMFDCR_A_OBJECT_PID, answer.bad);
		EXPECT_NE(0, strlen(answer.message));
		/* and nothing can be learnt from how it is refused */
		EXPECT_EQ(-EPERM, held_do(&got, LIST(OF_PID(hidden[i]), OF_TARGET(999))).error);
		EXPECT_EQ(-EPERM, held_do(&got, LIST(OF_PID(hidden[i]), OF_ADDRESS(0x1000))).error);
		EXPECT_EQ(-EPERM, held_do(&got, LIST(OF_PID(hidden[i]), OF_ADDRESS((unsigned long)region))).error);
	}
}

static void count_messages(const struct nlmsghdr *nlh, void *n)
{
	++*(int *)n;
}

TEST_F(permission, extents_of_others_are_refused)
{
	const pid_t hidden[] = { self->roots, self->somebody_elses, self->undumpable, 1 };
	struct mnl_socket *sock;
	int n = 0;

	ASSERT_TRUE(become(SOMEBODY));
	sock = request_socket();
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		struct answer answer = request_dump(sock, MEMFDCR_CMD_EXTENT_GET, LIST(
			{ MEMFDCR_A_EXTENTS_PID, 4, hidden[i] }, { MEMFDCR_A_EXTENTS_TARGET_FD, 4, self->fd }),
			count_messages, &n);

		EXPECT_EQ(-EPERM, answer.error);
		EXPECT_EQ(MEMFDCR_A_EXTENTS_PID, answer.bad);
		EXPECT_NE(0, strlen(answer.message));
	}
	EXPECT_EQ(0, n);
	mnl_socket_close(sock);
}

static void count_pids(const struct nlmsghdr *nlh, void *n)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN)
		*(int *)n += mnl_attr_get_type(attr) == MEMFDCR_A_UFFD_PID;
}

/* who has the descriptor of a userfaultfd learns what it is, and of the processes behind it no more than otherwise */
TEST_F(permission, processes_behind_a_userfaultfd)
{
	const pid_t pids[] = { self->roots, self->somebody_elses, self->undumpable };
	int fds[ARRAY_SIZE(pids)];

	for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
		int mem = open_mem(pids[i], O_RDWR);
		struct answer answer = uffd_open(mem, O_CLOEXEC, false);

		ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
		fds[i] = answer.fd;
		close(mem);
	}
	for (int user = 0; user < 2; user++) {
		if (user) {
			ASSERT_TRUE(become(SOMEBODY));
		}
		for (size_t i = 0; i < ARRAY_SIZE(pids); i++) {
			struct mnl_socket *sock = request_socket();
			int n = 0;
			struct answer answer = request_do(sock, MEMFDCR_CMD_UFFD_GET,
				LIST({ MEMFDCR_A_UFFD_FD, 4, fds[i] }), count_pids, &n);

			EXPECT_EQ(0, answer.error) TH_LOG("%s", answer.message);
			EXPECT_EQ(!user, n);
			mnl_socket_close(sock);
		}
	}
}

/* ---- who opened the socket ---- */

/* opens a socket and waits; what arg points at tells as whom */
static int open_socket(void *arg)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct mnl_socket *sock;

	if (!become(*(uid_t *)arg))
		return 1;
	sock = request_socket();
	/* so that write() does */
	if (!sock || connect(mnl_socket_get_fd(sock), (void *)&kernel, sizeof(kernel)))
		return 1;
	if (dup2(mnl_socket_get_fd(sock), 200) != 200)
		return 1;
	for (;;)
		raise(SIGSTOP);
	return 0;
}

static struct mnl_socket *socket_of(pid_t pid)
{
	int process = syscall(SYS_pidfd_open, pid, 0), fd = syscall(SYS_pidfd_getfd, process, 200, 0);

	close(process);
	return fd < 0 ? NULL : mnl_socket_fdopen(fd);
}

/* as when a set-user-id program is given the socket as its standard output: it must not report what only it may see */
TEST_F(permission, unprivileged_opener_and_privileged_writer)
{
	pid_t opener = factory_start(open_socket, &(uid_t){ SOMEBODY });
	struct mnl_socket *sock;
	struct view v;

	ASSERT_LT(0, opener);
	sock = socket_of(opener);
	ASSERT_NE(NULL, sock);
	connected = true;
	v = look_at_all(sock, self);
	EXPECT_SEEN(v, false, false, false, false, false, 5);
	v = look_around(sock, self);
	EXPECT_EQ(0, v.n);
	kill(opener, SIGKILL);
}

/* the same with a message that is addressed */
TEST_F(permission, unprivileged_opener_and_privileged_sender)
{
	pid_t opener = factory_start(open_socket, &(uid_t){ SOMEBODY });
	struct mnl_socket *sock;
	struct view v;

	ASSERT_LT(0, opener);
	sock = socket_of(opener);
	ASSERT_NE(NULL, sock);
	v = look_at_all(sock, self);
	EXPECT_SEEN(v, false, false, false, false, false, 5);
	kill(opener, SIGKILL);
}

/* and the other way round: the power of the opener is not lent */
TEST_F(permission, privileged_opener_and_unprivileged_sender)
{
	struct mnl_socket *sock = request_socket();
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct view v;

	ASSERT_NE(NULL, sock);
	ASSERT_TRUE(become(SOMEBODY));
	v = look_at_all(sock, self);
	EXPECT_FALSE(v.roots);
	EXPECT_FALSE(v.somebody_elses);
	EXPECT_FALSE(v.undumpable);
	ASSERT_EQ(0, connect(mnl_socket_get_fd(sock), (void *)&kernel, sizeof(kernel)));
	connected = true;
	v = look_at_all(sock, self);
	EXPECT_FALSE(v.roots);
	EXPECT_FALSE(v.somebody_elses);
	EXPECT_FALSE(v.undumpable);
}

TEST_F(permission, opener_is_another_user)
{
	pid_t opener = factory_start(open_socket, &(uid_t){ SOMEBODY_ELSE });
	struct mnl_socket *sock;
	struct view v;

	ASSERT_LT(0, opener);
	sock = socket_of(opener);
	ASSERT_NE(NULL, sock);
	ASSERT_TRUE(become(SOMEBODY));
	for (int i = 0; i < 2; i++) {
		connected = i;
		v = look_at_all(sock, self);
		EXPECT_SEEN(v, false, false, false, false, false, 5);
	}
}

/*
 * Who reads does not matter: a message sent by an unprivileged process tells no more when a privileged one takes the
 * rest of the answer, nor the other way round.
 */
TEST_F(permission, reader_is_another)
{
	struct mnl_socket *sock;
	static char buf[65536];
	int status, n = 0;
	bool done = false;
	pid_t pid;

	sock = request_socket();
	ASSERT_NE(NULL, sock);
	ASSERT_LT(0, request_family());
	pid = fork();
	if (!pid) {
		if (!become(SOMEBODY))
			_exit(1);
		_exit(request_send_dump(sock, MEMFDCR_CMD_HOLDER_GET, LIST(LOOK_AT(self))) ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	while (!done) {
		int len = mnl_socket_recvfrom(sock, buf, sizeof(buf));
		const struct nlmsghdr *nlh = (void *)buf;

		ASSERT_LT(0, len);
		for (; mnl_nlmsg_ok(nlh, len) && !done; nlh = mnl_nlmsg_next(nlh, &len)) {
			done = nlh->nlmsg_type == NLMSG_DONE;
			n++;
		}
	}
	/* the beginning, one process, the end with what is hidden, and the end */
	EXPECT_GE(4, n);
}

/* ---- capabilities ---- */

/* SOMEBODY with this capability and no other */
static bool keep_only(int capability)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (prctl(PR_SET_KEEPCAPS, 1) || !become(SOMEBODY))
		return false;
	data[capability / 32].permitted = data[capability / 32].effective = 1U << capability % 32;
	return !syscall(SYS_capset, &head, data);
}

TEST_F(permission, cap_sys_ptrace)
{
	struct view v;

	ASSERT_TRUE(keep_only(CAP_SYS_PTRACE));
	v = look_around(NULL, self);
	EXPECT_SEEN(v, true, true, true, true, true, 0);
}

TEST_F(permission, cap_checkpoint_restore)
{
	struct view v;

	ASSERT_TRUE(keep_only(CAP_CHECKPOINT_RESTORE));
	v = look_around(NULL, self);
	EXPECT_SEEN(v, true, true, true, true, true, 0);
}

TEST_F(permission, another_capability_is_not_enough)
{
	struct view v;

	ASSERT_TRUE(keep_only(CAP_SYS_ADMIN));
	v = look_at_all(NULL, self);
	EXPECT_SEEN(v, false, v.somebodys, false, false, true, v.hidden);
	EXPECT_LE(3, v.hidden);
}

/* root without capabilities is a user like others */
TEST_F(permission, root_without_capabilities)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	struct view v;

	ASSERT_EQ(0, syscall(SYS_capset, &head, data));
	v = look_at_all(NULL, self);
	EXPECT_FALSE(v.somebodys);
	EXPECT_FALSE(v.somebody_elses);
	EXPECT_FALSE(v.undumpable);
	/* those of root have capabilities that this process lacks */
	EXPECT_FALSE(v.roots);
	EXPECT_TRUE(v.own);
	EXPECT_EQ(4, v.hidden);
}

/* ---- user namespaces ---- */

/* runs fn in a child and tells how it ended; 77: there are no such namespaces */
static int in_child(int (*fn)(FIXTURE_DATA(permission) *self), FIXTURE_DATA(permission) *self)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn(self));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define NO_NAMESPACES 77

#define EXPECT_IN_NAMESPACE(fn) do {				\
	int result_ = in_child(fn, self);			\
								\
	if (result_ == NO_NAMESPACES)				\
		SKIP(return, "no user namespaces here");	\
	EXPECT_EQ(0, result_);					\
} while (0)

TEST_F(permission, outer_root_sees_inner_processes)
{
	pid_t pid = factory_start(be, &(struct person){ SOMEBODY, .namespaces = CLONE_NEWUSER });
	struct held got;

	if (pid < 0)
		SKIP(return, "no user namespaces here");
	ASSERT_EQ(0, held_dump(NULL, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_PID, 4, pid }, LOOK_AT(self)),
			       &got).error);
	EXPECT_EQ(0, got.hidden);
	EXPECT_TRUE(shows(&got, pid));
}

/* says what is wrong by a number that the test prints */
static int as_inner_root(FIXTURE_DATA(permission) *self)
{
	struct view v;
	pid_t child;
	struct held got;

	if (unshare(CLONE_NEWUSER))
		return NO_NAMESPACES;
	if (!map_ids(0))
		return 1;
	v = look_at_all(NULL, self);
	if (v.answer.error || v.roots || v.somebodys || v.somebody_elses || v.undumpable)
		return 2;
	if (!v.own)
		return 3;
	if (v.hidden != 4)
		return 4;
	/* its own children it sees */
	child = factory_start(be, &(struct person){ 0 });
	if (child < 0)
		return 5;
	if (held_dump(NULL, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_PID, 4, child }, LOOK_AT(self)),
		      &got).error || got.hidden || !shows(&got, child))
		return 6;
	return 0;
}

TEST_F(permission, inner_root_sees_no_outer_processes)
{
	EXPECT_IN_NAMESPACE(as_inner_root);
}

/* a user who makes a namespace has all capabilities there, and none over what was his before */
static int as_users_inner_root(FIXTURE_DATA(permission) *self)
{
	struct view v;

	if (!become(SOMEBODY))
		return 1;
	if (unshare(CLONE_NEWUSER))
		return NO_NAMESPACES;
	if (!map_ids(SOMEBODY))
		return 2;
	v = look_at_all(NULL, self);
	return v.answer.error || v.roots || v.somebody_elses || v.undumpable ? 3 : !v.own ? 4 : 0;
}

TEST_F(permission, users_inner_root_sees_no_more_than_the_user)
{
	EXPECT_IN_NAMESPACE(as_users_inner_root);
}

/* owner of an object as the caller's namespace has it */
static int as_other_owner(FIXTURE_DATA(permission) *self)
{
	struct held got;

	if (unshare(CLONE_NEWUSER))
		return NO_NAMESPACES;
	if (!map_ids(0))
		return 1;
	if (held_do(&got, LIST(OF_FD(self->fd))).error || got.objects[0].uid != 65534 || got.objects[0].gid != 65534)
		return 2;
	if (held_do(&got, LIST(OF_PID(getpid()), OF_ADDRESS((unsigned long)board))).error || got.objects[0].uid)
		return 3;
	return 0;
}

TEST_F(permission, owner_in_the_callers_namespace)
{
	ASSERT_EQ(0, fchown(self->fd, SOMEBODY, SOMEBODY));
	EXPECT_IN_NAMESPACE(as_other_owner);
}

/* ---- pid namespaces ---- */

static int stay(void *arg)
{
	for (;;)
		raise(SIGSTOP);
	return 0;
}

/* the first process of a namespace: sees itself and its child, with their numbers there, and nobody else */
static int as_init(FIXTURE_DATA(permission) *self)
{
	pid_t child = fork();
	struct held got;
	struct answer answer;
	int status;

	if (!child)
		_exit(stay(NULL));
	if (waitpid(child, &status, WUNTRACED) != child)
		return 1;
	answer = held_dump(NULL, MEMFDCR_CMD_HOLDER_GET, LIST(LOOK_AT(self)), &got);
	if (answer.error)
		return 2;
	if (got.n_holders != 2 || !shows(&got, 1) || !shows(&got, child) || got.hidden)
		return 3;
	if (held_dump(NULL, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_TREE, 4, 1 }, LOOK_AT(self)), &got).error ||
	    got.n_holders != 2)
		return 4;
	if (!held_dump(NULL, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_PID, 4, self->roots }), &got).error)
		return 5;
	if (held_do(&got, LIST(OF_PID(child), OF_TARGET(self->fd))).error)
		return 6;
	if (held_do(&got, LIST(OF_PID(self->roots), OF_TARGET(self->fd))).error != -ESRCH)
		return 7;
	return 0;
}

TEST_F(permission, inner_pid_namespace)
{
	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespaces here");
	EXPECT_EQ(0, in_child(as_init, self));
}

/* seen from outside they have the outer numbers, and are descendants like others */
TEST_F(permission, outer_pid_namespace)
{
	struct held got;
	pid_t pid;
	int status;

	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespaces here");
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(stay(NULL));
	}
	/* init of a namespace cannot stop itself: somebody outside has to */
	kill(pid, SIGSTOP);
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_EQ(0, held_dump(NULL, MEMFDCR_CMD_HOLDER_GET, LIST({ MEMFDCR_A_HOLDER_PID, 4, pid }, LOOK_AT(self)),
			       &got).error);
	EXPECT_TRUE(shows(&got, pid));
	held_free(&got);
	ASSERT_EQ(0, held_dump(NULL, MEMFDCR_CMD_HOLDER_GET,
			       LIST({ MEMFDCR_A_HOLDER_TREE, 4, getpid() }, LOOK_AT(self)), &got).error);
	EXPECT_TRUE(shows(&got, pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

TEST_HARNESS_MAIN
