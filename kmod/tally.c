// SPDX-License-Identifier: GPL-2.0-only
/*
 * The objects that a dump has come across, each once, with counts of their holders.
 *
 * Nothing is pinned: a dump that nobody reads to its end keeps no object alive. Objects are known by device, inode
 * number and generation, open files by their address, at which another file may live later: whoever closed the first
 * one has run, so the dump says that it is not of one moment.
 */
#include <linux/dcache.h>
#include <linux/hash.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "holder.h"
#include "tally.h"

#define BUCKET_BITS 12

/* an open file whose references have been added up already */
struct tally_file {
	struct hlist_node hash;
	const struct file *file;
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
	/* objects in the first half, files in the second */
	t->buckets = kvcalloc(2 << BUCKET_BITS, sizeof(*t->buckets), GFP_KERNEL_ACCOUNT);
	INIT_LIST_HEAD(&t->objects);
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
	struct tally_file *f;
	unsigned int i;

	for (i = 0; t->buckets && i < 1 << BUCKET_BITS; i++) {
		hlist_for_each_entry_safe(o, next, &t->buckets[i], hash)
			kfree(o);
		hlist_for_each_entry_safe(f, next, &t->buckets[i + (1 << BUCKET_BITS)], hash)
			kfree(f);
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

static struct hlist_head *object_bucket(struct memfdcr_tally *t, u32 dev, u64 ino)
{
	return &t->buckets[hash_64(ino ^ (u64)dev << 40, BUCKET_BITS)];
}

static struct hlist_head *file_bucket(struct memfdcr_tally *t, const struct file *file)
{
	return &t->buckets[(1 << BUCKET_BITS) + hash_ptr(file, BUCKET_BITS)];
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
	u32 dev = memfdcr_object_dev(holder->file);
	struct memfdcr_tally_object *o;

	hlist_for_each_entry(o, object_bucket(t, dev, inode->i_ino), hash)
		if (o->object.ino == inode->i_ino && o->object.dev == dev &&
		    o->object.generation == inode->i_generation)
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
	memfdcr_object_read(&o->object, holder->file, holder->kind);
	/* each open file of the object has one to its directory entry, those that nobody here has among them */
	o->references = d_count(holder->file->f_path.dentry);
	hlist_add_head(&o->hash, object_bucket(t, o->object.dev, o->object.ino));
	list_add_tail(&o->all, &t->objects);
	return o;
}

/* adds the references to an open file that is new; false: memory has to be reserved */
static bool add_file(struct memfdcr_tally *t, struct memfdcr_tally_object *o, const struct file *file)
{
	struct hlist_head *bucket = file_bucket(t, file);
	struct tally_file *f;

	hlist_for_each_entry(f, bucket, hash)
		if (f->file == file)
			return true;
	f = new_entry(t, sizeof(*f));
	if (!f)
		return false;
	f->file = file;
	hlist_add_head(&f->hash, bucket);
	/* in place of the one by which it counted as not found */
	o->references += (s64)file_count((struct file *)file) - 1;
	return true;
}

/**
 * memfdcr_tally_count() - count a holder
 * @t: the tally
 * @o: its object
 * @holder: the holder
 * @outside: it is outside the processes asked for
 * @explains: it has a reference of its own to the open file, not one that another process shares
 *
 * Context: within the function that memfdcr_visit() calls.
 * Return: 0, or -ENOMEM: memory has to be reserved, nothing was counted.
 */
int memfdcr_tally_count(struct memfdcr_tally *t, struct memfdcr_tally_object *o, const struct memfdcr_holder *holder,
			bool outside, bool explains)
{
	if (!add_file(t, o, holder->file))
		return -ENOMEM;
	if (holder->vma)
		o->mappings++;
	else
		o->descriptors++;
	o->outside += outside;
	o->explained += explains;
	return 0;
}
