// SPDX-License-Identifier: GPL-2.0-only
/* What lazy restores need of module, kernel and privileges, tried out. */
#include "serve/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "pager/uffd-abi.h"

static bool module_works(struct genl *g, char *reason, size_t size)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = PAGER_SPACE_FEATURES,
	};
	bool works = false;
	int mem, uffd;
	uint64_t id;

	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (mem < 0) {
		snprintf(reason, size, "cannot open /proc/self/mem: %s", strerror(errno));
		return false;
	}
	if (genl_uffd_open(g, mem, O_CLOEXEC | O_NONBLOCK, true, &uffd, &id)) {
		snprintf(reason, size, "the memfdcr module refuses: %s", genl_error());
		close(mem);
		return false;
	}
	if (ioctl(uffd, UFFDIO_API, &api))
		snprintf(reason, size, "the kernel's userfaultfd lacks features that are needed: %s", strerror(errno));
	else if (genl_uffd_complete(g, uffd))
		snprintf(reason, size, "the memfdcr module refuses: %s", genl_error());
	else
		works = true;
	close(uffd);
	close(mem);
	return works;
}

static bool objects_open(char *reason, size_t size)
{
	const size_t length = 4096;
	char path[96];
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd;

	if (p == MAP_FAILED) {
		snprintf(reason, size, "cannot map memory: %s", strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "/proc/self/map_files/%" PRIxPTR "-%" PRIxPTR, (uintptr_t)p, (uintptr_t)p + length);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		snprintf(reason, size, "cannot open what a process maps (/proc/PID/map_files): %s", strerror(errno));
	else
		close(fd);
	munmap(p, length);
	return fd >= 0;
}

/*
 * Before 6.4 khugepaged makes a huge page of shmem without a look at userfaultfds, with zeros where pages are missing.
 * (The module keeps MADV_COLLAPSE from the same.)
 */
static bool khugepaged_is_harmless(char *reason, size_t size)
{
	static const char file[] = "/sys/kernel/mm/transparent_hugepage/shmem_enabled";
	unsigned int major, minor;
	struct utsname uts;
	char line[128] = "";
	FILE *f;

	if (uname(&uts) || sscanf(uts.release, "%u.%u", &major, &minor) != 2 || major > 6 || (major == 6 && minor >= 4))
		return true;
	f = fopen(file, "re");
	if (!f)
		return true;	/* a kernel without huge pages */
	if (!fgets(line, sizeof(line), f))
		*line = '\0';
	fclose(f);
	if (strstr(line, "[never]") || strstr(line, "[deny]"))
		return true;
	snprintf(reason, size, "this kernel's khugepaged would fill missing pages with zeros; echo never >%s", file);
	return false;
}

bool machine_works(struct genl *g, char *reason, size_t size)
{
	return module_works(g, reason, size) && objects_open(reason, size) && khugepaged_is_harmless(reason, size);
}
