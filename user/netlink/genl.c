// SPDX-License-Identifier: GPL-2.0-only
/* Requests to the memfdcr family over libmnl, with the kernel's own sentence (extended ack) for every refusal. */
#include "netlink/genl-internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/memfdcr.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOTIFICATIONS_SIZE (4 << 20)	/* of the socket's buffer: some thousand notifications */

struct genl {
	struct mnl_socket *socket;
	uint16_t family;
	unsigned int version;
	uint32_t seq;
	genl_reply *notification;
	void *notification_data;
	/* the kernel fills up to 32 KiB in one go when it dumps, if there is room for that */
	char buffer[65536] __attribute__((aligned(8)));
};

static char error_text[512];

const char *genl_error(void)
{
	return error_text;
}

int genl_fail(int error, const char *text)
{
	snprintf(error_text, sizeof(error_text), "%s", text);
	return -error;
}

static int fail_errno(const char *what)
{
	int error = errno;

	snprintf(error_text, sizeof(error_text), "%s: %s", what, strerror(error));
	return -error;
}

struct extack {
	const char *text;
	uint32_t missing;	/* attribute type + 1, 0: none */
};

static int extack_attribute(const struct nlattr *attr, void *data)
{
	struct extack *extack = data;

	switch (mnl_attr_get_type(attr)) {
	case NLMSGERR_ATTR_MSG:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) >= 0)
			extack->text = mnl_attr_get_str(attr);
		break;
	case NLMSGERR_ATTR_MISS_TYPE:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			extack->missing = mnl_attr_get_u32(attr) + 1;
		break;
	}
	return MNL_CB_OK;
}

/* keeps the reason for a refusal, whose attributes begin at offset, for genl_error(); error is a negative errno */
static int take_refusal(const struct nlmsghdr *nlh, size_t offset, int error)
{
	struct extack extack = { 0 };

	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) && mnl_nlmsg_get_payload_len(nlh) > offset)
		mnl_attr_parse(nlh, offset, extack_attribute, &extack);
	if (extack.text)
		snprintf(error_text, sizeof(error_text), "%s", extack.text);
	else if (extack.missing)
		snprintf(error_text, sizeof(error_text), "attribute %u is missing", extack.missing - 1);
	else if (error == -EOPNOTSUPP)
		/* the module gives all its refusals a sentence: this one is the kernel's, of an unknown command */
		return genl_fail(EPROTONOSUPPORT, "the loaded memfdcr module is too old for this request");
	else
		snprintf(error_text, sizeof(error_text), "%s", strerror(-error));
	return error;
}

/* an NLMSG_ERROR message: 0 for an acknowledgement, else a negative errno */
static int take_error(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	size_t offset = sizeof(*err);

	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*err)))
		return genl_fail(EBADMSG, "a cut netlink error message");
	if (!err->error)
		return 0;
	/* NETLINK_CAP_ACK: the request's payload is not echoed, unless the kernel says that it is not capped */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		offset += mnl_nlmsg_get_payload_len(&err->msg);
	return take_refusal(nlh, offset, err->error);
}

/* the NLMSG_DONE message at the end of a dump, which may have failed half way */
static int take_done(const struct nlmsghdr *nlh)
{
	int error;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(error))
		return genl_fail(EBADMSG, "a cut netlink message at the end of a dump");
	memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	return error < 0 ? take_refusal(nlh, sizeof(error), error) : 0;
}

/* the family's own messages without a sequence number of ours */
static bool is_notification(const struct nlmsghdr *nlh)
{
	return !nlh->nlmsg_seq && nlh->nlmsg_type >= NLMSG_MIN_TYPE;
}

bool exchange_take(struct exchange *e, const void *buffer, size_t size)
{
	const struct nlmsghdr *nlh = buffer;
	int left = size, ret;
	bool ended = false;

	for (; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
		/* before mnl_nlmsg_seq_ok(), for which it would be an answer to anything */
		if (is_notification(nlh)) {
			ret = e->notification ? e->notification(nlh, e->notification_data) : 0;
			if (!e->ret)
				e->ret = ret;
			continue;
		}
		if (!mnl_nlmsg_seq_ok(nlh, e->seq) || !mnl_nlmsg_portid_ok(nlh, e->port))
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
			e->interrupted = true;
		if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
			ret = nlh->nlmsg_type == NLMSG_ERROR ? take_error(nlh) : take_done(nlh);
			if (!e->ret)
				e->ret = ret;
			return true;
		}
		/* after a message that is refused the rest is still taken in, or the socket were of no use any more */
		if (nlh->nlmsg_type >= NLMSG_MIN_TYPE && e->reply && !e->ret)
			e->ret = e->reply(nlh, e->data);
		ended |= nlh->nlmsg_type >= NLMSG_MIN_TYPE && e->ends_with_reply;
	}
	return ended;
}

