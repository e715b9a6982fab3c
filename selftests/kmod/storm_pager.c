// SPDX-License-Identifier: GPL-2.0-only
/* The pager of a tree in a storm: the address of a fault says which page it is. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/memfdcr.h>

#include "request.h"
#include "storm_pager.h"

#define WORDS (PAGE / sizeof(uint64_t))

static void add(struct storm_pager *p, int uffd)
{
	if (p->n == p->room) {
		p->room = p->room * 2 ?: 16;
		p->uffds = realloc(p->uffds, p->room * sizeof(*p->uffds));
	}
	p->uffds[p->n++] = uffd;
}

static void drop(struct storm_pager *p, size_t i)
{
	int uffd = p->uffds[i];
	size_t n = 0;

	for (size_t w = 0; w < p->n_waiting; w++)
		if (p->waiting[w].uffd != uffd)
			p->waiting[n++] = p->waiting[w];
	p->n_waiting = n;
	p->uffds[i] = p->uffds[--p->n];
	close(uffd);
}

int storm_pager_begin(struct storm_pager *p, const struct storm_tree *tree)
{
	int mem = open_mem(tree->root, O_RDWR), err;
	struct answer answer;

	*p = (struct storm_pager){ .tree = tree };
	if (mem < 0)
		return -ESRCH;
	answer = uffd_open(mem, O_CLOEXEC | O_NONBLOCK, true);
	close(mem);
	if (answer.error)
		return answer.error;
	err = uffd_api(answer.fd, ALL_EVENTS);
	if (!err)
		err = uffd_register(answer.fd, (void *)ARENA, LANES * LANE_SIZE);
	if (err)
		close(answer.fd);
	else
		add(p, answer.fd);
	return err;
}

/* 0, or -errno of UFFDIO_COPY */
static int copy(const struct storm_pager *p, int uffd, unsigned long address, unsigned long pages)
{
	static uint64_t content[4 * WORDS] __attribute__((aligned(4096)));
	unsigned long place = address - ARENA, first = place / PAGE % LANE_PAGES;
	struct uffdio_copy c = { .dst = address, .src = (unsigned long)content, .len = pages * PAGE };

	for (unsigned long i = 0; i < pages; i++)
		for (unsigned int w = 0; w < WORDS; w++)
			content[i * WORDS + w] = storm_word(p->tree->number, place / LANE_SIZE, first + i, w);
	return ioctl(uffd, UFFDIO_COPY, &c) ? -errno : 0;
}

/* true: nobody waits there any more */
static bool fill(struct storm_pager *p, const struct waiting *w)
{
	struct uffdio_range range = { .start = w->address & ~(PAGE - 1), .len = PAGE };
	int err;

	if (range.start < ARENA || range.start >= ARENA + LANES * LANE_SIZE) {
		storm_fault("tree %u: a fault at %lx", p->tree->number, w->address);
		return true;
	}
	/* more than was asked for, sometimes, if it is there to be filled */
	if (storm_any(4) || range.start % (4 * PAGE) || copy(p, w->uffd, range.start, 4))
		err = copy(p, w->uffd, range.start, 1);
	else
		err = 0;
	switch (err) {
	case 0:
		storm->n.fills++;
		return true;
	case -EEXIST:		/* somebody else was faster */
	case -ENOENT:		/* moved or unmapped: it may fault again elsewhere */
		ioctl(w->uffd, UFFDIO_WAKE, &range);
		return true;
	case -ESRCH:
		return true;
	case -EAGAIN:		/* there is an event to be read first */
	case -ENOMEM:
		return false;
	default:
		storm_fault("tree %u: UFFDIO_COPY at %lx: error %d", p->tree->number, w->address, err);
		return true;
	}
}

static uint64_t uffd_id(int uffd)
{
	char path[64], value[64] = "0";

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", uffd);
	read_line(path, "uffd-id:\t", value, sizeof(value));
	return strtoull(value, NULL, 10);
}

static void note_child(struct storm_pager *p, int uffd)
{
	storm->n.fork_events++;
	add(p, uffd);
	p->children = realloc(p->children, (p->n_children + 1) * sizeof(*p->children));
	p->children[p->n_children++] = uffd_id(uffd);
}

bool storm_pager_knows(const struct storm_pager *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_children; i++)
		if (p->children[i] == id)
			return true;
	return false;
}

static void take_message(struct storm_pager *p, int uffd, const struct uffd_msg *msg)
{
	switch (msg->event) {
	case UFFD_EVENT_PAGEFAULT:
		p->waiting[p->n_waiting++] = (struct waiting){ uffd, msg->arg.pagefault.address };
		break;
	case UFFD_EVENT_FORK:
		note_child(p, msg->arg.fork.ufd);
		break;
	case UFFD_EVENT_REMOVE:
		if (msg->reserved2 != MADV_DONTNEED && msg->reserved2 != MADV_REMOVE)
			storm_fault("tree %u: pages are removed by advice %u", p->tree->number, msg->reserved2);
		break;
	case UFFD_EVENT_REMAP:
	case UFFD_EVENT_UNMAP:
		break;
	default:
		storm_fault("tree %u: event %x", p->tree->number, msg->event);
	}
}

