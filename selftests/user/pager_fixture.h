/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the pager's tests share: objects with a known content, children that hand over their userfaultfd, and a pager
 * that runs in the test itself while the children do what the test is about.
 *
 * Every word of an object is computed from the object and its place, so that any process can check any page without
 * asking. A test is: rig_new(), rig_object() ..., rig_spawn() ..., rig_arm(), rig_run(), rig_end().
 */
#ifndef MEMFDCR_PAGER_FIXTURE_H
#define MEMFDCR_PAGER_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pager/pager.h"

#define PAGE		4096UL
#define HUGE_PAGES	512UL		/* in a huge page */
#define MAX_OBJECTS	4
#define MAX_CHILDREN	8
#define MAX_SLOTS	65536

struct rig;

struct test_object {
	unsigned int number;
	int fd;
	ino_t inode;
	uint64_t size;
	uint64_t pages;
	uint8_t *in_image;		/* per page NOTHING, WORDS or ZEROS; shared with the children */
	int image;
	uint64_t image_pages;
	struct pager_extent *extents;
	size_t n_extents;
};

/*
 * One madvise(), told before the call for the pager's question which one it is. It stays until the pager has asked: that
 * may be after the call has returned.
 */
struct slot {
	int posted;
	int advice;
	pid_t pid;
	uintptr_t start;
	uintptr_t end;
};

struct shared {
	unsigned int n_slots;
	struct slot slots[MAX_SLOTS];
	int flags[16];			/* for the tests: atomics */
};

struct test_child {
	pid_t pid;
	int sock;
	int space;
	bool reaped;
	int status;
};

struct rig {
	struct pager_config config;
	struct pager_ops ops;
	struct pager *pager;
	struct shared *shared;
	struct test_object objects[MAX_OBJECTS];
	unsigned int n_objects;
	struct test_child children[MAX_CHILDREN];
	unsigned int n_children;
	unsigned int resolved, forked, completed;
	bool no_resolve, quiet;
	/* the pager's questions of these names; NULL: no answer */
	int (*uffd_id)(struct rig *rig, int uffd, uint64_t *id);
	int (*user)(struct rig *rig, int uffd, struct pager_process *process);
	unsigned int first_slot;	/* all before this one are done with */
	char log[32768];		/* what the pager has said, line by line, as far as it fits */
	struct pager_stats stats;	/* after rig_run() */
};

/* which pages of an object the image has; HOLES: all, but two huge pages of three are zeros */
enum layout { DENSE, EMPTY, ALTERNATE, RANDOM, HOLES };
enum { NOTHING, WORDS, ZEROS };

/* whether this user may have one on this kernel */
bool have_userfaultfd(void);

void rig_seed(int argc, char **argv);
uint64_t rig_random(void);
/* each process and thread its own sequence */
uint64_t next_random(uint64_t *state);

void rig_new(struct rig *rig, bool background);
struct test_object *rig_object(struct rig *rig, uint64_t size, enum layout layout);
/* with huge pages of hugetlbfs, from a pool that the test has (huge_pool.h) */
struct test_object *rig_huge_object(struct rig *rig, uint64_t huge_pages, enum layout layout);
/* objects join the pager in rig_arm(), or here */
int rig_add_object(struct rig *rig, struct test_object *o);
struct test_child *rig_spawn(struct rig *rig, int (*fn)(struct rig *rig, void *arg), void *arg);
void rig_arm(struct rig *rig);
int rig_run(struct rig *rig);
/* all children ended with status 0 */
bool rig_children_ok(struct rig *rig);
void rig_end(struct rig *rig);

/* in children, before child_arm(): maps and reports a range; then the userfaultfd; returns when the pager is about to run */
unsigned char *child_map(struct rig *rig, struct test_object *o, uint64_t first, uint64_t count);
unsigned char *child_map_private(struct rig *rig, struct test_object *o, uint64_t first, uint64_t count);
void child_arm(struct rig *rig);
/* child_arm() that keeps a duplicate of the descriptor */
int child_arm_keep(struct rig *rig);
int child_madvise(struct rig *rig, void *address, size_t length, int advice);

/* for children of children; no allocation and no locks: in a process with threads, too */
pid_t fork_here(void);
bool waited_ok(pid_t pid);		/* it ended with status 0 */

uint64_t word_at(const struct test_object *o, uint64_t page, unsigned int i);
/* false, with a line on stderr, if page (at address) is not what the image says */
bool check_page(const struct test_object *o, const void *address, uint64_t page);
bool check_pages(const struct test_object *o, const void *address, uint64_t first, uint64_t count);
/* the same in an order of its own for each state */
bool check_pages_randomly(const struct test_object *o, const unsigned char *address, uint64_t first, uint64_t count,
			  uint64_t *state);
bool is_zero(const void *address, size_t length);
/* the whole object through a mapping that nobody watches */
bool check_object(struct test_object *o);

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
