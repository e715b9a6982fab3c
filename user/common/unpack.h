/* SPDX-License-Identifier: GPL-2.0-only */
/* Unpacking protobuf messages that somebody else wrote, with a bound on the memory that takes. */
#ifndef MEMFDCR_COMMON_UNPACK_H
#define MEMFDCR_COMMON_UNPACK_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

/* the message, to be freed with protobuf_c_message_free_unpacked(message, NULL); NULL: it is none of this type */
ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, const uint8_t *data, size_t length);

#endif
