// SPDX-License-Identifier: GPL-2.0-only
/* Requests to the module, and what it says to them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* of an error message, or of the end of a dump: the attributes come behind what is given here as its length */
static void read_error(const struct nlmsghdr *nlh, size_t length, const struct nlmsghdr *sent, struct answer *answer)
{
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	mnl_attr_for_each(attr, nlh, length) {
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

static void read_family(const struct nlmsghdr *nlh, void *answer)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN)
		if (mnl_attr_get_type(attr) == CTRL_ATTR_FAMILY_ID)
			((struct answer *)answer)->fd = mnl_attr_get_u16(attr);
}

/* of the operations that have one reply with no more than this in it */
static void read_uffd(const struct nlmsghdr *nlh, void *answer)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		if (mnl_attr_get_type(attr) == MEMFDCR_A_UFFD_FD)
			((struct answer *)answer)->fd = mnl_attr_get_u32(attr);
		else if (mnl_attr_get_type(attr) == MEMFDCR_A_UFFD_UFFD_ID)
			((struct answer *)answer)->uffd_id = mnl_attr_get_u64(attr);
	}
}

bool connected;

static int send_message(struct mnl_socket *sock, struct nlmsghdr *nlh, int to, int flags)
{
	nlh->nlmsg_type = to;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = time(NULL);
	if ((connected ? write(mnl_socket_get_fd(sock), nlh, nlh->nlmsg_len) :
	     mnl_socket_sendto(sock, nlh, nlh->nlmsg_len)) < 0)
		return -errno;
	return 0;
}

/* true: that was the last one */
static bool read_message(const struct nlmsghdr *nlh, const struct nlmsghdr *sent, struct answer *answer,
			 each_message each, void *arg)
{
	const int *error = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR && sent->nlmsg_flags & NLM_F_DUMP)
		answer->interrupted = true;
	if (nlh->nlmsg_type == sent->nlmsg_type)
		each(nlh, arg);
	if (nlh->nlmsg_type != NLMSG_ERROR && nlh->nlmsg_type != NLMSG_DONE)
		return false;
	answer->error = *error;
	read_error(nlh, nlh->nlmsg_type == NLMSG_ERROR ? sizeof(struct nlmsgerr) : sizeof(*error), sent, answer);
	return true;
}

static struct answer transact(struct mnl_socket *sock, struct nlmsghdr *sent, int to, int flags, each_message each,
			      void *arg)
{
	struct answer answer = { .fd = -1, .error = send_message(sock, sent, to, flags) };
	static char buf[65536];
	bool done = answer.error;

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
		for (; mnl_nlmsg_ok(nlh, len) && !done; nlh = mnl_nlmsg_next(nlh, &len))
			done = read_message(nlh, sent, &answer, each, arg ?: &answer);
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
	answer = transact(sock, nlh, GENL_ID_CTRL, NLM_F_ACK, read_family, NULL);
	mnl_socket_close(sock);
	return answer.error ?: answer.fd;
}

/* opening a socket to ask for it each time would disturb tests that count descriptors */
static int family;

void request_forget(void)
{
	family = 0;
}

/* NULL: no memory; to be freed */
static struct nlmsghdr *compose(int cmd, const struct attribute *attributes)
{
	size_t size = MNL_NLMSG_HDRLEN + sizeof(struct genlmsghdr);
	const struct attribute *a;
	struct nlmsghdr *nlh;
	struct genlmsghdr *genl;
	char *buf;

	for (a = attributes; a->type; a++)
		size += MNL_ATTR_HDRLEN + MNL_ALIGN(a->length);
	buf = calloc(1, size);
	if (!buf)
		return NULL;
	nlh = mnl_nlmsg_put_header(buf);
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = MEMFDCR_FAMILY_VERSION;
	for (a = attributes; a->type; a++)
		mnl_attr_put(nlh, a->type, a->length, &a->value);
	return nlh;
}

static struct answer request_any(struct mnl_socket *sock, int cmd, int flags, const struct attribute *attributes,
				 each_message each, void *arg)
{
	struct answer answer = { .fd = -1, .error = -ENOMEM };
	struct nlmsghdr *nlh;

	if (family <= 0)
		family = request_family();
	if (family < 0) {
		answer.error = family;
		return answer;
	}
	nlh = compose(cmd, attributes);
	if (nlh)
		answer = transact(sock, nlh, family, flags, each, arg);
	free(nlh);
	return answer;
}

struct answer request(struct mnl_socket *sock, int cmd, const struct attribute *attributes)
{
	return request_any(sock, cmd, NLM_F_ACK, attributes, read_uffd, NULL);
}

struct answer request_do(struct mnl_socket *sock, int cmd, const struct attribute *attributes, each_message each,
			 void *arg)
{
	return request_any(sock, cmd, NLM_F_ACK, attributes, each, arg);
}

struct answer request_dump(struct mnl_socket *sock, int cmd, const struct attribute *attributes, each_message each,
			   void *arg)
{
	return request_any(sock, cmd, NLM_F_DUMP, attributes, each, arg);
}

int request_send_dump(struct mnl_socket *sock, int cmd, const struct attribute *attributes)
{
	struct nlmsghdr *nlh;
	int err = -ENOMEM;

	if (family <= 0)
		family = request_family();
	if (family < 0)
		return family;
	nlh = compose(cmd, attributes);
	if (nlh)
		err = send_message(sock, nlh, family, NLM_F_DUMP);
	free(nlh);
	return err;
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
