// SPDX-License-Identifier: GPL-2.0-only
/* What a watch tells, message by message. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "told.h"

struct told told_parse(const struct nlmsghdr *nlh)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	struct told t = { .cmd = genl->cmd };
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		int type = mnl_attr_get_type(attr), length = mnl_attr_get_payload_len(attr);

		if (type == MEMFDCR_A_WATCH_PAD)
			continue;
		if (type > MEMFDCR_A_WATCH_MAX) {
			t.strange++;
			continue;
		}
		t.has |= 1ULL << type;
		t.a[type] = length == 8 ? mnl_attr_get_u64(attr) : length == 4 ? mnl_attr_get_u32(attr) : 1;
		if (type == MEMFDCR_A_WATCH_UFFD_ID && t.n_uffds < 8)
			t.uffds[t.n_uffds++] = t.a[type];
	}
	return t;
}

int told_receive(struct mnl_socket *sock, int milliseconds, each_message each, void *arg)
{
	struct pollfd pfd = { .fd = mnl_socket_get_fd(sock), .events = POLLIN };
	static char buf[65536];
	struct nlmsghdr *nlh = (void *)buf;
	ssize_t n;
	int len;

	if (poll(&pfd, 1, milliseconds) <= 0)
		return 0;
	n = recv(pfd.fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	for (len = n; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len))
		if (nlh->nlmsg_type >= NLMSG_MIN_TYPE)
			each(nlh, arg);
	return 1;
}
