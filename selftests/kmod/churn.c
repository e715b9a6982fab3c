// SPDX-License-Identifier: GPL-2.0-only
/* Processes that change what they hold all the time, and what can be relied on meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>
#include <linux/memfdcr.h>

#include "churn.h"
#include "process.h"
#include "stream.h"

#define COUNT 40		/* descriptors of TOKEN_COUNT */
#define LOW 10			/* first number that tokens are moved to */
#define HIGH 1000
#define LENGTH (4 * PAGE)	/* of a mapping */
#define PLACES 64		/* where a mapping moves */

const struct promise promises[N_PROMISES] = {
	[TOKEN_DUP2] = { "dup2", 1, 2 },
	[TOKEN_SOCKET] = { "socket", 1, 2 },
	[TOKEN_THREADS] = { "threads", 1, 2 },
	[TOKEN_COUNT] = { "count", COUNT, COUNT + 1 },
	[TOKEN_EXEC] = { "exec", 1, 1 },
	[TOKEN_HANDOVER] = { "handover", 1, 2 },
	[REGION_HANDOVER] = { "handover of a mapping", 1, 2 },
	[REGION_MOVE] = { "move", 1, 2 },
	[REGION_ATTACH] = { "attach", 1, 2 },
};

struct churn *churn;
static __thread unsigned int seed;

static void die(const char *what)
{
	printf("# churn: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	churn->failed = true;
	_exit(99);
}

static unsigned int any(unsigned int below)
{
	return rand_r(&seed) % below;
}

static void nap(void)
{
	int most = churn->nap;

	if (most)
		usleep(any(most) + 1);
}

static void ready(void)
{
	churn->ready++;
	while (!churn->go)
		usleep(1000);
}

static int memfd(const char *name)
{
	int fd = memfd_create(name, 0);

	if (fd < 0 || ftruncate(fd, LENGTH))
		die("memfd_create");
	return fd;
}

static void read_identity(const struct nlattr **attributes, void *arg)
{
	struct identity *id = arg;

	id->ino = stream_u64(attributes[MEMFDCR_A_OBJECT_INO]);
	id->dev = stream_u32(attributes[MEMFDCR_A_OBJECT_DEV]);
	id->generation = stream_u32(attributes[MEMFDCR_A_OBJECT_GENERATION]);
}

struct identity identify(int fd, const void *address)
{
	struct identity id = { 0 };
	struct stream s;

	errno = -stream_open(&s, 8192);
	if (errno)
		die("a netlink socket");
	stream_begin(&s, MEMFDCR_CMD_OBJECT_GET, 0);
	if (address) {
		mnl_attr_put_u32(s.request, MEMFDCR_A_OBJECT_PID, getpid());
		mnl_attr_put_u64(s.request, MEMFDCR_A_OBJECT_ADDRESS, (unsigned long)address);
	} else {
		mnl_attr_put_u32(s.request, MEMFDCR_A_OBJECT_FD, fd);
	}
	errno = -stream_run(&s, read_identity, &id);
	if (errno)
		die(s.message);
	stream_close(&s);
	return id;
}

bool same_object(const struct identity *a, const struct identity *b)
{
	return a->ino == b->ino && a->dev == b->dev && a->generation == b->generation;
}

static void send_token(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "", 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, 0) != 1)
		die("sendmsg");
}

static int receive_token(int sock)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		die("recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static void acknowledge(int sock)
{
	if (write(sock, "", 1) != 1)
		die("write");
}

static void await(int sock)
{
	char byte;

	if (read(sock, &byte, 1) != 1)
		die("read");
}

/* one of two players; the one without the token (-1) waits for it. Who has passed it lets go when the other has it. */
static void play(int sock, int token)
{
	for (;;) {
		if (token >= 0) {
			send_token(sock, token);
			await(sock);
			nap();
			close(token);
		}
		token = receive_token(sock);
		acknowledge(sock);
		nap();
	}
}

static void make_sockets(int *socks)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, socks))
		die("socketpair");
}

