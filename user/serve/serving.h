/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One lazy restore, as far as it is the same whoever has made the processes: the objects and address spaces that the pager
 * has, its questions about them, the watch on the tree, and those who wait for the last page.
 *
 * Its life: serving_begin() - while nobody runs, objects and spaces are added and pager_add_range() registers what maps
 * what - serving_follow() - serving_run(), or serving_give_up() before it. Whatever fails says so in the log.
 */
#ifndef MEMFDCR_SERVE_SERVING_H
#define MEMFDCR_SERVE_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "image/memfdcr.pb-c.h"
#include "netlink/genl.h"
#include "pager/pager.h"

/* an object that the pager has, by the pager's number of it */
struct serving_object {
	uint64_t dev, ino;
	const Memfdcr__Object *record;	/* with the checksums of its bytes; NULL: the images have none */
	bool by_descriptor;	/* somebody could read it by one, and is trusted not to before all is in */
	int mark;		/* by_descriptor: it is not complete; see serve/incomplete.h */
};

/* an object as status tells of it */
struct serving_entry {
	char *name;
	uint64_t size;
	uint64_t bytes;		/* of the image; to come, as long as the pager does not have it */
	char *why;		/* it is not lazy; NULL: it is */
	int number;		/* the pager's; -1: it does not have it */
};

/* an address space that was there at the beginning, by the pager's number of it; forked children have higher numbers */
struct serving_space {
	int pagemap_fd;		/* its /proc/PID/pagemap, which tells whether it lives; -1: not open */
};

struct watch;

#define SERVING_MAX_SILENT 64

struct serving {
	struct genl *genl;	/* its owner's */
	int listen_fd;		/* takes requests (serve/channel.h); its owner's */
	uint64_t since;		/* seconds since the epoch; by serving_begin(), unless its owner has set it before */
	char *images;		/* path of the image directory, for status; its owner's, NULL: not known */
	struct pager_process root;	/* of the tree; pid 0: not there yet */
	bool has_checksums;	/* the images have, and each object comes with its record; its owner's */
	void (*settled)(void *owner);	/* pages are damaged, all others in: who waits waits for nothing; its owner's, or NULL */
	bool (*unwanted)(void *owner);	/* nobody wants this restore any more, while it arms; its owner's, or NULL */
	void *owner;
	bool is_settled;	/* that has been told */
	struct pager_ops ops;	/* the pager's questions, as far as there are answers */
	struct pager *pager;
	struct serving_object *objects;
	size_t n_objects;
	struct serving_space *spaces;
	size_t n_spaces;
	struct watch *watch;	/* on the tree; NULL: none */
	uint64_t n_lost;	/* of its notifications */
	bool cannot_ask;	/* whose a userfaultfd is; has been logged */
	size_t n_lazy, n_eager;	/* objects, for the summary; its owner counts them */
	struct serving_entry *entries;
	size_t n_entries;
	int requests_fd;	/* epoll(7): listen_fd, and these: */
	int silent[SERVING_MAX_SILENT];	/* connections without a request yet; -1: none */
	unsigned int next_silent;
	int spare_fd;		/* for the connection that is one too many */
	int *finishers;		/* connections that wait for the last page */
	size_t n_finishers;
};

/* serve/arm.c: while nobody runs */

/* Makes the pager, in the cgroup of process root, whose memory it is to bring in. 0 or a negative errno. */
int serving_begin(struct serving *s, pid_t root);

/*
 * As pager_add_object(), which says what becomes of the arguments: the object's number or a negative errno, -EBADMSG if
 * what is brought in at once is damaged. record: of an image with checksums, stays as long as s; else NULL.
 */
int serving_add_object(struct serving *s, const char *name, int fd, uint64_t size, const struct pager_extent *extents,
		       size_t n_extents, const Memfdcr__Object *record);

/*
 * Somebody could read it past its mappings and is trusted not to: if some of it is damaged for good, nobody may go on, and
 * mark, which incomplete_mark() has returned and is taken over, stays until it is complete.
 */
void serving_trust(struct serving *s, int object, int mark);

/* pager_fill() of one that is not lazy after all, and why: a clause for status */
int serving_fill(struct serving *s, int object, const char *why);

/* the object's number by device and inode; -1: it is none that the pager has */
int serving_find_object(const struct serving *s, uint64_t dev, uint64_t ino);

/* the module names an object by the low half of its inode number: does another one have the same? */
bool serving_is_ambiguous(const struct serving *s, int object);

/*
 * A guarded userfaultfd on the address space of a process, which sleeps: the space's number or a negative errno. who: what
 * the log calls the process.
 */
int serving_add_space(struct serving *s, pid_t pid, const char *who);

/*
 * Instead of serving_run(): the spaces are declared complete, so that nobody is killed, and watched no more. Only if nobody
 * has run since serving_begin() who will use that memory.
 */
void serving_give_up(struct serving *s);

/* those that serving_trust() was told of are complete */
void serving_clear_marks(struct serving *s);

/* The processes have gone. Whatever nobody has any more but this process needs no mark; waits up to a second for that. */
void serving_clear_orphans(struct serving *s);

/* serve/follow.c: whose memory is served, and what these processes do */

/* Watches the tree below root, or says in the log why that cannot be. The pager must have its spaces. */
void serving_follow(struct serving *s, pid_t root);
void serving_unfollow(struct serving *s);

/* a process as the pager knows it, by /proc. 0 or a negative errno (ESRCH) */
int serving_process(pid_t pid, struct pager_process *process);

/* these answer the pager's questions of the same name */
int serving_uffd_id(void *data, int uffd, uint64_t *id);
int serving_user(void *data, int uffd, struct pager_process *process);

/* serve/answers.c: the pager's questions; data is a struct serving */

extern const struct pager_ops serving_pager_ops;

/* serve/status.c: how far it is */

/*
 * An object for status to tell of: one that the pager has by that number, or -1. Then it either never will, and why
 * says why; or it is to come by serving_add_object(), once serving_begin() has made a pager and forgotten it here.
 */
void serving_list(struct serving *s, const char *name, uint64_t size, uint64_t bytes, const char *why, int number);

/* the pager's object is not lazy after all */
void serving_list_eager(struct serving *s, int number, const char *why);

/* those that are to come; all */
void serving_unlist_lazy(struct serving *s);
void serving_unlist(struct serving *s);

/* tells whoever is at the other end of fd how far it is, from that part of the answer on, and closes fd */
void serving_tell_status(const struct serving *s, int fd, uint32_t first);

/* serve/requests.c: what others ask for by the channel */

/* takes one request off the listening socket: its connection, its verb and pid; a negative errno if there is none */
int serving_take_request(struct serving *s, char *verb, size_t verb_size, pid_t *pid);

/* from now on, within serving_run(), requests are answered. 0 or a negative errno */
int serving_listen(struct serving *s);

/* the restore is over: those who wait for that are told its result, a CHANNEL_ value */
void serving_answer(struct serving *s, int result);

/* the same at the end of a serving_listen() that has succeeded, also to those who have asked and were not heard yet */
void serving_answer_all(struct serving *s, int result);

/* serve/run.c: from there to the last page */

/*
 * Runs the pager, answers requests, writes the summary. 0: all is in; -ESRCH: the processes have gone; another negative
 * errno: pages are missing, and when this process ends the module kills those who would find zeros there. Where some of
 * the image is damaged it returns when the processes have gone, and settled() has been called before.
 */
int serving_run(struct serving *s);

#endif
