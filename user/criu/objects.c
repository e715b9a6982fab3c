// SPDX-License-Identifier: GPL-2.0-only
/* The objects of an image set, from memfd.img, and the file entries that lead to them, from files.img. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "criu/build.h"
#include "criu/images.pb-c.h"

#define FILE_TYPE_MEMFD 18

#define SEAL_SEAL 0x01
#define SEAL_SHRINK 0x02
#define SEAL_GROW 0x04
#define SEAL_WRITE 0x08
#define SEAL_FUTURE_WRITE 0x10
#define SEAL_EXEC 0x20

/* as in memfd_create(): MFD_HUGETLB, and the logarithm of the size */
#define HUGETLB 0x4u
#define HUGETLB_SHIFT 26
#define HUGETLB_MASK 0x3fu
#define HUGE_2M 21

/*
 * A huge page comes as a whole. For larger ones than 2 MiB that takes as long as many an eager restore, and their first
 * fault would wait for it.
 */
static int check_huge(struct plan_build *b, struct plan_object *o, uint32_t flag)
{
	const unsigned int shift = flag >> HUGETLB_SHIFT & HUGETLB_MASK;

	if ((flag & ~(HUGETLB_MASK << HUGETLB_SHIFT)) != HUGETLB || shift < 12 || shift > 40)
		return plan_eager(b, o, "its huge pages %#" PRIx32 " are not known", flag);
	o->page_size = 1ULL << shift;
	if (shift != HUGE_2M)
		return plan_eager(b, o, "its huge pages are not of 2 MiB but of %" PRIu64 " KiB", o->page_size >> 10);
	if (o->size & (o->page_size - 1))
		return plan_eager(b, o, "its size of %" PRIu64 " bytes is not one of whole huge pages", o->size);
	return 0;
}

static int check_inode(struct plan_build *b, struct plan_object *o, const Criu__MemfdInode *inode)
{
	int ret;

	if (inode->base.n_unknown_fields)
		return plan_eager(b, o, "memfd.img says something about it that is not known");
	if (!inode->size)
		return plan_eager(b, o, "it is empty");
	if (inode->size > INT64_MAX - b->page_size)
		return plan_eager(b, o, "its size of %" PRIu64 " bytes is impossible", inode->size);
	if (inode->has_hugetlb_flag && inode->hugetlb_flag) {
		ret = check_huge(b, o, inode->hugetlb_flag);
		if (ret || o->eager)
			return ret;
	}
	/* UFFDIO_REGISTER wants a mapping that may become writable */
	if (inode->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE))
		return plan_eager(b, o, "it is sealed against writing");
	if (inode->seals & ~(SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_EXEC))
		return plan_eager(b, o, "its seals %#" PRIx32 " are not known", inode->seals);
	return 0;
}

static int add_object(struct plan_build *b, const Criu__MemfdInode *inode)
{
	struct plan *plan = b->plan;
	struct plan_object *o, *objects;

	if (plan->n_objects == UINT32_MAX)
		return image_fail(&b->set, -EFBIG, "memfd.img: too many objects");
	objects = plan_grow(b, plan->objects, plan->n_objects, sizeof(*objects));
	if (!objects)
		return -ENOMEM;
	plan->objects = objects;
	o = &objects[plan->n_objects++];
	memset(o, 0, sizeof(*o));
	o->inode_id = inode->inode_id;
	o->shmid = inode->shmid;
	o->size = inode->size;
	o->page_size = b->page_size;
	o->name = strdup(inode->name);
	if (!o->name)
		return image_fail(&b->set, -ENOMEM, "out of memory");
	return check_inode(b, o, inode);
}

static int by_inode_id(const void *a, const void *b)
{
	const struct plan_object *x = a, *y = b;

	return (x->inode_id > y->inode_id) - (x->inode_id < y->inode_id);
}

static int by_shmid(const void *a, const void *b)
{
	const struct plan_shmid *x = a, *y = b;

	if (x->shmid != y->shmid)
		return x->shmid > y->shmid ? 1 : -1;
	return (x->object > y->object) - (x->object < y->object);
}

