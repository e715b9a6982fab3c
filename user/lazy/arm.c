// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arming: everything that can be found wrong is looked at before the first byte of an object changes; then each object is
 * emptied and given to the pager, which watches its mappings, or fills it where that cannot be.
 */
#include "lazy/arm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/explain.h"
#include "common/log.h"
#include "common/names.h"
#include "common/strangers.h"
#include "dump/open.h"
#include "image/label.h"
#include "lazy/content.h"
#include "lazy/decide.h"
#include "lazy/side.h"
#include "serve/channel.h"
#include "serve/incomplete.h"

/* an object of the tree, and what is to be in it */
struct target {
	const struct object *object;
	const Memfdcr__Object *record;
	char label[LABEL_SIZE];
	int fd;
	struct pager_extent *extents;
	size_t n_extents;
	uint64_t bytes;		/* of all extents */
	bool eager;
	bool by_descriptor;	/* it is lazy only because descriptors are trusted */
	int number;		/* the pager's; -1: it does not have it */
	uint64_t dev, ino;	/* as stat() has them */
	int mark;		/* says that it is not complete; -1: none */
	bool marked_before;	/* somebody else had not come to complete it */
	bool touched;		/* it has been emptied, or some of it */
	char why[256];		/* it is eager */
};

enum { NO_SPACE = -1, REFUSED = -2, SAME_AS_ANOTHER = -3 };

struct arming {
	struct serving *serving;
	const struct freezer *freezer;
	const struct lazy_options *options;
	const struct imgdir *image;
	struct snapshot snapshot;
	struct side old, new;
	size_t *pairs;
	struct target *targets;
	size_t n_targets;
	int *spaces;		/* of the tree's processes: the pager's numbers, or one of the above */
	struct arm_result *result;
	char *error;
	size_t error_size;
};

static int no_memory(struct arming *a)
{
	return explain(-ENOMEM, a->error, a->error_size, "out of memory");
}

static const char *reason(int error)
{
	return error == -EBADMSG ? "the image is damaged (memfdcr verify tells where)" : strerror(-error);
}

/* --- what there is --- */

static int look_at_both(struct arming *a)
{
	uint32_t root = a->options->tree;
	int ret = strangers_snapshot(a->serving->genl, root, NULL, NULL, &a->snapshot);

	if (ret)
		return ret;
	/* they may have more than what we would find */
	if (a->snapshot.hidden)
		return explain(-EPERM, a->error, a->error_size, "%u of process %u and its descendants may not be asked: run as root",
			       a->snapshot.hidden, root);
	if (!a->snapshot.consistent)
		log_notice("processes ran while they were looked at: they must not use this memory yet");
	ret = side_of_tree(root, &a->snapshot, &a->new);
	if (ret)
		return explain(ret, a->error, a->error_size, "cannot read the tree of process %u: %s", root, strerror(-ret));
	if (side_of_image(a->image->image, &a->old))
		return no_memory(a);
	a->result->left_out = a->image->image->n_objects - a->old.n_objects;
	a->pairs = calloc(a->old.n_objects + 1, sizeof(*a->pairs));
	a->targets = calloc(a->old.n_objects + 1, sizeof(*a->targets));
	a->spaces = calloc(a->new.n_members + 1, sizeof(*a->spaces));
	return a->pairs && a->targets && a->spaces ? 0 : no_memory(a);
}

/* an object that nobody can write to: it needs nothing, or there is no help */
static int check_sealed(struct arming *a, const struct target *t)
{
	int ret = content_is_same(a->image, t->record, t->fd);

	if (ret < 0)
		return explain(ret, a->error, a->error_size, "cannot compare %s with the image: %s", t->label, reason(ret));
	if (!ret)
		return explain(-EPERM, a->error, a->error_size,
			       "%s has a write seal and another content than the image: nobody can fill it; add the seal after the restore",
			       t->label);
	log_info("%s: has a write seal, and what the image has", t->label);
	return 0;
}

/* Huge pages that are reserved for an object stay so, also for the pager's mapping: there are enough, or nothing changes. */
static int reserve_huge_pages(struct arming *a, const struct target *t)
{
	void *map = mmap(NULL, t->object->size, PROT_READ, MAP_SHARED, t->fd, 0);
	int ret = -errno;

	if (map == MAP_FAILED)
		return explain(ret, a->error, a->error_size, "cannot map %s: %s%s", t->label, strerror(-ret),
			       ret == -ENOMEM ? ": there are not enough huge pages for all of it (vm.nr_hugepages)" : "");
	munmap(map, t->object->size);
	return 0;
}

static int open_target(struct arming *a, struct target *t)
{
	char why[256];
	size_t i;

	if (decide_refuses(t->object, why, sizeof(why)))
		return explain(-EBUSY, a->error, a->error_size, "%s cannot be restored: %s", t->label, why);
	t->fd = open_object(t->object, decide_is_sealed(t->object) ? O_RDONLY : O_RDWR);
	if (t->fd < 0)
		return explain(t->fd, a->error, a->error_size, "cannot open %s: %s%s", t->label, strerror(-t->fd),
			       t->fd == -EACCES || t->fd == -EPERM ? ": run as root" : "");
	if (imgdir_extents(a->image, t->record, &t->extents, &t->n_extents))
		return no_memory(a);
	for (i = 0; i < t->n_extents; i++)
		t->bytes += t->extents[i].length;
	if (decide_is_sealed(t->object))
		return check_sealed(a, t);
	return t->object->hugetlb && t->n_extents ? reserve_huge_pages(a, t) : 0;
}

