// SPDX-License-Identifier: GPL-2.0-only
/* The module as the kernel sees it: whether it is there, who uses it, what memory is gone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "module.h"
#include "process.h"
#include "request.h"

#define REFERENCES "/sys/module/memfdcr/refcnt"
#define TRIES 500	/* of 10 ms */

bool module_is_loaded(void)
{
	return access(REFERENCES, F_OK) == 0;
}

int module_unload(void)
{
	request_forget();
	return syscall(SYS_delete_module, "memfdcr", O_NONBLOCK) ? -errno : 0;
}

/* what is left of a guard needs a moment */
int module_unload_soon(void)
{
	int err = -1;

	for (int i = 0; i < TRIES && err; i++) {
		err = module_unload();
		if (err)
			usleep(10000);
	}
	return err;
}

int module_references(void)
{
	char value[32];

	return read_line(REFERENCES, "", value, sizeof(value)) ? atoi(value) : -1;
}

bool module_unused_soon(void)
{
	for (int i = 0; i < TRIES; i++) {
		if (!module_references())
			return true;
		usleep(10000);
	}
	return false;
}

long module_slab(void)
{
	FILE *drop = fopen("/proc/sys/vm/drop_caches", "w");
	char value[64] = "0";

	if (drop) {
		fputs("3\n", drop);
		fclose(drop);
	}
	read_line("/proc/meminfo", "SUnreclaim:", value, sizeof(value));
	return atol(value);
}

bool module_slab_soon(long most)
{
	long now = 0;

	/* what ended processes had is freed in the background */
	for (int i = 0; i < TRIES / 10; i++) {
		now = module_slab();
		if (now <= most)
			return true;
		usleep(100000);
	}
	printf("# the kernel's own memory is %ld KiB, at most %ld were expected\n", now, most);
	return false;
}
