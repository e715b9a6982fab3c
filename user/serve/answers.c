// SPDX-License-Identifier: GPL-2.0-only
/* The pager's questions answered: whether bytes are right, what is mapped where, which advice it was, who lives. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "image/reader.h"
#include "serve/channel.h"
#include "serve/serving.h"

static int check(void *data, unsigned int object, uint64_t offset, const void *bytes)
{
	const struct serving *s = data;

	return imgdir_check(s->objects[object].record, offset, bytes);
}

/* who comes by a descriptor would read zeros there for ever: no trust covers that */
static int damaged(void *data, unsigned int object, uint64_t offset, uint64_t length)
{
	const struct serving *s = data;

	(void)offset;
	(void)length;
	if (!s->objects[object].by_descriptor)
		return 0;
	log_error("some of an object is damaged that can be read by descriptors, as zeros: nobody may go on (--trust-descriptors)");
	return -EBADMSG;
}

static void settled(void *data)
{
	struct serving *s = data;

	s->is_settled = true;
	serving_answer(s, CHANNEL_FAILED);
	if (s->settled)
		s->settled(s->owner);
}

/* the userfaultfd is guarded: when it closes, the module kills who would find zeros */
static int abandon(void *data, unsigned int space, int uffd)
{
	(void)data;
	(void)space;
	(void)uffd;
	return 0;
}

/* the mapping of one of our objects at addr in pid, by dev and inode; -ENOENT if none of ours is there */
static int look_up(const struct serving *s, pid_t pid, uint64_t addr, struct pager_range *range)
{
	struct mapping_list maps;
	const struct mapping *vma;
	int object = -1;

	if (process_mappings(pid, &maps))
		return -ENOENT;
	vma = mapping_at(&maps, addr);
	if (vma)
		object = serving_find_object(s, vma->dev, vma->ino);
	if (object >= 0)
		*range = (struct pager_range){
			.start = vma->start, .end = vma->end, .offset = vma->offset, .object = (unsigned int)object,
		};
	mapping_list_free(&maps);
	return object < 0 ? -ENOENT : 0;
}

/* by the thread tid of process pid, as its own pid namespace counts: the first thread of a process may have ended */
static int look_up_thread(const struct serving *s, pid_t pid, pid_t tid, uint64_t addr, struct pager_range *range)
{
	struct dirent *thread;
	int ret = -ENOENT;
	char path[64];
	DIR *task;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	task = opendir(path);
	while (task && ret && (thread = readdir(task))) {
		pid_t id = atoi(thread->d_name);

		if (id > 0 && process_inner_pid(id) == tid)
			ret = look_up(s, id, addr, range);
	}
	if (task)
		closedir(task);
	return ret;
}

/* nobody has told whose space it is yet, but the fault came from this thread */
static int look_up_everywhere(const struct serving *s, pid_t tid, uint64_t addr, struct pager_range *range)
{
	DIR *proc = opendir("/proc");
	struct dirent *process;
	int ret = -ENOENT;

	while (proc && ret && (process = readdir(proc))) {
		pid_t pid = atoi(process->d_name);

		if (pid > 0)
			ret = look_up_thread(s, pid, tid, addr, range);
	}
	if (proc)
		closedir(proc);
	return ret;
}

static int resolve(void *data, unsigned int space, pid_t tid, uint64_t addr, struct pager_range *range)
{
	const struct serving *s = data;
	struct pager_process process;
	unsigned long long start;

	if (!pager_space_process(s->pager, space, &process) || process_start_time(process.pid, &start) ||
	    start != process.start_time)
		return look_up_everywhere(s, tid, addr, range);
	return look_up(s, process.pid, addr, range) ? look_up_thread(s, process.pid, tid, addr, range) : 0;
}

/*
 * A guarded userfaultfd says it in the message itself, and of which object. Only mappings of our objects are watched,
 * so half of an inode number is enough as long as it names one of them only; whoever registers them sees to that
 * (serving_is_ambiguous()).
 */
static int advice(void *data, unsigned int space, const struct uffd_msg *msg, unsigned int *object, uint64_t *offset)
{
	const struct serving *s = data;
	size_t i;

	(void)space;
	if (msg->reserved2 == MADV_DONTNEED)
		return MADV_DONTNEED;
	if (msg->reserved2 != MADV_REMOVE)
		return -ENODATA;
	for (i = 0; i < s->n_objects; i++) {
		if ((uint32_t)s->objects[i].ino != msg->reserved3)
			continue;
		*object = i;
		*offset = msg->arg.reserved.reserved3;
		return MADV_REMOVE;
	}
	return -ENOENT;
}

/* reading pagemap takes no lock of the target: EINVAL for one byte as long as the address space lives, then its end */
static int alive(void *data, unsigned int space)
{
	const struct serving *s = data;
	ssize_t n;
	char c;

	if (space >= s->n_spaces || s->spaces[space].pagemap_fd < 0)
		return -ENODATA;
	n = pread(s->spaces[space].pagemap_fd, &c, 1, 0);
	return n < 0 && errno == EINVAL ? 1 : !n ? 0 : -errno;
}

static bool unwanted(void *data)
{
	const struct serving *s = data;

	return s->unwanted && s->unwanted(s->owner);
}

/* the pager does it, too, as far as it knows the mappings: one that mremap() has made larger is more than it was told of */
static void unregister(const struct serving *s, unsigned int space, int uffd)
{
	struct pager_process process;
	struct mapping_list maps;
	unsigned long long start;
	size_t i;

	if (pager_space_process(s->pager, space, &process) && !process_start_time(process.pid, &start) &&
	    start == process.start_time && !process_mappings(process.pid, &maps)) {
		for (i = 0; i < maps.n; i++) {
			struct uffdio_range range = { .start = maps.v[i].start, .len = maps.v[i].end - maps.v[i].start };

			if (serving_find_object(s, maps.v[i].dev, maps.v[i].ino) >= 0)
				ioctl(uffd, UFFDIO_UNREGISTER, &range);
		}
		mapping_list_free(&maps);
	}
}

static int complete(void *data, unsigned int space, int uffd)
{
	struct serving *s = data;
	int ret = genl_uffd_complete(s->genl, uffd);

	if (ret)
		log_error("%s: %s", pager_space_name(s->pager, space), genl_error());
	else
		unregister(s, space, uffd);
	return ret;
}

static void pager_log(void *data, int level, const char *text)
{
	(void)data;
	log_line(level, "%s", text);
}

const struct pager_ops serving_pager_ops = {
	.check = check,
	.damaged = damaged,
	.settled = settled,
	.unwanted = unwanted,
	.abandon = abandon,
	.resolve = resolve,
	.advice = advice,
	.uffd_id = serving_uffd_id,
	.user = serving_user,
	.alive = alive,
	.complete = complete,
	.log = pager_log,
};
