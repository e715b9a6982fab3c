// SPDX-License-Identifier: GPL-2.0-only
/* After the tasks run: the pager's questions answered, requests taken, and the summary at the end. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/memfdcr.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "restore/process.h"
#include "restore/session.h"

/* the mapping of one of our objects at addr in pid, by dev and inode; -ENOENT if none of ours is there */
static int look_up(const struct session *s, pid_t pid, uint64_t addr, struct pager_range *range)
{
	struct mapping_list maps;
	const struct mapping *vma;
	int ret = -ENOENT;
	size_t i;

	if (process_mappings(pid, &maps))
		return -ENOENT;
	vma = mapping_at(&maps, addr);
	for (i = 0; vma && vma->shared && i < s->n_objects; i++) {
		const struct session_object *o = &s->objects[i];

		if (o->number < 0 || o->dev != vma->dev || o->ino != vma->ino)
			continue;
		*range = (struct pager_range){
			.start = vma->start, .end = vma->end, .offset = vma->offset, .object = o->number,
		};
		ret = 0;
		break;
	}
	mapping_list_free(&maps);
	return ret;
}

/* a forked child: nobody told its pid, but the fault came from thread tid, as its own pid namespace counts */
static int look_up_thread(const struct session *s, pid_t tid, uint64_t addr, struct pager_range *range)
{
	DIR *proc = opendir("/proc");
	struct dirent *process;
	int ret = -ENOENT;

	while (proc && ret && (process = readdir(proc))) {
		pid_t pid = atoi(process->d_name);
		struct dirent *thread;
		char path[64];
		DIR *task;

		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
		task = opendir(path);
		while (task && ret && (thread = readdir(task))) {
			pid_t id = atoi(thread->d_name);

			if (id > 0 && process_inner_pid(id) == tid)
				ret = look_up(s, id, addr, range);
		}
		if (task)
			closedir(task);
	}
	if (proc)
		closedir(proc);
	return ret;
}

static int resolve(void *data, unsigned int space, pid_t tid, uint64_t addr, struct pager_range *range)
{
	const struct session *s = data;

	if (space < s->n_spaces)
		return look_up(s, s->spaces[space].pid, addr, range);
	return look_up_thread(s, tid, addr, range);
}

/* a guarded userfaultfd says it in the message itself */
static int advice(void *data, unsigned int space, const struct uffd_msg *msg)
{
	(void)data;
	(void)space;
	if (msg->reserved2 == MADV_DONTNEED || msg->reserved2 == MADV_REMOVE)
		return msg->reserved2;
	return -ENODATA;
}

/* reading pagemap takes no lock of the target: EINVAL for one byte as long as the address space lives, then its end */
static int alive(void *data, unsigned int space)
{
	const struct session *s = data;
	ssize_t n;
	char c;

	if (space >= s->n_spaces || s->spaces[space].pagemap_fd < 0)
		return -ENODATA;
	n = pread(s->spaces[space].pagemap_fd, &c, 1, 0);
	return n < 0 && errno == EINVAL ? 1 : !n ? 0 : -errno;
}

static int complete(void *data, unsigned int space, int uffd)
{
	struct session *s = data;
	int ret = genl_uffd_complete(s->genl, uffd);

	if (ret)
		log_error("space %u: %s", space, genl_error());
	return ret;
}

static void pager_log(void *data, int level, const char *text)
{
	(void)data;
	log_line(level, "%s", text);
}

const struct pager_ops session_pager_ops = {
	.resolve = resolve,
	.advice = advice,
	.alive = alive,
	.complete = complete,
	.log = pager_log,
};

/* whether a process at or below root maps an object that is not complete yet */
static bool concerns(const struct session *s, pid_t root)
{
	struct process_list tree;
	bool found = false;
	size_t i, k, l;

	if (process_tree(root, &tree))
		return false;
	for (i = 0; !found && i < tree.n; i++) {
		struct mapping_list maps;

		if (process_mappings(tree.v[i].pid, &maps))
			continue;
		for (k = 0; !found && k < maps.n; k++)
			for (l = 0; !found && l < s->n_objects; l++)
				found = s->objects[l].number >= 0 && maps.v[k].ino == s->objects[l].ino &&
					maps.v[k].dev == s->objects[l].dev;
		mapping_list_free(&maps);
	}
	process_list_free(&tree);
	return found;
}

static void take_request(void *data, int listen_fd)
{
	struct session *s = data;
	char verb[16];
	int *finishers, fd;
	pid_t pid;

	(void)listen_fd;
	fd = session_take_request(s, verb, sizeof(verb), &pid);
	if (fd < 0)
		return;
	if (strcmp(verb, "finish")) {
		channel_send(fd, "result %d", CHANNEL_FAILED);
		close(fd);
		return;
	}
	if (!concerns(s, pid)) {
		channel_send(fd, "result %d", CHANNEL_NOT_CONCERNED);
		close(fd);
		return;
	}
	finishers = reallocarray(s->finishers, s->n_finishers + 1, sizeof(*finishers));
	if (!finishers) {
		close(fd);
		return;
	}
	s->finishers = finishers;
	finishers[s->n_finishers++] = fd;
}

static void answer_finishers(struct session *s, int result)
{
	while (s->n_finishers) {
		int fd = s->finishers[--s->n_finishers];

		channel_send(fd, "result %d", result);
		close(fd);
	}
}

static void summary(const struct session *s, int result)
{
	struct pager_stats stats;

	pager_get_stats(s->pager, &stats);
	log_line(result && result != -ESRCH ? LOG_ERR : LOG_INFO,
		 "summary: objects lazy %zu eager %zu, bytes %" PRIu64 " (fault %" PRIu64 ", background %" PRIu64
		 ", dropped %" PRIu64 "), faults %" PRIu64 ", duration %" PRIu64 ".%03" PRIu64 " s%s",
		 s->n_lazy, s->n_eager, stats.bytes_total, stats.bytes_by_fault, stats.bytes_background,
		 stats.bytes_dropped, stats.faults, stats.elapsed_us / 1000000, stats.elapsed_us / 1000 % 1000,
		 !result ? "" : result == -ESRCH ? ", incomplete: the processes are gone" : ", incomplete: failed");
}

int session_serve(struct session *s)
{
	int ret = pager_watch_fd(s->pager, s->listen_fd, take_request, s);

	if (!ret)
		ret = pager_run(s->pager);
	if (ret && ret != -ESRCH)
		log_error("the pager cannot go on: %s: pages are missing, so the processes that need them will be killed; restore again from the image",
			  strerror(-ret));
	summary(s, ret);
	answer_finishers(s, ret ? CHANNEL_FAILED : CHANNEL_DONE);
	/*
	 * After a failure the userfaultfds close with this process, still guarded: the module kills whoever would
	 * find zeros in their place.
	 */
	return ret && ret != -ESRCH ? EXIT_FAILURE : EXIT_SUCCESS;
}
