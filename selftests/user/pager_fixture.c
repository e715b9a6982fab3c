// SPDX-License-Identifier: GPL-2.0-only
/* Objects, children and the pager around them, for the pager's tests. */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "pager_fixture.h"

#define WATCHDOG_SECONDS	120

static uint64_t seed, state;

void say(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	/* one write, from whichever process or thread, no lock and no memory of its own */
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(3);
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	say("# cannot go on: %s: %s", what, strerror(errno));
	_exit(4);
}

#define MUST(x) must(!!(x), #x)

bool have_userfaultfd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

uint64_t next_random(uint64_t *s)
{
	return mix((*s)++);
}

uint64_t rig_random(void)
{
	return next_random(&state);
}

void rig_seed(int argc, char **argv)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec;
	state = mix(seed);
	say("# seed %llu", (unsigned long long)seed);
}

uint64_t word_at(const struct test_object *o, uint64_t page, unsigned int i)
{
	if (page >= o->pages || o->in_image[page] != WORDS)
		return 0;
	return mix(((uint64_t)o->number << 56) ^ (page << 12) ^ i) | 1;
}

bool check_page(const struct test_object *o, const void *address, uint64_t page)
{
	const uint64_t *words = address;

	for (unsigned int i = 0; i < PAGE / 8; i++) {
		uint64_t have = __atomic_load_n(&words[i], __ATOMIC_RELAXED);

		if (have != word_at(o, page, i)) {
			say("# pid %d: object %u page %llu at %p word %u is %llx, not %llx", getpid(), o->number,
			    (unsigned long long)page, address, i, (unsigned long long)have,
			    (unsigned long long)word_at(o, page, i));
			return false;
		}
	}
	return true;
}

bool check_pages(const struct test_object *o, const void *address, uint64_t first, uint64_t count)
{
	for (uint64_t k = 0; k < count; k++)
		if (!check_page(o, (const unsigned char *)address + k * PAGE, first + k))
			return false;
	return true;
}

bool check_pages_randomly(const struct test_object *o, const unsigned char *address, uint64_t first, uint64_t count,
			  uint64_t *s)
{
	/* a step that shares no factor with count visits every page once */
	uint64_t step = next_random(s) % count, at = next_random(s) % count, a, b, t;

	for (;; step++) {
		for (a = step, b = count; b; t = a % b, a = b, b = t)
			;
		if (a == 1)
			break;
	}
	for (uint64_t k = 0; k < count; k++, at = (at + step) % count)
		if (!check_page(o, address + at * PAGE, first + at))
			return false;
	return true;
}

