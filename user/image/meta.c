// SPDX-License-Identifier: GPL-2.0-only
/* The head of memfdcr.img, and the checks that make the rest of us trust the message. */
#include "image/meta.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/explain.h"
#include "common/unpack.h"
#include "image/checksum.h"
#include "image/layout.h"

/* the head, as it stands in the file */
struct head {
	uint8_t magic[8];
	uint32_t version;
	uint32_t zero;
	uint64_t length;
	uint8_t checksum[CHECKSUM_SIZE];
};

_Static_assert(sizeof(struct head) == LAYOUT_HEAD, "no padding");

uint8_t *meta_pack(const Memfdcr__Image *image, size_t *size)
{
	size_t length = memfdcr__image__get_packed_size(image);
	struct head head = { .version = htole32(LAYOUT_VERSION), .length = htole64(length) };
	uint8_t *file;

	if (length > LAYOUT_META_MAX) {
		errno = EFBIG;
		return NULL;
	}
	file = malloc(LAYOUT_HEAD + length);
	if (!file)
		return NULL;
	memfdcr__image__pack(image, file + LAYOUT_HEAD);
	memcpy(head.magic, LAYOUT_MAGIC, sizeof(head.magic));
	checksum_of_two(&head, LAYOUT_CHECKED_HEAD, file + LAYOUT_HEAD, length, head.checksum);
	memcpy(file, &head, sizeof(head));
	*size = LAYOUT_HEAD + length;
	return file;
}

static int check_head(const uint8_t *file, size_t size, char *error, size_t error_size)
{
	uint8_t sum[CHECKSUM_SIZE];
	struct head head;

	if (size < sizeof(head.magic) || memcmp(file, LAYOUT_MAGIC, sizeof(head.magic)))
		return explain(-ENOMSG, error, error_size, "is no image of memfdcr");
	if (size < sizeof(head))
		return explain(-EBADMSG, error, error_size, "is cut in its first bytes");
	memcpy(&head, file, sizeof(head));
	if (le32toh(head.version) != LAYOUT_VERSION)
		return explain(-EPROTONOSUPPORT, error, error_size,
			    "has version %" PRIu32 " of the format, this memfdcr reads version %d", le32toh(head.version),
			    LAYOUT_VERSION);
	if (le64toh(head.length) > size - LAYOUT_HEAD)
		return explain(-EBADMSG, error, error_size, "is cut: %zu bytes of %" PRIu64, size,
			    le64toh(head.length) + LAYOUT_HEAD);
	if (le64toh(head.length) < size - LAYOUT_HEAD)
		return explain(-EBADMSG, error, error_size, "has %" PRIu64 " bytes behind its end",
			    size - LAYOUT_HEAD - le64toh(head.length));
	checksum_of_two(file, LAYOUT_CHECKED_HEAD, file + LAYOUT_HEAD, size - LAYOUT_HEAD, sum);
	if (memcmp(sum, head.checksum, CHECKSUM_SIZE) || head.zero)
		return explain(-EBADMSG, error, error_size, "is damaged: its checksum is wrong");
	return 0;
}

/* pages of the file that chunks with this number in files are in */
static uint64_t pages_of_file(const Memfdcr__Image *image, uint32_t file)
{
	return file ? image->ancestors[file - 1]->data_pages : image->data_pages;
}

/* what is wrong with the content, or NULL */
static const char *content_mistake(const Memfdcr__Image *image, const Memfdcr__Object *o)
{
	uint64_t pages = o->size / LAYOUT_PAGE + !!(o->size % LAYOUT_PAGE);
	size_t i;

	if (o->n_pages != o->n_chunks || o->n_files != o->n_chunks || o->n_places != o->n_chunks ||
	    o->checksums.len != o->n_chunks * CHECKSUM_SIZE)
		return "lists of different lengths";
	if (o->refused && (o->n_chunks || o->n_runs))
		return "content in spite of a refusal";
	for (i = 0; i < o->n_chunks; i++) {
		uint64_t chunk = o->chunks[i], stored = __builtin_popcount(o->pages[i]);

		if (i && chunk <= o->chunks[i - 1])
			return "chunks out of order";
		if (!stored || o->pages[i] >> LAYOUT_CHUNK_PAGES)
			return "a chunk of no pages, or of too many";
		/* the last page that is stored */
		if (chunk >= pages || chunk * LAYOUT_CHUNK_PAGES + 31 - __builtin_clz(o->pages[i]) >= pages)
			return "content behind its end";
		if (o->files[i] > image->n_ancestors)
			return "content in an image that is not named";
		if (o->places[i] > pages_of_file(image, o->files[i]) ||
		    stored > pages_of_file(image, o->files[i]) - o->places[i])
			return "content behind the end of " LAYOUT_DATA;
	}
	return NULL;
}

