// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests made of random bytes, and of good ones with something wrong: the module refuses them or answers, and
 * nothing is left of them. MEMFDCR_FUZZ_REQUESTS says how many (default 100000), MEMFDCR_FUZZ_SEED which.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "harness.h"
#include "caches.h"
#include "module.h"
#include "process.h"
#include "request.h"
#include "stream.h"

#define REQUESTS 100000
#define PER_CHILD 2500			/* requests by one process */
#define NOBODY 65534
#define KNOWN 16			/* descriptors below are those that requests are about; above are new ones */
#define ROOM 65536
#define MOST_DATAGRAMS 1000000		/* no dump of a small machine is longer */
#define LARGEST_ERRNO 133		/* what user space may see */

/* what the requests of one process came to; shared with the parent */
struct outcome {
	unsigned long requests, refused, answered, dumps, abandoned, opened, without_sentence;
	unsigned int failures;
};

static struct outcome *outcome;
static uint64_t state;
static int family;
static pid_t target;

static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1dULL;
}

static unsigned int any(unsigned int below)
{
	return (next() >> 33) % below;
}

static void failure(const char *what, long detail)
{
	if (outcome->failures++ < 10)
		printf("# request %lu: %s (%ld)\n", outcome->requests, what, detail);
	fflush(stdout);
}

/* a request under construction; lengths in it may be lies */
static struct {
	union {
		struct nlmsghdr nlh;
		unsigned char bytes[ROOM];
	};
	size_t length;
} request_now;

static void put(const void *bytes, size_t length)
{
	size_t aligned = MNL_ALIGN(length);

	if (request_now.length + aligned > ROOM)
		return;
	memset(request_now.bytes + request_now.length, 0, aligned);
	memcpy(request_now.bytes + request_now.length, bytes, length);
	request_now.length += aligned;
}

static void put_attribute(int type, const void *value, size_t length)
{
	struct nlattr a = { .nla_type = type, .nla_len = MNL_ATTR_HDRLEN + length };

	if (request_now.length + MNL_ALIGN(a.nla_len) > ROOM)
		return;
	put(&a, sizeof(a));
	put(value, length);
}

static void begin(int cmd, int flags)
{
	struct genlmsghdr genl = { .cmd = cmd, .version = any(50) ? MEMFDCR_FAMILY_VERSION : any(256) };
	struct nlmsghdr nlh = { .nlmsg_type = family, .nlmsg_flags = NLM_F_REQUEST | flags,
				.nlmsg_seq = outcome->requests };

	request_now.length = 0;
	put(&nlh, sizeof(nlh));
	put(&genl, sizeof(genl));
}

static uint64_t odd_number(void)
{
	static const uint64_t numbers[] = {
		0, 1, 2, 4095, 4096, 4097, 0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 47, (1ULL << 47) - 4096,
		1ULL << 63, ~0ULL, ~0ULL - 4095, 0xffff800000000000
	};

	return any(4) ? numbers[any(sizeof(numbers) / sizeof(*numbers))] : next();
}

/* a value that makes sense for something */
static uint64_t fair_number(void)
{
	struct stat st;

	switch (any(8)) {
	case 0:
		return getpid();
	case 1:
		return target;
	case 2:
		return any(2) ? getppid() : 1 + any(400);
	case 3:
		return (unsigned long)region + any(PAGES + 8) * PAGE;
	case 4:
		return fstat(any(KNOWN), &st) ? 0 : st.st_ino;
	case 5:
		return fstat(any(KNOWN), &st) ? 0 : st.st_dev;
	case 6:
		return O_CLOEXEC * any(2) | O_NONBLOCK * any(2) | any(2);
	default:
		return any(KNOWN);
	}
}

/* the attributes that one of the commands knows are below this */
static int any_type(void)
{
	int type = any(20) ? any(MEMFDCR_A_OBJECT_MAX + 3) : any(65536);

	if (any(30) == 0)
		type |= NLA_F_NESTED;
	if (any(60) == 0)
		type |= NLA_F_NET_BYTEORDER;
	return type;
}

