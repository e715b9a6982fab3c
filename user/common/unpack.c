// SPDX-License-Identifier: GPL-2.0-only
/* The allocator that keeps account. */
#include "common/unpack.h"

#include <stdlib.h>

/*
 * What unpacking a record may take. A message of many short fields is a few times larger in memory than in the file;
 * a hostile one, made of fields that nobody knows, would be forty times.
 */
#define UNPACKED_BASE 65536u
#define UNPACKED_PER_BYTE 16u
#define ALLOCATION_OVERHEAD 32u

struct budget {
	size_t left;
};

static void *budget_alloc(void *data, size_t size)
{
	struct budget *b = data;

	if (size > b->left || b->left - size < ALLOCATION_OVERHEAD)
		return NULL;
	b->left -= size + ALLOCATION_OVERHEAD;
	return malloc(size);
}

static void budget_free(void *data, void *p)
{
	(void)data;
	free(p);
}

ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length)
{
	struct budget budget = { .left = UNPACKED_BASE + length * UNPACKED_PER_BYTE };
	ProtobufCAllocator allocator = { .alloc = budget_alloc, .free = budget_free, .allocator_data = &budget };

	return protobuf_c_message_unpack(type, &allocator, length, data);
}
