// SPDX-License-Identifier: GPL-2.0-only
/* Making labels. */
#include "image/label.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/names.h"

const char *label_make(uint32_t kind, const char *name, size_t length, uint64_t ino, char label[LABEL_SIZE])
{
	if (name)
		snprintf(label, LABEL_SIZE, "%s \"%.*s\" (inode %" PRIu64 ")", kind_name(kind), length < 256 ? (int)length : 256,
			 name, ino);
	else
		snprintf(label, LABEL_SIZE, "%s (inode %" PRIu64 ")", kind_name(kind), ino);
	return label;
}

const char *label_object(const Memfdcr__Object *o, char label[LABEL_SIZE])
{
	return label_make(o->kind, o->has_name ? (const char *)o->name.data : NULL, o->name.len, o->ino, label);
}
