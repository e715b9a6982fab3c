// SPDX-License-Identifier: GPL-2.0-only
/* Opening the files of an image and of those that it builds on. */
#include "image/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/explain.h"
#include "image/checksum.h"
#include "image/layout.h"
#include "image/meta.h"
#include "image/path.h"

/* a regular file, and its size; a descriptor or a negative errno */
static int open_regular(const char *path, uint64_t *size)
{
	/* a FIFO or a device in a foreign directory must not stop us */
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC), ret = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		ret = -errno;
	else if (!S_ISREG(st.st_mode))
		ret = -EINVAL;
	if (ret) {
		close(fd);
		return ret;
	}
	*size = st.st_size;
	return fd;
}

/* size bytes from offset on; -ENODATA: the file ends before */
static int read_all(int fd, void *to, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)to + done, size - done, offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		done += n;
	}
	return 0;
}

static const char *reason(int ret)
{
	return ret == -EINVAL ? "is not a regular file" : ret == -ENODATA ? "is cut" : strerror(-ret);
}

/* memfdcr.img in the directory */
static int load_meta(const char *dir, Memfdcr__Image **image, char *error, size_t error_size)
{
	char *path = path_join(dir, LAYOUT_META), why[256];
	uint8_t *file = NULL;
	uint64_t size;
	int fd, ret;

	if (!path)
		return explain(-ENOMEM, error, error_size, "out of memory");
	fd = ret = open_regular(path, &size);
	if (fd >= 0 && size > LAYOUT_HEAD + LAYOUT_META_MAX)
		ret = -EFBIG;
	if (ret >= 0) {
		file = malloc(size + 1);
		ret = file ? read_all(fd, file, size, 0) : -ENOMEM;
	}
	if (ret < 0) {
		explain(0, error, error_size, "%s: %s", path, reason(ret));
	} else {
		ret = meta_parse(file, size, image, why, sizeof(why));
		if (ret)
			explain(0, error, error_size, "%s %s", path, why);
	}
	free(file);
	if (fd >= 0)
		close(fd);
	free(path);
	return ret;
}

/* memfdcr.data of an image, which must have so many pages */
static int open_data(const char *dir, uint64_t pages, struct imgdir_file *f, char *error, size_t error_size)
{
	uint64_t size;

	f->path = path_join(dir, LAYOUT_DATA);
	if (!f->path)
		return explain(-ENOMEM, error, error_size, "out of memory");
	f->fd = open_regular(f->path, &size);
	if (f->fd < 0)
		return explain(f->fd, error, error_size, "%s: %s", f->path, reason(f->fd));
	if (size != pages * LAYOUT_PAGE)
		return explain(-EBADMSG, error, error_size, "%s has %llu bytes instead of %llu", f->path,
			    (unsigned long long)size, (unsigned long long)pages * LAYOUT_PAGE);
	return 0;
}

/* the parents' metadata is not needed, but what is not as it was shows that the directory has been changed */
static int open_ancestor(const struct imgdir *d, size_t i, char *error, size_t error_size)
{
	const Memfdcr__Ancestor *a = d->image->ancestors[i];
	Memfdcr__Image *image = NULL;
	char *name, *path, why[512];
	int ret;

	name = strndup((const char *)a->path.data, a->path.len);
	path = name ? path_join(d->path, name) : NULL;
	free(name);
	if (!path)
		return explain(-ENOMEM, error, error_size, "out of memory");
	ret = load_meta(path, &image, why, sizeof(why));
	if (!ret && (image->id.len != a->id.len || memcmp(image->id.data, a->id.data, a->id.len) ||
		     image->data_pages != a->data_pages))
		ret = explain(-ESTALE, why, sizeof(why), "there is another one in %s now", path);
	if (ret)
		explain(0, error, error_size, "%s builds on another image: %s", d->path, why);
	else
		ret = open_data(path, a->data_pages, &d->files[i + 1], error, error_size);
	meta_free(image);
	free(path);
	return ret;
}

static bool is_no_image(int ret)
{
	return ret == -ENOENT || ret == -ENODATA || ret == -EBADMSG || ret == -ENOMSG;
}

int imgdir_is_whole(const char *path, char *error, size_t error_size)
{
	Memfdcr__Image *image = NULL;
	struct imgdir_file data = { .fd = -1 };
	int ret = load_meta(path, &image, error, error_size);

	if (!ret)
		ret = open_data(path, image->data_pages, &data, error, error_size);
	if (data.fd >= 0)
		close(data.fd);
	free(data.path);
	meta_free(image);
	return !ret ? 1 : is_no_image(ret) ? 0 : ret;
}