/* sort them, and find those that cannot be told apart */
static int index_objects(struct plan_build *b)
{
	struct plan *plan = b->plan;
	size_t i;

	qsort(plan->objects, plan->n_objects, sizeof(*plan->objects), by_inode_id);
	for (i = 1; i < plan->n_objects; i++)
		if (plan->objects[i].inode_id == plan->objects[i - 1].inode_id)
			return image_fail(&b->set, -EBADMSG, "memfd.img: inode %" PRIu64 " is there twice",
					  plan->objects[i].inode_id);

	b->shmids = calloc(plan->n_objects, sizeof(*b->shmids));
	if (!b->shmids)
		return image_fail(&b->set, -ENOMEM, "out of memory");
	/* CRIU writes no pagemap for an empty object, so it cannot be in another's way */
	for (i = 0; i < plan->n_objects; i++)
		if (plan->objects[i].size)
			b->shmids[b->n_shmids++] = (struct plan_shmid){ plan->objects[i].shmid, i };
	qsort(b->shmids, b->n_shmids, sizeof(*b->shmids), by_shmid);
	return 0;
}

static int read_inodes(struct plan_build *b)
{
	ProtobufCMessage *message;
	struct image img;
	int ret;

	ret = image_open(&img, &b->set, IMAGE_MAGIC_MEMFD, "memfd.img");
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	while ((ret = image_next(&img, &criu__memfd_inode__descriptor, &message)) == 1) {
		ret = add_object(b, (Criu__MemfdInode *)message);
		image_free(message);
		if (ret)
			break;
	}
	image_close(&img);
	return ret || !b->plan->n_objects ? ret : index_objects(b);
}

static int add_file(struct plan_build *b, const Criu__File *file)
{
	const Criu__MemfdFile *memfd = file->memfd;
	struct plan_object key = { 0 }, *o;
	struct plan_file *files;

	if (!memfd || memfd->id != file->id)
		return image_fail(&b->set, -EBADMSG, "files.img: file %" PRIu32 " is a memfd without what makes it one",
				  file->id);
	key.inode_id = memfd->inode_id;
	o = b->plan->n_objects ? bsearch(&key, b->plan->objects, b->plan->n_objects, sizeof(key), by_inode_id) : NULL;
	if (!o)
		return image_fail(&b->set, -EBADMSG, "files.img: file %" PRIu32 " is memfd inode %" PRIu32
				  ", which memfd.img does not have", file->id, memfd->inode_id);
	files = plan_grow(b, b->files, b->n_files, sizeof(*files));
	if (!files)
		return -ENOMEM;
	b->files = files;
	files[b->n_files++] = (struct plan_file){ .id = file->id, .object = o - b->plan->objects };
	if (memfd->base.n_unknown_fields)
		return plan_eager(b, o, "files.img says something about it that is not known");
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct plan_file *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

struct plan_file *plan_find_file(struct plan_build *b, uint64_t id)
{
	struct plan_file key = { .id = id };

	if (!b->n_files || id > UINT32_MAX)
		return NULL;
	return bsearch(&key, b->files, b->n_files, sizeof(key), by_id);
}

static int read_files(struct plan_build *b)
{
	ProtobufCMessage *message;
	struct image img;
	size_t i;
	int ret;

	ret = image_open(&img, &b->set, IMAGE_MAGIC_FILES, "files.img");
	if (ret)
		return ret;
	while ((ret = image_next(&img, &criu__file__descriptor, &message)) == 1) {
		const Criu__File *file = (Criu__File *)message;

		ret = file->type == FILE_TYPE_MEMFD ? add_file(b, file) : 0;
		image_free(message);
		if (ret)
			break;
	}
	image_close(&img);
	if (ret || !b->n_files)
		return ret;

	qsort(b->files, b->n_files, sizeof(*b->files), by_id);
	for (i = 1; i < b->n_files; i++)
		if (b->files[i].id == b->files[i - 1].id)
			return image_fail(&b->set, -EBADMSG, "files.img: file %" PRIu32 " is there twice",
					  b->files[i].id);
	return 0;
}

int plan_build_objects(struct plan_build *b)
{
	int ret = read_inodes(b);

	return ret ? ret : read_files(b);
}
