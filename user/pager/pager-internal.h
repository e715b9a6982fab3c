/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the pager's source files share: objects, spaces, and the pager itself.
 *
 * Internal functions return 0, a negative errno that ends pager_run(), or PAGER_LATER.
 */
#ifndef MEMFDCR_PAGER_INTERNAL_H
#define MEMFDCR_PAGER_INTERNAL_H

#include "pager/pager.h"
#include "pager/uffd-abi.h"

#define PAGER_PAGE		4096ULL
#define PAGER_PAGE_SHIFT	12
#define PAGER_PAGE_MASK		(~(PAGER_PAGE - 1))
#define PAGER_HUGE_SHIFT	21	/* the only huge pages of hugetlbfs that the pager fills */

/* no memory just now (the cgroup may be at its limit): nothing is lost, try again after reading events */
#define PAGER_LATER		1

#define PAGER_MAX_WATCH		8
#define PAGER_BATCH		64	/* messages per read, descriptors per epoll_wait */
#define PAGER_SEEN		256	/* threads whose repeated faults are counted; power of two */
#define PAGER_DELAYED		64
#define PAGER_EARLY		32	/* forks told before their events */
#define PAGER_NEVER		UINT64_MAX

/* a page of an object is what comes in at once: 4 KiB, or a huge page of hugetlbfs */
struct object {
	unsigned int number;
	char *name;
	int fd;
	unsigned int shift;		/* of its pages; all page numbers and counts below are in these */
	uint64_t pages;			/* of the object when it was added */
	unsigned char *map;		/* never touched: only an address for UFFDIO_COPY */
	uint64_t map_pages;
	struct pager_extent *extents;
	size_t n_extents;
	struct pager_extent *stored;	/* as they were before something was cut out; NULL: as they are */
	size_t n_stored;
	uint64_t check_pages;		/* so many are read and checked together; 0: nothing is checked */
	uint64_t *needed;		/* one bit a page: the image has some of it and it is not in yet */
	uint64_t needed_pages;		/* the bitmap ends here: beyond lies no extent */
	uint64_t left;			/* bits set in needed */
	uint64_t *damaged;		/* one bit a page: needed, and wrong in the image; NULL: no checks */
	uint64_t n_damaged;		/* bits set in damaged */
	uint64_t cursor;		/* the background transfer goes on here */
	uint64_t released;		/* the image's page cache was given back up to here */
	uint64_t ahead;			/* and asked to be read up to here */
	struct pager_stats stats;	/* those that are counted for each object */
};

struct space {
	unsigned int number;
	unsigned int parent;		/* meaningful if forked */
	bool forked;
	bool doubtful;			/* a fork crossed with an mremap or munmap: the table may be wrong */
	bool dead;			/* its uffd is closed; freed at the end of the round */
	bool was_remap;			/* the last event was this remap: */
	uint64_t remap_from, remap_to, remap_length;
	uint64_t born_us, moved_us;	/* when it appeared; when it last reported a remap or unmap */
	int uffd;
	struct pager_process process;	/* uses it; pid 0: not known yet */
	bool told;			/* that it leaves will be told */
	bool left;			/* and has been */
	bool unsure;			/* or may have been, but was lost */
	uint64_t look_us, look_step_us;	/* when to look whether it lives, and the time between two looks */
	uint64_t id;			/* of a forked child's userfaultfd; 0: not known */
	char name[48];			/* for the log: PID#NUMBER (NAME) */
	struct pager_range *ranges;	/* sorted by start, not overlapping */
	size_t n_ranges, max_ranges;
};

struct fault {
	struct space *space;
	uint64_t address;
	pid_t tid;
};

/* counts the faults of one thread at one address that found nothing to do */
struct seen {
	unsigned int space;
	pid_t tid;
	uint64_t address;
	unsigned int count;
};

struct delayed_wake {
	struct space *space;
	uint64_t address;
	uint64_t due_us;
};

/* a fork that was told before its event */
struct early {
	uint64_t id, told_us;
	struct pager_process process;
};

struct watch {
	int fd;
	void (*fn)(void *data, int fd);
	void *data;
};

struct pager {
	struct pager_ops ops;
	void *data;
	uint64_t cluster_pages;
	uint64_t chunk_pages;
	uint64_t check_chunk;		/* bytes; 0: nothing is checked */
	bool no_background;

	int uffd;			/* for the pager's own mappings */
	bool can_poison;
	int epoll;
	unsigned char *buffer;		/* image bytes on their way */
	size_t buffer_size;
	unsigned char *zeros;		/* a huge page of them, once there is an object with such pages */

	struct object **objects;
	unsigned int n_objects;
	unsigned int current;		/* object of the background transfer */
	uint64_t left;			/* bytes of the pages needed in all objects */
	uint64_t damaged;		/* of these, bytes of damaged pages */
	unsigned int damage_lines;	/* in the log */
	bool settled;			/* the owner knows that only damaged ones are left */

	struct space **spaces;		/* sorted by number; dead ones leave at the end of the round */
	unsigned int n_spaces, max_spaces;
	unsigned int next_space;	/* number */
	unsigned int living;
	bool dead_spaces;		/* some wait to be freed */