/* it is complete */
static void clear_mark(struct target *t)
{
	if (t->mark < 0)
		return;
	incomplete_clear(t->dev, t->ino, t->mark);
	t->mark = -1;
}

/* what has not been touched is as it was */
static void leave_mark(struct target *t)
{
	if (t->mark >= 0 && !t->touched && !t->marked_before)
		clear_mark(t);
	else if (t->mark >= 0)
		close(t->mark);
	t->mark = -1;
}

static void forget_target(struct target *t)
{
	leave_mark(t);
	if (t->fd >= 0)
		close(t->fd);
	free(t->extents);
}

static int open_targets(struct arming *a)
{
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < a->old.n_objects; i++) {
		struct target *t = &a->targets[a->n_targets++];
		const struct object *o = &a->new.objects[a->pairs[i]];

		*t = (struct target){ .object = o, .record = a->old.records[i], .fd = -1, .mark = -1, .number = -1 };
		label_make(o->kind, o->name, o->name ? strlen(o->name) : 0, o->ino, t->label);
		ret = open_target(a, t);
		if (ret)
			break;
		a->result->objects++;
		a->result->bytes += t->bytes;
		if (o->size && !decide_is_sealed(o))
			continue;
		forget_target(t);
		a->n_targets--;
	}
	return ret;
}

static void decide(struct arming *a)
{
	size_t i;

	for (i = 0; i < a->n_targets; i++) {
		struct target *t = &a->targets[i];

		if (a->options->eager || !t->n_extents)
			snprintf(t->why, sizeof(t->why), "%s", t->n_extents ? "--eager" : "the image has nothing in it");
		t->eager = a->options->eager || !t->n_extents ||
			   decide_is_eager(t->object, a->options->trust_descriptors, t->why, sizeof(t->why));
		t->by_descriptor = !t->eager && decide_is_eager(t->object, false, t->why, sizeof(t->why));
		if (t->eager)
			log_info("%s: eager, %s", t->label, t->why);
		else
			log_info("%s: lazy, %llu bytes, %llu in the image", t->label, (unsigned long long)t->object->size,
				 (unsigned long long)t->bytes);
	}
}

/* --- address spaces --- */

static bool share_memory(uint32_t one, uint32_t two)
{
	return !syscall(SYS_kcmp, one, two, KCMP_VM, 0, 0);
}

/* the address space of the tree's process number i */
static int open_space(struct arming *a, size_t i)
{
	uint32_t pid = a->new.members[i].pid;
	char who[32];
	size_t k;
	int ret;

	for (k = 0; k < a->new.n_members; k++)
		if (a->spaces[k] != SAME_AS_ANOTHER && a->spaces[k] != NO_SPACE && share_memory(pid, a->new.members[k].pid))
			return a->spaces[k] == REFUSED ? REFUSED : SAME_AS_ANOTHER;
	snprintf(who, sizeof(who), "process %u", pid);
	ret = serving_add_space(a->serving, (pid_t)pid, who);
	return ret < 0 ? REFUSED : ret;
}

/* registers one mapping; an error means that the object has to be filled now */
static int watch_mapping(struct arming *a, const struct holder *h, int number)
{
	const struct member *m = side_member(&a->new, h->pid);
	size_t i = m ? (size_t)(m - a->new.members) : 0;
	int ret;

	if (!m)
		return -ESRCH;
	if (a->spaces[i] == NO_SPACE)
		a->spaces[i] = open_space(a, i);
	if (a->spaces[i] == SAME_AS_ANOTHER)
		return 0;	/* whose mapping it is as well */
	ret = a->spaces[i] == REFUSED ? -EPERM : pager_add_range(a->serving->pager, (unsigned int)a->spaces[i], h->start,
								 h->end, (unsigned int)number, h->offset);
	if (ret && a->spaces[i] != REFUSED)
		log_warning("process %u: %llx-%llx cannot be watched: %s", h->pid, (unsigned long long)h->start,
			    (unsigned long long)h->end, strerror(-ret));
	return ret;
}

static int watch_target(struct arming *a, const struct target *t, int number)
{
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < t->object->n_holders; i++)
		if (t->object->holders[i].is_mapping)
			ret = watch_mapping(a, &t->object->holders[i], number);
	return ret;
}

/* --- content --- */

