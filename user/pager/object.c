// SPDX-License-Identifier: GPL-2.0-only
/* Objects come and go: what the pager is given is checked, and all that belongs to an object is made and freed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <syslog.h>
#include <unistd.h>

#include "pager/object-internal.h"

/*
 * An open file of the pager's own: with a mere duplicate, lseek() would move the file position of whoever gave the
 * descriptor, perhaps of a restored process. Where reopening is refused, the position is put back.
 */
static int reopen(int fd, off_t *position)
{
	char path[32];
	int own;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	*position = -1;
	own = open(path, O_RDWR | O_CLOEXEC);
	if (own >= 0)
		return own;
	*position = lseek(fd, 0, SEEK_CUR);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return own < 0 ? -errno : own;
}

static int check_object(struct pager *p, struct object *o, uint64_t size)
{
	struct statfs fs;
	struct stat st;

	if (fstat(o->fd, &st) || fstatfs(o->fd, &fs))
		return -errno;
	if (S_ISREG(st.st_mode) && fs.f_type == TMPFS_MAGIC) {
		o->shift = PAGER_PAGE_SHIFT;
	} else if (S_ISREG(st.st_mode) && fs.f_type == HUGETLBFS_MAGIC && fs.f_bsize == 1L << PAGER_HUGE_SHIFT) {
		o->shift = PAGER_HUGE_SHIFT;
	} else {
		pager_log(p, LOG_ERR, "%s: not a shmem object, nor one with huge pages of 2 MiB", o->name);
		return -EOPNOTSUPP;
	}
	if (size > INT64_MAX || to_pages(o, (uint64_t)st.st_size) < to_pages(o, size)) {
		pager_log(p, LOG_ERR, "%s: has %lld bytes, %llu are to be restored", o->name, (long long)st.st_size,
			  (unsigned long long)size);
		return -EINVAL;
	}
	return 0;
}

/*
 * Room for a huge page on its way, and one of zeros. All in memory now: where UFFDIO_COPY has to wait for its source,
 * it takes a second huge page meanwhile, which may not be to be had.
 */
static int prepare_huge(struct pager *p, const struct object *o)
{
	const size_t size = page_bytes(o);
	void *map;

	if (p->buffer_size < size) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (map == MAP_FAILED)
			return -errno;
		munmap(p->buffer, p->buffer_size);
		p->buffer = map;
		p->buffer_size = size;
	}
	if (!p->zeros) {
		map = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (map == MAP_FAILED)
			return -errno;
		p->zeros = map;
	}
	return 0;
}

void object_free(struct pager *p, struct object *o)
{
	if (o->map)
		munmap(o->map, o->map_pages << o->shift);
	if (o->fd >= 0)
		close(o->fd);
	p->left -= o->left << o->shift;
	p->damaged -= o->n_damaged << o->shift;
	free(o->needed);
	free(o->damaged);
	free(o->extents);
	free(o->stored);
	free(o->name);
	free(o);
}

int pager_add_object(struct pager *p, const char *name, int fd, uint64_t size,
		     const struct pager_extent *extents, size_t n_extents)
{
	struct object **objects, *o;
	off_t position = -1;
	int rc;

	objects = realloc(p->objects, (p->n_objects + 1) * sizeof(*objects));
	if (!objects)
		return -ENOMEM;
	p->objects = objects;
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->fd = -1;
	o->number = p->n_objects;
	o->name = strdup(name ? name : "");
	rc = o->name ? 0 : -ENOMEM;
	if (!rc) {
		o->fd = reopen(fd, &position);
		rc = o->fd < 0 ? o->fd : 0;
	}
	if (!rc)
		rc = check_object(p, o, size);
	if (!rc) {
		o->pages = to_pages(o, size);
		/* a huge page is a number of chunks */
		if (p->check_chunk)
			o->check_pages = p->check_chunk >> o->shift ?: 1;
		rc = object_load_extents(p, o, extents, n_extents);
	}
	if (!rc)
		rc = object_make_needed(p, o);
	if (!rc && object_is_huge(o))
		rc = prepare_huge(p, o);
	if (!rc)
		rc = object_map(p, o);
	if (!rc)
		rc = object_overwrite(p, o);
	if (position >= 0)
		lseek(fd, position, SEEK_SET);
	if (rc) {
		object_free(p, o);
		return rc;
	}
	p->objects[p->n_objects] = o;
	return (int)p->n_objects++;
}
