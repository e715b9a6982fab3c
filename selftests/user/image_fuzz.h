/* SPDX-License-Identifier: GPL-2.0-only */
/* What a fuzzer feeds to the image reader. */
#ifndef MEMFDCR_IMAGE_FUZZ_H
#define MEMFDCR_IMAGE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's entry. The first byte chooses: even: the rest is a whole file; odd: a message, with the right head put before */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