static size_t any_length(void)
{
	static const size_t lengths[] = { 0, 4, 4, 4, 4, 8, 8, 8 };

	return any(8) ? lengths[any(8)] : any(20) ? any(40) : any(5000);
}

static void put_any_attribute(void)
{
	unsigned char value[5000];
	size_t length = any_length();
	uint64_t number = any(3) ? fair_number() : odd_number();

	for (size_t i = 8; i < length; i++)
		value[i] = next();
	memcpy(value, &number, sizeof(number));
	put_attribute(any_type(), value, length);
}

/* nests in nests, some of which end too early or too late */
static void put_nest(int depth)
{
	size_t at = request_now.length;
	struct nlattr *a = (void *)(request_now.bytes + at);

	put_attribute(any_type() | (any(4) ? NLA_F_NESTED : 0), NULL, 0);
	for (int i = any(4); i; i--)
		put_any_attribute();
	if (depth && any(2))
		put_nest(depth - 1);
	if (request_now.length > at)
		a->nla_len = any(4) ? request_now.length - at : any(65536);
}

/* one attribute again and again: beside the 4096 that are allowed, and far beyond */
static void put_flood(void)
{
	uint32_t pid = fair_number();
	int type = any(2) ? MEMFDCR_A_OBJECT_PID : any(2) ? MEMFDCR_A_HOLDER_PID : any_type();

	for (int n = any(2) ? 4090 + any(12) : any(8000); n; n--) {
		put_attribute(type, &pid, sizeof(pid));
		if (any(100) == 0)
			pid = fair_number();
	}
}

/* what the operations want, in the form that they want it */
static void put_good_attributes(int cmd, bool is_dump)
{
	static const int by_cmd[][6] = {
		[MEMFDCR_CMD_UFFD_OPEN] = { MEMFDCR_A_UFFD_MEM_FD, MEMFDCR_A_UFFD_FLAGS, MEMFDCR_A_UFFD_FLAGS },
		[MEMFDCR_CMD_UFFD_COMPLETE] = { MEMFDCR_A_UFFD_FD },
		[MEMFDCR_CMD_UFFD_GET] = { MEMFDCR_A_UFFD_FD },
		[MEMFDCR_CMD_EXTENT_GET] = { MEMFDCR_A_EXTENTS_FD },
	};
	uint32_t pid = any(2) ? target : getpid(), fd = any(KNOWN), kinds = any(64);

	if (cmd == MEMFDCR_CMD_UFFD_OPEN) {
		uint32_t flags = any(2) | O_CLOEXEC * any(2) | O_NONBLOCK * any(2);

		put_attribute(MEMFDCR_A_UFFD_MEM_FD, &fd, sizeof(fd));
		put_attribute(MEMFDCR_A_UFFD_FLAGS, &flags, sizeof(flags));
		if (any(2))
			put_attribute(MEMFDCR_A_UFFD_GUARD, NULL, 0);
	} else if (cmd == MEMFDCR_CMD_OBJECT_GET && is_dump) {
		put_attribute(any(2) ? MEMFDCR_A_OBJECT_PID : MEMFDCR_A_OBJECT_TREE, &pid, sizeof(pid));
		if (any(2))
			put_attribute(MEMFDCR_A_OBJECT_HOLDERS, NULL, 0);
		if (any(4) == 0)
			put_attribute(MEMFDCR_A_OBJECT_KINDS, &kinds, sizeof(kinds));
		if (any(16) == 0)
			put_attribute(MEMFDCR_A_OBJECT_OUTSIDE, NULL, 0);
	} else if (cmd == MEMFDCR_CMD_HOLDER_GET) {
		put_attribute(any(2) ? MEMFDCR_A_HOLDER_PID : MEMFDCR_A_HOLDER_TREE, &pid, sizeof(pid));
		if (any(4) == 0)
			put_attribute(MEMFDCR_A_HOLDER_KINDS, &kinds, sizeof(kinds));
	} else if (cmd == MEMFDCR_CMD_OBJECT_GET || cmd == MEMFDCR_CMD_EXTENT_GET) {
		bool object = cmd == MEMFDCR_CMD_OBJECT_GET;
		uint64_t address = (unsigned long)region + any(PAGES) * PAGE;

		switch (any(3)) {
		case 0:
			put_attribute(object ? MEMFDCR_A_OBJECT_FD : MEMFDCR_A_EXTENTS_FD, &fd, sizeof(fd));
			return;
		case 1:
			put_attribute(object ? MEMFDCR_A_OBJECT_TARGET_FD : MEMFDCR_A_EXTENTS_TARGET_FD, &fd,
				      sizeof(fd));
			break;
		case 2:
			put_attribute(object ? MEMFDCR_A_OBJECT_ADDRESS : MEMFDCR_A_EXTENTS_ADDRESS, &address,
				      sizeof(address));
			break;
		}
		put_attribute(object ? MEMFDCR_A_OBJECT_PID : MEMFDCR_A_EXTENTS_PID, &pid, sizeof(pid));
	} else {
		put_attribute(by_cmd[cmd][0], &fd, sizeof(fd));
	}
}

