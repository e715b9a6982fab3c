/* SPDX-License-Identifier: GPL-2.0-only */
/* The objects that a dump has come across, each once, with counts of their holders. */
#ifndef MEMFDCR_TALLY_H
#define MEMFDCR_TALLY_H

#include <linux/list.h>
#include <linux/siphash.h>
#include <linux/types.h>

#include "object.h"

struct memfdcr_holder;

/* who was the first to come by */
enum { MEMFDCR_FIRST_OTHER, MEMFDCR_FIRST_MINE, MEMFDCR_FIRST_NOW };

/**
 * struct memfdcr_tally_object - an object with what has been counted of it
 * @hash: in the tally
 * @all: in the order in which they were found
 * @inode: its address, at which another one may live later; only compared
 * @object: what it was when it was found
 * @descriptors: so many were counted
 * @mappings: so many were counted
 * @outside: of both together, so many are outside the processes asked for
 * @references: to its open files, those that have been found and those that have not
 * @explained: of these, so many by what was counted
 * @has_name: @name counts
 * @name: its name
 */
struct memfdcr_tally_object {
	struct hlist_node hash;
	struct list_head all;
	const struct inode *inode;
	struct memfdcr_object object;
	u32 descriptors;
	u32 mappings;
	u32 outside;
	s64 references;
	s64 explained;
	bool has_name;
	char name[];
};

/**
 * struct memfdcr_tally - what a dump remembers
 * @buckets: of hash tables, objects in the first half, marks in the second
 * @key: of the hash function, so that nobody can choose what falls together
 * @objects: in the order in which they were found
 * @spare: memory for the next entry, for when there is none under a lock
 */
struct memfdcr_tally {
	struct hlist_head *buckets;
	siphash_key_t key;
	struct list_head objects;
	void *spare;
};

int memfdcr_tally_init(struct memfdcr_tally *t);
void memfdcr_tally_free(struct memfdcr_tally *t);
int memfdcr_tally_reserve(struct memfdcr_tally *t);
struct memfdcr_tally_object *memfdcr_tally_find(struct memfdcr_tally *t, const struct memfdcr_holder *holder);
struct memfdcr_tally_object *memfdcr_tally_get(struct memfdcr_tally *t, const struct memfdcr_holder *holder);
int memfdcr_tally_count(struct memfdcr_tally *t, struct memfdcr_tally_object *o, const struct memfdcr_holder *holder,
			bool outside, const void *process);
int memfdcr_tally_mark(struct memfdcr_tally *t, const void *what, const void *whose, const void *mine);

#endif
