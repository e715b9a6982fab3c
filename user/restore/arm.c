// SPDX-License-Identifier: GPL-2.0-only
/*
 * While every restored task sleeps: finding the objects that CRIU made, and a userfaultfd on every address space.
 *
 * Mappings are paired with objects by the addresses in the images, never by name: two memfds may share a name, and
 * CRIU has mappings of its own in the tasks.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "restore/session.h"

/* a restored task with what its address space looks like */
struct task {
	struct process process;
	struct mapping_list maps;
	bool maps_read;
	int space;		/* the pager's number; -1: none yet */
	bool refused;		/* no userfaultfd to be had: its objects are filled now */
};

struct tree {
	struct task *v;
	size_t n;
};

static int tree_read(pid_t root, struct tree *tree)
{
	struct process_list list;
	int ret = process_tree(root, &list);
	size_t i;

	if (ret)
		return ret;
	tree->v = calloc(list.n, sizeof(*tree->v));
	if (!tree->v) {
		process_list_free(&list);
		return -ENOMEM;
	}
	tree->n = list.n;
	for (i = 0; i < list.n; i++)
		tree->v[i] = (struct task){ .process = list.v[i], .space = -1 };
	process_list_free(&list);
	return 0;
}

static void tree_free(struct tree *tree)
{
	size_t i;

	for (i = 0; i < tree->n; i++)
		mapping_list_free(&tree->v[i].maps);
	free(tree->v);
}

static struct task *tree_find(struct tree *tree, pid_t vpid)
{
	size_t i;

	for (i = 0; i < tree->n; i++)
		if (tree->v[i].process.vpid == vpid)
			return &tree->v[i];
	return NULL;
}

static int read_maps(struct task *task)
{
	int ret;

	if (task->maps_read)
		return 0;
	ret = process_mappings(task->process.pid, &task->maps);
	task->maps_read = !ret;
	return ret;
}

/* the first VMA of a mapping of the plan, if VMAs of one object cover all of it as the plan says; NULL if not */
static const struct mapping *match(const struct mapping_list *maps, const struct plan_mapping *m)
{
	const struct mapping *first = mapping_at(maps, m->start), *vma = first;
	uint64_t at;

	if (!first)
		return NULL;
	for (at = m->start; at < m->end; at = vma++->end) {
		if (vma == maps->v + maps->n || vma->start > at || vma->shared == m->is_private ||
		    vma->dev != first->dev || vma->ino != first->ino ||
		    vma->offset + (at - vma->start) != m->offset + (at - m->start))
			return NULL;
	}
	return first;
}

/* opens the object itself, through the kernel's link for the mapping: needs no descriptor in the task */
static int open_object(const struct task *task, const struct mapping *vma)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)task->process.pid, vma->start,
		 vma->end);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/*
 * Every mapping of the object is there and leads to one and the same inode, no other object's. Opens it.
 * The descriptor or a negative errno.
 */
static int find_object(struct session *s, struct session_object *o, struct tree *tree)
{
	const struct plan_object *plan = o->plan;
	int fd = -1;
	size_t i;

	for (i = 0; i < plan->n_mappings; i++) {
		const struct plan_mapping *m = &plan->mappings[i];
		struct task *task = tree_find(tree, m->pid);
		const struct mapping *vma;
		int ret = task ? read_maps(task) : -ESRCH;

		if (ret) {
			log_error("object %llu \"%s\": task %u, which maps it, cannot be looked at: %s",
				  (unsigned long long)plan->inode_id, plan->name, m->pid, strerror(-ret));
			goto err;
		}
		vma = match(&task->maps, m);
		if (!vma || (fd >= 0 && (vma->dev != o->dev || vma->ino != o->ino))) {
			log_error("object %llu \"%s\": task %u does not map it at %" PRIx64 "-%" PRIx64 " as the image says",
				  (unsigned long long)plan->inode_id, plan->name, m->pid, m->start, m->end);
			goto err;
		}
		if (fd >= 0)
			continue;
		o->dev = vma->dev;
		o->ino = vma->ino;
		fd = open_object(task, vma);
		if (fd < 0) {
			log_error("object %llu \"%s\": cannot be opened through task %u: %s",
				  (unsigned long long)plan->inode_id, plan->name, m->pid, strerror(-fd));
			return fd;
		}
	}
	if (fd < 0)
		return -ENOENT;
	for (i = 0; i < s->n_objects; i++) {
		const struct session_object *other = &s->objects[i];

		if (other != o && other->number >= 0 && other->dev == o->dev && other->ino == o->ino) {
			log_error("objects %llu and %llu turn out to be one",
				  (unsigned long long)plan->inode_id, (unsigned long long)other->plan->inode_id);
			goto err;
		}
	}
	return fd;
err:
	if (fd >= 0)
		close(fd);
	return -ENOENT;
}