	struct fault *faults;		/* read and not yet served */
	size_t n_faults, max_faults;
	struct seen seen[PAGER_SEEN];
	struct delayed_wake delayed[PAGER_DELAYED];
	unsigned int n_delayed;

	bool told;			/* exec and exit */
	struct early early[PAGER_EARLY];
	unsigned int next_early;
	unsigned int next_look;		/* index of the space to be looked at first */

	struct watch watches[PAGER_MAX_WATCH];
	unsigned int n_watches;

	bool running;
	bool stop;
	bool starved;			/* no descriptor or memory for an event: it stays in the kernel's queue */
	bool starved_logged, later_logged;
	uint64_t later_us;		/* no fill before this time */
	uint64_t later_step_us;
	uint64_t begin_us, fault_us, watch_us, check_us, fork_us;
	uint64_t step_pages;		/* size of the last step in the background */
	uint64_t step_us;		/* how long it took */
	uint64_t rest_until_us;		/* before that the disk is left to faults */
	struct pager_stats stats;	/* without those of the objects */
};

/* pager.c */
uint64_t pager_now_us(void);
void pager_sleep_ms(unsigned int ms);
void pager_log(struct pager *p, int level, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static inline bool object_is_huge(const struct object *o)
{
	return o->shift != PAGER_PAGE_SHIFT;
}

/* so many 4 KiB pages as pages of the object, but at least one */
static inline uint64_t object_pages(const struct object *o, uint64_t small)
{
	return small >> (o->shift - PAGER_PAGE_SHIFT) ?: 1;
}

/* pages of the object that are still to come; damaged ones never will */
static inline uint64_t object_to_come(const struct object *o)
{
	return o->left - o->n_damaged;
}

/* object.c */
void object_free(struct pager *p, struct object *o);

/* stats.c */
void stats_begin(struct pager *p);

/* needed.c */
bool object_needs(const struct object *o, uint64_t page);
bool object_is_damaged(const struct object *o, uint64_t page);
uint64_t object_next_to_come(const struct object *o, uint64_t page);

/* extents.c */

/*
 * Pages [first, first + count) of an object: a single huge page; or all needed and in one extent; or, where chunks are
 * checked, with others in between that are not to come.
 */
struct run {
	uint64_t first;
	uint64_t count;
};

struct run object_run(const struct pager *p, const struct object *o, uint64_t page, uint64_t low, uint64_t high);
int object_read(struct pager *p, struct object *o, struct run run, const unsigned char **bytes);
int object_punch(struct pager *p, struct object *o, uint64_t offset, uint64_t length);
void object_release_cache(struct object *o, uint64_t end);
void object_read_ahead(struct object *o, uint64_t page, uint64_t window);

/* mapping.c */
void object_forget_ptes(struct object *o, uint64_t first, uint64_t count);

/* fill.c */
int object_copy(struct pager *p, struct object *o, uint64_t first, uint64_t count, const void *source, uint64_t *bytes);
int object_zero(struct pager *p, struct object *o, uint64_t page, bool *done);
bool object_leave_hole(struct pager *p, struct object *o, uint64_t page, const void *bytes);

/* transfer.c */
void transfer_begin(struct pager *p);
uint64_t transfer_due(const struct pager *p, uint64_t now);	/* 0 or a time: not before that */
int transfer_step(struct pager *p);

/* damage.c */
bool damage_is(int error);
int damage_found(struct pager *p, struct object *o, uint64_t start, uint64_t end, int error);
int damage_refuse(struct pager *p, struct space *s, struct object *o, uint64_t page, uint64_t address);
void damage_settled(struct pager *p);

/* space.c */
struct space *space_new(struct pager *p, const struct pager_process *process, int uffd);
void space_name(struct space *s, const struct pager_process *process);
struct space *space_get(const struct pager *p, unsigned int number);
void space_close(struct pager *p, struct space *s);
void space_unregister(struct space *s);	/* only if no page is missing: the module kills nobody for it any more */
void space_free(struct space *s);
const struct pager_range *space_find(const struct space *s, uint64_t address);
size_t space_find_next(const struct space *s, uint64_t address);
int space_cut(struct space *s, uint64_t start, uint64_t end);
int space_insert(struct space *s, const struct pager_range *range);
void space_move(struct space *s, uint64_t from, uint64_t to, uint64_t length, bool overwrite);
int space_copy_table(struct space *child, const struct space *parent);
void space_wake(struct space *s, uint64_t address);
bool space_alive(struct pager *p, struct space *s);

/* told.c */
void told_look_again(struct pager *p, struct space *s);
void told_event(struct pager *p, struct space *child);
void told_hurry(struct pager *p);
void told_check(struct pager *p, uint64_t now);

/* event.c */
int event_drain(struct pager *p, struct space *s);

/* fault.c */
int fault_resolve(struct pager *p, struct space *s, pid_t tid, uint64_t address, struct pager_range *range);
int fault_serve_all(struct pager *p);
void fault_wake_delayed(struct pager *p, uint64_t now);
void fault_forget_space(struct pager *p, const struct space *s);

#endif
