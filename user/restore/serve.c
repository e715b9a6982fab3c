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
#include "common/process.h"
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
	for (i = 0; vma && i < s->n_objects; i++) {
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

/* by the thread tid of process pid, as its own pid namespace counts: the first thread of a process may have ended */
static int look_up_thread(const struct session *s, pid_t pid, pid_t tid, uint64_t addr, struct pager_range *range)
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
static int look_up_everywhere(const struct session *s, pid_t tid, uint64_t addr, struct pager_range *range)
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
	const struct session *s = data;
	struct pager_process process;
	unsigned long long start;

	if (!pager_space_process(s->pager, space, &process) || process_start_time(process.pid, &start) ||
	    start != process.start_time)
		return look_up_everywhere(s, tid, addr, range);
	return look_up(s, process.pid, addr, range) ? look_up_thread(s, process.pid, tid, addr, range) : 0;
}

/*
 * A guarded userfaultfd says it in the message itself, and of which object. Only mappings of our objects are watched,
 * so half of an inode number is enough as long as it names one of them only; session_arm() sees to that.
 */
static int advice(void *data, unsigned int space, const struct uffd_msg *msg, unsigned int *object, uint64_t *offset)
{
	const struct session *s = data;
	size_t i;

	(void)space;
	if (msg->reserved2 == MADV_DONTNEED)
		return MADV_DONTNEED;
	if (msg->reserved2 != MADV_REMOVE)
		return -ENODATA;
	for (i = 0; i < s->n_objects; i++) {
		if (s->objects[i].number < 0 || (uint32_t)s->objects[i].ino != msg->reserved3)
			continue;
		*object = (unsigned int)s->objects[i].number;
		*offset = msg->arg.reserved.reserved3;
		return MADV_REMOVE;
	}
	return -ENOENT;
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
		log_error("%s: %s", pager_space_name(s->pager, space), genl_error());
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
	.uffd_id = session_uffd_id,
	.user = session_user,
	.alive = alive,
	.complete = complete,
	.log = pager_log,
};

static bool maps_ours(const struct session *s, const struct mapping_list *maps)
{
	size_t i, k;

	for (i = 0; i < maps->n; i++)
		for (k = 0; k < s->n_objects; k++)
			if (s->objects[k].number >= 0 && maps->v[i].ino == s->objects[k].ino &&
			    maps->v[i].dev == s->objects[k].dev)
				return true;
	return false;
}

/* whether a process at or below root maps an object that is not complete yet: 1, 0, or a negative errno: not known */
static int concerns(const struct session *s, pid_t root)
{
	struct process_list tree;
	int ret = process_tree(root, &tree);
	size_t i;

	if (ret)
		return ret;
	for (i = 0; !ret && i < tree.n; i++) {
		struct mapping_list maps;

		ret = process_mappings(tree.v[i].pid, &maps);
		if (ret == -ESRCH) {
			ret = 0;	/* it has just ended */
			continue;
		}
		if (ret)
			break;
		ret = maps_ours(s, &maps);
		mapping_list_free(&maps);
	}
	process_list_free(&tree);
	return ret;
}

static void take_request(void *data, int listen_fd)
{
	struct session *s = data;
	char verb[16];
	int *finishers, fd, ret;
	pid_t pid;

	(void)listen_fd;
	fd = session_take_request(s, verb, sizeof(verb), &pid);
	if (fd < 0)
		return;
	if (strcmp(verb, "finish")) {
		/* armed already: CRIU may have the hook in two of its configuration files */
		channel_send(fd, "result %d", strcmp(verb, "arm") ? CHANNEL_FAILED : CHANNEL_DONE);
		close(fd);
		return;
	}
	ret = concerns(s, pid);
	finishers = ret > 0 ? reallocarray(s->finishers, s->n_finishers + 1, sizeof(*finishers)) : NULL;
	if (!finishers) {
		/* not known, or no memory to remember: whoever asks must not go on */
		channel_send(fd, "result %d", ret ? CHANNEL_FAILED : CHANNEL_NOT_CONCERNED);
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
		 ", dropped %" PRIu64 ", holes %" PRIu64 "%s), faults %" PRIu64
		 ", duration %" PRIu64 ".%03" PRIu64 " s%s",
		 s->n_lazy, s->n_eager, stats.bytes_total, stats.bytes_by_fault, stats.bytes_background,
		 stats.bytes_dropped, stats.bytes_holes, stats.bytes_found ? ", and some found past the pager" : "",
		 stats.faults, stats.elapsed_us / 1000000, stats.elapsed_us / 1000 % 1000,
		 !result ? "" : result == -ESRCH ? ", incomplete: the processes are gone" : ", incomplete: failed");
}

int session_serve(struct session *s)
{
	int ret = pager_watch_fd(s->pager, s->listen_fd, take_request, s);

	if (!ret)
		ret = pager_run(s->pager);
	session_unfollow(s);
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