/* bits and bytes of the payload changed, or its end cut off */
static void mutate(void)
{
	size_t head = sizeof(struct nlmsghdr);

	if (request_now.length <= head)
		return;
	for (int n = 1 + any(4); n; n--) {
		unsigned char *byte = &request_now.bytes[head + any(request_now.length - head)];

		*byte = any(2) ? *byte ^ 1 << any(8) : odd_number();
	}
	if (any(4) == 0)
		request_now.length -= any(request_now.length - head);
}

static void make_request(void)
{
	bool is_dump = any(2);
	int cmd = any(40) ? 1 + any(MEMFDCR_CMD_MAX) : any(256);
	int flags = is_dump ? any(8) ? NLM_F_DUMP : any(2) ? NLM_F_ROOT : NLM_F_MATCH : NLM_F_ACK;

	if (any(40) == 0)
		flags = any(65536) & ~NLM_F_REQUEST;
	begin(cmd, flags);
	if (any(4) && cmd >= 1 && cmd <= MEMFDCR_CMD_MAX) {
		put_good_attributes(cmd, is_dump);
		request_now.nlh.nlmsg_len = request_now.length;
		if (any(2))
			return;
	}
	if (any(2)) {
		for (int n = any(6); n; n--)
			put_any_attribute();
	}
	if (any(10) == 0)
		put_nest(any(20));
	if (any(200) == 0)
		put_flood();
	if (any(3) == 0)
		mutate();
	request_now.nlh.nlmsg_len = any(30) ? request_now.length : odd_number();
}

/* a number that no user space program knows, or a place outside the request */
static void check_refusal(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attributes[STREAM_ATTRIBUTES] = { NULL }, *a;
	size_t head = sizeof(*err);

	if (!err->error)
		return;
	outcome->refused++;
	if (err->error > 0 || err->error < -LARGEST_ERRNO)
		failure("a strange errno", err->error);
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS)) {
		outcome->without_sentence++;
		return;
	}
	/* the request comes back with it */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		head += MNL_ALIGN(err->msg.nlmsg_len) - sizeof(err->msg);
	mnl_attr_for_each(a, nlh, head) {
		if (mnl_attr_get_type(a) < STREAM_ATTRIBUTES)
			attributes[mnl_attr_get_type(a)] = a;
	}
	a = attributes[NLMSGERR_ATTR_OFFS];
	if (a && err->msg.nlmsg_seq == outcome->requests && mnl_attr_get_u32(a) >= request_now.length)
		failure("an offset behind the request", mnl_attr_get_u32(a));
	a = attributes[NLMSGERR_ATTR_MSG];
	if (a && mnl_attr_validate(a, MNL_TYPE_NUL_STRING))
		failure("a sentence without an end", mnl_attr_get_payload_len(a));
	if (!a)
		outcome->without_sentence++;
}

