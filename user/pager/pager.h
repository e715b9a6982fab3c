/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pager's core: fills objects whose content lies in image files, pages that somebody waits for first.
 *
 * It takes userfaultfds and tables (range of an address space -> object, extent of an object -> file) from whoever
 * has them and knows nothing of netlink or CRIU.
 *
 * Words: an object is one inode of shmem or, with huge pages of 2 MiB, of hugetlbfs; a space is one address space
 * with its userfaultfd; a range is one mapping of an object in a space, shared or private. All offsets and lengths
 * are bytes and multiples of 4096, those of ranges multiples of the object's page size; an object's size may end
 * inside its last page.
 *
 * How a page gets in: the pager maps each object itself, with a userfaultfd of its own on that mapping, and fills by
 * UFFDIO_COPY there. Nothing the watched processes do to their mappings (fork, mremap, munmap, exit) can disturb
 * that. Whoever waits is then woken by UFFDIO_WAKE on the userfaultfd that faulted. So a private mapping is never
 * filled itself, which would take it away from its object: whoever waits there finds the object's page, and may copy
 * it.
 *
 * Single threaded, not reentrant; no function may be called from a signal handler. Errors are negative errno values.
 */
#ifndef MEMFDCR_PAGER_H
#define MEMFDCR_PAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pager;
struct uffd_msg;

/* where a run of an object's bytes lies: [offset, offset + length) of the object at file_offset of fd */
struct pager_extent {
	uint64_t offset;
	uint64_t length;
	uint64_t file_offset;
	int fd;			/* borrowed: stays open until pager_free() */
};

/* one mapping: [start, end) of an address space is object from offset on */
struct pager_range {
	uint64_t start;
	uint64_t end;
	uint64_t offset;
	unsigned int object;
};

/* a process; no two have the same pid and start time */
struct pager_process {
	pid_t pid;		/* 0: not known */
	uint64_t start_time;	/* in any unit, if only it is always the same one */
	char name[16];		/* of its program, for the log; may be empty */
};

/*
 * What the pager's owner is asked; data is pager_config.data. All are called from within pager_run(), and check also
 * from pager_add_object() and pager_fill().
 */
struct pager_ops {
	/*
	 * Are these the bytes that the image should have? bytes is the object from offset on, pager_config.check_chunk
	 * of them, with zeros where it has no extent. Asked each time that they are read, before any of them gets into
	 * the object. object is the number that pager_add_object() has returned or, while that works, is going to
	 * return. 0; -EBADMSG: they are damaged; another negative errno ends pager_run(). NULL: what can be read is
	 * right.
	 */
	int (*check)(void *data, unsigned int object, uint64_t offset, const void *bytes);
	/*
	 * [offset, offset + length) of the object was found to be damaged, or cannot be read. Whoever touches that from
	 * now on gets SIGBUS, or is killed if this kernel has no UFFDIO_POISON. The pager knows nothing of those who
	 * come past their mappings (read() on a descriptor, new mappings) and would find zeros, now and for ever: if
	 * there may be any, a negative errno ends pager_run() with it. 0: go on. NULL: always 0.
	 */
	int (*damaged)(void *data, unsigned int object, uint64_t offset, uint64_t length);
	/*
	 * Nothing is still to come but what is damaged. pager_run() goes on, to keep it from those who touch it, until
	 * the last space is gone: who waits for the last page waits for nothing. Called once at most. May be NULL.
	 */
	void (*settled)(void *data);
	/* Asked while pager_fill() brings in an object, about each MiB: true ends it with -ECANCELED. May be NULL. */
	bool (*unwanted)(void *data);
	/*
	 * Somebody in this space needs a damaged page, and the kernel cannot be told to refuse it. 0: uffd may be
	 * closed, and nobody will see zeros: it is guarded, or the owner has killed all who use the address space and
	 * seen it end. A negative errno, or NULL: pager_run() ends with -EBADMSG.
	 */
	int (*abandon)(void *data, unsigned int space, int uffd);
	/*
	 * Which mapping is at addr in the address space of thread tid (as the fault reported it: in that thread's own
	 * pid namespace; 0: any thread of the space), by the kernel's own books (/proc/TID/maps)? The slow path, for an
	 * address that the pager's tables cannot explain. space is the number pager_add_space() returned, or the number
	 * of a forked child. Fills *range with the whole mapping around addr and returns 0; or -ENOENT: addr maps no
	 * object of this pager (any more). May be NULL: every address unknown.
	 */
	int (*resolve)(void *data, unsigned int space, pid_t tid, uint64_t addr, struct pager_range *range);
	/*
	 * Which madvise() is behind this UFFD_EVENT_REMOVE: MADV_DONTNEED or MADV_REMOVE; negative: not known, and the
	 * pager stops with -EOPNOTSUPP rather than guess. May be NULL: never known.
	 * An owner who knows what was mapped at the start of the range when madvise() was called (asking now is too late:
	 * the caller goes on as soon as the event has been read) sets *object and *offset. Otherwise they stay as they
	 * are, the pager uses its own table, and where that may be wrong stops with -EOPNOTSUPP as well.
	 */
	int (*advice)(void *data, unsigned int space, const struct uffd_msg *msg, unsigned int *object,
		      uint64_t *offset);
	/* a process of space parent forked; child is the number of the new space. May be NULL. */
	void (*forked)(void *data, unsigned int parent, unsigned int child);
	/* The id by which pager_told_fork() will name a child's userfaultfd. 0 or a negative errno. May be NULL. */
	int (*uffd_id)(void *data, int uffd, uint64_t *id);
	/*
	 * A process that uses the address space behind uffd: 1; 0: there is none now; negative: cannot say. *process is the
	 * one that was the answer before, if any (pid 0: none), and is to be it again as long as that is true. Asked where
	 * nobody has told, or not in full. May be NULL.
	 */
	int (*user)(void *data, int uffd, struct pager_process *process);
	/*
	 * Is the address space still there? 1, 0, or negative: cannot say. Asked a few times a second for every space whose
	 * end nobody tells (pager_told_begin()), and when it is told. May be NULL: then, as for "cannot say", the pager
	 * probes with an ioctl that takes the mmap_lock of the watched process. An owner with a gate must have a better way,
	 * because a caller of mmap() may hold that lock while it waits for bytes that the pager is to bring: pread() of 1
	 * byte from an open /proc/PID/pagemap fails with EINVAL while the address space lives, gives 0 bytes afterwards,
	 * and takes no lock.
	 */
	int (*alive)(void *data, unsigned int space);
	/*
	 * Everything is in: called for each living space just before its ranges are unregistered and its userfaultfd is
	 * closed. It may unregister what it knows and the pager does not. May be NULL.
	 * Closing takes the mmap_lock of the watched process: a gate must have let everybody go by then.
	 * An error is logged and pager_run() goes on.
	 */
	int (*complete)(void *data, unsigned int space, int uffd);
	/* one line of text without newline, for the log; level is a syslog(3) priority. May be NULL. */
	void (*log)(void *data, int level, const char *text);
};

