/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes to watch, their memory, and the pager's calls. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/userfaultfd.h>

#define PAGE 4096UL
#define PAGES 256UL			/* of the region */
#define FILL 0xa5			/* what every page is full of once it is there */
#define ALL_EVENTS (UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | \
		    UFFD_FEATURE_EVENT_UNMAP)

/* what all processes of a test share; never watched */
struct board {
	atomic_ulong zeros;		/* times a missing page was seen as zeros: the thing that must never happen */
	atomic_ulong reads;		/* of the region that came back */
	atomic_int step;		/* what the target is asked to do next; the target itself writes -step back */
	atomic_int child;		/* pid of the target's last child */
	atomic_int child_step;		/* like step, for the child */
	atomic_int result;
};

extern struct board *board;
extern unsigned char *region;		/* PAGES pages of a memfd, MAP_SHARED, all missing */
extern ino_t region_ino;		/* of that memfd */

/* maps board and region; before a target is forked */
void process_prepare(void);

/* forks; the child runs fn and exits with what it returns */
pid_t process_start(int (*fn)(void *), void *arg);

/* for targets: bodies of process_start() */
int target_wait(void *arg);		/* sleeps for ever */
int target_hammer(void *threads);	/* from step 1 on reads random pages, itself and through the kernel */
int target_fork_hammer(void *arg);	/* the same, with children that do so, and theirs */

/* reads page n of the region; counts on the board what it is */
unsigned char look(unsigned long n);

/* status as waitpid() has it; -1: still there after that many milliseconds */
int process_end(pid_t pid, int milliseconds);
bool wait_for(atomic_int *word, int value, int milliseconds);

enum { STAT_SESSION = 6, STAT_START_TIME = 22 };	/* as proc(5) counts them */
uint64_t process_stat(pid_t pid, int field);		/* a number of /proc/PID/stat; 0: it is not there any more */

/* until so many threads of a process sleep in that system call; false: not after that many milliseconds */
bool process_sleeps_in(pid_t pid, int threads, long syscall, int milliseconds);

int open_mem(pid_t pid, int flags);	/* /proc/PID/mem */
int open_guarded(pid_t pid, unsigned int flags);	/* opened, UFFDIO_API with all events done; -1: errno */
int uffd_api(int uffd, uint64_t features);		/* all of these return 0 or -errno */
int uffd_register(int uffd, void *start, size_t length);
int uffd_unregister(int uffd, void *start, size_t length);
int uffd_fill(int uffd, void *start, size_t length);	/* FILLs pages that may be missing or not */
int uffd_read(int uffd, struct uffd_msg *msg, int milliseconds);	/* -EAGAIN: none came */

int count_fds(void);
bool read_line(const char *path, const char *key, char *value, size_t size);	/* what follows key in the file */
bool write_file(const char *path, const char *text);	/* to one that is there */
bool map_ids(uid_t uid);	/* root is that one outside: of a user namespace that the caller has just made */

#endif