int notifications_take(const void *buffer, size_t size, genl_reply *take, void *data)
{
	const struct nlmsghdr *nlh = buffer;
	int left = size, ret = 0;

	for (; !ret && mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
		if (is_notification(nlh))
			ret = take(nlh, data);
	return ret;
}

static int send_request(struct genl *g, struct nlmsghdr *nlh)
{
	/* 0 is for notifications */
	if (!++g->seq)
		g->seq++;
	nlh->nlmsg_seq = g->seq;
	if (mnl_socket_sendto(g->socket, nlh, nlh->nlmsg_len) < 0)
		return fail_errno("cannot send to the kernel");
	return 0;
}

/* one request and all of its answer */
static int transact(struct genl *g, struct nlmsghdr *nlh, struct exchange *e)
{
	ssize_t n;
	int ret = send_request(g, nlh);

	if (ret)
		return ret;
	e->seq = nlh->nlmsg_seq;
	e->port = mnl_socket_get_portid(g->socket);
	e->notification = g->notification;
	e->notification_data = g->notification_data;
	do {
		do
			n = mnl_socket_recvfrom(g->socket, g->buffer, sizeof(g->buffer));
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return fail_errno("cannot receive from the kernel");
	} while (!exchange_take(e, g->buffer, n));
	return e->ret;
}

int genl_do(struct genl *g, struct nlmsghdr *nlh, genl_reply *reply, void *data)
{
	struct exchange e = { .reply = reply, .data = data };

	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	return transact(g, nlh, &e);
}

int genl_dump(struct genl *g, struct nlmsghdr *nlh, genl_reply *reply, void *data, bool *interrupted)
{
	struct exchange e = { .reply = reply, .data = data };
	int ret;

	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	ret = transact(g, nlh, &e);
	*interrupted = e.interrupted;
	return ret;
}

int genl_ask(struct genl *g, struct nlmsghdr *nlh, genl_reply *reply, void *data)
{
	struct exchange e = { .reply = reply, .data = data, .ends_with_reply = true };

	nlh->nlmsg_flags = NLM_F_REQUEST;
	return transact(g, nlh, &e);
}

int genl_tell(struct genl *g, struct nlmsghdr *nlh)
{
	nlh->nlmsg_flags = NLM_F_REQUEST;
	return send_request(g, nlh);
}

void genl_notify(struct genl *g, genl_reply *take, void *data)
{
	int size = NOTIFICATIONS_SIZE, on = 1, fd = genl_fd(g);

	g->notification = take;
	g->notification_data = data;
	/* beyond what users may have, if we are more than that; smaller it still works, with more losses */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	/*
	 * Who tells us tries again when the socket is full. Without this the kernel would report a loss, ENOBUFS, that
	 * is none, and keep the socket closed until it is empty.
	 */
	mnl_socket_setsockopt(g->socket, NETLINK_NO_ENOBUFS, &on, sizeof(on));
}

int genl_fd(const struct genl *g)
{
	return mnl_socket_get_fd(g->socket);
}

int genl_notifications(struct genl *g)
{
	ssize_t n = recv(genl_fd(g), g->buffer, sizeof(g->buffer), MSG_DONTWAIT | MSG_TRUNC);

	/* ENOBUFS, should it be reported after all: if anything is missing, its own numbering shows it */
	if (n < 0 && (errno == EINTR || errno == ENOBUFS))
		return 0;
	if (n < 0)
		return errno == EAGAIN ? -EAGAIN : fail_errno("cannot receive from the kernel");
	if (n > (ssize_t)sizeof(g->buffer))
		return genl_fail(EMSGSIZE, "a netlink message that is too long");
	return notifications_take(g->buffer, n, g->notification, g->notification_data);
}

static struct nlmsghdr *request(void *buffer, uint16_t type, uint8_t command, uint8_t version)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer);
	struct genlmsghdr *header;

	nlh->nlmsg_type = type;
	header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));
	header->cmd = command;
	header->version = version;
	return nlh;
}

struct nlmsghdr *genl_request(const struct genl *g, void *buffer, uint8_t command)
{
	return request(buffer, g->family, command, MEMFDCR_FAMILY_VERSION);
}

static int family_attribute(const struct nlattr *attr, void *data)
{
	struct genl *g = data;

	switch (mnl_attr_get_type(attr)) {
	case CTRL_ATTR_FAMILY_ID:
		if (mnl_attr_validate(attr, MNL_TYPE_U16) >= 0)
			g->family = mnl_attr_get_u16(attr);
		break;
	case CTRL_ATTR_VERSION:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			g->version = mnl_attr_get_u32(attr);
		break;
	}
	return MNL_CB_OK;
}