struct pager_config {
	const struct pager_ops *ops;	/* borrowed until pager_free() */
	void *data;
	uint64_t cluster;		/* bytes brought in around a fault; power of two, >= page size; 0: 64 KiB */
	uint64_t stream_chunk;		/* bytes per step of the background transfer; 0: 1 MiB */
	uint64_t check_chunk;		/* bytes that ops->check sees at once; power of two, from a page to 2 MiB */
	bool no_background;		/* serve faults only (tests, benchmarks); pager_run() then ends with the spaces */
	bool no_poison;			/* as on a kernel without UFFDIO_POISON (tests) */
};

struct pager_stats {
	/* counted for each object */
	uint64_t bytes_total;		/* image bytes of all objects that were not in when pager_run() began */
	uint64_t bytes_left;		/* of these still to come */
	uint64_t bytes_damaged;		/* of these never to come: the image has them wrong */
	uint64_t bytes_dropped;		/* of these punched by MADV_REMOVE before they were in: never filled */
	uint64_t bytes_holes;		/* of these huge pages of zeros that nobody touched: left holes */
	uint64_t bytes_found;		/* of these instantiated by somebody else, past the pager, which ends it: -EEXIST */
	uint64_t bytes_by_fault;	/* brought in by a fault (the whole cluster) */
	uint64_t bytes_background;	/* brought in by the background transfer */
	uint64_t faults;		/* fault messages answered; in all also those at addresses that map no object */
	uint64_t faults_zero;		/* of these in a hole of the image, or in memory punched since */
	uint64_t faults_damaged;	/* of these at damaged bytes: answered with SIGBUS, or the end of the process */
	/* and only in all */
	uint64_t faults_resolved;	/* of these explained by ops->resolve only */
	uint64_t forks, remaps, unmaps, removes;	/* events seen */
	unsigned int spaces;		/* living now */
	uint64_t elapsed_us;		/* since pager_run() began */
};

/* whether this kernel's userfaultfd can do what objects with huge pages need */
bool pager_has_huge_pages(void);

/* NULL with errno set (ENOMEM; EPERM, ENOSYS: no userfaultfd for the pager's own mappings) */
struct pager *pager_new(const struct pager_config *config);

/* closes every userfaultfd and mapping that the pager still has; the owner decides when that is safe */
void pager_free(struct pager *p);

