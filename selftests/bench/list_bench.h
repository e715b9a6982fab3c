/* SPDX-License-Identifier: GPL-2.0-only */
/* The processes that list_bench looks at, the answer it wants, and the ways to find it. */
#ifndef LIST_BENCH_H
#define LIST_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESSES 100
#define DESCRIPTORS 20			/* of each process */
#define MEMFDS 10			/* of these, memfds */
#define MAPPINGS 40			/* of objects, in each process */

/* a descriptor or mapping of a memfd or shared region */
struct holder {
	pid_t pid;
	int fd;				/* -1: a mapping */
	uint64_t start, end;
	uint64_t dev, ino;
	int seals;
	bool huge;
	uint64_t file;			/* equal for descriptors of one open file, where the way can tell */
};

struct picture {
	struct holder *holders;
	size_t n, room;
	bool has_files;
};

void picture_clear(struct picture *p);
struct holder *picture_add(struct picture *p);
/* true if both say the same; prints the first difference */
bool picture_same(struct picture *a, struct picture *b);

/* what is known of an object; asked for once, however many holders there are */
struct object {
	uint64_t dev, ino;		/* ino 0: a free place */
	int seals;
	bool huge;
};

#define OBJECTS 8192			/* places of the table */

struct table {
	struct object places[OBJECTS];
};

/* the place of that object; ->ino is 0 when it is new */
struct object *table_find(struct table *t, uint64_t dev, uint64_t ino);

pid_t scene_start(void);		/* a process with PROCESSES children; returns when all have what they shall have */
void scene_end(pid_t root);

/* each of them looks at the tree below root and fills in the picture */
void ask_module(pid_t root, struct picture *p);
void ask_module_small(pid_t root, struct picture *p);	/* with a receive buffer of 8 KiB */
void walk_proc(pid_t root, struct picture *p);		/* stat() of every mapping's /proc/PID/map_files */
void walk_maps(pid_t root, struct picture *p);		/* believes what /proc/PID/maps says of dev and ino */
void take_descriptors(pid_t root, struct picture *p);	/* pidfd_getfd(), fstat(), F_GET_SEALS */
void compare_descriptors(pid_t root, struct picture *p);	/* and kcmp() of those of one object */
void compare_all(pid_t root, struct picture *p);	/* and kcmp() of all of them */

/* parts of ask_module(), for their time; these fill in nothing */
void ask_without_reading(pid_t root, struct picture *p);
void ask_without_copying(pid_t root, struct picture *p);
void ask_objects_only(pid_t root, struct picture *p);
void ask_for_nothing(pid_t root, struct picture *p);

/* of the last question */
extern unsigned long asked_messages, asked_bytes, asked_datagrams;
extern bool asked_interrupted;

void die(const char *what) __attribute__((noreturn));

#endif
