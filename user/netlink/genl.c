// SPDX-License-Identifier: GPL-2.0-only
/* Requests to the memfdcr family over libmnl, with the kernel's own sentence (extended ack) for every refusal. */
#include "netlink/genl.h"

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

struct genl {
	struct mnl_socket *socket;
	uint16_t family;
	unsigned int version;
	uint32_t seq;
};

static char error_text[512];

const char *genl_error(void)
{
	return error_text;
}

static int fail(int error, const char *text)
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

/* an NLMSG_ERROR message: 0 for an acknowledgement, else a negative errno with the reason kept for genl_error() */
static int take_error(const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	struct extack extack = { 0 };
	size_t offset = sizeof(*err);

	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*err)))
		return fail(EBADMSG, "a cut netlink error message");
	if (!err->error)
		return 0;
	/* NETLINK_CAP_ACK: the request's payload is not echoed, unless the kernel says that it is not capped */
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		offset += mnl_nlmsg_get_payload_len(&err->msg);
	if ((nlh->nlmsg_flags & NLM_F_ACK_TLVS) && mnl_nlmsg_get_payload_len(nlh) > offset)
		mnl_attr_parse(nlh, offset, extack_attribute, &extack);
	if (extack.text)
		snprintf(error_text, sizeof(error_text), "%s", extack.text);
	else if (extack.missing)
		snprintf(error_text, sizeof(error_text), "attribute %u is missing", extack.missing - 1);
	else
		snprintf(error_text, sizeof(error_text), "%s", strerror(-err->error));
	return err->error;
}

/* one request with its answer: reply(nlh, data) is called for the data message, if one comes */
static int transact(struct genl *g, struct nlmsghdr *nlh, void (*reply)(const struct nlmsghdr *, void *), void *data)
{
	char buffer[8192] __attribute__((aligned(8)));
	unsigned int port = mnl_socket_get_portid(g->socket);

	nlh->nlmsg_seq = ++g->seq;
	nlh->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	if (mnl_socket_sendto(g->socket, nlh, nlh->nlmsg_len) < 0)
		return fail_errno("cannot send to the kernel");
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(g->socket, buffer, sizeof(buffer));
		const struct nlmsghdr *in = (const struct nlmsghdr *)buffer;
		int left = n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_errno("cannot receive from the kernel");
		for (; mnl_nlmsg_ok(in, left); in = mnl_nlmsg_next(in, &left)) {
			if (!mnl_nlmsg_seq_ok(in, g->seq) || !mnl_nlmsg_portid_ok(in, port))
				continue;
			if (in->nlmsg_type == NLMSG_ERROR)
				return take_error(in);
			if (in->nlmsg_type >= NLMSG_MIN_TYPE && reply)
				reply(in, data);
		}
	}
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

static void family_reply(const struct nlmsghdr *nlh, void *data)
{
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), family_attribute, data);
}

static int find_family(struct genl *g)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request(buffer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
	int ret;

	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, MEMFDCR_FAMILY_NAME);
	ret = transact(g, nlh, family_reply, g);
	if (ret == -ENOENT || (!ret && !g->family))
		return fail(ENOENT, "the memfdcr module is not loaded");
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
		fail(ENOMEM, "out of memory");
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

static void opened_reply(const struct nlmsghdr *nlh, void *data)
{
	mnl_attr_parse(nlh, sizeof(struct genlmsghdr), opened_attribute, data);
}

int genl_uffd_open(struct genl *g, int mem_fd, unsigned int flags, bool guard, int *fd, uint64_t *id)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request(buffer, g->family, MEMFDCR_CMD_UFFD_OPEN, MEMFDCR_FAMILY_VERSION);
	struct opened opened = { .fd = -1 };
	int ret;

	mnl_attr_put_u32(nlh, MEMFDCR_A_UFFD_MEM_FD, mem_fd);
	mnl_attr_put_u32(nlh, MEMFDCR_A_UFFD_FLAGS, flags);
	if (guard)
		mnl_attr_put(nlh, MEMFDCR_A_UFFD_GUARD, 0, NULL);
	ret = transact(g, nlh, opened_reply, &opened);
	if (ret) {
		if (opened.fd >= 0)
			close(opened.fd);
		return ret;
	}
	if (opened.fd < 0 || !opened.has_id) {
		if (opened.fd >= 0)
			close(opened.fd);
		return fail(EBADMSG, "the module's answer has no descriptor");
	}
	*fd = opened.fd;
	*id = opened.id;
	return 0;
}

int genl_uffd_complete(struct genl *g, int uffd)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = request(buffer, g->family, MEMFDCR_CMD_UFFD_COMPLETE, MEMFDCR_FAMILY_VERSION);

	mnl_attr_put_u32(nlh, MEMFDCR_A_UFFD_FD, uffd);
	return transact(g, nlh, NULL, NULL);
}