/*
 * An object of size bytes whose content is described by extents (copied; sorted by offset, not overlapping; what no
 * extent covers is a hole, or zeros in a huge page of which an extent covers another part). fd: the object, opened
 * O_RDWR; the pager keeps a duplicate. name: for the log, copied.
 * What the object already holds is overwritten by the image where an extent covers it, before this returns (nobody
 * may have used the object yet); read errors, damage and extents beyond the end of their file are errors.
 * Returns the object's number (0, 1, ...) or a negative errno.
 */
int pager_add_object(struct pager *p, const char *name, int fd, uint64_t size,
		     const struct pager_extent *extents, size_t n_extents);

/*
 * An address space: uffd has had no UFFDIO_API yet and is O_NONBLOCK; the pager owns it from here, also on error.
 * process: one that uses it, copied. Returns the space's number or a negative errno.
 */
int pager_add_space(struct pager *p, const struct pager_process *process, int uffd);

/*
 * PID#NUMBER (NAME): whose space it is, as the log has it. No other space ever has the same, whatever becomes of
 * the process and its pid. Valid until the next call or the next return of an op; NULL: there is no such space.
 */
const char *pager_space_name(const struct pager *p, unsigned int space);

/* the number of the first living space from number first on; -1: there is none */
int pager_next_space(const struct pager *p, unsigned int first);

/* a process that uses the space; false: none is known, or no such space */
bool pager_space_process(const struct pager *p, unsigned int space, struct pager_process *process);

/*
 * [start, end) of the space maps object from offset on, writable at some time (VM_MAYWRITE: not so a shared mapping of
 * what is sealed or open read-only). Private mappings only of objects without huge pages: of those the kernel does not
 * show the object's page where it is missing when the private one is made. Registers it with the space's userfaultfd.
 * Returns 0 or a negative errno (EPERM, EBUSY, EINVAL: as UFFDIO_REGISTER).
 */
int pager_add_range(struct pager *p, unsigned int space, uint64_t start, uint64_t end,
		    unsigned int object, uint64_t offset);

/*
 * Brings [all of] an object in now, before anybody runs: for what turns out not to be lazy after all.
 * Returns 0 or a negative errno, -EBADMSG if some of it is damaged.
 */
int pager_fill(struct pager *p, unsigned int object);

/*
 * Serves faults and events, and transfers the rest in the background, until every object is complete: then calls
 * ops->complete and closes every userfaultfd, and returns 0. Returns -ESRCH when every space is gone before that: with
 * an object that has damaged bytes, which never is complete, there is no other end (and with no space from the
 * beginning it is -EBADMSG when all the rest is in).
 * Any other negative errno is a failure after which pages are missing: the userfaultfds are still open, and the owner
 * must see to it that nobody goes on with zeros before it calls pager_free(). Ends early with -EINTR after pager_stop().
 */
int pager_run(struct pager *p);

/*
 * Instead of pager_run(): calls ops->complete for each space and closes its userfaultfd, though pages may be missing. The
 * owner knows that nobody has used that memory yet, and that nobody takes zeros there for content.
 */
void pager_give_up(struct pager *p);

/*
 * What others tell the owner of the processes, which the owner passes on. May be called from a watched descriptor's fn
 * and before pager_run(), not from ops.
 *
 * begin: from now on every exec and exit is told of each process that has a space now, and of those told by
 * pager_told_fork(), until end. Spaces of others are looked at a few times a second, to see whether they still live.
 */
void pager_told_begin(struct pager *p);
void pager_told_end(struct pager *p);

/*
 * A process was forked, and has inherited the userfaultfds with these ids. The fork events, by which the pager gets these
 * userfaultfds, may come before or after.
 */
void pager_told_fork(struct pager *p, const struct pager_process *child, const uint64_t *ids, size_t n_ids);

/* The process has left its address space. When nobody else uses that (CLONE_VM), it is not served any more. */
void pager_told_exec(struct pager *p, pid_t pid);
void pager_told_exit(struct pager *p, pid_t pid);

/* something was not told: whose each space is, and whether it lives, is found out anew, by and by */
void pager_told_lost(struct pager *p);

/*
 * One more descriptor for pager_run() to poll, until it is closed: fn(data, fd) is called when it is readable; at most
 * 8. 0 or -errno
 */
int pager_watch_fd(struct pager *p, int fd, void (*fn)(void *data, int fd), void *data);

/* makes pager_run() return -EINTR at its next step; may be called from ops or from a watched descriptor's fn */
void pager_stop(struct pager *p);

void pager_get_stats(const struct pager *p, struct pager_stats *stats);

/* of one object what is counted for each, the rest is 0. 0 or -EINVAL: there is no such object */
int pager_get_object_stats(const struct pager *p, unsigned int object, struct pager_stats *stats);

#endif
