// SPDX-License-Identifier: GPL-2.0-only
/* The tasks of an image set and every reference to an object in it: mappings, descriptors, and what else there may be. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "criu/build.h"
#include "criu/images.pb-c.h"

/* core's task_state; a stopped task has its memory like one that runs */
#define TASK_ALIVE 1
#define TASK_DEAD 2
#define TASK_STOPPED 3

/* vma's status */
#define VMA_REGULAR (1u << 0)
#define VMA_FILE_PRIVATE (1u << 6)
#define VMA_FILE_SHARED (1u << 7)
#define VMA_ANON_SHARED (1u << 8)
#define VMA_MEMFD (1u << 14)
#define VMA_GUARD (1u << 16)

struct task {
	uint32_t pid;
	uint32_t vm_id;
	uint32_t files_id;
	uint32_t ipc_ns_id;	/* 0: in none that was dumped */
};

struct tree {
	struct task *tasks;	/* alive ones */
	size_t n;
};

struct range {
	uint64_t start;
	uint64_t end;
};

/*
 * CRIU writes of a dead task that its parent has not waited for only core-PID.img: no ids, no mm, no descriptors.
 * Everything else is missing only where it was lost.
 */
static int read_task(struct plan_build *b, struct task *t, bool *alive)
{
	ProtobufCMessage *message;
	const Criu__TaskIds *ids;
	uint32_t state;
	int ret;

	ret = image_read_one(&b->set, IMAGE_MAGIC_CORE, &criu__core__descriptor, &message, "core-%" PRIu32 ".img", t->pid);
	if (ret)
		return ret;
	state = ((Criu__Core *)message)->tc ? ((Criu__Core *)message)->tc->task_state : 0;
	image_free(message);
	*alive = state == TASK_ALIVE || state == TASK_STOPPED;
	if (state == TASK_DEAD)
		return 0;
	if (!*alive)
		return image_fail(&b->set, -ENOTSUP, "core-%" PRIu32 ".img: task state %" PRIu32 " is not known", t->pid,
				  state);

	ret = image_read_one(&b->set, IMAGE_MAGIC_IDS, &criu__task_ids__descriptor, &message, "ids-%" PRIu32 ".img",
			     t->pid);
	if (ret)
		return ret;
	ids = (Criu__TaskIds *)message;
	t->vm_id = ids->vm_id;
	t->files_id = ids->files_id;
	t->ipc_ns_id = ids->ipc_ns_id;
	image_free(message);
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static int by_vm_id(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	return (x->vm_id > y->vm_id) - (x->vm_id < y->vm_id);
}

static int by_files_id(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	return (x->files_id > y->files_id) - (x->files_id < y->files_id);
}

static int by_ipc_ns_id(const void *a, const void *b)
{
	const struct task *x = a, *y = b;

	return (x->ipc_ns_id > y->ipc_ns_id) - (x->ipc_ns_id < y->ipc_ns_id);
}

static int read_pids(struct plan_build *b, uint32_t **pids, size_t *n)
{
	ProtobufCMessage *message;
	struct image img;
	int ret;

	ret = image_open(&img, &b->set, IMAGE_MAGIC_PSTREE, "pstree.img");
	if (ret)
		return ret;
	while ((ret = image_next(&img, &criu__task__descriptor, &message)) == 1) {
		uint32_t pid = ((Criu__Task *)message)->pid, *grown;

		image_free(message);
		if (!pid || pid > INT32_MAX) {
			ret = image_fail(&b->set, -EBADMSG, "pstree.img: %" PRIu32 " is no pid", pid);
			break;
		}
		grown = plan_grow(b, *pids, *n, sizeof(*grown));
		if (!grown) {
			ret = -ENOMEM;
			break;
		}
		*pids = grown;
		grown[(*n)++] = pid;
	}
	image_close(&img);
	if (!ret && !*n)
		return image_fail(&b->set, -EBADMSG, "pstree.img: has no task");
	return ret;
}

static int read_tasks(struct plan_build *b, struct tree *tree)
{
	uint32_t *pids = NULL, *sorted = NULL;
	size_t n = 0, i;
	int ret;

	ret = read_pids(b, &pids, &n);
	if (ret)
		goto out;
	ret = image_fail(&b->set, -ENOMEM, "out of memory");
	sorted = malloc(n * sizeof(*sorted));
	tree->tasks = calloc(n, sizeof(*tree->tasks));
	if (!sorted || !tree->tasks)
		goto out;

	memcpy(sorted, pids, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), by_pid);
	for (i = 1; i < n; i++) {
		if (sorted[i] == sorted[i - 1]) {
			ret = image_fail(&b->set, -EBADMSG, "pstree.img: task %" PRIu32 " is there twice", sorted[i]);
			goto out;
		}
	}
	for (i = 0; i < n; i++) {
		struct task *t = &tree->tasks[tree->n];
		bool alive;

		t->pid = pids[i];
		ret = read_task(b, t, &alive);
		if (ret)
			goto out;
		tree->n += alive;
	}
	ret = 0;
out:
	free(sorted);
	free(pids);
	return ret;
}

