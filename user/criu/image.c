// SPDX-License-Identifier: GPL-2.0-only
/* Opening and reading CRIU image files record by record. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/unpack.h"
#include "criu/image.h"

#define MAGIC_COMMON 0x54564319

#define BUFFER_SIZE 65536

/* the longest that a full address space makes, with room: an mm of a million mappings is about 50 MiB */
#define RECORD_MAX (64u << 20)

static int vfail(struct image_set *set, int err, const char *fmt, va_list args)
{
	if (set->error_size)
		vsnprintf(set->error, set->error_size, fmt, args);
	return err;
}

int image_fail(struct image_set *set, int err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfail(set, err, fmt, args);
	va_end(args);
	return err;
}

/* 1: the next n bytes are in to; 0: the file ends here; -EBADMSG: it ends within them; another errno with its sentence */
static int fetch(struct image *img, void *to, size_t n)
{
	size_t done = 0;

	if (img->size - img->offset < n) {
		if (img->offset == img->size)
			return 0;
		return -EBADMSG;
	}
	while (done < n) {
		size_t part = img->buffer_len - img->buffer_pos;
		ssize_t got;

		if (part) {
			if (part > n - done)
				part = n - done;
			memcpy((uint8_t *)to + done, img->buffer + img->buffer_pos, part);
			img->buffer_pos += part;
			done += part;
			continue;
		}
		got = pread(img->fd, img->buffer, BUFFER_SIZE, img->offset + done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return image_fail(img->set, -errno, "%s: cannot be read: %s", img->name, strerror(errno));
		if (!got)	/* somebody cuts it while we read */
			return -EBADMSG;
		img->buffer_pos = 0;
		img->buffer_len = got;
	}
	img->offset += n;
	return 1;
}

static int fetch_u32(struct image *img, uint32_t *value)
{
	uint8_t b[4];
	int ret = fetch(img, b, sizeof(b));

	if (ret == 1)
		*value = b[0] | b[1] << 8 | b[2] << 16 | (uint32_t)b[3] << 24;
	return ret;
}

static int check_magic(struct image *img, uint32_t want, const char *what)
{
	uint32_t magic = 0;
	int ret = fetch_u32(img, &magic);

	if (!ret || ret == -EBADMSG)
		return image_fail(img->set, -EBADMSG, "%s: cut in its first bytes", img->name);
	if (ret < 0)
		return ret;
	if (magic != want)
		return image_fail(img->set, -EBADMSG, "%s: %s is %#x, not %#x", img->name, what, magic, want);
	return 0;
}

static int open_file(struct image *img)
{
	struct stat st;

	/* a FIFO or a device in a foreign directory must not stop us */
	img->fd = openat(img->set->dirfd, img->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (img->fd < 0 && errno == ENOENT)
		return image_fail(img->set, -ENOENT, "%s: missing", img->name);
	if (img->fd < 0 && errno == ELOOP)
		return image_fail(img->set, -ELOOP, "%s: is a symbolic link", img->name);
	if (img->fd < 0)
		return image_fail(img->set, -errno, "%s: cannot be opened: %s", img->name, strerror(errno));
	if (fstat(img->fd, &st))
		return image_fail(img->set, -errno, "%s: cannot be read: %s", img->name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return image_fail(img->set, -ENOTSUP, "%s: is not a regular file", img->name);
	img->size = st.st_size;
	img->buffer = malloc(BUFFER_SIZE);
	if (!img->buffer)
		return image_fail(img->set, -ENOMEM, "%s: out of memory", img->name);
	return 0;
}

static int vopen(struct image *img, struct image_set *set, uint32_t magic, const char *fmt, va_list args)
{
	int ret;

	memset(img, 0, sizeof(*img));
	img->set = set;
	vsnprintf(img->name, sizeof(img->name), fmt, args);

	ret = open_file(img);
	/* the inventory alone has no common magic: it tells whether the others have one */
	if (!ret && magic != IMAGE_MAGIC_INVENTORY)
		ret = check_magic(img, MAGIC_COMMON, "common magic");
	if (!ret)
		ret = check_magic(img, magic, "magic");
	if (ret)
		image_close(img);
	return ret;
}

int image_open(struct image *img, struct image_set *set, uint32_t magic, const char *fmt, ...)
{
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = vopen(img, set, magic, fmt, args);
	va_end(args);
	return ret;
}

void image_close(struct image *img)
{
	if (img->fd >= 0)
		close(img->fd);
	free(img->buffer);
	free(img->record);
	img->fd = -1;
	img->buffer = NULL;
	img->record = NULL;
}

static int read_record(struct image *img, uint32_t *length)
{
	uint64_t start = img->offset;
	int ret;

	ret = fetch_u32(img, length);
	if (ret == -EBADMSG)
		goto cut;
	if (ret <= 0)
		return ret;
	if (*length > img->size - img->offset)
		goto cut;
	if (*length > RECORD_MAX)
		return image_fail(img->set, -EFBIG, "%s: record at byte %" PRIu64 " is %" PRIu32 " bytes long", img->name,
				  start, *length);
	if (*length > img->record_size || !img->record) {
		size_t size = *length < 512 ? 512 : *length;

		free(img->record);
		img->record_size = 0;
		img->record = malloc(size);
		if (!img->record)
			return image_fail(img->set, -ENOMEM, "%s: out of memory", img->name);
		img->record_size = size;
	}
	if (!*length)
		return 1;
	ret = fetch(img, img->record, *length);
	if (ret == 1 || (ret < 0 && ret != -EBADMSG))
		return ret;
cut:
	return image_fail(img->set, -EBADMSG, "%s: record at byte %" PRIu64 " is cut", img->name, start);
}

int image_next(struct image *img, const ProtobufCMessageDescriptor *type, ProtobufCMessage **message)
{
	uint64_t start = img->offset;
	uint32_t length = 0;
	int ret;

	ret = read_record(img, &length);
	if (ret <= 0)
		return ret;
	*message = unpack(type, img->record, length);
	if (!*message)
		return image_fail(img->set, -EBADMSG, "%s: record at byte %" PRIu64 " is no %s", img->name, start,
				  type->name);
	return 1;
}

int image_skip(struct image *img, uint64_t bytes)
{
	if (bytes > img->size - img->offset)
		return image_fail(img->set, -EBADMSG, "%s: %" PRIu64 " bytes after a record are cut", img->name, bytes);
	if (bytes <= img->buffer_len - img->buffer_pos)
		img->buffer_pos += bytes;
	else
		img->buffer_pos = img->buffer_len = 0;
	img->offset += bytes;
	return 0;
}

int image_read_one(struct image_set *set, uint32_t magic, const ProtobufCMessageDescriptor *type,
		   ProtobufCMessage **message, const char *fmt, ...)
{
	struct image img;
	va_list args;
	int ret;

	va_start(args, fmt);
	ret = vopen(&img, set, magic, fmt, args);
	va_end(args);
	if (ret)
		return ret;

	ret = image_next(&img, type, message);
	if (!ret) {
		ret = image_fail(set, -EBADMSG, "%s: has no record", img.name);
	} else if (ret == 1 && img.offset != img.size) {
		image_free(*message);
		ret = image_fail(set, -EBADMSG, "%s: has more than one record", img.name);
	}
	image_close(&img);
	return ret < 0 ? ret : 0;
}

void image_free(ProtobufCMessage *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}
