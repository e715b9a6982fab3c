/* SPDX-License-Identifier: GPL-2.0-only */
/* The checksum of images: XXH3 of 128 bits, as the format has it. */
#ifndef MEMFDCR_IMAGE_CHECKSUM_H
#define MEMFDCR_IMAGE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define CHECKSUM_SIZE 16

void checksum(const void *data, size_t size, uint8_t sum[CHECKSUM_SIZE]);

/* over a and then b */
void checksum_of_two(const void *a, size_t a_size, const void *b, size_t b_size, uint8_t sum[CHECKSUM_SIZE]);

#endif