/* what lies in pagemap-shmem-shmid.img is also an object's: CRIU has written one over the other */
static int other_user_of(struct plan_build *b, uint64_t shmid, const char *what)
{
	size_t low = 0, high = b->n_shmids;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->shmids[middle].shmid < shmid)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < b->n_shmids && b->shmids[low].shmid == shmid; low++) {
		int ret = plan_damaged(b, &b->plan->objects[b->shmids[low].object],
				       "it shares pagemap-shmem-%" PRIu64 ".img with %s", shmid, what);

		if (ret)
			return ret;
	}
	return 0;
}

static int add_mapping(struct plan_build *b, struct plan_object *o, const Criu__Vma *vma, uint32_t pid)
{
	struct plan_mapping *mappings;

	mappings = plan_grow(b, o->mappings, o->n_mappings, sizeof(*mappings));
	if (!mappings)
		return -ENOMEM;
	o->mappings = mappings;
	mappings[o->n_mappings++] = (struct plan_mapping){
		.pid = pid,
		.start = vma->start,
		.end = vma->end,
		.offset = vma->pgoff,
		.is_private = (vma->flags & MAP_TYPE) == MAP_PRIVATE,
	};
	return 0;
}

/* the flags that CRIU gives a mapping of this object; in a second one right behind it forgets the size of huge pages */
static bool flags_known(const struct plan_object *o, const Criu__Vma *vma)
{
	uint32_t flags = vma->flags & ~(MAP_TYPE | MAP_LOCKED | MAP_NORESERVE);

	if (!plan_is_huge(o))
		return !flags;
	flags &= ~MAP_HUGETLB;
	return !flags || flags == (uint32_t)__builtin_ctzll(o->page_size) << MAP_HUGE_SHIFT;
}

/* what is not as CRIU writes a mapping of an object, shared or private */
static bool is_strange(const struct plan_object *o, const Criu__Vma *vma)
{
	const uint32_t type = vma->flags & MAP_TYPE;
	const uint32_t kind = type == MAP_PRIVATE ? VMA_FILE_PRIVATE : VMA_FILE_SHARED;

	return vma->base.n_unknown_fields || (type != MAP_SHARED && type != MAP_PRIVATE) ||
	       vma->status != (VMA_REGULAR | VMA_MEMFD | kind) || !flags_known(o, vma);
}

static bool overlaps(const struct range *ranges, size_t n, uint64_t start, uint64_t end)
{
	size_t low = 0, high = n;

	/* the first that ends after start */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges[middle].end <= start)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && ranges[low].start < end;
}

