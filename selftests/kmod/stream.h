/* SPDX-License-Identifier: GPL-2.0-only */
/* Dumps of the module, message by message. */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <linux/netlink.h>
#include <linux/memfdcr.h>

#define STREAM_ATTRIBUTES 40		/* more than any of the module's sets has */
_Static_assert(MEMFDCR_A_OBJECT_MAX < STREAM_ATTRIBUTES && MEMFDCR_A_HOLDER_MAX < STREAM_ATTRIBUTES, "");

/* one socket and what is asked over it */
struct stream {
	int sock;
	int family;
	struct nlmsghdr *request;
	char *buffer;
	size_t size;			/* of buffer; the kernel fills at most 32 KiB at once */
	/* of the last answer */
	bool interrupted;		/* NLM_F_DUMP_INTR */
	char message[128];		/* why it was refused */
	unsigned long datagrams;
	unsigned long messages;
	unsigned long bytes;
};

/* attributes by their numbers, NULL: not there */
typedef void stream_fn(const struct nlattr **attributes, void *arg);

int stream_open(struct stream *s, size_t size);		/* 0 or -errno */
void stream_close(struct stream *s);

/* begins a request, to be continued with mnl_attr_put...(s->request); flags: NLM_F_DUMP or 0 */
void stream_begin(struct stream *s, int cmd, int flags);
int stream_run(struct stream *s, stream_fn *each, void *arg);	/* 0 or -errno */

void stream_nested(const struct nlattr *nest, const struct nlattr **attributes);

/* 0: not there */
static inline uint32_t stream_u32(const struct nlattr *attribute)
{
	return attribute ? *(const uint32_t *)(attribute + 1) : 0;
}

static inline uint64_t stream_u64(const struct nlattr *attribute)
{
	uint64_t value = 0;

	if (attribute)
		memcpy(&value, attribute + 1, sizeof(value));
	return value;
}

#endif