static void churn_dup2(void)
{
	int at = memfd("dup2"), to;

	churn->objects[TOKEN_DUP2] = identify(at, NULL);
	ready();
	for (;;) {
		to = LOW + any(HIGH - LOW);
		if (to == at)
			continue;
		if (dup2(at, to) < 0)
			die("dup2");
		nap();
		close(at);
		at = to;
		nap();
	}
}

static void churn_socket(void)
{
	int token = memfd("socket"), socks[2];

	churn->objects[TOKEN_SOCKET] = identify(token, NULL);
	make_sockets(socks);
	ready();
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(token);
		seed = getpid();
		play(socks[1], -1);
	}
	play(socks[0], token);
}

struct player {
	int sock, token;
	pthread_barrier_t *apart;
};

static void *player(void *arg)
{
	struct player me = *(struct player *)arg;

	seed = me.sock;
	if (unshare(CLONE_FILES))
		die("unshare");
	if (me.token >= 0 && dup2(me.token, LOW) < 0)
		die("dup2");
	if (dup2(me.sock, LOW + 1) < 0 || close_range(3, LOW - 1, 0) || close_range(LOW + 2, ~0U, 0))
		die("close_range");
	pthread_barrier_wait(me.apart);
	while (!churn->go)
		usleep(1000);
	play(LOW + 1, me.token >= 0 ? LOW : -1);
	return NULL;
}

static void churn_threads(void)
{
	int token = memfd("threads"), socks[2];
	struct player players[2];
	pthread_barrier_t apart;
	pthread_t thread;

	churn->objects[TOKEN_THREADS] = identify(token, NULL);
	make_sockets(socks);
	pthread_barrier_init(&apart, NULL, 3);
	for (int i = 0; i < 2; i++) {
		players[i] = (struct player){ socks[i], i ? -1 : token, &apart };
		if (pthread_create(&thread, NULL, player, &players[i]))
			die("pthread_create");
	}
	pthread_barrier_wait(&apart);
	close_range(3, ~0U, 0);
	ready();
	for (;;)
		pause();
}

static int free_number(const bool *used)
{
	int fd;

	do
		fd = LOW + any(HIGH - LOW);
	while (used[fd]);
	return fd;
}

static void churn_count(void)
{
	int fds[COUNT], token = memfd("count");
	bool used[HIGH] = { false };

	churn->objects[TOKEN_COUNT] = identify(token, NULL);
	for (int i = 0; i < COUNT; i++) {
		fds[i] = free_number(used);
		used[fds[i]] = true;
		if (dup2(token, fds[i]) < 0)
			die("dup2");
	}
	close(token);
	ready();
	for (;;) {
		int to = free_number(used), i = any(COUNT);

		if (dup2(fds[any(COUNT)], to) < 0)
			die("dup2");
		nap();
		close(fds[i]);
		used[fds[i]] = false;
		used[to] = true;
		fds[i] = to;
		nap();
	}
}

static void churn_exec(void)
{
	static const char again[] = "exec /bin/sh -c \"$0\" \"$0\"";

	churn->objects[TOKEN_EXEC] = identify(memfd("exec"), NULL);
	churn->exec = getpid();
	ready();
	execl("/bin/sh", "sh", "-c", again, again, NULL);
	die("/bin/sh");
}

static void churn_handover(void)
{
	int token = memfd("handover");
	void *region = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (region == MAP_FAILED)
		die("mmap");
	churn->objects[TOKEN_HANDOVER] = identify(token, NULL);
	churn->objects[REGION_HANDOVER] = identify(-1, region);
	churn->ready++;
	ready();
	prctl(PR_SET_PDEATHSIG, 0);
	for (;;) {
		pid_t parent = getpid(), child = fork();

		if (child > 0)
			_exit(0);
		/* only when the parent has gone may there be another holder */
		while (child == 0 && getppid() == parent)
			sched_yield();
		nap();
	}
}

