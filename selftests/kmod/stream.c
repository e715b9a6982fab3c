// SPDX-License-Identifier: GPL-2.0-only
/* Dumps of the module, message by message. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "request.h"
#include "stream.h"

#define REQUEST_SIZE 65536		/* 4096 pids take half of it */

int stream_open(struct stream *s, size_t size)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	int on = 1;

	*s = (struct stream){ .size = size, .family = request_family() };
	if (s->family < 0)
		return s->family;
	s->sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (s->sock < 0)
		return -errno;
	s->request = calloc(1, REQUEST_SIZE);
	s->buffer = malloc(size);
	if (s->request && s->buffer &&
	    !setsockopt(s->sock, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on)) &&
	    !setsockopt(s->sock, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) &&
	    !connect(s->sock, (struct sockaddr *)&kernel, sizeof(kernel)))
		return 0;
	on = -errno;
	stream_close(s);
	return on;
}

void stream_close(struct stream *s)
{
	close(s->sock);
	free(s->request);
	free(s->buffer);
}

void stream_begin(struct stream *s, int cmd, int flags)
{
	struct genlmsghdr *genl;
	uint32_t sequence = s->request->nlmsg_seq + 1;

	memset(s->request, 0, MNL_NLMSG_HDRLEN + sizeof(*genl));
	mnl_nlmsg_put_header(s->request);
	genl = mnl_nlmsg_put_extra_header(s->request, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = MEMFDCR_FAMILY_VERSION;
	s->request->nlmsg_type = s->family;
	s->request->nlmsg_flags = NLM_F_REQUEST | (flags ?: NLM_F_ACK);
	s->request->nlmsg_seq = sequence;
}

/* by hand: with a call of libmnl for each attribute, benchmarks would measure these calls */
static void sort_attributes(const void *at, size_t length, const struct nlattr **attributes)
{
	const struct nlattr *a = at;

	memset(attributes, 0, STREAM_ATTRIBUTES * sizeof(*attributes));
	while (length >= sizeof(*a) && a->nla_len >= sizeof(*a) && a->nla_len <= length) {
		unsigned int type = a->nla_type & NLA_TYPE_MASK;
		size_t step = MNL_ALIGN(a->nla_len);

		if (type < STREAM_ATTRIBUTES)
			attributes[type] = a;
		a = (const void *)a + step;
		length -= step < length ? step : length;
	}
}

void stream_nested(const struct nlattr *nest, const struct nlattr **attributes)
{
	sort_attributes(mnl_attr_get_payload(nest), mnl_attr_get_payload_len(nest), attributes);
}

/* the errno in an acknowledgement or at the end of a dump; the sentence follows it */
static int read_end(struct stream *s, const struct nlmsghdr *nlh)
{
	size_t head = nlh->nlmsg_type == NLMSG_ERROR ? sizeof(struct nlmsgerr) : sizeof(int);
	const int *error = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attributes[STREAM_ATTRIBUTES];

	if (nlh->nlmsg_flags & NLM_F_ACK_TLVS) {
		sort_attributes((const char *)error + head, mnl_nlmsg_get_payload_len(nlh) - head, attributes);
		if (attributes[NLMSGERR_ATTR_MSG])
			snprintf(s->message, sizeof(s->message), "%s", mnl_attr_get_str(attributes[NLMSGERR_ATTR_MSG]));
	}
	return *error;
}

/* true at the end of the answer */
static bool read_datagram(struct stream *s, int length, stream_fn *each, void *arg, int *error)
{
	const struct nlmsghdr *nlh = (void *)s->buffer;
	const struct nlattr *attributes[STREAM_ATTRIBUTES];

	for (; mnl_nlmsg_ok(nlh, length); nlh = mnl_nlmsg_next(nlh, &length)) {
		if (nlh->nlmsg_seq != s->request->nlmsg_seq)
			continue;
		if (nlh->nlmsg_flags & NLM_F_DUMP_INTR && nlh->nlmsg_type != NLMSG_ERROR)
			s->interrupted = true;
		if (nlh->nlmsg_type == NLMSG_ERROR || nlh->nlmsg_type == NLMSG_DONE) {
			*error = read_end(s, nlh);
			return true;
		}
		s->messages++;
		sort_attributes((const char *)mnl_nlmsg_get_payload(nlh) + GENL_HDRLEN,
				mnl_nlmsg_get_payload_len(nlh) - GENL_HDRLEN, attributes);
		if (each)
			each(attributes, arg);
	}
	return false;
}

int stream_run(struct stream *s, stream_fn *each, void *arg)
{
	int error = 0;
	ssize_t n;

	s->interrupted = false;
	s->message[0] = 0;
	s->datagrams = s->messages = s->bytes = 0;
	if (send(s->sock, s->request, s->request->nlmsg_len, 0) < 0)
		return -errno;
	do {
		n = recv(s->sock, s->buffer, s->size, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		s->datagrams++;
		s->bytes += n;
	} while (n < 0 || !read_datagram(s, n, each, arg, &error));
	return error;
}