static void check_reply(const struct nlmsghdr *nlh)
{
	const struct nlattr *a = mnl_nlmsg_get_payload_offset(nlh, GENL_HDRLEN);
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	int left = mnl_nlmsg_get_payload_len(nlh) - GENL_HDRLEN;

	outcome->answered++;
	if (nlh->nlmsg_type != family)
		failure("a reply of somebody else", nlh->nlmsg_type);
	for (; mnl_attr_ok(a, left); a = mnl_attr_next(a)) {
		left -= MNL_ALIGN(a->nla_len);
		if (genl->cmd == MEMFDCR_CMD_UFFD_OPEN && mnl_attr_get_type(a) == MEMFDCR_A_UFFD_FD)
			outcome->opened++;
	}
	if (left)
		failure("a reply with something behind its attributes", left);
}

/* all that has come; the kernel goes on with a dump whenever a part of it is taken */
static void drain(int sock, int most)
{
	static char buffer[32768];
	ssize_t n;

	for (int i = 0; i < most; i++) {
		const struct nlmsghdr *nlh = (void *)buffer;
		int length;

		n = recv(sock, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno != ENOBUFS && errno != EINTR)
			failure("recv", errno);
		for (length = n; mnl_nlmsg_ok(nlh, length); nlh = mnl_nlmsg_next(nlh, &length)) {
			if (nlh->nlmsg_type == NLMSG_ERROR)
				check_refusal(nlh);
			else if (nlh->nlmsg_type == NLMSG_DONE)
				outcome->dumps++;
			else
				check_reply(nlh);
		}
	}
	if (most == MOST_DATAGRAMS)
		failure("a dump without an end", most);
}

