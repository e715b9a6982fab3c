/* SPDX-License-Identifier: GPL-2.0-only */
/* Errors that come with a sentence. */
#ifndef MEMFDCR_COMMON_EXPLAIN_H
#define MEMFDCR_COMMON_EXPLAIN_H

#include <stddef.h>

/* writes a sentence, without a full stop, into error and returns ret */
__attribute__((format(printf, 4, 5))) int explain(int ret, char *error, size_t error_size, const char *fmt, ...);

#endif
