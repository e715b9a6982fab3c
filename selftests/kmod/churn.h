/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that open, close, pass, map, unmap, fork, exec and exit all the time, and never break their word: at every
 * instant their tree has at least and at most so many holders of certain objects. Whoever saw it otherwise did not see
 * one instant.
 */
#ifndef CHURN_H
#define CHURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	TOKEN_DUP2,			/* moves from number to number in one process */
	TOKEN_SOCKET,			/* between two processes, SCM_RIGHTS */
	TOKEN_THREADS,			/* between two threads with descriptors of their own, the first thread sleeps */
	TOKEN_COUNT,			/* one process has COUNT or one more */
	TOKEN_EXEC,			/* in a process that does nothing but exec */
	TOKEN_HANDOVER,			/* from parent to child, the parent exits */
	REGION_HANDOVER,		/* a mapping of the same processes */
	REGION_MOVE,			/* maps a second time, then unmaps the first */
	REGION_ATTACH,			/* the same with a System V segment */
	N_PROMISES
};

struct promise {
	const char *name;
	unsigned int least, most;
};

extern const struct promise promises[N_PROMISES];

/* what an object is known by */
struct identity {
	uint64_t ino;
	uint32_t dev;
	uint32_t generation;
};

/* shared by everybody */
struct churn {
	struct identity objects[N_PROMISES];
	atomic_int ready;		/* promises that hold from now on */
	atomic_int go;			/* begin */
	atomic_int nap;			/* microseconds to sleep at most between two steps */
	atomic_bool failed;		/* somebody could not go on; it has said why */
	pid_t exec;			/* the process of TOKEN_EXEC, which never naps */
};

extern struct churn *churn;

/* starts them as a tree and process group of its own, and returns its root when all are ready; -1: errno */
pid_t churn_start(void);
void churn_end(pid_t root);
/* stops all of them, or lets all go on; returns when it is so */
bool churn_stop(pid_t root);
void churn_continue(pid_t root);

/*
 * Two processes that sleep while two others, which share their descriptors or else their memory, pass a token.
 * At every instant the two sleepers have one or two.
 */
struct pair {
	pid_t sleepers[2];
	pid_t group;
	struct identity *object;
};

bool pair_start(struct pair *pair, bool memory);
void pair_end(struct pair *pair);

/* of a descriptor, or of what is mapped at an address; exits when the module does not know it */
struct identity identify(int fd, const void *address);
bool same_object(const struct identity *a, const struct identity *b);

#endif