static int new_socket(void)
{
	int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), on = 1;

	if (sock < 0 || setsockopt(sock, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)))
		failure("socket", errno);
	if (any(2))
		setsockopt(sock, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	if (any(2))
		setsockopt(sock, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	return sock;
}

static void send_request(int sock)
{
	outcome->requests++;
	make_request();
	if (send(sock, request_now.bytes, request_now.length, MSG_DONTWAIT) < 0 && errno != ENOBUFS && errno != EAGAIN)
		failure("send", errno);
}

/* dumps that nobody reads to the end, one upon the other */
static void abandon(void)
{
	int sock = new_socket();

	for (int n = 1 + any(3); n; n--)
		send_request(sock);
	drain(sock, any(3));
	outcome->abandoned++;
	close(sock);
}

/* everything that requests can be about, as descriptors 3 and up */
static void lay_out_descriptors(void)
{
	int mem = open_mem(target, O_RDWR), memfd = memfd_create("fuzz", MFD_ALLOW_SEALING), fd;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	if (mem < 0 || memfd < 0 || ftruncate(memfd, 64 * PAGE) || pwrite(memfd, "x", 1, 8 * PAGE) != 1)
		failure("the descriptors of the test", errno);
	fd = fcntl(mem, F_DUPFD_CLOEXEC, KNOWN);
	close(mem);
	memfd = fcntl(memfd, F_DUPFD_CLOEXEC, KNOWN);
	close_range(3, KNOWN - 1, 0);
	dup3(fd, 3, O_CLOEXEC);
	dup3(memfd, 4, O_CLOEXEC);
	close_range(KNOWN, ~0U, 0);
	open_mem(target, O_RDONLY);				/* 5 and on */
	open("/proc/self/fd/4", O_PATH | O_CLOEXEC);
	memfd_create("huge", MFD_HUGETLB | MFD_CLOEXEC);
	syscall(SYS_memfd_secret, 0);
	open("/dev/null", O_RDWR | O_CLOEXEC);
	fd = uffd_open(3, UFFD_USER_MODE_ONLY | O_CLOEXEC, false).fd;
	if (fd < 0)
		failure("uffd-open as it should be", 0);
	uffd_open(3, O_CLOEXEC, true);				/* not for everybody */
	open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= KNOWN)
		failure("too many descriptors", fd);
	/* none of them free for a new one */
	while (fd < KNOWN - 1)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int count_new(void)
{
	int n = 0;

	for (int fd = KNOWN; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* after a number of requests whose answers were all read: only what uffd-open has given is new */
static void check_descriptors(int sock, unsigned long opened)
{
	int n = count_new() - 1;

	if (n != opened)
		failure("descriptors that no reply told of", n - (long)opened);
	if (fcntl(sock, F_GETFD) < 0)
		failure("the socket is gone", sock);
}

static void one_round(void)
{
	unsigned long opened = outcome->opened;
	int sock = new_socket();

	for (int i = 0; i < 100; i++) {
		send_request(sock);
		drain(sock, MOST_DATAGRAMS);
	}
	check_descriptors(sock, outcome->opened - opened);
	for (int i = any(10); i; i--)
		abandon();
	close_range(KNOWN, ~0U, 0);
}

static int fuzzer(void *arg)
{
	struct rlimit files = { 1024, 1024 };
	unsigned long begun = outcome->requests;

	state = *(uint64_t *)arg;
	setrlimit(RLIMIT_NOFILE, &files);
	target = process_start(target_wait, NULL);
	lay_out_descriptors();
	while (outcome->requests - begun < PER_CHILD)
		one_round();
	kill(target, SIGKILL);
	waitpid(target, NULL, 0);
	return 0;
}

static int unprivileged_fuzzer(void *arg)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ||
	    prctl(PR_SET_DUMPABLE, 1))
		failure("setresuid", errno);
	return fuzzer(arg);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

FIXTURE(fuzz)
{
	long slab;
};

FIXTURE_SETUP(fuzz)
{
	process_prepare();
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, outcome);
	family = request_family();
	ASSERT_LT(0, family);
	self->slab = module_slab();
}

FIXTURE_TEARDOWN(fuzz)
{
}

/* the identity in an answer */
static void read_ino(const struct nlattr **attributes, void *arg)
{
	*(uint64_t *)arg = stream_u64(attributes[MEMFDCR_A_OBJECT_INO]);
}

static void expect_good_answer(struct __test_metadata *_metadata)
{
	int fd = memfd_create("good", MFD_CLOEXEC);
	struct stream s;
	struct stat st;
	uint64_t ino = 0;

	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(0, stream_open(&s, 8192));
	stream_begin(&s, MEMFDCR_CMD_OBJECT_GET, 0);
	mnl_attr_put_u32(s.request, MEMFDCR_A_OBJECT_FD, fd);
	EXPECT_EQ(0, stream_run(&s, read_ino, &ino));
	EXPECT_EQ(st.st_ino, ino);
	stream_close(&s);
	close(fd);
}

TEST_F_TIMEOUT(fuzz, leaves_nothing_behind, 7200)
{
	uint64_t seed = number_from("MEMFDCR_FUZZ_SEED", 1), wanted = number_from("MEMFDCR_FUZZ_REQUESTS", REQUESTS);

	printf("# MEMFDCR_FUZZ_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	for (uint64_t i = 0; outcome->requests < wanted; i++) {
		/* never 0, of which there would come nothing else */
		uint64_t own = (seed + i) * 0x9e3779b97f4a7c15ULL | 1;
		pid_t pid = process_start(i % 2 ? unprivileged_fuzzer : fuzzer, &own);
		int status;

		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		ASSERT_EQ(0, outcome->failures);
		/* what comes once has come now */
		if (i == 1)
			self->slab = module_slab();
	}
	printf("# %lu requests: %lu refused (%lu of them without a sentence), %lu messages of answer, %lu dumps read, "
	       "%lu abandoned, %lu userfaultfds\n", outcome->requests, outcome->refused, outcome->without_sentence,
	       outcome->answered, outcome->dumps, outcome->abandoned, outcome->opened);
	/* most of it has come past the first checks */
	EXPECT_LT(wanted / 20, outcome->answered);
	EXPECT_LT(wanted / 20, outcome->refused);
	EXPECT_LT(0, outcome->opened);
	expect_good_answer(_metadata);
	EXPECT_TRUE(caches_nothing_leaked(self->slab + 4096));
	EXPECT_TRUE(module_unused_soon());
	EXPECT_EQ(0, module_unload_soon());
}

TEST_HARNESS_MAIN
