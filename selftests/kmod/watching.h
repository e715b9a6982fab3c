/* SPDX-License-Identifier: GPL-2.0-only */
/* Watches for tests that use the harness: to be included behind it. */
#ifndef WATCHING_H
#define WATCHING_H

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/memfdcr.h>

#include "process.h"
#include "reader.h"
#include "request.h"
#include "watched.h"

/* what the fixtures have: two who read, one who is watched, and a memfd for whatever is dropped */
static inline int watching_begin(struct __test_metadata *_metadata)
{
	int fd;

	process_prepare();
	ASSERT_LT(0, request_family());
	fd = memfd_create("watched", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 64 * PAGE));
	return fd;
}

static inline void watching_end(struct reader *r, struct reader *r2, pid_t pid, int fd)
{
	if (pid) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	reader_close(r);
	reader_close(r2);
	close(fd);
	munmap(ARENA, STORM * PAGE);
}

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

/* a userfaultfd of this process for the region, which tells of fork() */
static inline int uffd_of(struct __test_metadata *_metadata, pid_t pid)
{
	int mem = open_mem(pid, O_RDWR);
	struct answer answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, false);

	close(mem);
	ASSERT_EQ(0, answer.error) TH_LOG("%s", answer.message);
	ASSERT_EQ(0, uffd_api(answer.fd, UFFD_FEATURE_EVENT_FORK));
	ASSERT_EQ(0, uffd_register(answer.fd, region, PAGES * PAGE));
	return answer.fd;
}

/* the child that the watched process says it has */
static inline pid_t child_of_watched(void)
{
	for (int i = 0; i < PATIENCE && !board->child; i++)
		usleep(1000);
	return board->child;
}

#endif
