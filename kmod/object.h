/* SPDX-License-Identifier: GPL-2.0-only */
/* What is an object, and what there is to say of one. */
#ifndef MEMFDCR_OBJECT_H
#define MEMFDCR_OBJECT_H

#include <linux/fs.h>
#include <linux/types.h>
#include <linux/uidgid.h>

struct sk_buff;
struct user_namespace;

/**
 * struct memfdcr_object - what an object is at one moment; the attributes of docs/netlink/memfdcr.yaml
 */
struct memfdcr_object {
	unsigned int kind;
	u32 dev;
	u32 generation;
	u64 ino;
	u64 id;
	u64 size;
	u64 allocated;
	u64 swapped;
	u64 page_size;
	unsigned int seals;
	umode_t mode;
	bool has_seals;
	bool hugetlb;
	kuid_t uid;
	kgid_t gid;
};

unsigned int memfdcr_object_kind(const struct file *file);
const char *memfdcr_object_name(const struct file *file, unsigned int kind);
void memfdcr_object_read(struct memfdcr_object *o, const struct file *file, unsigned int kind);
int memfdcr_object_put(struct sk_buff *skb, const struct memfdcr_object *o, const char *name,
		       struct user_namespace *reader);

static inline u32 memfdcr_object_dev(const struct file *file)
{
	return new_encode_dev(file_inode(file)->i_sb->s_dev);
}

#endif
