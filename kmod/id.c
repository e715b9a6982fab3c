// SPDX-License-Identifier: GPL-2.0-only
/* Numbers that user space may compare instead of kernel pointers: a bijection under a key made at load time. */
#include <linux/random.h>
#include <linux/siphash.h>

#include "id.h"

static siphash_key_t key;

/**
 * memfdcr_id_init() - draw the key
 *
 * Context: process context, once, before any memfdcr_id().
 */
void memfdcr_id_init(void)
{
	get_random_bytes(&key, sizeof(key));
}

/**
 * memfdcr_id() - number of an object
 * @ptr: its address
 *
 * Four rounds of a Feistel network with siphash as round function: equal numbers if and only if equal pointers, and
 * without the key a number says nothing about the pointer.
 *
 * Context: any.
 * Return: the number.
 */
u64 memfdcr_id(const void *ptr)
{
	u64 v = (unsigned long)ptr;
	u32 left = v >> 32, right = v, round, t;

	for (round = 0; round < 4; round++) {
		t = left ^ (u32)siphash_2u32(right, round, &key);
		left = right;
		right = t;
	}
	return (u64)left << 32 | right;
}