static void churn_move(void)
{
	char *room = mmap(NULL, PLACES * LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *to;

	if (room == MAP_FAILED || at == MAP_FAILED)
		die("mmap");
	churn->objects[REGION_MOVE] = identify(-1, at);
	ready();
	for (;;) {
		to = room + any(PLACES) * LENGTH;
		if (to == at)
			continue;
		/* of length 0: a second mapping of the same memory */
		if (mremap(at, 0, LENGTH, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			die("mremap");
		nap();
		munmap(at, LENGTH);
		at = to;
		nap();
	}
}

static void churn_attach(void)
{
	int id = shmget(IPC_PRIVATE, LENGTH, IPC_CREAT | 0600);
	void *at = shmat(id, NULL, 0), *to;

	if (at == (void *)-1)
		die("shmat");
	/* it lives on as long as it is attached */
	shmctl(id, IPC_RMID, NULL);
	churn->objects[REGION_ATTACH] = identify(-1, at);
	ready();
	for (;;) {
		to = shmat(id, NULL, 0);
		if (to == (void *)-1)
			die("shmat");
		nap();
		shmdt(at);
		at = to;
		nap();
	}
}

#define SLOTS 16

static void noise_step(int *fds, void **maps);

static void noise_child(int *fds, void **maps)
{
	pid_t pid = fork();

	if (pid == 0) {
		seed ^= getpid();
		for (int i = any(8); i; i--)
			noise_step(fds, maps);
		if (any(3) == 0)
			execl("/bin/true", "true", NULL);
		_exit(0);
	}
	if (pid > 0 && any(4))
		waitpid(pid, NULL, 0);
}

static void noise_in_flight(int fd)
{
	int socks[2];

	make_sockets(socks);
	send_token(socks[0], fd);
	nap();
	if (any(2))
		close(receive_token(socks[1]));
	close(socks[0]);
	close(socks[1]);
}

/* no promises, just unrest */
static void noise_step(int *fds, void **maps)
{
	int i = any(SLOTS), j = any(SLOTS);

	nap();
	switch (any(8)) {
	case 0:
	case 1:
		if (fds[i] < 0)
			fds[i] = memfd("noise");
		break;
	case 2:
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
		break;
	case 3:
	case 4:
		if (fds[i] >= 0 && maps[j] == MAP_FAILED)
			maps[j] = mmap(NULL, LENGTH, PROT_READ, any(2) ? MAP_SHARED : MAP_PRIVATE, fds[i], 0);
		break;
	case 5:
		if (maps[j] != MAP_FAILED)
			munmap(maps[j], LENGTH);
		maps[j] = MAP_FAILED;
		break;
	case 6:
		if (fds[i] >= 0)
			noise_in_flight(fds[i]);
		break;
	case 7:
		noise_child(fds, maps);
		break;
	}
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void churn_noise(void)
{
	void *maps[SLOTS];
	int fds[SLOTS];

	for (int i = 0; i < SLOTS; i++) {
		fds[i] = -1;
		maps[i] = MAP_FAILED;
	}
	while (!churn->go)
		usleep(1000);
	for (;;)
		noise_step(fds, maps);
}

static void start(void (*fn)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed = getpid();
	fn();
	die("a churner came to an end");
}

static int root(void *arg)
{
	static void (*const churners[])(void) = {
		churn_dup2, churn_socket, churn_threads, churn_count, churn_exec, churn_handover, churn_move,
		churn_attach, churn_noise, churn_noise
	};
	setpgid(0, 0);
	/* orphans stay in the tree */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1))
		die("PR_SET_CHILD_SUBREAPER");
	for (size_t i = 0; i < sizeof(churners) / sizeof(*churners); i++)
		start(churners[i]);
	for (;;)
		wait(NULL);
	return 0;
}

static void prepare(void)
{
	churn = mmap(NULL, sizeof(*churn), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (churn == MAP_FAILED)
		die("mmap");
}

pid_t churn_start(void)
{
	pid_t pid;

	prepare();
	pid = process_start(root, NULL);
	if (wait_for(&churn->ready, N_PROMISES, 60000)) {
		churn->go = 1;
		return pid;
	}
	churn_end(pid);
	return -1;
}

static void end_group(pid_t group, pid_t child)
{
	kill(-group, SIGKILL);
	waitpid(child, NULL, 0);
}

void churn_end(pid_t root)
{
	end_group(root, root);
	munmap(churn, sizeof(*churn));
}

/* nobody of the group does anything any more */
static bool all_stopped(pid_t group)
{
	char command[128];

	snprintf(command, sizeof(command), "! ps -e -L -o pgid=,stat= | grep -qE '^ *%d +[^TZ]'", group);
	return system(command) == 0;
}

bool churn_stop(pid_t root)
{
	for (int i = 0; i < 200; i++) {
		kill(-root, SIGSTOP);
		if (all_stopped(root))
			return true;
		usleep(20000);
	}
	return false;
}

void churn_continue(pid_t root)
{
	kill(-root, SIGCONT);
}

static void play_with_memory(int sock, int fd, void *token)
{
	for (;;) {
		if (token) {
			acknowledge(sock);
			await(sock);
			nap();
			munmap(token, LENGTH);
		}
		await(sock);
		token = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, fd, 0);
		if (token == MAP_FAILED)
			die("mmap");
		acknowledge(sock);
		nap();
	}
}

/* what an outsider begins with */
struct outsider {
	int sock;
	int fd;			/* of the token; -1: the other has it */
	int file;		/* to map */
	bool memory;
	atomic_bool *ready;
};

static int outsider(void *arg)
{
	struct outsider me = *(struct outsider *)arg;
	void *token = NULL;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	seed = me.sock;
	if (me.memory && me.fd >= 0)
		token = mmap(NULL, LENGTH, PROT_READ, MAP_SHARED, me.file, 0);
	*me.ready = true;
	while (!churn->go)
		usleep(1000);
	if (me.memory)
		play_with_memory(me.sock, me.file, token);
	play(me.sock, me.fd);
	return 0;
}

/* one that sleeps and shares what it has with an outsider, who does all the work */
static int sleeper(void *arg)
{
	static char stack[65536] __attribute__((aligned(16)));
	static struct outsider me;
	static atomic_bool started;

	me = *(struct outsider *)arg;
	me.ready = &started;
	setpgid(0, churn->exec);
	if (me.fd < 0 && !me.memory)
		close(me.file);
	if (clone(outsider, stack + sizeof(stack), (me.memory ? CLONE_VM : CLONE_FILES | CLONE_VM) | SIGCHLD, &me) < 0)
		die("clone");
	while (!started)
		usleep(1000);
	/* then the mapping is all that there is of it */
	if (me.memory)
		close(me.file);
	churn->ready++;
	for (;;)
		pause();
	return 0;
}

bool pair_start(struct pair *pair, bool memory)
{
	int token, socks[2];

	prepare();
	token = memfd("pair");
	make_sockets(socks);
	churn->objects[0] = identify(token, NULL);
	pair->object = &churn->objects[0];
	for (int i = 0; i < 2; i++) {
		struct outsider one = { .sock = socks[i], .fd = i ? -1 : token, .file = token, .memory = memory };

		/* the group's number: that of the first */
		pair->sleepers[i] = process_start(sleeper, &one);
		if (i == 0) {
			setpgid(pair->sleepers[0], pair->sleepers[0]);
			pair->group = pair->sleepers[0];
			churn->exec = pair->group;
		}
	}
	close(token);
	close(socks[0]);
	close(socks[1]);
	if (!wait_for(&churn->ready, 2, 10000))
		return false;
	churn->go = 1;
	return true;
}

void pair_end(struct pair *pair)
{
	kill(-pair->group, SIGKILL);
	for (int i = 0; i < 2; i++)
		waitpid(pair->sleepers[i], NULL, 0);
	munmap(churn, sizeof(*churn));
}