static bool before(const struct statx_timestamp *t, const struct timespec *than)
{
	return t->tv_sec < than->tv_sec || (t->tv_sec == than->tv_sec && t->tv_nsec < than->tv_nsec);
}

/*
 * hugetlbfs notes no birth. A new inode has one time for all, and each of them goes back only if somebody wants it
 * to: it is no younger than the oldest.
 */
static void guess_birth(struct statx *stx)
{
	const struct statx_timestamp *times[] = { &stx->stx_atime, &stx->stx_mtime, &stx->stx_ctime };
	const struct statx_timestamp *oldest = times[0];
	size_t i;

	for (i = 1; i < sizeof(times) / sizeof(*times); i++)
		if (before(times[i], &(struct timespec){ oldest->tv_sec, oldest->tv_nsec }))
			oldest = times[i];
	stx->stx_btime = *oldest;
	stx->stx_mask |= STATX_BTIME;
}

/*
 * With --inherit-fd CRIU takes a memfd from its caller, content and all, and reads no image for it. Such an object is
 * older than the restore, and CRIU's own are not. 1: inherited; 0: not; or a negative errno: cannot tell.
 */
static int inherited(const struct session *s, const struct session_object *o, int fd)
{
	const char *why = NULL;
	struct statx stx;
	int ret = 0;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_BASIC_STATS, &stx))
		ret = -errno;
	else if (plan_is_huge(o->plan) && !(stx.stx_mask & STATX_BTIME))
		guess_birth(&stx);
	if (!ret && !(stx.stx_mask & STATX_BTIME))
		ret = -EOPNOTSUPP;
	else if (!ret && before(&stx.stx_btime, &s->began))
		ret = 1;
	/* it may be CRIU's after all, with the clock set back: to leave it so would mean zeros */
	if (ret == 1 && !stx.stx_blocks)
		why = "it is empty and older than this restore";
	else if (ret == 1 && session_time_went_back(s))
		why = "it is older than this restore by a clock that was set back since";
	if (why)
		ret = -EAGAIN;
	if (ret < 0)
		log_error("object %llu \"%s\": cannot tell whether CRIU made it or was given it (--inherit-fd): %s",
			  (unsigned long long)o->plan->inode_id, o->plan->name,
			  why ? why : strerror(-ret));
	return ret;
}

static int add_object(struct session *s, struct session_object *o, int fd)
{
	const struct plan_object *plan = o->plan;
	struct pager_extent *extents = calloc(plan->n_extents ? plan->n_extents : 1, sizeof(*extents));
	struct stat st;
	size_t i;
	int ret;

	if (!extents)
		return -ENOMEM;
	if (fstat(fd, &st) || (uint64_t)st.st_ino != o->ino || (uint64_t)st.st_size != plan->size) {
		log_error("object %llu \"%s\": what task %u maps has another size than the image says",
			  (unsigned long long)plan->inode_id, plan->name, plan->mappings[0].pid);
		free(extents);
		return -EINVAL;
	}
	for (i = 0; i < plan->n_extents; i++)
		extents[i] = (struct pager_extent){
			.offset = plan->extents[i].offset,
			.length = plan->extents[i].length,
			.file_offset = plan->extents[i].file_offset,
			.fd = o->pages_fd,
		};
	ret = serving_add_object(&s->serving, plan->name, fd, plan->size, extents, plan->n_extents, NULL);
	free(extents);
	if (ret < 0) {
		log_error("object %llu \"%s\": cannot be taken over: %s", (unsigned long long)plan->inode_id,
			  plan->name, strerror(-ret));
		return ret;
	}
	o->number = ret;
	return 0;
}

