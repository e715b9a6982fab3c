// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/common/config.c: what the configuration file may say, and what is refused with which sentence. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/config.h"
#include "tap.h"

static const struct {
	const char *text;
	int ret;
	bool lazy;
	uint64_t min_size;
	const char *error;	/* part of the sentence */
} cases[] = {
	{ "", 0, true, 1 << 20, NULL },
	{ "# nothing\n\n", 0, true, 1 << 20, NULL },
	{ "min-size = 4096\n", 0, true, 4096, NULL },
	{ "min-size=64K # comment\nlazy = no\n", 0, false, 65536, NULL },
	{ "  lazy\t=  yes  \nmin-size = 2G", 0, true, 2ull << 30, NULL },
	{ "min-size = 17179869183G\n", 0, true, 17179869183ull << 30, NULL },
	{ "min-size = 17179869184G\n", -EINVAL, true, 1 << 20, ":1: min-size cannot be" },
	{ "min-size = 99999999999999999999\n", -ERANGE, true, 1 << 20, ":1: min-size cannot be" },
	{ "min-size = -1\n", -EINVAL, true, 1 << 20, "cannot be \"-1\"" },
	{ "min-size =\n", -EINVAL, true, 1 << 20, "cannot be \"\"" },
	{ "min-size = 1MB\n", -EINVAL, true, 1 << 20, "cannot be \"1MB\"" },
	{ "lazy = maybe\n", -EINVAL, true, 1 << 20, "lazy cannot be \"maybe\"" },
	{ "lazy = no\nlasy = no\n", -ENOENT, true, 1 << 20, ":2: not a setting: \"lasy\"" },
	{ "lazy\n", -EINVAL, true, 1 << 20, ":1: not a setting: \"lazy\"" },
};

int main(void)
{
	char path[] = "/tmp/memfdcr-config-XXXXXX";
	struct config config;
	char error[256];
	size_t i;
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret;

		*error = '\0';
		if (ftruncate(fd, 0) || pwrite(fd, cases[i].text, strlen(cases[i].text), 0) < 0)
			return 1;
		ret = config_read(path, &config, error, sizeof(error));
		TAP_OK(ret == cases[i].ret && config.lazy == cases[i].lazy && config.min_size == cases[i].min_size &&
		       (cases[i].error ? strstr(error, cases[i].error) != NULL : !*error),
		       "configuration %zu: %d, %s", i, ret, *error ? strrchr(error, '/') : "no error");
	}
	close(fd);
	unlink(path);
	TAP_OK(!config_read(path, &config, error, sizeof(error)) && config.lazy && config.min_size == 1 << 20,
	       "without a file there are defaults");
	return tap_done();
}
