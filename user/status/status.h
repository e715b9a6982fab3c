/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far a pager is: what its daemon answers to the request "status" (see serve/channel.h), and what memfdcr status
 * prints. On the way it is JSON, the same that memfdcr(8) promises to those who call memfdcr status -j.
 *
 * A daemon with very many objects or spaces answers in parts, so that no answer is longer than a socket takes at once.
 */
#ifndef MEMFDCR_STATUS_STATUS_H
#define MEMFDCR_STATUS_STATUS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/pace.h"

/* of one object, or of all together, in bytes */
struct status_counts {
	uint64_t total;		/* of the image that come in lazily; these are left, or one of the others */
	uint64_t left;
	uint64_t by_fault, background, dropped, holes;	/* as pager_stats has them */
	uint64_t damaged;	/* never to come */
	uint64_t faults;	/* answered */
};

struct status_object {
	char *name;
	uint64_t dev, ino;	/* dev as st_dev has it; ino 0: not known yet */
	uint64_t size;
	char *why;		/* it is not lazy; NULL: it is */
	struct status_counts counts;
};

struct status_space {
	char *name;		/* PID#GENERATION (COMMAND), as the log has it */
	char *command;
	pid_t pid;		/* 0: not known */
	uint32_t generation;
};

struct status {
	pid_t pid;		/* of the daemon; 0: not known */
	bool serving;		/* the tasks are there */
	uint64_t since;		/* seconds since the epoch */
	uint64_t elapsed_us;	/* since pages come in */
	pid_t root;		/* of the tree that is restored; 0: not known yet */
	char *command;		/* its name; NULL: not known yet */
	char *directory;	/* of the images; NULL: not known */
	struct status_counts counts;	/* of all */
	struct status_object *objects;
	size_t n_objects;
	struct status_space *spaces;
	size_t n_spaces;
	uint32_t next;		/* where the next part of the answer begins; 0: that was all */
};

/* one more of them, empty; NULL: no memory */
struct status_object *status_add_object(struct status *s);
struct status_space *status_add_space(struct status *s);

/*
 * Puts the objects and spaces of the next part behind those of s, and takes all else from there; part is empty then.
 * 0 or -ENOMEM.
 */
int status_append(struct status *s, struct status *part);

void status_free(struct status *s);

/* bytes that are in, or need not come in any more */
uint64_t status_done(const struct status_counts *c);

/* with the mean rate up to now */
void status_pace(const struct status *s, struct pace *pace);

/* status/json.c */

/* with or without next */
struct json_object *status_to_json(const struct status *s, bool with_next);

/* from length bytes of text: 0, -ENOMEM, or -EBADMSG and a sentence in error about what is wrong with it */
int status_from_json(const char *text, size_t length, struct status *s, char *error, size_t error_size);

#endif
