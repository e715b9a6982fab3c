// SPDX-License-Identifier: GPL-2.0-only
/* Gives the image reader everything that the fuzzer has found worth keeping: selftests/user/corpus/, made by make fuzz. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_fuzz.h"
#include "tap.h"

static bool feed(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes;
	struct stat st;
	bool ok;

	if (fd < 0 || fstat(fd, &st))
		abort();
	/* not a byte more, so that reading behind the end is seen */
	bytes = malloc(st.st_size);
	ok = bytes && read(fd, bytes, st.st_size) == st.st_size;
	if (ok)
		LLVMFuzzerTestOneInput(bytes, st.st_size);
	free(bytes);
	close(fd);
	return ok;
}

int main(void)
{
	const char *slash = strrchr(__FILE__, '/');
	const struct dirent *entry;
	unsigned int n = 0;
	char path[4096];
	bool ok = true;
	DIR *dir;

	snprintf(path, sizeof(path), "%.*scorpus", slash ? (int)(slash - __FILE__ + 1) : 0, __FILE__);
	dir = opendir(path);
	while (dir && ok && (entry = readdir(dir)))
		if (*entry->d_name != '.') {
			ok = feed(dirfd(dir), entry->d_name);
			n++;
		}
	if (dir)
		closedir(dir);
	TAP_OK(ok && n, "%u files of the corpus do no harm", n);
	return tap_done();
}
