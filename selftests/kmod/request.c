// SPDX-License-Identifier: GPL-2.0-only
/* Requests to the module, and what it says to them. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/memfdcr.h>

#include "request.h"

struct mnl_socket *request_socket(void)
{
	struct mnl_socket *sock = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
	int on = 1;

	if (!sock)
		return NULL;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) ||
	    mnl_socket_setsockopt(sock, NETLINK_EXT_ACK, &on, sizeof(on)) ||
	    mnl_socket_setsockopt(sock, NETLINK_CAP_ACK, &on, sizeof(on))) {
		mnl_socket_close(sock);
		return NULL;
	}
	return sock;
}

/* the type of the attribute at an offset of the request */
static int type_at(const struct nlmsghdr *sent, uint32_t offset)
{
	const struct nlattr *attr = (const void *)sent + offset;

	return offset + sizeof(*attr) <= sent->nlmsg_len ? mnl_attr_get_type(attr) : -1;
}

static void read_error(const struct nlmsghdr *nlh, const struct nlmsghdr *sent, struct answer *answer)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr;

	answer->error = err->error;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(attr, nlh, sizeof(*err)) {
		switch (mnl_attr_get_type(attr)) {
		case NLMSGERR_ATTR_MSG:
			snprintf(answer->message, sizeof(answer->message), "%s", mnl_attr_get_str(attr));
			break;
		case NLMSGERR_ATTR_OFFS:
			answer->bad = type_at(sent, mnl_attr_get_u32(attr));
			break;
		case 5:	/* NLMSGERR_ATTR_MISS_TYPE, which older headers lack */
			answer->missing = mnl_attr_get_u32(attr);
			break;
		}
	}
}

static void read_reply(const struct nlmsghdr *nlh, int from, struct answer *answer)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		int type = mnl_attr_get_type(attr);

		if (from == GENL_ID_CTRL) {
			if (type == CTRL_ATTR_FAMILY_ID)
				answer->fd = mnl_attr_get_u16(attr);
		} else if (type == MEMFDCR_A_UFFD_FD) {
			answer->fd = mnl_attr_get_u32(attr);
		} else if (type == MEMFDCR_A_UFFD_UFFD_ID) {
			answer->uffd_id = mnl_attr_get_u64(attr);
		}
	}
}

bool connected;

static struct answer transact(struct mnl_socket *sock, struct nlmsghdr *sent, int to)
{
	struct answer answer = { .fd = -1 };
	char buf[8192];
	bool done = false;

	sent->nlmsg_type = to;
	sent->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	sent->nlmsg_seq = time(NULL);
	if ((connected ? write(mnl_socket_get_fd(sock), sent, sent->nlmsg_len) :
	     mnl_socket_sendto(sock, sent, sent->nlmsg_len)) < 0) {
		answer.error = -errno;
		return answer;
	}
	while (!done) {
		ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
		const struct nlmsghdr *nlh = (void *)buf;
		int len = n;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			answer.error = -errno;
			return answer;
		}
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
			if (nlh->nlmsg_type == NLMSG_ERROR) {
				read_error(nlh, sent, &answer);
				done = true;
			} else if (nlh->nlmsg_type == to) {
				read_reply(nlh, to, &answer);
			}
		}
	}
	return answer;
}

int request_family(void)
{
	char buf[256] = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	struct mnl_socket *sock = request_socket();
	struct answer answer;

	if (!sock)
		return -errno;
	genl->cmd = CTRL_CMD_GETFAMILY;
	genl->version = 1;
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, MEMFDCR_FAMILY_NAME);
	answer = transact(sock, nlh, GENL_ID_CTRL);
	mnl_socket_close(sock);
	return answer.error ?: answer.fd;
}

/* opening a socket to ask for it each time would disturb tests that count descriptors */
static int family;

void request_forget(void)
{
	family = 0;
}

struct answer request(struct mnl_socket *sock, int cmd, const struct attribute *attributes)
{
	struct answer answer = { .fd = -1 };
	char buf[512] = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));

	if (family <= 0)
		family = request_family();
	if (family < 0) {
		answer.error = family;
		return answer;
	}
	genl->cmd = cmd;
	genl->version = MEMFDCR_FAMILY_VERSION;
	for (; attributes->type; attributes++)
		mnl_attr_put(nlh, attributes->type, attributes->length, &attributes->value);
	return transact(sock, nlh, family);
}

static struct answer request_once(int cmd, const struct attribute *attributes)
{
	struct mnl_socket *sock = request_socket();
	struct answer answer = { .error = -errno, .fd = -1 };

	if (sock) {
		answer = request(sock, cmd, attributes);
		mnl_socket_close(sock);
	}
	return answer;
}

struct answer uffd_open(int mem_fd, unsigned int flags, bool guard)
{
	const struct attribute attributes[] = {
		{ MEMFDCR_A_UFFD_MEM_FD, 4, mem_fd },
		{ MEMFDCR_A_UFFD_FLAGS, 4, flags },
		{ guard ? MEMFDCR_A_UFFD_GUARD : 0 },
		{ 0 }
	};

	return request_once(MEMFDCR_CMD_UFFD_OPEN, attributes);
}

struct answer uffd_complete(int fd)
{
	const struct attribute attributes[] = { { MEMFDCR_A_UFFD_FD, 4, fd }, { 0 } };

	return request_once(MEMFDCR_CMD_UFFD_COMPLETE, attributes);
}
