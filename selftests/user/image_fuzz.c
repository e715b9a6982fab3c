// SPDX-License-Identifier: GPL-2.0-only
/* Parses what the fuzzer gives as metadata, and uses all that the reader takes for good. */
#include "image_fuzz.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "image/checksum.h"
#include "image/label.h"
#include "image/layout.h"
#include "image/meta.h"
#include "image/reader.h"

/* whoever cannot forge a checksum is kept out by it; what is behind it must hold, too */
static uint8_t *with_head(const uint8_t *message, size_t size)
{
	uint32_t version = htole32(LAYOUT_VERSION);
	uint64_t length = htole64(size);
	uint8_t *file = calloc(1, LAYOUT_HEAD + size);

	if (!file)
		abort();
	memcpy(file, LAYOUT_MAGIC, 8);
	memcpy(file + 8, &version, sizeof(version));
	memcpy(file + 16, &length, sizeof(length));
	if (size)
		memcpy(file + LAYOUT_HEAD, message, size);
	checksum_of_two(file, LAYOUT_CHECKED_HEAD, file + LAYOUT_HEAD, size, file + LAYOUT_CHECKED_HEAD);
	return file;
}

static void use(Memfdcr__Image *image)
{
	struct imgdir_file *files = calloc(image->n_ancestors + 1, sizeof(*files));
	struct imgdir dir = { .image = image, .files = files };
	size_t i, k;

	if (!files)
		abort();
	for (i = 0; i <= image->n_ancestors; i++)
		files[i].fd = i;
	for (i = 0; i < image->n_objects; i++) {
		const Memfdcr__Object *o = image->objects[i];
		struct pager_extent *v;
		char label[LABEL_SIZE];
		size_t n;

		label_object(o, label);
		if (imgdir_extents(&dir, o, &v, &n))
			abort();
		/* what the reader promises */
		for (k = 0; k < n; k++) {
			uint64_t pages = v[k].fd ? image->ancestors[v[k].fd - 1]->data_pages : image->data_pages;

			if (v[k].offset >= o->size || v[k].file_offset + v[k].length > pages * LAYOUT_PAGE ||
			    (k && v[k].offset < v[k - 1].offset + v[k - 1].length))
				abort();
		}
		free(v);
	}
	free(files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Memfdcr__Image *image = NULL;
	uint8_t *file = NULL;
	char error[256];
	int ret;

	if (!size)
		return 0;
	if (data[0] & 1) {
		file = with_head(data + 1, size - 1);
		ret = meta_parse(file, LAYOUT_HEAD + size - 1, &image, error, sizeof(error));
	} else {
		ret = meta_parse(data + 1, size - 1, &image, error, sizeof(error));
	}
	if (!ret) {
		use(image);
		meta_free(image);
	}
	free(file);
	return 0;
}
