// SPDX-License-Identifier: GPL-2.0-only
/*
 * The objects that a dump has come across, each once, with counts of their holders.
 *
 * Nothing is pinned: a dump that nobody reads to its end keeps no object alive. Objects are known by device, inode
 * number and generation, open files by their address, at which another file may live later: whoever closed the first
 * one has run, so the dump says that it is not of one moment.
 */
#include <linux/dcache.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "holder.h"
#include "tally.h"

#define BUCKET_BITS 12

/* something that has been seen; the same may be seen for several owners */
struct mark {
	struct hlist_node hash;
	const void *what, *whose, *value;
};

/**
 * memfdcr_tally_init() - an empty tally
 * @t: result; memfdcr_tally_free() when done
 *
 * Context: process context; sleeps.
 * Return: 0 or -ENOMEM.
 */
int memfdcr_tally_init(struct memfdcr_tally *t)
{
	t->buckets = kvcalloc(2 << BUCKET_BITS, sizeof(*t->buckets), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	INIT_LIST_HEAD(&t->objects);
	get_random_bytes(&t->key, sizeof(t->key));
	return t->buckets ? 0 : -ENOMEM;
}

/**
 * memfdcr_tally_free() - undo memfdcr_tally_init()
 * @t: the tally, or a zeroed one
 *
 * Context: process context; sleeps.
 */
void memfdcr_tally_free(struct memfdcr_tally *t)
{
	struct memfdcr_tally_object *o;
	struct hlist_node *next;
	struct mark *m;
	unsigned int i;

	for (i = 0; t->buckets && i < 1 << BUCKET_BITS; i++) {
		hlist_for_each_entry_safe(o, next, &t->buckets[i], hash)
			kfree(o);
		hlist_for_each_entry_safe(m, next, &t->buckets[i + (1 << BUCKET_BITS)], hash)
			kfree(m);
		cond_resched();
	}
	kvfree(t->buckets);
	kfree(t->spare);
}

/**
 * memfdcr_tally_reserve() - get memory for the next entry, whatever it is
 * @t: the tally
 *
 * Context: process context; sleeps.
 * Return: 0 or -ENOMEM.
 */
int memfdcr_tally_reserve(struct memfdcr_tally *t)
{
	if (!t->spare)
		t->spare = kmalloc(sizeof(struct memfdcr_tally_object) + NAME_MAX + 1, GFP_KERNEL_ACCOUNT);
	return t->spare ? 0 : -ENOMEM;
}

/* under locks: what there is at once, or what was reserved */
static void *new_entry(struct memfdcr_tally *t, size_t size)
{
	void *entry = kmalloc(size, GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);

	if (!entry)
		swap(entry, t->spare);
	return entry;
}

static struct hlist_head *object_bucket(struct memfdcr_tally *t, const struct inode *inode)
{
	return &t->buckets[siphash_1u64((unsigned long)inode, &t->key) >> (64 - BUCKET_BITS)];
}

static struct hlist_head *mark_bucket(struct memfdcr_tally *t, const void *what, const void *whose)
{
	u64 hash = siphash_2u64((unsigned long)what, (unsigned long)whose, &t->key);

	return &t->buckets[(1 << BUCKET_BITS) + (hash >> (64 - BUCKET_BITS))];
}

/**
 * memfdcr_tally_mark() - remember who was the first
 * @t: the tally
 * @what: something, by its address
 * @whose: and to whom it belongs, where that matters
 * @mine: who comes by now
 *
 * Context: any.
 * Return: MEMFDCR_FIRST_NOW nobody came by before; MEMFDCR_FIRST_MINE @mine was the first; MEMFDCR_FIRST_OTHER somebody
 * else was; -ENOMEM memory has to be reserved.
 */
int memfdcr_tally_mark(struct memfdcr_tally *t, const void *what, const void *whose, const void *mine)
{
	struct hlist_head *bucket = mark_bucket(t, what, whose);
	struct mark *m;

	hlist_for_each_entry(m, bucket, hash) {
		if (m->what == what && m->whose == whose)
			return m->value == mine ? MEMFDCR_FIRST_MINE : MEMFDCR_FIRST_OTHER;
	}
	m = new_entry(t, sizeof(*m));
	if (!m)
		return -ENOMEM;
	*m = (struct mark){ .what = what, .whose = whose, .value = mine };
	hlist_add_head(&m->hash, bucket);
	return MEMFDCR_FIRST_NOW;
}

/**
 * memfdcr_tally_find() - what has been counted of a holder's object
 * @t: the tally
 * @holder: the holder
 *
 * Context: any.
 * Return: the object, or NULL: it has not been found yet.
 */
struct memfdcr_tally_object *memfdcr_tally_find(struct memfdcr_tally *t, const struct memfdcr_holder *holder)
{
	const struct inode *inode = file_inode(holder->file);
	struct memfdcr_tally_object *o;

	/* number and generation tell another object that has got the same address meanwhile */
	hlist_for_each_entry(o, object_bucket(t, inode), hash)
		if (o->inode == inode && o->object.ino == inode->i_ino && o->object.generation == inode->i_generation)
			return o;
	return NULL;
}

/**
 * memfdcr_tally_get() - the same, with the object added if it is new
 * @t: the tally
 * @holder: the holder
 *
 * Context: any.
 * Return: the object, or NULL: memory has to be reserved.
 */
struct memfdcr_tally_object *memfdcr_tally_get(struct memfdcr_tally *t, const struct memfdcr_holder *holder)
{
	struct memfdcr_tally_object *o = memfdcr_tally_find(t, holder);
	const char *name;

	if (o)
		return o;
	name = memfdcr_object_name(holder->file, holder->kind);
	o = new_entry(t, sizeof(*o) + (name ? strlen(name) + 1 : 0));
	if (!o)
		return NULL;
	memset(o, 0, sizeof(*o));
	if (name)
		strcpy(o->name, name);
	o->has_name = name;
	o->inode = file_inode(holder->file);
	memfdcr_object_read(&o->object, holder->file, holder->kind);
	/* each open file of the object has one to its directory entry, those that nobody here has among them */
	o->references = d_count(holder->file->f_path.dentry);
	hlist_add_head(&o->hash, object_bucket(t, o->inode));
	list_add_tail(&o->all, &t->objects);
	return o;
}

/**
 * memfdcr_tally_count() - count a holder
 * @t: the tally
 * @o: its object
 * @holder: the holder
 * @outside: it is outside the processes asked for
 * @process: that has it
 *
 * Processes may share descriptors (CLONE_FILES) or memory (CLONE_VM, vfork()). All of them count as holders, but the
 * references are there only once: the first one's explain them.
 *
 * Context: within the function that memfdcr_visit() calls.
 * Return: 0, or -ENOMEM: memory has to be reserved, nothing was counted.
 */
int memfdcr_tally_count(struct memfdcr_tally *t, struct memfdcr_tally_object *o, const struct memfdcr_holder *holder,
			bool outside, const void *process)
{
	int explains = memfdcr_tally_mark(t, holder->table, NULL, process), file;

	if (explains < 0)
		return explains;
	file = memfdcr_tally_mark(t, holder->file, NULL, NULL);
	if (file < 0)
		return file;
	/* in place of the one by which it counted as not found */
	if (file == MEMFDCR_FIRST_NOW)
		o->references += (s64)file_count((struct file *)holder->file) - 1;
	if (holder->vma)
		o->mappings++;
	else
		o->descriptors++;
	o->outside += outside;
	o->explained += explains != MEMFDCR_FIRST_OTHER;
	return 0;
}