static const char *runs_mistake(const Memfdcr__Object *o)
{
	/* in pages of ours, to the end of the last page of the object's own */
	uint64_t left = (o->size / o->page_size + !!(o->size % o->page_size)) * (o->page_size / LAYOUT_PAGE);
	size_t i;

	if (o->refused)
		return NULL;
	for (i = 0; i < o->n_runs; i++) {
		if (o->runs[i] > left || (i && !o->runs[i]))
			return "runs that do not fit";
		left -= o->runs[i];
	}
	return left ? "runs that end before it does" : NULL;
}

static const char *holders_mistake(const Memfdcr__Object *o)
{
	size_t i;

	for (i = 0; i < o->n_holders; i++)
		if (!o->holders[i]->descriptor == !o->holders[i]->mapping)
			return "a holder that is not one of descriptor and mapping";
	return NULL;
}

static const char *object_mistake(const Memfdcr__Image *image, const Memfdcr__Object *o)
{
	const char *mistake;

	/* as st_size, which is signed; the largest pages there are have 16 GiB */
	if (o->size > INT64_MAX)
		return "an impossible size";
	if (o->page_size < LAYOUT_PAGE || o->page_size > 1ull << 40 || o->page_size & (o->page_size - 1))
		return "an impossible page size";
	mistake = content_mistake(image, o);
	if (!mistake)
		mistake = runs_mistake(o);
	return mistake ? mistake : holders_mistake(o);
}

int meta_check(const Memfdcr__Image *image, char *error, size_t error_size)
{
	size_t i;

	if (image->id.len != LAYOUT_ID)
		return explain(-EBADMSG, error, error_size, "has no valid id");
	if (image->data_pages > INT64_MAX / LAYOUT_PAGE)
		return explain(-EBADMSG, error, error_size, "says that " LAYOUT_DATA " is impossibly large");
	if (image->n_ancestors > LAYOUT_ANCESTORS)
		return explain(-EBADMSG, error, error_size, "builds on %zu images, more than %d", image->n_ancestors,
			    LAYOUT_ANCESTORS);
	for (i = 0; i < image->n_ancestors; i++) {
		const Memfdcr__Ancestor *a = image->ancestors[i];

		if (a->id.len != LAYOUT_ID || !a->path.len || memchr(a->path.data, 0, a->path.len) ||
		    a->data_pages > INT64_MAX / LAYOUT_PAGE)
			return explain(-EBADMSG, error, error_size, "does not name image %zu that it builds on", i);
	}
	for (i = 0; i < image->n_objects; i++) {
		const char *mistake = object_mistake(image, image->objects[i]);

		if (mistake)
			return explain(-EBADMSG, error, error_size, "is wrong: object %zu has %s", i, mistake);
	}
	return 0;
}

int meta_parse(const uint8_t *file, size_t size, Memfdcr__Image **image, char *error, size_t error_size)
{
	int ret = check_head(file, size, error, error_size);

	if (ret)
		return ret;
	*image = (Memfdcr__Image *)unpack(&memfdcr__image__descriptor, file + LAYOUT_HEAD, size - LAYOUT_HEAD);
	if (!*image)
		return explain(-EBADMSG, error, error_size, "is not understood");
	ret = meta_check(*image, error, error_size);
	if (ret) {
		meta_free(*image);
		*image = NULL;
	}
	return ret;
}

void meta_free(Memfdcr__Image *image)
{
	if (image)
		memfdcr__image__free_unpacked(image, NULL);
}
