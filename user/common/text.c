// SPDX-License-Identifier: GPL-2.0-only
/* Bytes that may be UTF-8 or not, and what is printed in their place; sizes. */
#include "common/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

/* bytes of the UTF-8 character at s, which is not the terminating NUL; 0 if there is none */
static size_t utf8_length(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;
	uint32_t c;
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	c = p[0] & (0x7f >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	/* what fits into fewer bytes, the halves of UTF-16 and what is behind the last character are not allowed */
	if (p[0] < 0xc2 || p[0] > 0xf4 || (n == 3 && c < 0x800) || (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
	    (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

/* of an UTF-8 character: C0 and C1, which terminals obey */
static bool is_control(const char *s, size_t n)
{
	return n == 1 ? (unsigned char)*s < ' ' || *s == 127 : n == 2 && *s == '\xc2' && (unsigned char)s[1] < 0xa0;
}

void text_print(FILE *f, const char *s)
{
	while (*s) {
		size_t n = utf8_length(s);

		if (!n || is_control(s, n)) {
			fprintf(f, "\\x%02x", (unsigned char)*s++);
			/* the second byte of a C1 character is none by itself and comes out in the same way */
			continue;
		}
		if (*s == '\\')
			fputc('\\', f);
		fwrite(s, 1, n, f);
		s += n;
	}
}

char *text_to_utf8(const char *s)
{
	char *copy = malloc(strlen(s) * strlen(REPLACEMENT) + 1), *p = copy;

	if (!copy)
		return NULL;
	while (*s) {
		size_t n = utf8_length(s);

		if (n) {
			p = mempcpy(p, s, n);
			s += n;
		} else {
			p = stpcpy(p, REPLACEMENT);
			s++;
		}
	}
	*p = '\0';
	return copy;
}

void text_print_size(FILE *f, uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0, tenths = 0;
	uint64_t n = bytes;

	while (n >= 1024) {
		n >>= 10;
		unit++;
	}
	if (unit)
		tenths = ((bytes >> (10 * unit - 10) & 1023) * 10 + 512) / 1024;
	n += tenths / 10;
	tenths %= 10;
	if (n == 1024) {
		n = 1;
		unit++;
	}
	fprintf(f, "%" PRIu64, n);
	if (tenths)
		fprintf(f, ".%u", tenths);
	fputc(units[unit], f);
}
