// SPDX-License-Identifier: GPL-2.0-only
/* While nobody runs: objects and address spaces come to the pager, with a guarded userfaultfd on each of the latter. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/strangers.h"
#include "image/layout.h"
#include "netlink/objects.h"
#include "serve/incomplete.h"
#include "serve/serving.h"

int serving_begin(struct serving *s, pid_t root)
{
	const struct pager_config config = {
		.ops = &s->ops, .data = s, .check_chunk = s->has_checksums ? LAYOUT_CHUNK : 0,
	};
	/* shmem is charged to the cgroup of the process that brings a page in: before the first page */
	int ret = process_join_cgroup(root);

	if (ret)
		log_warning("cannot join the memory cgroup of %d: %s: its pages will be charged elsewhere", (int)root,
			    strerror(-ret));
	if (!s->since)
		s->since = time(NULL);
	serving_process(root, &s->root);
	serving_unlist_lazy(s);
	s->ops = serving_pager_ops;
	if (!s->has_checksums)
		s->ops.check = NULL;
	s->pager = pager_new(&config);
	if (!s->pager) {
		ret = -errno;
		log_error("cannot start the pager: %s", strerror(errno));
		return ret;
	}
	return 0;
}

int serving_add_object(struct serving *s, const char *name, int fd, uint64_t size, const struct pager_extent *extents,
		       size_t n_extents, const Memfdcr__Object *record)
{
	struct serving_object *objects = reallocarray(s->objects, s->n_objects + 1, sizeof(*objects));
	struct stat st;
	int number;

	if (!objects)
		return -ENOMEM;
	s->objects = objects;
	if (fstat(fd, &st))
		return -errno;
	/* the pager counts objects, and below spaces, as we add them, and may have to check some of this one already */
	objects[s->n_objects] = (struct serving_object){ .dev = st.st_dev, .ino = st.st_ino, .record = record };
	number = pager_add_object(s->pager, name, fd, size, extents, n_extents);
	if (number < 0)
		return number;
	s->n_objects++;
	serving_list(s, name, size, 0, NULL, number);
	return number;
}

void serving_trust(struct serving *s, int object, int mark)
{
	s->objects[object].by_descriptor = true;
	s->objects[object].mark = mark;
}

/* whether only this process has the object, not even a message on its way; a System V segment may have the same number */
static bool is_ours_alone(const struct snapshot *own, const struct serving_object *o)
{
	size_t alone = 0, i;

	for (i = 0; i < own->n_objects; i++) {
		const struct object *object = &own->objects[i];

		if (object->ino != o->ino || object->dev != (uint32_t)o->dev)
			continue;
		if (strangers_hold(object->kind, object->unexplained))
			return false;
		alone++;
	}
	return alone;
}

static void clear_mark(struct serving_object *o)
{
	incomplete_clear(o->dev, o->ino, o->mark);
	o->by_descriptor = false;
}

void serving_clear_marks(struct serving *s)
{
	size_t i;

	for (i = 0; i < s->n_objects; i++)
		if (s->objects[i].by_descriptor)
			clear_mark(&s->objects[i]);
}

static bool has_marks(const struct serving *s)
{
	size_t i;

	for (i = 0; i < s->n_objects; i++)
		if (s->objects[i].by_descriptor)
			return true;
	return false;
}

static void clear_orphans(struct serving *s)
{
	uint32_t self = getpid();
	struct scope scope = { .pids = &self, .n_pids = 1 };
	struct snapshot own;
	size_t i;

	if (genl_snapshot_take(s->genl, &scope, &own))
		return;
	for (i = 0; i < s->n_objects; i++)
		if (s->objects[i].by_descriptor && is_ours_alone(&own, &s->objects[i]))
			clear_mark(&s->objects[i]);
	genl_snapshot_free(&own);
}

void serving_clear_orphans(struct serving *s)
{
	int tries;

	/* who exits lets go of his memory first, and then of his descriptors */
	for (tries = 0; has_marks(s) && tries < 20; tries++) {
		if (tries)
			nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		clear_orphans(s);
	}
}

int serving_fill(struct serving *s, int object, const char *why)
{
	serving_list_eager(s, object, why);
	return pager_fill(s->pager, (unsigned int)object);
}

int serving_find_object(const struct serving *s, uint64_t dev, uint64_t ino)
{
	size_t i;

	for (i = 0; i < s->n_objects; i++)
		if (s->objects[i].ino == ino && s->objects[i].dev == dev)
			return (int)i;
	return -1;
}

bool serving_is_ambiguous(const struct serving *s, int object)
{
	size_t i;

	for (i = 0; i < s->n_objects; i++)
		if (i != (size_t)object && (uint32_t)s->objects[i].ino == (uint32_t)s->objects[object].ino)
			return true;
	return false;
}

/* a guarded userfaultfd on the process's address space, and its id */
static int open_uffd(struct serving *s, pid_t pid, const char *who, int *uffd, uint64_t *id)
{
	char path[32];
	int mem, ret;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDWR | O_CLOEXEC);
	if (mem < 0) {
		ret = -errno;
		log_warning("%s: cannot open %s: %s", who, path, strerror(errno));
		return ret;
	}
	ret = genl_uffd_open(s->genl, mem, O_CLOEXEC | O_NONBLOCK, true, uffd, id);
	close(mem);
	if (ret)
		log_warning("%s: no userfaultfd on it: %s", who, genl_error());
	return ret;
}

int serving_add_space(struct serving *s, pid_t pid, const char *who)
{
	struct serving_space *spaces;
	struct pager_process process;
	char path[32];
	int uffd, space;
	uint64_t id;

	space = open_uffd(s, pid, who, &uffd, &id);
	if (space)
		return space;
	/* it sleeps, so only one that was killed is not there */
	if (serving_process(pid, &process))
		process = (struct pager_process){ .pid = pid };
	spaces = reallocarray(s->spaces, s->n_spaces + 1, sizeof(*spaces));
	if (!spaces) {
		close(uffd);
		return -ENOMEM;
	}
	s->spaces = spaces;
	space = pager_add_space(s->pager, &process, uffd);
	if (space < 0) {
		log_warning("%s: its userfaultfd cannot be used: %s", who, strerror(-space));
		return space;
	}
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	s->spaces[s->n_spaces++] = (struct serving_space){
		.pagemap_fd = open(path, O_RDONLY | O_CLOEXEC),
	};
	log_info("%s: %s, start time %" PRIu64 ", uffd id %016" PRIx64, who, pager_space_name(s->pager, (unsigned int)space),
		 process.start_time, id);
	return space;
}

void serving_give_up(struct serving *s)
{
	size_t i;

	serving_unfollow(s);
	if (s->pager)
		pager_give_up(s->pager);
	pager_free(s->pager);
	for (i = 0; i < s->n_objects; i++)
		if (s->objects[i].by_descriptor)
			close(s->objects[i].mark);
	for (i = 0; i < s->n_spaces; i++)
		if (s->spaces[i].pagemap_fd >= 0)
			close(s->spaces[i].pagemap_fd);
	free(s->spaces);
	free(s->objects);
	serving_unlist(s);
	*s = (struct serving){
		.genl = s->genl, .listen_fd = s->listen_fd, .since = s->since, .images = s->images,
		.has_checksums = s->has_checksums, .settled = s->settled, .owner = s->owner,
	};
}
