/* SPDX-License-Identifier: GPL-2.0-only */
/* What users call kinds, causes, seals, flags and modes, which the kernel has numbers for. */
#ifndef MEMFDCR_COMMON_NAMES_H
#define MEMFDCR_COMMON_NAMES_H

#include <stdint.h>
#include <stdio.h>

/* has this name: a number whose bits in mask are value */
struct bit_name {
	uint32_t mask, value;
	const char *name;	/* NULL ends the table */
};

extern const struct bit_name seal_names[];	/* F_SEAL_ */
extern const struct bit_name open_flag_names[];	/* O_, the access mode first */
extern const struct bit_name uffd_mode_names[];	/* UFFDIO_REGISTER_MODE_ */
extern const struct bit_name mremap_flag_names[];	/* MREMAP_ */

/* calls put for each name that bits have; bits without a name are one more, in hexadecimal */
void names_each(const struct bit_name *names, uint32_t bits, void (*put)(void *data, const char *name), void *data);

/* the same as text: before, if there is a name, then all of them with commas between them */
void names_print(FILE *f, const char *before, const struct bit_name *names, uint32_t bits);

/* of MEMFDCR_KIND_, MEMFDCR_EXTENT_ and MEMFDCR_CAUSE_; "unknown" for what a newer module may have */
const char *kind_name(uint32_t kind);
const char *extent_name(uint32_t state);
const char *cause_name(uint32_t cause);

#endif