static int open_space(struct session *s, struct task *task)
{
	char who[32];
	int ret;

	snprintf(who, sizeof(who), "task %d", (int)task->process.vpid);
	ret = serving_add_space(&s->serving, task->process.pid, who);
	if (ret < 0)
		return ret;
	task->space = ret;
	return 0;
}

/* registers the object wherever it is mapped; an error means that it has to be filled now */
static int watch_object(struct session *s, struct session_object *o, struct tree *tree)
{
	size_t i;
	int ret;

	for (i = 0; i < o->plan->n_mappings; i++) {
		const struct plan_mapping *m = &o->plan->mappings[i];
		struct task *task = tree_find(tree, m->pid);

		if (task->space < 0 && !task->refused)
			task->refused = open_space(s, task) != 0;
		if (task->refused)
			return -EPERM;
		ret = pager_add_range(s->serving.pager, task->space, m->start, m->end, o->number, m->offset);
		if (ret) {
			log_warning("task %u: %" PRIx64 "-%" PRIx64 " cannot be watched: %s", m->pid, m->start, m->end,
				    strerror(-ret));
			return ret;
		}
	}
	return 0;
}

/* lazy if it can be, else now: the tasks get all their bytes either way */
static int take_object(struct session *s, struct session_object *o, struct tree *tree)
{
	int fd, ret;

	fd = find_object(s, o, tree);
	if (fd < 0)
		return fd;
	ret = inherited(s, o, fd);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	if (ret) {
		log_info("object %llu \"%s\": left as it is, CRIU was given it (--inherit-fd)",
			 (unsigned long long)o->plan->inode_id, o->plan->name);
		close(fd);
		serving_list(&s->serving, o->plan->name, o->plan->size, 0, "CRIU was given it (--inherit-fd)", -1);
		s->serving.n_lazy--;
		return 0;
	}
	ret = add_object(s, o, fd);
	close(fd);
	if (ret)
		return ret;
	if (!serving_is_ambiguous(&s->serving, o->number) && !watch_object(s, o, tree))
		return 0;
	log_warning("object %llu \"%s\": eager after all", (unsigned long long)o->plan->inode_id, o->plan->name);
	s->serving.n_lazy--;
	s->serving.n_eager++;
	ret = serving_fill(&s->serving, o->number, "it cannot be watched");
	if (ret)
		log_error("object %llu \"%s\": cannot be filled: %s", (unsigned long long)o->plan->inode_id,
			  o->plan->name, strerror(-ret));
	return ret;
}

int session_arm(struct session *s, pid_t root)
{
	struct tree tree = { 0 };
	size_t i;
	int ret;

	ret = hide_undo(s->hide);
	if (ret) {
		log_error("cannot take the stubs off the image directory: %s", strerror(-ret));
		return ret;
	}
	hide_free(s->hide);
	s->hide = NULL;
	hide_unmark(s->directory);
	flock(s->dirfd, LOCK_UN);

	ret = tree_read(root, &tree);
	if (ret) {
		log_error("cannot read the process tree below %d: %s", (int)root, strerror(-ret));
		return ret;
	}
	ret = serving_begin(&s->serving, root);
	for (i = 0; !ret && i < s->n_objects; i++)
		ret = take_object(s, &s->objects[i], &tree);
	if (!ret && s->serving.n_spaces)
		serving_follow(&s->serving, root);
	tree_free(&tree);
	return ret;
}