int imgdir_open(const char *path, struct imgdir *d, char *error, size_t error_size)
{
	size_t i, n;
	int ret;

	*d = (struct imgdir){ .path = realpath(path, NULL) };
	if (!d->path)
		return explain(-errno, error, error_size, "%s: %s", path, strerror(errno));
	ret = load_meta(d->path, &d->image, error, error_size);
	if (ret)
		goto err;
	n = d->image->n_ancestors + 1;
	d->files = calloc(n, sizeof(*d->files));
	if (!d->files) {
		ret = explain(-ENOMEM, error, error_size, "out of memory");
		goto err;
	}
	for (i = 0; i < n; i++)
		d->files[i].fd = -1;
	ret = open_data(d->path, d->image->data_pages, &d->files[0], error, error_size);
	for (i = 0; !ret && i < d->image->n_ancestors; i++)
		ret = open_ancestor(d, i, error, error_size);
err:
	if (ret)
		imgdir_close(d);
	return ret;
}

void imgdir_close(struct imgdir *d)
{
	size_t i;

	for (i = 0; d->files && i < d->image->n_ancestors + 1; i++) {
		if (d->files[i].fd >= 0)
			close(d->files[i].fd);
		free(d->files[i].path);
	}
	free(d->files);
	meta_free(d->image);
	free(d->path);
	*d = (struct imgdir){ 0 };
}

/* whether next goes on where e ends, in the object and in the file */
static bool follows(const struct pager_extent *e, const struct pager_extent *next)
{
	return e->fd == next->fd && e->offset + e->length == next->offset &&
	       e->file_offset + e->length == next->file_offset;
}

int imgdir_extents(const struct imgdir *d, const Memfdcr__Object *o, struct pager_extent **extents, size_t *n)
{
	struct pager_extent *v = NULL;
	size_t room = 0, i;

	*n = 0;
	for (i = 0; i < o->n_chunks; i++) {
		uint64_t place = o->places[i];
		unsigned int page;

		for (page = 0; page < LAYOUT_CHUNK_PAGES; page++) {
			struct pager_extent next = {
				.offset = o->chunks[i] * LAYOUT_CHUNK + page * LAYOUT_PAGE,
				.length = LAYOUT_PAGE,
				.file_offset = place * LAYOUT_PAGE,
				.fd = d->files[o->files[i]].fd,
			};

			if (!(o->pages[i] & 1u << page))
				continue;
			place++;
			if (*n && follows(&v[*n - 1], &next)) {
				v[*n - 1].length += LAYOUT_PAGE;
				continue;
			}
			if (*n == room) {
				struct pager_extent *more;

				room = room ? 2 * room : 64;
				more = reallocarray(v, room, sizeof(*v));
				if (!more) {
					free(v);
					return -ENOMEM;
				}
				v = more;
			}
			v[(*n)++] = next;
		}
	}
	*extents = v;
	return 0;
}

/* whether these are the stored pages of a chunk */
static int check(const Memfdcr__Object *o, size_t i, const void *stored)
{
	uint8_t sum[CHECKSUM_SIZE];

	checksum(stored, __builtin_popcount(o->pages[i]) * LAYOUT_PAGE, sum);
	return memcmp(sum, o->checksums.data + i * CHECKSUM_SIZE, CHECKSUM_SIZE) ? -EBADMSG : 0;
}

int imgdir_read(const struct imgdir *d, const Memfdcr__Object *o, size_t i, void *buffer)
{
	size_t size = __builtin_popcount(o->pages[i]) * LAYOUT_PAGE;
	int ret = read_all(d->files[o->files[i]].fd, buffer, size, o->places[i] * LAYOUT_PAGE);

	return ret ? ret : check(o, i, buffer);
}

/* the place that chunk n has in the object's lists; n_chunks: none, it is all zeros */
static size_t find_chunk(const Memfdcr__Object *o, uint64_t n)
{
	size_t low = 0, high = o->n_chunks;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (o->chunks[mid] < n)
			low = mid + 1;
		else
			high = mid;
	}
	return low < o->n_chunks && o->chunks[low] == n ? low : o->n_chunks;
}

int imgdir_check(const Memfdcr__Object *o, uint64_t offset, const void *bytes)
{
	const uint32_t all = (1u << LAYOUT_CHUNK_PAGES) - 1;
	size_t i = find_chunk(o, offset / LAYOUT_CHUNK), n = 0;
	uint8_t stored[LAYOUT_CHUNK];
	unsigned int page;

	if (i == o->n_chunks)
		return -EINVAL;
	if (o->pages[i] == all)
		return check(o, i, bytes);
	for (page = 0; page < LAYOUT_CHUNK_PAGES; page++)
		if (o->pages[i] & 1u << page)
			memcpy(stored + n++ * LAYOUT_PAGE, (const uint8_t *)bytes + page * LAYOUT_PAGE, LAYOUT_PAGE);
	return check(o, i, stored);
}