static void read_messages(struct storm_pager *p, int uffd)
{
	struct uffd_msg msg;
	ssize_t n = 0;

	while (p->n_waiting < 256 && (n = read(uffd, &msg, sizeof(msg))) == sizeof(msg))
		take_message(p, uffd, &msg);
	/* a child whose descriptor finds no place is killed: that is what the guard is for */
	if (p->n_waiting < 256 && !(n < 0 && (errno == EAGAIN || errno == EMFILE)))
		storm_fault("tree %u: reading a userfaultfd: %zd, error %d", p->tree->number, n, errno);
}

void storm_pager_serve(struct storm_pager *p, int milliseconds)
{
	struct pollfd fds[p->n + 1];
	size_t n = p->n, left = 0;

	for (size_t i = 0; i < n; i++)
		fds[i] = (struct pollfd){ .fd = p->uffds[i], .events = POLLIN };
	poll(fds, n, p->n_waiting ? 1 : milliseconds);
	for (size_t i = 0; i < n; i++)
		if (fds[i].revents)
			read_messages(p, fds[i].fd);
	for (size_t i = 0; i < p->n_waiting; i++)
		if (!fill(p, &p->waiting[i]))
			p->waiting[left++] = p->waiting[i];
	p->n_waiting = left;
}

bool storm_pager_sweep(struct storm_pager *p)
{
	for (size_t i = p->n; i--;)
		/* where nothing is mapped; the kernel looks first whether there is anybody */
		if (copy(p, p->uffds[i], ARENA - PAGE, 1) == -ESRCH)
			drop(p, i);
	return !p->n;
}

/* nobody of a tree that its pager still serves may be anywhere else than in its lanes */
static void check_range(const struct nlmsghdr *nlh, void *arg)
{
	const struct storm_pager *p = arg;
	uint64_t start = ARENA, end = ARENA;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		if (mnl_attr_get_type(attr) == MEMFDCR_A_UFFD_START)
			start = mnl_attr_get_u64(attr);
		else if (mnl_attr_get_type(attr) == MEMFDCR_A_UFFD_END)
			end = mnl_attr_get_u64(attr);
	}
	if (start < ARENA || end < start || end > ARENA + LANES * LANE_SIZE)
		storm_fault("tree %u: %lx-%lx is watched", p->tree->number, (long)start, (long)end);
}

void storm_pager_inspect(struct storm_pager *p)
{
	struct attribute attributes[] = { { MEMFDCR_A_UFFD_FD, 4 }, { 0 } };
	struct mnl_socket *sock = p->n ? request_socket() : NULL;
	struct answer answer;

	if (!sock)
		return;
	attributes[0].value = p->uffds[storm_any(p->n)];
	answer = request(sock, MEMFDCR_CMD_UFFD_GET, attributes);
	if (!answer.error)
		answer = request_dump(sock, MEMFDCR_CMD_UFFD_GET, attributes, check_range, p);
	if (answer.error)
		storm_fault("uffd-get: %d, %s", answer.error, answer.message);
	mnl_socket_close(sock);
}

void storm_pager_drop_one(struct storm_pager *p)
{
	if (p->n < 2)
		return;
	storm->n.closed_guards++;
	drop(p, storm_any(p->n));
}

void storm_pager_end(struct storm_pager *p)
{
	while (p->n)
		drop(p, p->n - 1);
	free(p->uffds);
	free(p->children);
	*p = (struct storm_pager){ .tree = p->tree };
}

/* through a mapping of our own, which nobody disturbs */
static bool fill_all(const struct storm_pager *p)
{
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), err = uffd_api(uffd, 0);
	unsigned long at;

	for (unsigned int l = 0; !err && l < LANES; l++) {
		at = ARENA + l * LANE_SIZE;
		err = uffd_register(uffd, (void *)at, OBJECT_SIZE);
		for (unsigned long i = 0; !err && i < LANE_PAGES; i++) {
			err = copy(p, uffd, at + i * PAGE, 1);
			if (err == -EEXIST)
				err = 0;
		}
	}
	close(uffd);
	if (err)
		storm_fault("tree %u: filling all of it: error %d", p->tree->number, err);
	return !err;
}

void storm_pager_complete(struct storm_pager *p)
{
	struct answer answer;

	if (fill_all(p)) {
		for (size_t i = 0; i < p->n; i++) {
			answer = uffd_complete(p->uffds[i]);
			if (answer.error)
				storm_fault("uffd-complete: %d, %s", answer.error, answer.message);
		}
		storm->n.completed++;
	}
	storm_pager_end(p);
}
