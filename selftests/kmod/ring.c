// SPDX-License-Identifier: GPL-2.0-only
/* One request to io_uring at a time. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ring.h"

int ring_do(const struct io_uring_sqe *request)
{
	struct io_uring_params params = { 0 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	unsigned int *tail, *array;
	char *sq, *cq;
	int fd;

	fd = syscall(SYS_io_uring_setup, 1, &params);
	if (fd < 0)
		return errno;
	sq = mmap(NULL, params.sq_off.array + 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		  IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(*cqe), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_CQ_RING);
	sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		return errno;
	*sqe = *request;
	array = (void *)(sq + params.sq_off.array);
	tail = (void *)(sq + params.sq_off.tail);
	array[0] = 0;
	__atomic_store_n(tail, 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return errno;
	cqe = (void *)(cq + params.cq_off.cqes);
	close(fd);
	return -cqe->res;
}

int ring_madvise(void *start, size_t length, int advice)
{
	const struct io_uring_sqe request = {
		.opcode = IORING_OP_MADVISE,
		.addr = (unsigned long)start,
		.len = length,
		.fadvise_advice = advice,
	};

	return ring_do(&request);
}