static int family_reply(const struct nlmsghdr *nlh, void *data)
{
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), family_attribute, data);
	return 0;
}

static int find_family(struct genl *g)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	int ret;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, MEMFDCR_FAMILY_NAME);
	ret = genl_do(g, nlh, family_reply, g);
	if (ret == -ENOENT || (!ret && !g->family))
		return genl_fail(ENOENT, "the memfdcr module is not loaded");
	if (ret)
		return ret;
	if (g->version < MEMFDCR_FAMILY_VERSION) {
		snprintf(error_text, sizeof(error_text), "the loaded memfdcr module is too old (version %u, needed %u)",
			 g->version, (unsigned int)MEMFDCR_FAMILY_VERSION);
		return -EPROTONOSUPPORT;
	}
	return 0;
}

struct genl *genl_open(void)
{
	struct genl *g = calloc(1, sizeof(*g));
	int on = 1, ret;

	if (!g) {
		genl_fail(ENOMEM, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	g->socket = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	if (!g->socket) {
		ret = fail_errno("cannot open a generic netlink socket");
		goto err;
	}
	/* both only improve error messages: a kernel without them is fine */
	mnl_socket_setsockopt(g->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(g->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	if (mnl_socket_bind(g->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		ret = fail_errno("cannot bind a generic netlink socket");
		goto err;
	}
	ret = find_family(g);
	if (ret)
		goto err;
	return g;
err:
	genl_close(g);
	errno = -ret;
	return NULL;
}

void genl_close(struct genl *g)
{
	if (!g)
		return;
	if (g->socket)
		mnl_socket_close(g->socket);
	free(g);
}

unsigned int genl_version(const struct genl *g)
{
	return g->version;
}

struct opened {
	int fd;
	uint64_t id;
	bool has_id;
};

static int opened_attribute(const struct nlattr *attr, void *data)
{
	struct opened *opened = data;

	switch (mnl_attr_get_type(attr)) {
	case MEMFDCR_A_UFFD_FD:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) >= 0)
			opened->fd = mnl_attr_get_u32(attr);
		break;
	case MEMFDCR_A_UFFD_UFFD_ID:
		if (mnl_attr_validate(attr, MNL_TYPE_U64) >= 0) {
			opened->id = mnl_attr_get_u64(attr);
			opened->has_id = true;
		}
		break;
	}
	return MNL_CB_OK;
}

static int opened_reply(const struct nlmsghdr *nlh, void *data)
{
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), opened_attribute, data);
	return 0;
}

int genl_uffd_open(struct genl *g, int mem_fd, unsigned int flags, bool guard, int *fd, uint64_t *id)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(g, buffer, MEMFDCR_CMD_UFFD_OPEN);
	struct opened opened = { .fd = -1 };
	int ret;

	mnl_attr_put_u32(nlh, MEMFDCR_A_UFFD_MEM_FD, mem_fd);
	mnl_attr_put_u32(nlh, MEMFDCR_A_UFFD_FLAGS, flags);
	if (guard)
		mnl_attr_put(nlh, MEMFDCR_A_UFFD_GUARD, 0, NULL);
	ret = genl_do(g, nlh, opened_reply, &opened);
	if (ret) {
		if (opened.fd >= 0)
			close(opened.fd);
		return ret;
	}
	if (opened.fd < 0 || !opened.has_id) {
		if (opened.fd >= 0)
			close(opened.fd);
		return genl_fail(EBADMSG, "the module's answer has no descriptor");
	}
	*fd = opened.fd;
	*id = opened.id;
	return 0;
}

int genl_uffd_complete(struct genl *g, int uffd)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(g, buffer, MEMFDCR_CMD_UFFD_COMPLETE);

	mnl_attr_put_u32(nlh, MEMFDCR_A_UFFD_FD, uffd);
	return genl_do(g, nlh, NULL, NULL);
}

struct processes {
	pid_t *pids;
	size_t max, n;
};

static int process_attribute(const struct nlattr *attr, void *data)
{
	struct processes *p = data;

	if (mnl_attr_get_type(attr) == MEMFDCR_A_UFFD_PID && mnl_attr_validate(attr, MNL_TYPE_U32) >= 0 && p->n < p->max)
		p->pids[p->n++] = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

static int processes_reply(const struct nlmsghdr *nlh, void *data)
{
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), process_attribute, data);
	return 0;
}

int genl_uffd_processes(struct genl *g, int uffd, pid_t *pids, size_t max, size_t *n)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(g, buffer, MEMFDCR_CMD_UFFD_GET);
	struct processes processes = { .pids = pids, .max = max };
	int ret;

	mnl_attr_put_u32(nlh, MEMFDCR_A_UFFD_FD, uffd);
	ret = genl_do(g, nlh, processes_reply, &processes);
	*n = processes.n;
	return ret;
}