/* lazy if it can be, else now */
static int take_target(struct arming *a, struct target *t)
{
	const struct object *o = t->object;
	const char *name = o->name ? o->name : kind_name(o->kind);
	int ret, number;

	t->touched = true;
	ret = content_drop(t->fd, o->size, o->page_size);
	if (ret)
		return explain(ret, a->error, a->error_size, "cannot empty %s: %s", t->label, strerror(-ret));
	if (!t->n_extents) {
		serving_list(a->serving, name, o->size, 0, t->why, -1);
		clear_mark(t);
		return 0;
	}
	number = serving_add_object(a->serving, name, t->fd, o->size, t->extents, t->n_extents, t->record);
	if (number < 0)
		return explain(number, a->error, a->error_size, "%s cannot be taken over: %s%s", t->label, reason(number),
			       number == -ENOMEM && o->hugetlb ? ": there are not enough huge pages" : "");
	t->number = number;
	if (!t->eager && !serving_is_ambiguous(a->serving, number) && !watch_target(a, t, number))
		return 0;
	if (!t->eager) {
		log_warning("%s: eager after all", t->label);
		snprintf(t->why, sizeof(t->why), "it cannot be watched");
	}
	t->eager = true;
	ret = serving_fill(a->serving, number, t->why);
	if (ret)
		return explain(ret, a->error, a->error_size, "cannot fill %s: %s", t->label, reason(ret));
	clear_mark(t);
	return 0;
}

/* before the first is emptied */
static int mark_all(struct arming *a)
{
	size_t i;

	for (i = 0; i < a->n_targets; i++) {
		struct target *t = &a->targets[i];
		struct stat st;

		if (t->object->kind == MEMFDCR_KIND_SYSV)
			continue;
		if (fstat(t->fd, &st))
			return explain(-errno, a->error, a->error_size, "%s: %s", t->label, strerror(errno));
		t->dev = st.st_dev;
		t->ino = st.st_ino;
		t->mark = incomplete_mark(t->dev, t->ino, &t->marked_before);
		if (t->mark == -EAGAIN)
			return explain(-EBUSY, a->error, a->error_size, "another restore of %s has not ended", t->label);
		if (t->mark < 0)
			return explain(t->mark, a->error, a->error_size, "cannot note in " CHANNEL_ROOT " that %s is not complete: %s",
				       t->label, strerror(-t->mark));
	}
	return 0;
}

/* the module sees to those who map what is lazy; who has a descriptor must find the mark until all is there */
static void settle_marks(struct arming *a)
{
	size_t i;

	for (i = 0; i < a->n_targets; i++) {
		struct target *t = &a->targets[i];

		if (t->mark < 0)
			continue;
		if (!t->by_descriptor) {
			clear_mark(t);
			continue;
		}
		serving_trust(a->serving, t->number, t->mark);
		t->mark = -1;
	}
}

static void count(struct arming *a)
{
	size_t i;

	for (i = 0; i < a->n_targets; i++) {
		if (a->targets[i].eager) {
			a->result->eager++;
		} else {
			a->result->lazy++;
			a->result->bytes_lazy += a->targets[i].bytes;
		}
	}
	a->serving->n_lazy = a->result->lazy;
	a->serving->n_eager = a->result->eager;
}

static int take_all(struct arming *a, bool (*may_stop)(void *data), void *data)
{
	int ret = serving_begin(a->serving, (pid_t)a->options->tree);
	size_t i;

	if (ret)
		return explain(ret, a->error, a->error_size, "cannot start the pager: %s", strerror(-ret));
	/* what they have written since would be lost, and what they have mapped would not be watched */
	if (a->n_targets && !freezer_held(a->freezer))
		return explain(-EBUSY, a->error, a->error_size,
			       "a process of the tree has run or died while all of them were to stand still; "
			       "nothing has been changed: try again");
	ret = mark_all(a);
	for (i = 0; i < a->new.n_members; i++)
		a->spaces[i] = NO_SPACE;
	for (i = 0; !ret && i < a->n_targets; i++)
		ret = may_stop(data) ? explain(-ECANCELED, a->error, a->error_size, "interrupted") :
		      take_target(a, &a->targets[i]);
	if (ret)
		return ret;
	settle_marks(a);
	count(a);
	if (a->serving->n_spaces)
		serving_follow(a->serving, (pid_t)a->options->tree);
	return 0;
}

static void free_all(struct arming *a)
{
	size_t i;

	for (i = 0; i < a->n_targets; i++)
		forget_target(&a->targets[i]);
	free(a->targets);
	free(a->spaces);
	free(a->pairs);
	side_free(&a->old);
	side_free(&a->new);
	genl_snapshot_free(&a->snapshot);
}

int arm_tree(struct serving *serving, const struct freezer *freezer, const struct lazy_options *o,
	     const struct imgdir *image, bool (*may_stop)(void *data), void *data, struct arm_result *result, char *error,
	     size_t error_size)
{
	struct arming a = {
		.serving = serving, .freezer = freezer, .options = o, .image = image, .result = result,
		.error = error, .error_size = error_size,
	};
	int ret;

	*result = (struct arm_result){ 0 };
	*error = '\0';
	ret = look_at_both(&a);
	if (!ret)
		ret = pairing_make(&a.old, &a.new, o->maps, o->n_maps, a.pairs, error, error_size);
	if (!ret)
		ret = open_targets(&a);
	if (!ret) {
		decide(&a);
		ret = take_all(&a, may_stop, data);
	}
	if (ret)
		serving_give_up(serving);
	free_all(&a);
	return ret;
}