static int read_mapping(struct plan_build *b, const Criu__Vma *vma, const struct range *guards, size_t n_guards,
			uint32_t pid)
{
	const bool is_private = (vma->flags & MAP_TYPE) == MAP_PRIVATE;
	struct plan_file *f;
	struct plan_object *o;
	int ret;

	if (vma->status & VMA_ANON_SHARED) {
		ret = other_user_of(b, vma->shmid, "other shared memory");
		if (ret)
			return ret;
	}
	if (!(vma->status & (VMA_MEMFD | VMA_FILE_SHARED | VMA_FILE_PRIVATE)))
		return 0;
	f = plan_find_file(b, vma->shmid);
	if (!f && vma->status & VMA_MEMFD)
		return image_fail(&b->set, -EBADMSG, "mm-%" PRIu32 ".img: mapping at %#" PRIx64 " is of file %" PRIu64
				  ", which files.img does not have", pid, vma->start, vma->shmid);
	if (!f)
		return 0;
	f->mapped = true;
	o = plan_file_object(b, f);

	if ((vma->start | vma->end | vma->pgoff) & (b->page_size - 1) || vma->end > INT64_MAX ||
	    vma->pgoff > INT64_MAX - (vma->end - vma->start))
		return image_fail(&b->set, -EBADMSG, "mm-%" PRIu32 ".img: mapping at %#" PRIx64 " is impossible", pid,
				  vma->start);
	ret = add_mapping(b, o, vma, pid);
	if (ret)
		return ret;

	if (is_strange(o, vma))
		return plan_eager(b, o, "mm-%" PRIu32 ".img says something about its mapping at %#" PRIx64
				  " that is not known", pid, vma->start);
	if (plan_is_huge(o)) {
		/*
		 * Where a huge page is missing when a private mapping's is made (by CRIU, or once nobody watches any
		 * more), the kernel makes one of zeros for the mapping and never looks at the object's again.
		 */
		if (is_private)
			return plan_eager(b, o, "task %" PRIu32 " maps its huge pages privately at %#" PRIx64, pid,
					  vma->start);
		if ((vma->start | vma->end | vma->pgoff) & (o->page_size - 1))
			return plan_eager(b, o, "task %" PRIu32 " maps it at %#" PRIx64 ", which is not at a huge page",
					  pid, vma->start);
		/* mmap() makes it as long as the mapping then */
		if (vma->pgoff + (vma->end - vma->start) > o->size)
			return plan_eager(b, o, "task %" PRIu32 " maps it at %#" PRIx64 " beyond its end", pid,
					  vma->start);
	}
	/* CRIU maps it with MAP_LOCKED, which fills it with zero pages before anybody can watch */
	if (vma->flags & MAP_LOCKED)
		return plan_eager(b, o, "task %" PRIu32 " has locked it in memory at %#" PRIx64, pid, vma->start);
	/* a shared mapping of a descriptor without write access can never become writable, and has no userfaultfd */
	if (!is_private && (!vma->has_fdflags || (vma->fdflags & O_ACCMODE) != O_RDWR))
		return plan_eager(b, o, "task %" PRIu32 " maps it at %#" PRIx64 " from a descriptor not open for writing",
				  pid, vma->start);
	if (overlaps(guards, n_guards, vma->start, vma->end))
		return plan_eager(b, o, "task %" PRIu32 " has guard pages in its mapping at %#" PRIx64, pid, vma->start);
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* CRIU 4.2 puts guard pages (MADV_GUARD_INSTALL) behind the real mappings, as if they were some: sorted and merged */
static size_t find_guards(const Criu__Mm *mm, struct range *guards)
{
	size_t n = 0, i, merged = 0;

	for (i = 0; i < mm->n_vmas; i++)
		if (mm->vmas[i]->status & VMA_GUARD)
			guards[n++] = (struct range){ mm->vmas[i]->start, mm->vmas[i]->end };
	qsort(guards, n, sizeof(*guards), by_start);
	for (i = 1; i < n; i++) {
		if (guards[i].start > guards[merged].end)
			guards[++merged] = guards[i];
		else if (guards[i].end > guards[merged].end)
			guards[merged].end = guards[i].end;
	}
	return n ? merged + 1 : 0;
}

static int read_mappings(struct plan_build *b, const Criu__Mm *mm, uint32_t pid)
{
	struct range *guards;
	size_t n_guards, i;
	uint64_t end = 0;
	int ret = 0;

	guards = calloc(mm->n_vmas, sizeof(*guards));
	if (!guards)
		return image_fail(&b->set, -ENOMEM, "out of memory");
	n_guards = find_guards(mm, guards);

	for (i = 0; i < mm->n_vmas && !ret; i++) {
		const Criu__Vma *vma = mm->vmas[i];

		if (vma->start >= vma->end) {
			ret = image_fail(&b->set, -EBADMSG, "mm-%" PRIu32 ".img: mapping at %#" PRIx64 " is empty", pid,
					 vma->start);
			break;
		}
		if (vma->status & VMA_GUARD)
			continue;
		if (vma->start < end) {
			ret = image_fail(&b->set, -EBADMSG, "mm-%" PRIu32 ".img: mappings at %#" PRIx64
					 " overlap or are not sorted", pid, vma->start);
			break;
		}
		end = vma->end;
		ret = read_mapping(b, vma, guards, n_guards, pid);
	}
	free(guards);
	return ret;
}

static int read_mm(struct plan_build *b, const struct task *t)
{
	ProtobufCMessage *message;
	const struct plan_file *exe;
	const Criu__Mm *mm;
	int ret;

	ret = image_read_one(&b->set, IMAGE_MAGIC_MM, &criu__mm__descriptor, &message, "mm-%" PRIu32 ".img", t->pid);
	if (ret)
		return ret;
	mm = (Criu__Mm *)message;
	exe = plan_find_file(b, mm->exe_file_id);
	if (exe)
		ret = plan_eager(b, plan_file_object(b, exe), "task %" PRIu32 " runs it as its program", t->pid);
	/* without any mapping in it CRIU takes them from vmas-PID.img, which none that we know writes */
	if (!ret && !mm->n_vmas)
		ret = image_fail(&b->set, -ENOTSUP, "mm-%" PRIu32 ".img: has no mappings", t->pid);
	if (!ret)
		ret = read_mappings(b, mm, t->pid);
	image_free(message);
	return ret;
}

/* a task without descriptors has no fdinfo: CRIU makes an image only when it has something to write to it */
static int read_descriptors(struct plan_build *b, const struct task *t)
{
	ProtobufCMessage *message;
	struct image img;
	int ret;

	ret = image_open(&img, &b->set, IMAGE_MAGIC_FDINFO, "fdinfo-%" PRIu32 ".img", t->files_id);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	while ((ret = image_next(&img, &criu__fd__descriptor, &message)) == 1) {
		const Criu__Fd *fd = (Criu__Fd *)message;
		const struct plan_file *f = plan_find_file(b, fd->id);

		ret = f ? plan_eager(b, plan_file_object(b, f), "task %" PRIu32 " has it open as descriptor %" PRIu32,
				     t->pid, fd->fd) : 0;
		image_free(message);
		if (ret)
			break;
	}
	image_close(&img);
	return ret;
}

static int read_packet(struct plan_build *b, const Criu__SkPacket *packet)
{
	size_t i, k;

	for (i = 0; i < packet->n_scms; i++) {
		for (k = 0; k < packet->scms[i]->n_rights; k++) {
			const struct plan_file *f = plan_find_file(b, packet->scms[i]->rights[k]);
			int ret;

			ret = f ? plan_eager(b, plan_file_object(b, f), "a descriptor of it is on its way through a socket")
				: 0;
			if (ret)
				return ret;
		}
	}
	return 0;
}

/*
 * Descriptors sent over a unix socket and not yet received. They may share a file entry with a mapping: a mapping made
 * from a file that was seen as a descriptor before takes that one's entry.
 */
static int read_queues(struct plan_build *b)
{
	ProtobufCMessage *message;
	struct image img;
	int ret;

	ret = image_open(&img, &b->set, IMAGE_MAGIC_SK_QUEUES, "sk-queues.img");
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	while ((ret = image_next(&img, &criu__sk_packet__descriptor, &message)) == 1) {
		const Criu__SkPacket *packet = (Criu__SkPacket *)message;

		ret = read_packet(b, packet);
		if (!ret)
			ret = image_skip(&img, packet->length);
		image_free(message);
		if (ret)
			break;
	}
	image_close(&img);
	return ret;
}

/*
 * SysV segments keep their content in pagemap-shmem-ID.img, and their ids are small numbers like the inode numbers of
 * the first memfds after boot: CRIU lets the later one overwrite the earlier.
 */
static int read_segments(struct plan_build *b, const struct task *t)
{
	ProtobufCMessage *message;
	struct image img;
	int ret;

	ret = image_open(&img, &b->set, IMAGE_MAGIC_IPCNS_SHM, "ipcns-shm-%" PRIu32 ".img", t->ipc_ns_id);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	while ((ret = image_next(&img, &criu__ipc_shm__descriptor, &message)) == 1) {
		const Criu__IpcShm *shm = (Criu__IpcShm *)message;

		if (shm->in_pagemaps)
			ret = other_user_of(b, shm->desc->id, "a SysV segment");
		else
			ret = image_fail(&b->set, -ENOTSUP, "%s: is of an old format", img.name);
		image_free(message);
		if (ret)
			break;
	}
	image_close(&img);
	return ret;
}

/* the mappings of every task, in the order of pstree.img and then of addresses */
static int read_mms(struct plan_build *b, struct tree *tree)
{
	size_t i;
	int ret;

	for (i = 0; i < tree->n; i++) {
		ret = read_mm(b, &tree->tasks[i]);
		if (ret)
			return ret;
	}
	qsort(tree->tasks, tree->n, sizeof(*tree->tasks), by_vm_id);
	for (i = 1; i < tree->n; i++)
		/* CRIU refuses to dump this; and were it restored, each would have a copy */
		if (tree->tasks[i].vm_id == tree->tasks[i - 1].vm_id)
			return image_fail(&b->set, -ENOTSUP, "ids-%" PRIu32 ".img: shares its address space with task %"
					  PRIu32, tree->tasks[i].pid, tree->tasks[i - 1].pid);
	return 0;
}

int plan_build_tree(struct plan_build *b)
{
	struct tree tree = { 0 };
	size_t i;
	int ret;

	ret = read_tasks(b, &tree);
	if (!ret)
		ret = read_mms(b, &tree);
	if (ret)
		goto out;

	qsort(tree.tasks, tree.n, sizeof(*tree.tasks), by_files_id);
	for (i = 0; i < tree.n && !ret; i++)
		if (!i || tree.tasks[i].files_id != tree.tasks[i - 1].files_id)
			ret = read_descriptors(b, &tree.tasks[i]);

	qsort(tree.tasks, tree.n, sizeof(*tree.tasks), by_ipc_ns_id);
	for (i = 0; i < tree.n && !ret; i++)
		if (tree.tasks[i].ipc_ns_id && (!i || tree.tasks[i].ipc_ns_id != tree.tasks[i - 1].ipc_ns_id))
			ret = read_segments(b, &tree.tasks[i]);
	if (!ret)
		ret = read_queues(b);
out:
	free(tree.tasks);
	return ret;
}
