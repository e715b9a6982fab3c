// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restores through CRIU's RPC as container runtimes do: runs `criu swrk`, asks it for a restore with rst_sibling, so
 * that the restored root task is a child of this program and traced by CRIU until it runs.
 *
 *   rpc IMAGES WORK
 *
 * Prints the pid of the root task. The request is a handful of protobuf fields, encoded here by hand.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESTORE = 2 };					/* criu_req_type */
enum { REQ_TYPE = 1, REQ_OPTS = 2 };			/* criu_req */
enum { RESP_SUCCESS = 2, RESP_RESTORE = 4 };		/* criu_resp */
enum {							/* criu_opts */
	IMAGES_DIR_FD = 1,
	LOG_LEVEL = 9,
	LOG_FILE = 10,
	WORK_DIR_FD = 17,
	RST_SIBLING = 26,
};

static void die(const char *what)
{
	fprintf(stderr, "rpc: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint8_t *put(uint8_t *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*p++ = v | 0x80;
	*p++ = v;
	return p;
}

static uint8_t *put_number(uint8_t *p, unsigned int field, uint64_t v)
{
	return put(put(p, field << 3), v);
}

static uint8_t *put_bytes(uint8_t *p, unsigned int field, const void *data, size_t len)
{
	p = put(put(p, field << 3 | 2), len);
	memcpy(p, data, len);
	return p + len;
}

static uint64_t get(const uint8_t **p, const uint8_t *end)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; *p < end && shift < 64; shift += 7) {
		uint8_t b = *(*p)++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			break;
	}
	return v;
}

/* a number in a message, or, with inside, in the message that is that field; -1: not there */
static int64_t find(const uint8_t *p, const uint8_t *end, unsigned int field, unsigned int inside)
{
	while (p < end) {
		uint64_t key = get(&p, end), v = get(&p, end);

		if ((key & 7) == 0) {
			if (key >> 3 == field)
				return v;
		} else if ((key & 7) == 2) {
			if (v > (uint64_t)(end - p))
				break;
			if (inside && key >> 3 == field)
				return find(p, p + v, inside, 0);
			p += v;
		} else {
			break;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	uint8_t opts[128], req[256], resp[4096], *p;
	int sk[2], images, work, status;
	char number[12];
	ssize_t n;
	pid_t pid;

	if (argc != 3) {
		fprintf(stderr, "usage: rpc IMAGES WORK\n");
		return 2;
	}
	images = open(argv[1], O_RDONLY | O_DIRECTORY);
	work = open(argv[2], O_RDONLY | O_DIRECTORY);
	if (images < 0 || work < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sk))
		die("set-up");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		if (fcntl(sk[1], F_SETFD, 0))
			die("fcntl");
		snprintf(number, sizeof(number), "%d", sk[1]);
		execlp("criu", "criu", "swrk", number, (char *)NULL);
		die("criu");
	}
	close(sk[1]);

	p = put_number(opts, IMAGES_DIR_FD, images);
	p = put_number(p, LOG_LEVEL, 4);
	p = put_bytes(p, LOG_FILE, "restore.log", 11);
	p = put_number(p, WORK_DIR_FD, work);
	p = put_number(p, RST_SIBLING, 1);
	p = put_bytes(put_number(req, REQ_TYPE, RESTORE), REQ_OPTS, opts, p - opts);
	if (send(sk[0], req, p - req, 0) != p - req)
		die("send");
	n = recv(sk[0], resp, sizeof(resp), 0);
	if (n <= 0)
		die("recv");
	if (find(resp, resp + n, RESP_SUCCESS, 0) != 1) {
		fprintf(stderr, "rpc: CRIU says no\n");
		return 1;
	}
	printf("%lld\n", (long long)find(resp, resp + n, RESP_RESTORE, 1));
	close(sk[0]);
	waitpid(pid, &status, 0);
	return 0;
}
