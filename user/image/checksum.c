// SPDX-License-Identifier: GPL-2.0-only
/* The checksum, by libxxhash. */
#include "image/checksum.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

_Static_assert(sizeof(XXH128_canonical_t) == CHECKSUM_SIZE, "the canonical form is what is stored");

static void store(XXH128_hash_t hash, uint8_t sum[CHECKSUM_SIZE])
{
	XXH128_canonical_t canonical;

	XXH128_canonicalFromHash(&canonical, hash);
	memcpy(sum, &canonical, CHECKSUM_SIZE);
}

void checksum(const void *data, size_t size, uint8_t sum[CHECKSUM_SIZE])
{
	store(XXH3_128bits(data, size), sum);
}

void checksum_of_two(const void *a, size_t a_size, const void *b, size_t b_size, uint8_t sum[CHECKSUM_SIZE])
{
	XXH3_state_t *state = XXH3_createState();

	/* without memory for half a kilobyte nothing goes on here anyway, and no checksum must be wrong */
	if (!state)
		abort();
	XXH3_128bits_reset(state);
	XXH3_128bits_update(state, a, a_size);
	XXH3_128bits_update(state, b, b_size);
	store(XXH3_128bits_digest(state), sum);
	XXH3_freeState(state);
}
