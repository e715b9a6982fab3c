/* SPDX-License-Identifier: GPL-2.0-only */
/* Objects and their holders as the module tells them, or somebody else, and where two such accounts differ. */
#ifndef HELD_H
#define HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/memfdcr.h>

#include "request.h"

/* as the attributes of the same names; has: a bit for each that is there, and all there is of flags */
struct object {
	uint64_t has;
	uint32_t kind, dev, generation, seals, mode, uid, gid, descriptors, mappings, outside_holders, unexplained;
	uint64_t ino, id, size, allocated, swapped, page_size;
	char name[256];
};

struct holder {
	uint64_t has;
	uint32_t pid, tid, dev, generation, fd, flags, prot, uffd_modes;
	uint64_t ino, id, file_id, position, start, end, offset, uffd_id;
};

struct held {
	struct object *objects;
	struct holder *holders;
	size_t n_objects, n_holders;
	uint32_t hidden, hidden_outside;
	int messages, faults;		/* faults: what no message may look like; each is printed */
	uint64_t began, ended;		/* as the first and the last message say */
	bool over;			/* hidden has come */
};

struct object *held_object(struct held *held, uint32_t dev, uint64_t ino, uint32_t generation);	/* NULL: none */
struct object *held_new_object(struct held *held);
struct holder *held_new_holder(struct held *held);
void held_free(struct held *held);

/* asks the module; do: an object in held->objects. Without a socket one is opened. */
struct answer held_do(struct held *held, const struct attribute *attributes);
struct answer held_dump(struct mnl_socket *sock, int cmd, const struct attribute *attributes, struct held *held);

/*
 * Prints what is in one and not in the other, looking at the attributes of these masks only, and returns how many
 * lines that were. The order does not matter, the number of equal entries does.
 */
int held_compare_objects(const struct held *want, const struct held *got, uint64_t mask);
int held_compare_holders(const struct held *want, const struct held *got, uint64_t mask);

/* all that does not depend on who looks at which processes, and what only the module can tell */
#define OBJECT_ITSELF (HAS(OBJECT_KIND) | HAS(OBJECT_NAME) | HAS(OBJECT_DEV) | HAS(OBJECT_INO) | \
	HAS(OBJECT_GENERATION) | HAS(OBJECT_SIZE) | HAS(OBJECT_ALLOCATED) | HAS(OBJECT_SWAPPED) | HAS(OBJECT_SEALS) | \
	HAS(OBJECT_SEALING_ALLOWED) | HAS(OBJECT_NOEXEC) | HAS(OBJECT_HUGETLB) | HAS(OBJECT_PAGE_SIZE) | \
	HAS(OBJECT_MODE) | HAS(OBJECT_UID) | HAS(OBJECT_GID))
#define OBJECT_COUNTED (OBJECT_ITSELF | HAS(OBJECT_DESCRIPTORS) | HAS(OBJECT_MAPPINGS))
#define HOLDER_ITSELF (~0ULL & ~(HAS(HOLDER_ID) | HAS(HOLDER_FILE_ID) | HAS(HOLDER_OUTSIDE) | HAS(HOLDER_UFFD_ID)))

#endif
