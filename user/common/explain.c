// SPDX-License-Identifier: GPL-2.0-only
/* Writing a sentence about an error. */
#include "common/explain.h"

#include <stdarg.h>
#include <stdio.h>

int explain(int ret, char *error, size_t error_size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(error, error_size, fmt, args);
	va_end(args);
	return ret;
}
