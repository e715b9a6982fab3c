// SPDX-License-Identifier: GPL-2.0-only
/* Objects: telling them apart from all other files, and what there is to say of one. */
#include <linux/dcache.h>
#include <linux/fcntl.h>
#include <linux/hugetlb.h>
#include <linux/kdev_t.h>
#include <linux/magic.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <net/netlink.h>
#include <uapi/linux/memfdcr.h>

#include "id.h"
#include "object.h"
#include "put.h"

static bool is_hugetlb(const struct super_block *sb)
{
	return sb->s_magic == HUGETLBFS_MAGIC;
}

/**
 * memfdcr_object_kind() - is this file an object, and which kind?
 * @file: any file
 *
 * Objects live on file systems that only the kernel mounts, under names that only the kernel gives: nothing that
 * somebody puts on a tmpfs of his own looks like one.
 *
 * Context: any; the caller keeps the file.
 * Return: MEMFDCR_KIND_..., or 0: something else.
 */
unsigned int memfdcr_object_kind(const struct file *file)
{
	const struct super_block *sb = file_inode(file)->i_sb;
	const struct dentry *dentry = file->f_path.dentry;
	const char *name = dentry->d_name.name;

	switch (sb->s_magic) {
	case TMPFS_MAGIC:
	case HUGETLBFS_MAGIC:
	case SECRETMEM_MAGIC:
		break;
	default:
		return 0;
	}
	if (!(sb->s_flags & SB_KERNMOUNT) || !IS_ROOT(dentry) || !S_ISREG(file_inode(file)->i_mode))
		return 0;

	if (sb->s_magic == SECRETMEM_MAGIC)
		return MEMFDCR_KIND_SECRET;
	if (!strncmp(name, "memfd:", 6))
		return MEMFDCR_KIND_MEMFD;
	if (!strncmp(name, "SYSV", 4))
		return MEMFDCR_KIND_SYSV;
	if (!strcmp(name, is_hugetlb(sb) ? HUGETLB_ANON_FILE : "dev/zero"))
		return MEMFDCR_KIND_SHARED_ANONYMOUS;
	/* memory of a graphics driver, for one */
	return 0;
}

/**
 * memfdcr_object_name() - the name of an object
 * @file: an object
 * @kind: which memfdcr_object_kind() has told
 *
 * Context: any; the caller keeps the file.
 * Return: the name, which lives as long as the file; or NULL: it has none.
 */
const char *memfdcr_object_name(const struct file *file, unsigned int kind)
{
	/* what no directory holds is never renamed */
	const char *name = file->f_path.dentry->d_name.name;

	switch (kind) {
	case MEMFDCR_KIND_MEMFD:
		return name + strlen("memfd:");
	case MEMFDCR_KIND_SYSV:
		return name;
	default:
		return NULL;
	}
}

/**
 * memfdcr_object_read() - look at an object
 * @o: result
 * @file: an object
 * @kind: which memfdcr_object_kind() has told
 *
 * Takes no lock: each value is right at some moment of the call.
 *
 * Context: any; the caller keeps the file.
 */
void memfdcr_object_read(struct memfdcr_object *o, const struct file *file, unsigned int kind)
{
	struct inode *inode = file_inode(file);

	*o = (struct memfdcr_object){
		.kind = kind,
		.dev = memfdcr_object_dev(file),
		.ino = inode->i_ino,
		.id = memfdcr_id(inode),
		.generation = inode->i_generation,
		.size = i_size_read(inode),
		.allocated = (u64)READ_ONCE(inode->i_blocks) << 9,
		.page_size = PAGE_SIZE,
		.mode = READ_ONCE(inode->i_mode),
		.uid = inode->i_uid,
		.gid = inode->i_gid,
	};
	if (kind == MEMFDCR_KIND_SECRET) {
		o->allocated = (u64)READ_ONCE(inode->i_mapping->nrpages) << PAGE_SHIFT;
	} else if (is_hugetlb(inode->i_sb)) {
		o->hugetlb = true;
		o->page_size = huge_page_size(hstate_inode(inode));
		o->seals = READ_ONCE(HUGETLBFS_I(inode)->seals);
		o->has_seals = true;
	} else {
		o->swapped = (u64)READ_ONCE(SHMEM_I(inode)->swapped) << PAGE_SHIFT;
		o->seals = READ_ONCE(SHMEM_I(inode)->seals);
		o->has_seals = true;
	}
}

static bool put_u64(struct sk_buff *skb, int type, u64 value)
{
	return memfdcr_put_u64(skb, type, value, MEMFDCR_A_OBJECT_PAD);
}

/**
 * memfdcr_object_put() - an object's attributes into a message
 * @skb: the message
 * @o: the object
 * @name: its name, or NULL
 * @reader: user namespace of whoever reads the message
 *
 * Context: any.
 * Return: 0 or -EMSGSIZE.
 */
int memfdcr_object_put(struct sk_buff *skb, const struct memfdcr_object *o, const char *name,
		       struct user_namespace *reader)
{
	if (put_u64(skb, MEMFDCR_A_OBJECT_ID, o->id) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_KIND, o->kind) ||
	    (name && nla_put_string(skb, MEMFDCR_A_OBJECT_NAME, name)) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_DEV, o->dev) ||
	    put_u64(skb, MEMFDCR_A_OBJECT_INO, o->ino) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_GENERATION, o->generation) ||
	    put_u64(skb, MEMFDCR_A_OBJECT_SIZE, o->size) ||
	    put_u64(skb, MEMFDCR_A_OBJECT_ALLOCATED, o->allocated) ||
	    put_u64(skb, MEMFDCR_A_OBJECT_SWAPPED, o->swapped) ||
	    (o->has_seals && memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_SEALS, o->seals)) ||
	    (o->has_seals && !(o->seals & F_SEAL_SEAL) && memfdcr_put_flag(skb, MEMFDCR_A_OBJECT_SEALING_ALLOWED)) ||
	    (!(o->mode & 0111) && memfdcr_put_flag(skb, MEMFDCR_A_OBJECT_NOEXEC)) ||
	    (o->hugetlb && memfdcr_put_flag(skb, MEMFDCR_A_OBJECT_HUGETLB)) ||
	    put_u64(skb, MEMFDCR_A_OBJECT_PAGE_SIZE, o->page_size) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_MODE, o->mode & 07777) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_UID, from_kuid_munged(reader, o->uid)) ||
	    memfdcr_put_u32(skb, MEMFDCR_A_OBJECT_GID, from_kgid_munged(reader, o->gid)))
		return -EMSGSIZE;
	return 0;
}
