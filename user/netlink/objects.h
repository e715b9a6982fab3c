/* SPDX-License-Identifier: GPL-2.0-only */
/* The module's operations about shared memory objects, their holders and extents (docs/netlink/memfdcr.yaml). */
#ifndef MEMFDCR_NETLINK_OBJECTS_H
#define MEMFDCR_NETLINK_OBJECTS_H

#include <linux/memfdcr.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "netlink/genl.h"

#define OBJECTS_MAX_PIDS 4096	/* in one request */

/* a descriptor or a mapping of an object */
struct holder {
	uint64_t object;	/* its id */
	uint32_t pid;
	uint32_t tid;		/* 0: the process's first thread */
	bool outside;		/* of what was asked for */
	bool is_mapping;
	uint64_t file_id;

	/* of a descriptor */
	uint32_t fd;
	uint32_t flags;		/* as F_GETFL */
	uint64_t position;
	bool cloexec;

	/* of a mapping */
	uint64_t start, end;
	uint64_t offset;	/* bytes */
	uint32_t prot;
	bool shared, locked, may_write;
	bool has_uffd;
	uint64_t uffd_id;
	uint32_t uffd_modes;
};

struct object {
	uint64_t id;		/* the module's: what stat() shows need not be unique */
	uint32_t dev;		/* as st_dev */
	uint64_t ino;
	uint32_t generation;
	uint32_t kind;		/* MEMFDCR_KIND_; one that we do not know is possible */
	char *name;		/* any bytes; NULL: none */
	uint64_t size, allocated, swapped, page_size;	/* bytes */
	bool has_seals;
	uint32_t seals;		/* F_SEAL_ */
	bool sealing_allowed, noexec, hugetlb;
	uint32_t mode, uid, gid;

	/* of objects in a snapshot */
	uint32_t descriptors, mappings, outside_holders, unexplained;
	const struct holder *holders;	/* those outside come last; then by process, descriptors before mappings */
	size_t n_holders;
};

/* what processes hold */
struct snapshot {
	struct object *objects;
	size_t n_objects;
	struct holder *holders;
	size_t n_holders;
	uint32_t hidden;	/* processes asked for that the caller may not see */
	uint32_t hidden_outside;	/* the same of the others, if they were looked at */
	bool consistent;	/* all was so at one and the same time */
};

/* whose objects: of these pids; of tree and its descendants; with neither of all that the caller may see */
struct scope {
	const uint32_t *pids;
	size_t n_pids;		/* at most OBJECTS_MAX_PIDS */
	uint32_t tree;
	bool holders;		/* with the holders */
	bool outside;		/* look for holders in all other processes, too */
	const uint64_t *only;	/* the object with this id; NULL: all */
};

/* one object, by something that leads to it */
struct object_ref {
	enum { REF_FD, REF_TARGET_FD, REF_ADDRESS } by;
	uint32_t fd;		/* REF_FD: of this process; REF_TARGET_FD: of process pid */
	uint32_t pid;
	uint64_t address;
};

/* bytes start to end of an object */
struct extent {
	uint64_t start, end;
	uint32_t state;		/* MEMFDCR_EXTENT_ */
};

struct extents {
	struct extent *v;	/* ascending, without gaps */
	size_t n;
};

/*
 * All of these return 0, or a negative errno with the reason in genl_error(); EPROTONOSUPPORT: the module is too old.
 * What they fill is then empty.
 */

/* Tries a few times to get a consistent snapshot, and then takes what it gets. */
int genl_snapshot_take(struct genl *g, const struct scope *scope, struct snapshot *s);
void genl_snapshot_free(struct snapshot *s);

int genl_object_get(struct genl *g, const struct object_ref *ref, struct object *o);
void genl_object_free(struct object *o);

int genl_extents_get(struct genl *g, const struct object_ref *ref, struct extents *extents);
void genl_extents_free(struct extents *extents);

#endif
