/* SPDX-License-Identifier: GPL-2.0-only */
/* One CRIU image file: two magics, then records of a length and a protobuf message. Everything is checked and bounded. */
#ifndef MEMFDCR_CRIU_IMAGE_H
#define MEMFDCR_CRIU_IMAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum {
	IMAGE_MAGIC_INVENTORY = 0x58313116,
	IMAGE_MAGIC_PSTREE = 0x50273030,
	IMAGE_MAGIC_CORE = 0x55053847,
	IMAGE_MAGIC_IDS = 0x54432030,
	IMAGE_MAGIC_MM = 0x57492820,
	IMAGE_MAGIC_FDINFO = 0x56213732,
	IMAGE_MAGIC_FILES = 0x56303138,
	IMAGE_MAGIC_MEMFD = 0x48453499,
	IMAGE_MAGIC_PAGEMAP = 0x56084025,
	IMAGE_MAGIC_SK_QUEUES = 0x56264026,
	IMAGE_MAGIC_IPCNS_SHM = 0x46283044,
};

/* a directory of images, and where the sentence about the first thing wrong with it goes */
struct image_set {
	int dirfd;
	char *error;
	size_t error_size;
};

struct image {
	struct image_set *set;
	int fd;
	char name[64];
	uint64_t size;		/* of the file when it was opened; never read beyond */
	uint64_t offset;	/* of what is read next */
	uint8_t *buffer;	/* [buffer_pos, buffer_len) was read ahead */
	size_t buffer_pos;
	size_t buffer_len;
	uint8_t *record;
	size_t record_size;
};

/* writes the sentence and returns err, a negative errno */
__attribute__((format(printf, 3, 4))) int image_fail(struct image_set *set, int err, const char *fmt, ...);

/*
 * Opens the image with this name, which is built as printf() does, and checks its magics. 0, or a negative errno with
 * the sentence written; -ENOENT only for a file that is not there. After 0 image_close() is due.
 */
__attribute__((format(printf, 4, 5))) int image_open(struct image *img, struct image_set *set, uint32_t magic,
						     const char *fmt, ...);

void image_close(struct image *img);

/*
 * Reads the next record. 1: *message, to be freed with image_free(); 0: there is none; else a negative errno with the
 * sentence written (-EBADMSG: the image is cut or is not what CRIU writes).
 */
int image_next(struct image *img, const ProtobufCMessageDescriptor *type, ProtobufCMessage **message);

/* passes over bytes that are not a record; 0 or a negative errno with the sentence written */
int image_skip(struct image *img, uint64_t bytes);

/* the record of an image that has exactly one: 0, or a negative errno as image_open() and image_next() give it */
__attribute__((format(printf, 5, 6))) int image_read_one(struct image_set *set, uint32_t magic,
							 const ProtobufCMessageDescriptor *type,
							 ProtobufCMessage **message, const char *fmt, ...);

void image_free(ProtobufCMessage *message);

#endif
