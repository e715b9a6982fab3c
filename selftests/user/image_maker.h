/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes directories of CRIU images for tests: a struct world says what was dumped, world_write() writes what CRIU would.
 *
 * Tests change a world before it is written, or the files afterwards.
 */
#ifndef MEMFDCR_IMAGE_MAKER_H
#define MEMFDCR_IMAGE_MAKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "criu/images.pb-c.h"

#define PAGE 4096ull

/* what CRIU writes of a shared mapping of a memfd that is open for writing */
#define MADE_STATUS 0x4081
#define MADE_FLAGS 0x1
#define MADE_FDFLAGS 02

enum made_format {
	MADE_OLD,	/* CRIU before 4.2: nr_pages in 32 bits */
	MADE_NEW,	/* CRIU 4.2: in 64 bits, and 0 in the old field */
	MADE_OLDEST,	/* without flags */
};

struct made_object {
	Criu__MemfdInode inode;
	uint32_t pages_id;
	enum made_format format;
	Criu__PagemapRun runs[4];	/* vaddr and compat_nr_pages; the rest as the format wants it unless raw_runs */
	size_t n_runs;
	bool raw_runs;
	Criu__PagemapHead head;
};

struct made_file {
	Criu__MemfdFile memfd;
	uint32_t id;		/* of the file entry, 0: as memfd's */
	uint32_t type;		/* 0: memfd */
};

struct made_task {
	uint32_t pid;
	uint32_t state;
	uint32_t vm_id;
	uint32_t files_id;
	uint32_t ipc_ns_id;
	uint32_t exe;
};

struct made_mapping {
	uint32_t pid;
	Criu__Vma vma;
};

struct made_fd {
	uint32_t files_id;
	uint32_t id;
	uint32_t fd;
};

struct world {
	uint32_t version;
	bool fdinfo_per_id;
	struct made_object objects[4];
	size_t n_objects;
	struct made_file files[8];
	size_t n_files;
	struct made_task tasks[6];
	size_t n_tasks;
	struct made_mapping mappings[16];	/* by task in the order of addresses */
	size_t n_mappings;
	struct made_fd fds[8];
	size_t n_fds;
	uint32_t rights[4];	/* file ids in flight, each in a packet of its own */
	size_t n_rights;
	uint32_t segments[4];	/* ids of SysV segments in IPC namespace 1 */
	size_t n_segments;
	bool old_segments;
};

/*
 * Two tasks (10, 11) and a zombie (12). Object 0 "data", 64 pages, of which 0..3, 16..23 and 24..25 have bytes, mapped by
 * both tasks at different addresses; object 1 "/dev/zero", 10 pages and 100 bytes, of which the last two pages have bytes,
 * in the new format, mapped by 11 in two parts. Both can be lazy.
 */
void world_init(struct world *w);

/* adds a mapping of file id */
struct made_mapping *world_map(struct world *w, uint32_t pid, uint32_t id, uint64_t start, uint64_t pages,
			       uint64_t offset_pages);

/* writes it all into the directory, which holds nothing that is still wanted */
void world_write(const struct world *w, int dirfd);

/* an image while it is written, for sets that do not fit in a world */
struct maker {
	uint8_t *bytes;
	size_t size;
	size_t room;
};

void maker_u32(struct maker *m, uint32_t value);
void maker_bytes(struct maker *m, const void *bytes, size_t size);
void maker_begin(struct maker *m, uint32_t magic);
void maker_record(struct maker *m, const void *message);

/* writes the file and makes *m an empty one */
__attribute__((format(printf, 3, 4))) void maker_write(struct maker *m, int dirfd, const char *fmt, ...);

/* one more field that no version has */
void maker_unknown(ProtobufCMessage *message);

/* files of a directory */
void *dir_read(int dirfd, const char *name, size_t *size);
void dir_write(int dirfd, const char *name, const void *bytes, size_t size);
void dir_truncate(int dirfd, const char *name, uint64_t size);
void dir_clear(int dirfd);

#endif