bool is_zero(const void *address, size_t length)
{
	const unsigned char *bytes = address;

	for (size_t i = 0; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

bool check_object(struct test_object *o)
{
	void *map = mmap(NULL, o->pages * PAGE, PROT_READ, MAP_SHARED, o->fd, 0);
	bool ok;

	MUST(map != MAP_FAILED);
	ok = check_pages(o, map, 0, o->pages);
	munmap(map, o->pages * PAGE);
	return ok;
}

static pid_t pid_of(const struct rig *rig, unsigned int space)
{
	for (unsigned int i = 0; i < rig->n_children; i++)
		if (rig->children[i].space == (int)space)
			return rig->children[i].pid;
	return 0;
}

static int rig_resolve(void *data, unsigned int space, pid_t tid, uint64_t address, struct pager_range *range)
{
	struct rig *rig = data;
	char path[64], line[512];
	FILE *maps;
	int rc = -ENOENT;

	rig->resolved++;
	if (!tid)
		tid = pid_of(rig, space);
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	maps = tid ? fopen(path, "r") : NULL;
	if (!maps)
		return -ENOENT;
	while (rc && fgets(line, sizeof(line), maps)) {
		unsigned long long start, end, offset, inode;

		if (sscanf(line, "%llx-%llx %*s %llx %*s %llu", &start, &end, &offset, &inode) != 4 ||
		    address < start || address >= end)
			continue;
		for (unsigned int i = 0; i < rig->n_objects; i++) {
			if (rig->objects[i].inode != inode)
				continue;
			*range = (struct pager_range){ start, end, offset, rig->objects[i].number };
			rc = 0;
		}
	}
	fclose(maps);
	return rc;
}

/*
 * The oldest call that the message can be about. A thread's calls and their messages come in the same order, and the
 * tests let no two threads of a process advise about the same memory. A call that covers several mappings makes a
 * message for each; the last one ends where the call ends.
 */
static int rig_advice(void *data, unsigned int space, const struct uffd_msg *msg, unsigned int *object,
		      uint64_t *offset)
{
	struct rig *rig = data;
	pid_t pid = pid_of(rig, space);
	unsigned int n = __atomic_load_n(&rig->shared->n_slots, __ATOMIC_ACQUIRE);

	(void)object;
	(void)offset;
	for (unsigned int i = rig->first_slot; i < n && i < MAX_SLOTS; i++) {
		struct slot *s = &rig->shared->slots[i];
		int posted = __atomic_load_n(&s->posted, __ATOMIC_ACQUIRE);

		if (posted == 2 && i == rig->first_slot)
			rig->first_slot++;
		if (posted != 1 || (pid && s->pid != pid) || s->start > msg->arg.remove.start ||
		    s->end < msg->arg.remove.end)
			continue;
		if (s->end == msg->arg.remove.end)
			s->posted = 2;
		return s->advice;
	}
	return -ENOENT;
}

int child_madvise(struct rig *rig, void *address, size_t length, int advice)
{
	unsigned int i = __atomic_fetch_add(&rig->shared->n_slots, 1, __ATOMIC_ACQ_REL);
	struct slot *s = &rig->shared->slots[i];

	MUST(i < MAX_SLOTS);
	s->advice = advice;
	s->pid = getpid();
	s->start = (uintptr_t)address;
	s->end = (uintptr_t)address + length;
	__atomic_store_n(&s->posted, 1, __ATOMIC_RELEASE);
	return madvise(address, length, advice);
}

static void rig_forked(void *data, unsigned int parent, unsigned int child)
{
	(void)parent;
	(void)child;
	((struct rig *)data)->forked++;
}

static int rig_uffd_id(void *data, int uffd, uint64_t *id)
{
	struct rig *rig = data;

	return rig->uffd_id ? rig->uffd_id(rig, uffd, id) : -ENODATA;
}

static int rig_user(void *data, int uffd, struct pager_process *process)
{
	struct rig *rig = data;

	return rig->user ? rig->user(rig, uffd, process) : -ENODATA;
}

static int rig_complete(void *data, unsigned int space, int uffd)
{
	(void)space;
	(void)uffd;
	((struct rig *)data)->completed++;
	return 0;
}

static void rig_log(void *data, int level, const char *text)
{
	struct rig *rig = data;
	size_t used = strlen(rig->log);

	snprintf(rig->log + used, sizeof(rig->log) - used, "%s\n", text);
	if (level <= LOG_WARNING && !rig->quiet)
		say("# pager: %s", text);
}

static const struct pager_ops ops = {
	.resolve = rig_resolve,
	.advice = rig_advice,
	.forked = rig_forked,
	.uffd_id = rig_uffd_id,
	.user = rig_user,
	.complete = rig_complete,
	.log = rig_log,
};

void rig_new(struct rig *rig, bool background)
{
	memset(rig, 0, sizeof(*rig));
	rig->ops = ops;
	rig->config.ops = &rig->ops;
	rig->config.data = rig;
	rig->config.no_background = !background;
	rig->shared = mmap(NULL, sizeof(*rig->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(rig->shared != MAP_FAILED);
	alarm(WATCHDOG_SECONDS);
}

static uint8_t place(enum layout layout, uint64_t page)
{
	switch (layout) {
	case DENSE:
		return WORDS;
	case ALTERNATE:
		return page % 2 ? WORDS : NOTHING;
	case RANDOM:
		return rig_random() % 3 ? WORDS : NOTHING;
	case HOLES:
		/* the last word of a huge page is enough to make it one that is needed */
		return page % (3 * HUGE_PAGES) == HUGE_PAGES - 1 ? WORDS : ZEROS;
	default:
		return NOTHING;
	}
}

static struct test_object *new_object(struct rig *rig, uint64_t size, enum layout layout, unsigned int flags)
{
	struct test_object *o = &rig->objects[rig->n_objects];
	char path[] = "/tmp/pager-test-XXXXXX", name[32];
	uint64_t page, words[PAGE / 8];
	struct stat st;

	o->number = rig->n_objects++;
	o->size = size;
	o->pages = (size + PAGE - 1) / PAGE;
	snprintf(name, sizeof(name), "object%u", o->number);
	o->fd = memfd_create(name, MFD_CLOEXEC | flags);
	MUST(o->fd >= 0 && !ftruncate(o->fd, (off_t)size) && !fstat(o->fd, &st));
	o->inode = st.st_ino;
	o->in_image = mmap(NULL, o->pages + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	o->image = mkostemp(path, O_CLOEXEC);
	o->extents = calloc(o->pages + 1, sizeof(*o->extents));
	MUST(o->in_image != MAP_FAILED && o->image >= 0 && o->extents && !unlink(path));

	for (page = 0; page < o->pages; page++) {
		struct pager_extent *last = o->n_extents ? &o->extents[o->n_extents - 1] : NULL;

		o->in_image[page] = place(layout, page);
		if (!o->in_image[page])
			continue;
		for (unsigned int i = 0; i < PAGE / 8; i++)
			words[i] = word_at(o, page, i);
		/* now and then a gap in the file, so that neighbours of the object are none in the image */
		if (layout == RANDOM && rig_random() % 16 == 0)
			o->image_pages++;
		MUST(pwrite(o->image, words, PAGE, (off_t)(o->image_pages * PAGE)) == (ssize_t)PAGE);
		if (last && last->offset + last->length == page * PAGE &&
		    last->file_offset + last->length == o->image_pages * PAGE)
			last->length += PAGE;
		else
			o->extents[o->n_extents++] = (struct pager_extent){
				.offset = page * PAGE,
				.length = PAGE,
				.file_offset = o->image_pages * PAGE,
				.fd = o->image,
			};
		o->image_pages++;
	}
	return o;
}

struct test_object *rig_object(struct rig *rig, uint64_t size, enum layout layout)
{
	return new_object(rig, size, layout, 0);
}

struct test_object *rig_huge_object(struct rig *rig, uint64_t huge_pages, enum layout layout)
{
	return new_object(rig, huge_pages * HUGE_PAGES * PAGE, layout, MFD_HUGETLB | MFD_HUGE_2MB);
}

static void need_pager(struct rig *rig)
{
	if (rig->pager)
		return;
	if (rig->no_resolve)
		rig->ops.resolve = NULL;
	rig->pager = pager_new(&rig->config);
	MUST(rig->pager);
}

int rig_add_object(struct rig *rig, struct test_object *o)
{
	char name[32];

	need_pager(rig);
	snprintf(name, sizeof(name), "object%u", o->number);
	return pager_add_object(rig->pager, name, o->fd, o->size, o->extents, o->n_extents);
}

/* one message of a child: a range, or (object == -1) the userfaultfd */
struct report {
	int object;
	uint64_t start, end, offset;
};

static struct test_child *self;

struct test_child *rig_spawn(struct rig *rig, int (*fn)(struct rig *rig, void *arg), void *arg)
{
	struct test_child *c = &rig->children[rig->n_children++];
	int pair[2];

	MUST(!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
	c->pid = fork();
	MUST(c->pid >= 0);
	if (!c->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		c->sock = pair[1];
		self = c;
		_exit(fn(rig, arg));
	}
	close(pair[1]);
	c->sock = pair[0];
	c->space = -1;
	return c;
}

static unsigned char *map_and_report(struct test_object *o, uint64_t first, uint64_t count, int flags)
{
	unsigned char *map = mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, flags, o->fd, (off_t)(first * PAGE));
	struct report r = {
		.object = (int)o->number,
		.start = (uintptr_t)map,
		.end = (uintptr_t)map + count * PAGE,
		.offset = first * PAGE,
	};

	MUST(map != MAP_FAILED);
	MUST(send(self->sock, &r, sizeof(r), 0) == sizeof(r));
	return map;
}

unsigned char *child_map(struct rig *rig, struct test_object *o, uint64_t first, uint64_t count)
{
	(void)rig;
	return map_and_report(o, first, count, MAP_SHARED);
}

unsigned char *child_map_private(struct rig *rig, struct test_object *o, uint64_t first, uint64_t count)
{
	(void)rig;
	return map_and_report(o, first, count, MAP_PRIVATE);
}

int child_arm_keep(struct rig *rig)
{
	struct report r = { .object = -1 };
	struct iovec iov = { &r, sizeof(r) };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	char go;

	(void)rig;
	MUST(uffd >= 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &uffd, sizeof(int));
	MUST(sendmsg(self->sock, &msg, 0) == sizeof(r));
	MUST(recv(self->sock, &go, 1, 0) == 1);
	return uffd;
}

void child_arm(struct rig *rig)
{
	close(child_arm_keep(rig));
}

pid_t fork_here(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

bool waited_ok(pid_t pid)
{
	int status;

	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static void arm_child(struct rig *rig, struct test_child *c)
{
	struct report ranges[64], r;
	unsigned int n = 0;

	for (;;) {
		union {
			char bytes[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control = { 0 };
		struct iovec iov = { &r, sizeof(r) };
		struct msghdr msg = {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.bytes,
			.msg_controllen = sizeof(control.bytes),
		};
		int uffd;

		MUST(recvmsg(c->sock, &msg, MSG_CMSG_CLOEXEC) == sizeof(r));
		if (r.object >= 0) {
			MUST(n < 64);
			ranges[n++] = r;
			continue;
		}
		MUST(CMSG_FIRSTHDR(&msg));
		memcpy(&uffd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
		c->space = pager_add_space(rig->pager, &(struct pager_process){ c->pid, 1, "child" }, uffd);
		MUST(c->space >= 0);
		break;
	}
	for (unsigned int i = 0; i < n; i++) {
		int rc = pager_add_range(rig->pager, (unsigned int)c->space, ranges[i].start, ranges[i].end,
					 (unsigned int)ranges[i].object, ranges[i].offset);

		errno = -rc;
		MUST(rc == 0);
	}
}

void rig_arm(struct rig *rig)
{
	struct pager_stats stats;

	need_pager(rig);
	pager_get_stats(rig->pager, &stats);
	for (unsigned int i = 0; i < rig->n_objects; i++) {
		int rc = rig_add_object(rig, &rig->objects[i]);

		errno = -rc;
		MUST(rc == (int)i);
	}
	for (unsigned int i = 0; i < rig->n_children; i++)
		arm_child(rig, &rig->children[i]);
}

/* whatever a test is about: every byte of every object is left, or went one way, and counted once */
static bool accounts_are_right(struct rig *rig)
{
	struct pager_stats all, one;
	unsigned int i;

	pager_get_stats(rig->pager, &all);
	for (i = 0; !pager_get_object_stats(rig->pager, i, &one); i++) {
		if (one.bytes_total != one.bytes_left + one.bytes_by_fault + one.bytes_background + one.bytes_dropped +
				       one.bytes_holes + one.bytes_damaged || one.faults_zero > one.faults)
			return false;
		all.bytes_total -= one.bytes_total;
		all.bytes_left -= one.bytes_left;
		all.faults -= one.faults;
	}
	return i >= rig->n_objects && !all.bytes_total && !all.bytes_left && (int64_t)all.faults >= 0;
}

int rig_run(struct rig *rig)
{
	int rc;

	for (unsigned int i = 0; i < rig->n_children; i++)
		MUST(send(rig->children[i].sock, "g", 1, MSG_NOSIGNAL) == 1);
	rc = pager_run(rig->pager);
	pager_get_stats(rig->pager, &rig->stats);
	errno = 0;
	MUST(accounts_are_right(rig));
	return rc;
}

bool rig_children_ok(struct rig *rig)
{
	bool ok = true;

	for (unsigned int i = 0; i < rig->n_children; i++) {
		struct test_child *c = &rig->children[i];

		if (!c->reaped)
			MUST(waitpid(c->pid, &c->status, 0) == c->pid);
		c->reaped = true;
		if (c->status) {
			say("# child %u ended with status %#x", i, c->status);
			ok = false;
		}
	}
	return ok;
}

void rig_end(struct rig *rig)
{
	/* the children first: with the pager's descriptors closed they would go on with zeros */
	for (unsigned int i = 0; i < rig->n_children; i++) {
		struct test_child *c = &rig->children[i];

		if (!c->reaped) {
			kill(c->pid, SIGKILL);
			waitpid(c->pid, &c->status, 0);
		}
		close(c->sock);
	}
	pager_free(rig->pager);
	for (unsigned int i = 0; i < rig->n_objects; i++) {
		struct test_object *o = &rig->objects[i];

		close(o->fd);
		close(o->image);
		munmap(o->in_image, o->pages + 1);
		free(o->extents);
	}
	munmap(rig->shared, sizeof(*rig->shared));
	alarm(0);
}
