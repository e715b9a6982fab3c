/* SPDX-License-Identifier: GPL-2.0-only */
/* Dumps for tests that use the harness: to be included behind it. */
#ifndef ASK_H
#define ASK_H

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "held.h"
#include "walk.h"

#define OF_PID(p) { MEMFDCR_A_OBJECT_PID, 4, p }
#define OF_TREE(p) { MEMFDCR_A_OBJECT_TREE, 4, p }
#define OF_FD(f) { MEMFDCR_A_OBJECT_FD, 4, f }
#define OF_TARGET(f) { MEMFDCR_A_OBJECT_TARGET_FD, 4, f }
#define OF_ADDRESS(a) { MEMFDCR_A_OBJECT_ADDRESS, 8, a }
#define WITH_HOLDERS { MEMFDCR_A_OBJECT_HOLDERS }
#define EVERYTHING ((const struct attribute[]){ { 0 } })

/* a dump without an error; again until nobody ran meanwhile, if that was asked for */
static inline void dump(struct __test_metadata *_metadata, int cmd, const struct attribute *attributes, bool quiet,
		 struct held *held)
{
	struct answer answer;
	int tries = 0;

	do {
		answer = held_dump(NULL, cmd, attributes, held);
		ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
		ASSERT_EQ(0, held->faults);
		if (!quiet || !answer.interrupted)
			return;
		held_free(held);
		usleep(10000);
	} while (tries++ < 200);
	ASSERT_FALSE(answer.interrupted) TH_LOG("stopped processes are said to have run");
}

static inline void objects(struct __test_metadata *_metadata, const struct attribute *attributes, struct held *held)
{
	dump(_metadata, MEMFDCR_CMD_OBJECT_GET, attributes, false, held);
}

static inline void holders(struct __test_metadata *_metadata, const struct attribute *attributes, struct held *held)
{
	dump(_metadata, MEMFDCR_CMD_HOLDER_GET, attributes, false, held);
}

/* makes a list of n attributes of one type, with its end: room for one more is needed */
static inline void list_pids(struct attribute *attributes, int type, const pid_t *pids, size_t n)
{
	for (size_t i = 0; i < n; i++)
		attributes[i] = (struct attribute){ type, 4, pids[i] };
	attributes[n] = (struct attribute){ 0 };
}

/* the object behind a descriptor of this process, as the others tell it */
static inline struct object own_object(int fd)
{
	struct object object;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!walk_object(path, &object))
		fprintf(stderr, "# descriptor %d is no object\n", fd);
	return object;
}

/* attributes that name it */
#define NAMING(o) \
	{ MEMFDCR_A_OBJECT_DEV, 4, (o).dev }, { MEMFDCR_A_OBJECT_INO, 8, (o).ino }, \
	{ MEMFDCR_A_OBJECT_GENERATION, 4, (o).generation }

#endif
