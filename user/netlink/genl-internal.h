/* SPDX-License-Identifier: GPL-2.0-only */
/* Requests and their answers as netlink messages: for the files in user/netlink/ that have an operation each. */
#ifndef MEMFDCR_NETLINK_GENL_INTERNAL_H
#define MEMFDCR_NETLINK_GENL_INTERNAL_H

#include <linux/netlink.h>
#include <stddef.h>

#include "netlink/genl.h"

/* takes one message of an answer. 0, or a negative errno and the reason by genl_fail(): the rest is not looked at */
typedef int genl_reply(const struct nlmsghdr *nlh, void *data);

/* begins a request to the family in buffer, which must be aligned to 4; attributes are put behind it */
struct nlmsghdr *genl_request(const struct genl *g, void *buffer, uint8_t command);

/*
 * Sends nlh and takes the answer: of do one message, if the operation has one, of dump all. A negative errno and
 * genl_error() if the kernel or reply refuses; EPROTONOSUPPORT means that the module lacks the operation. *interrupted:
 * things changed while the kernel dumped them (NLM_F_DUMP_INTR), which is no error here.
 */
int genl_do(struct genl *g, struct nlmsghdr *nlh, genl_reply *reply, void *data);
int genl_dump(struct genl *g, struct nlmsghdr *nlh, genl_reply *reply, void *data, bool *interrupted);

/*
 * For sockets that get notifications, which may fill them at any time: an acknowledgement might then find no room, so
 * none is asked for. genl_ask() takes an answer that is one message or a refusal; genl_tell() waits for nothing, and on
 * return the kernel has done what it was told, or refused.
 */
int genl_ask(struct genl *g, struct nlmsghdr *nlh, genl_reply *reply, void *data);
int genl_tell(struct genl *g, struct nlmsghdr *nlh);

/*
 * From now on each notification that comes, also amid an answer, is taken by take; and the socket has room for many,
 * as far as that is allowed.
 */
void genl_notify(struct genl *g, genl_reply *take, void *data);
int genl_fd(const struct genl *g);

/* takes what one recv() brings without waiting: 0, -EAGAIN if there is nothing, or what that or take has failed with */
int genl_notifications(struct genl *g);

/* sets genl_error() and returns -error */
int genl_fail(int error, const char *text);

/* one request that was sent, and what has come of it */
struct exchange {
	uint32_t seq, port;	/* messages with others belong to something else */
	genl_reply *reply;	/* may be NULL */
	void *data;
	bool ends_with_reply;	/* no acknowledgement follows */
	genl_reply *notification;	/* takes what is no answer to anything; may be NULL */
	void *notification_data;
	bool interrupted;
	int ret;
};

/* takes what one recvmsg() has brought; true: that was the end, and ret is the result */
bool exchange_take(struct exchange *e, const void *buffer, size_t size);

/* the notifications in what one recvmsg() has brought: 0 or what the first that was not understood has failed with */
int notifications_take(const void *buffer, size_t size, genl_reply *take, void *data);

#endif
