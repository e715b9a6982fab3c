// SPDX-License-Identifier: GPL-2.0-only
/* Reads "key = value" lines; '#' begins a comment. */
#include "common/config.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *s)
{
	char *end;

	while (isspace((unsigned char)*s))
		s++;
	end = s + strlen(s);
	while (end > s && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return s;
}

static int parse_size(const char *text, uint64_t *size)
{
	unsigned long long n;
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	switch (*end) {
	case 'K': case 'k': shift = 10; end++; break;
	case 'M': case 'm': shift = 20; end++; break;
	case 'G': case 'g': shift = 30; end++; break;
	}
	if (*end || n > UINT64_MAX >> shift)
		return -EINVAL;
	*size = (uint64_t)n << shift;
	return 0;
}

static int set(struct config *config, const char *key, const char *value)
{
	if (!strcmp(key, "min-size"))
		return parse_size(value, &config->min_size);
	if (!strcmp(key, "lazy")) {
		if (!strcmp(value, "yes"))
			config->lazy = true;
		else if (!strcmp(value, "no"))
			config->lazy = false;
		else
			return -EINVAL;
		return 0;
	}
	return -ENOENT;
}

int config_read(const char *path, struct config *config, char *error, size_t error_size)
{
	static const struct config defaults = { .lazy = true, .min_size = 1 << 20 };
	unsigned int number = 0;
	char *line = NULL;
	size_t size = 0;
	int ret = 0;
	FILE *f;

	*config = defaults;
	f = fopen(path, "re");
	if (!f) {
		if (errno == ENOENT)
			return 0;
		ret = -errno;
		snprintf(error, error_size, "cannot read %s: %s", path, strerror(errno));
		return ret;
	}
	while (!ret && getline(&line, &size, f) >= 0) {
		char *key, *value;

		number++;
		line[strcspn(line, "#")] = '\0';
		key = trim(line);
		if (!*key)
			continue;
		value = strchr(key, '=');
		if (value) {
			*value++ = '\0';
			key = trim(key);
			value = trim(value);
			ret = set(config, key, value);
		}
		if (!value || ret == -ENOENT)
			snprintf(error, error_size, "%s:%u: not a setting: \"%s\" (known: lazy, min-size)", path,
				 number, key);
		else if (ret)
			snprintf(error, error_size, "%s:%u: %s cannot be \"%s\"", path, number, key, value);
		if (!value)
			ret = -EINVAL;
	}
	free(line);
	fclose(f);
	if (ret)
		*config = defaults;
	return ret;
}
