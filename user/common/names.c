// SPDX-License-Identifier: GPL-2.0-only
/* The tables from numbers to names, and how they are used. */
#include "common/names.h"

#include <linux/fcntl.h>
#include <linux/memfdcr.h>
#include <linux/mman.h>
#include <linux/userfaultfd.h>
#include <stddef.h>

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20	/* Linux 6.3 */
#endif

#define BIT(value, name) { value, value, name }

const struct bit_name seal_names[] = {
	BIT(F_SEAL_SEAL, "seal"),
	BIT(F_SEAL_SHRINK, "shrink"),
	BIT(F_SEAL_GROW, "grow"),
	BIT(F_SEAL_WRITE, "write"),
	BIT(F_SEAL_FUTURE_WRITE, "future-write"),
	BIT(F_SEAL_EXEC, "exec"),
	{ 0 }
};

/* an O_PATH descriptor has no access mode: what stands there is the 0 of O_RDONLY */
const struct bit_name open_flag_names[] = {
	{ O_ACCMODE | O_PATH, O_RDONLY, "rdonly" },
	{ O_ACCMODE, O_WRONLY, "wronly" },
	{ O_ACCMODE, O_RDWR, "rdwr" },
	BIT(O_PATH, "path"),
	BIT(O_APPEND, "append"),
	BIT(O_NONBLOCK, "nonblock"),
	BIT(O_DSYNC, "dsync"),
	BIT(__O_SYNC, "sync"),
	BIT(FASYNC, "async"),
	BIT(O_DIRECT, "direct"),
	BIT(O_LARGEFILE, "largefile"),
	BIT(O_DIRECTORY, "directory"),
	BIT(O_NOFOLLOW, "nofollow"),
	BIT(O_NOATIME, "noatime"),
	{ 0 }
};

const struct bit_name uffd_mode_names[] = {
	BIT(UFFDIO_REGISTER_MODE_MISSING, "missing"),
	BIT(UFFDIO_REGISTER_MODE_WP, "wp"),
	BIT(UFFDIO_REGISTER_MODE_MINOR, "minor"),
	BIT(1 << 3, "rwp"),	/* UFFDIO_REGISTER_MODE_RWP, of Linux 7.3 */
	{ 0 }
};

const struct bit_name mremap_flag_names[] = {
	BIT(MREMAP_MAYMOVE, "maymove"),
	BIT(MREMAP_FIXED, "fixed"),
	BIT(MREMAP_DONTUNMAP, "dontunmap"),
	{ 0 }
};

void names_each(const struct bit_name *names, uint32_t bits, void (*put)(void *data, const char *name), void *data)
{
	char rest[16];
	uint32_t named = 0;

	for (; names->name; names++) {
		named |= names->mask;
		if ((bits & names->mask) == names->value)
			put(data, names->name);
	}
	if (bits & ~named) {
		snprintf(rest, sizeof(rest), "0x%x", bits & ~named);
		put(data, rest);
	}
}

struct printed {
	FILE *f;
	const char *before;
};

static void print_name(void *data, const char *name)
{
	struct printed *printed = data;

	fprintf(printed->f, "%s%s", printed->before, name);
	printed->before = ",";
}

void names_print(FILE *f, const char *before, const struct bit_name *names, uint32_t bits)
{
	struct printed printed = { f, before };

	names_each(names, bits, print_name, &printed);
}

const char *kind_name(uint32_t kind)
{
	switch (kind) {
	case MEMFDCR_KIND_MEMFD:
		return "memfd";
	case MEMFDCR_KIND_SHARED_ANONYMOUS:
		return "shared-anonymous";
	case MEMFDCR_KIND_SYSV:
		return "sysv";
	case MEMFDCR_KIND_SECRET:
		return "secret";
	}
	return "unknown";
}

const char *extent_name(uint32_t state)
{
	switch (state) {
	case MEMFDCR_EXTENT_HOLE:
		return "hole";
	case MEMFDCR_EXTENT_ALLOCATED:
		return "allocated";
	case MEMFDCR_EXTENT_SWAPPED:
		return "swapped";
	}
	return "unknown";
}

const char *cause_name(uint32_t cause)
{
	switch (cause) {
	case MEMFDCR_CAUSE_UNMAPPED:
		return "unmapped";
	case MEMFDCR_CAUSE_DROPPED:
		return "dropped";
	case MEMFDCR_CAUSE_EXEC:
		return "exec";
	case MEMFDCR_CAUSE_EXIT:
		return "exit";
	}
	return "unknown";
}
