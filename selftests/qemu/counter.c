// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only process of a small Linux: fills most of its memory with what only it knows, then counts, for as long as the
 * machine runs. With each number it looks at a part of that memory; "count 17 wrong 0" is one line on the console.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#define PAGE	4096UL
#define PARTS	16UL

static uint64_t word(uint64_t page, uint64_t i)
{
	return (page * 512 + i + 1) * 0x9e3779b97f4a7c15UL;
}

/* the words of a page that are looked at: first, last, and one in between */
static int is_wrong(const uint64_t *memory, uint64_t page)
{
	const uint64_t places[] = { 0, page % 512, 511 };

	for (unsigned int i = 0; i < 3; i++)
		if (memory[page * 512 + places[i]] != word(page, places[i]))
			return 1;
	return 0;
}

int main(void)
{
	uint64_t pages, wrong = 0, *memory;
	struct sysinfo info;
	int console = open("/dev/console", O_RDWR);

	if (console < 0)
		return 1;
	for (int fd = 0; fd < 3; fd++)
		dup2(console, fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sysinfo(&info);
	pages = info.freeram * info.mem_unit / 2 / PAGE;
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	for (uint64_t page = 0; page < pages; page++)
		for (uint64_t i = 0; i < 512; i++)
			memory[page * 512 + i] = word(page, i);
	printf("filled %llu\n", (unsigned long long)(pages * PAGE));
	for (uint64_t n = 1;; n++) {
		uint64_t first = n % PARTS * (pages / PARTS);

		for (uint64_t page = first; page < first + pages / PARTS; page++)
			wrong += is_wrong(memory, page);
		printf("count %llu wrong %llu\n", (unsigned long long)n, (unsigned long long)wrong);
		nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	}
}
