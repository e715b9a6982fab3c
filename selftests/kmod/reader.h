/* SPDX-License-Identifier: GPL-2.0-only */
/* Who reads what a watch tells, and what is looked for in it. */
#ifndef READER_H
#define READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "process.h"
#include "told.h"

#define PATIENCE 60000				/* ms, for what comes at once */
#define ARENA ((char *)0x200000000UL)		/* where nobody maps anything by itself */
#define ARENA_PAGES 1024UL
#define PLACE(n) (ARENA + (n) * PAGE)
#define STORM 20000UL
#define OF_PID(p) { MEMFDCR_A_WATCH_PID, 4, p }
#define OF_TREE(p) { MEMFDCR_A_WATCH_TREE, 4, p }
#define LIMIT(n) { MEMFDCR_A_WATCH_LIMIT, 4, n }

/* a socket and what it has been told */
struct reader {
	struct mnl_socket *sock;
	uint32_t watch;
	struct told *told;
	size_t n, room;
	int faults;
};

void each_told(const struct nlmsghdr *nlh, void *reader);	/* an each_message */

/* reads what is there, or waits for it; false: nothing came */
bool read_some(struct reader *r, int milliseconds);

/* with a socket of its own, if it has none yet */
struct answer watch(struct reader *r, const struct attribute *attributes);
struct answer stop(struct reader *r);
void reader_close(struct reader *r);

/* until nobody is watched any more */
bool read_all(struct reader *r);

/* without gaps, of one watch, in the order of time, and with all that belongs there; prints and counts what is wrong */
int faults(const struct reader *r);
void print(const struct reader *r);

/* the next one of this kind of this process (0: any), from *at on, which is left behind it; NULL: none */
const struct told *next_of(const struct reader *r, size_t *at, int cmd, pid_t pid);

/* the next one about the arena, where nobody does anything by itself */
const struct told *next_there(const struct reader *r, size_t *at, pid_t pid);

#define WATCH(r, ...) do {						\
	struct answer answer_ = watch(r, LIST(__VA_ARGS__));		\
	ASSERT_EQ(0, answer_.error) TH_LOG("%s", answer_.message);	\
	ASSERT_NE(0, (r)->watch);					\
} while (0)

#define END_WELL(r) do {				\
	ASSERT_TRUE(read_all(r)) print(r);		\
	EXPECT_EQ(0, faults(r));			\
} while (0)

#define EXPECT_UNMAP(t, why, first, last) do {			\
	const struct told *told_ = (t);				\
	ASSERT_NE(NULL, told_) print(&self->r);			\
	EXPECT_EQ(UNMAP, told_->cmd) print(&self->r);		\
	EXPECT_EQ(MEMFDCR_CAUSE_##why, A(told_, CAUSE));	\
	EXPECT_EQ((uint64_t)PLACE(first), A(told_, START));	\
	EXPECT_EQ((uint64_t)PLACE(last), A(told_, END));	\
} while (0)

#define EXPECT_MREMAP(t, from, had, to, has_now, how) do {	\
	const struct told *told_ = (t);				\
	ASSERT_NE(NULL, told_) print(&self->r);			\
	EXPECT_EQ(MREMAP, told_->cmd) print(&self->r);		\
	EXPECT_EQ((uint64_t)PLACE(from), A(told_, OLD));	\
	EXPECT_EQ((had) * PAGE, A(told_, OLD_LENGTH));		\
	EXPECT_EQ((uint64_t)(to), A(told_, NEW));		\
	EXPECT_EQ((has_now) * PAGE, A(told_, NEW_LENGTH));	\
	EXPECT_EQ((uint32_t)(how), A(told_, FLAGS));		\
} while (0)

/* ---- what watched processes do; nothing but system calls once they are watched ---- */

void at_step(int n);
void map(unsigned long first, unsigned long n);		/* pages of the arena */
void unmap(unsigned long first, unsigned long n);
void exec_self(const char *code);			/* maps and unmaps a bit, and exits with that */

#endif
