// SPDX-License-Identifier: GPL-2.0-only
/* Before CRIU restores: which objects can be lazy, and hiding their content from CRIU. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/log.h"
#include "serve/machine.h"
#include "restore/session.h"

enum lock {
	LOCK_ALONE,	/* nobody else reads */
	LOCK_SHARED,	/* others read, and hide nothing */
	LOCK_UNKNOWN,	/* a file system without locks: nothing to be sure of, so nothing may be hidden there */
};

/*
 * Two restores may read one directory. One that hides content there must be alone (exclusive); those that do not hide
 * share. What CRIU itself, without this hook, does at the same time, no lock can know.
 */
static enum lock lock_directory(struct session *s)
{
	bool told = false;

	for (;;) {
		if (!flock(s->dirfd, LOCK_EX | LOCK_NB))
			return LOCK_ALONE;
		if (!flock(s->dirfd, LOCK_SH | LOCK_NB))
			return LOCK_SHARED;
		if (errno != EWOULDBLOCK)
			return LOCK_UNKNOWN;
		if (!told)
			log_notice("another restore has begun from this image directory: waiting until it has read it");
		told = true;
		if (kill(s->criu, 0) && errno == ESRCH)
			return LOCK_UNKNOWN;
		usleep(20000);
	}
}

/* for the log and for status */
static void note_object(struct session *s, const struct plan_object *o, const char *eager)
{
	serving_list(&s->serving, o->name, o->size, o->bytes, eager, -1);
	if (eager)
		log_info("object %llu \"%s\": eager, %s", (unsigned long long)o->inode_id, o->name, eager);
	else
		log_info("object %llu \"%s\": lazy, %llu bytes, %llu in the image", (unsigned long long)o->inode_id,
			 o->name, (unsigned long long)o->size, (unsigned long long)o->bytes);
}

/* the whole restore is eager: why is said once, where the user of CRIU looks; others may read the directory with us */
static int all_eager(struct session *s, const char *why)
{
	size_t i;

	for (i = 0; s->plan && i < s->plan->n_objects; i++) {
		const struct plan_object *o = &s->plan->objects[i];

		note_object(s, o, o->eager ? o->eager : "nothing is lazy in this restore");
	}
	s->serving.n_eager = s->plan ? s->plan->n_objects : 0;
	if (why)
		log_notice("eager restore: %s", why);
	flock(s->dirfd, LOCK_SH | LOCK_NB);
	return 0;
}

static int refuse_damaged(const struct session *s)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < s->plan->n_objects; i++) {
		const struct plan_object *o = &s->plan->objects[i];

		if (!o->damaged)
			continue;
		log_error("object %llu \"%s\": %s: CRIU would restore wrong bytes without a word, so the restore is refused; use another image",
			  (unsigned long long)o->inode_id, o->name, o->eager);
		ret = -EBADMSG;
	}
	return ret;
}

static size_t count_lazy(const struct plan *plan)
{
	size_t i, n = 0;

	for (i = 0; i < plan->n_objects; i++)
		n += !plan->objects[i].eager;
	return n;
}

/* makes those with huge pages eager where the pager could not fill them */
static int check_huge_pages(struct session *s)
{
	const bool possible = pager_has_huge_pages();
	size_t i;

	for (i = 0; i < s->plan->n_objects; i++) {
		struct plan_object *o = &s->plan->objects[i];

		if (possible || o->eager || !plan_is_huge(o))
			continue;
		o->eager = strdup("it has huge pages, which this kernel's userfaultfd does not know");
		if (!o->eager)
			return -ENOMEM;
	}
	return 0;
}

static int open_pages(struct session *s)
{
	size_t i;

	s->objects = calloc(count_lazy(s->plan), sizeof(*s->objects));
	if (!s->objects)
		return -ENOMEM;
	for (i = 0; i < s->plan->n_objects; i++) {
		const struct plan_object *o = &s->plan->objects[i];
		struct session_object *mine = &s->objects[s->n_objects];
		char name[40];

		if (o->eager)
			continue;
		*mine = (struct session_object){ .plan = o, .pages_fd = -1, .number = -1 };
		if (o->bytes) {
			snprintf(name, sizeof(name), "pages-%u.img", o->pages_id);
			mine->pages_fd = openat(s->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
			if (mine->pages_fd < 0)
				return -errno;
		}
		s->n_objects++;
	}
	return 0;
}

static int hide_all(struct session *s)
{
	char scratch[PATH_MAX + 8];
	int ret = hide_mark(s->directory);
	size_t i;

	if (ret)
		return ret;
	snprintf(scratch, sizeof(scratch), "%s/stubs", s->directory);
	s->hide = hide_new(s->dirfd, scratch);
	if (!s->hide)
		return -errno;
	for (i = 0; i < s->n_objects; i++) {
		char name[40];

		plan_pagemap_name(s->objects[i].plan, name, sizeof(name));
		ret = hide_file(s->hide, name);
		if (ret)
			return ret;
	}
	return 0;
}

/* back to a restore in which nothing is hidden */
static int unhide_all(struct session *s)
{
	int ret = s->hide ? hide_undo(s->hide) : 0;

	if (ret) {
		log_error("cannot take the stubs off the image directory: %s; umount(8) them (findmnt shows them as \"memfdcr\")",
			  strerror(-ret));
		return ret;
	}
	hide_free(s->hide);
	s->hide = NULL;
	s->n_objects = 0;
	hide_unmark(s->directory);
	return 0;
}

static void log_plan(struct session *s)
{
	size_t i;

	for (i = 0; i < s->plan->n_objects; i++)
		note_object(s, &s->plan->objects[i], s->plan->objects[i].eager);
	s->serving.n_lazy = s->n_objects;
	s->serving.n_eager = s->plan->n_objects - s->n_objects;
}

int session_prepare(struct session *s)
{
	const struct plan_options options = { .min_size = s->config.min_size };
	char text[512];
	enum lock lock = lock_directory(s);
	int ret;

	ret = lock == LOCK_ALONE ? hide_clean_up(s->dirfd) : hide_present(s->dirfd);
	if (ret > 0 && lock == LOCK_ALONE) {
		log_warning("took away %d stubs of an earlier restore that was killed; the images are whole", ret);
	} else if (ret) {
		log_error("the image directory shows stubs of another restore and cannot be cleaned: %s; umount(8) them (findmnt shows them as \"memfdcr\")",
			  ret < 0 ? strerror(-ret) : "it is in use");
		return -EBUSY;
	}

	ret = plan_read(s->dirfd, &options, &s->plan, text, sizeof(text));
	if (ret)
		return all_eager(s, text);
	ret = refuse_damaged(s);
	if (ret)
		return ret;
	if (!s->config.lazy)
		return all_eager(s, "switched off in " CONFIG_PATH);
	if (!count_lazy(s->plan))
		return all_eager(s, NULL);
	if (!*s->directory)
		return all_eager(s, "cannot write below " CHANNEL_ROOT);
	if (lock != LOCK_ALONE)
		return all_eager(s, lock == LOCK_SHARED ? "another restore is reading from this image directory" :
				    "the image directory cannot be locked (flock)");

	s->serving.genl = genl_open();
	if (!s->serving.genl) {
		snprintf(text, sizeof(text), "%s%s", genl_error(),
			 errno == ENOENT ? "; is it installed? modprobe memfdcr" : "");
		return all_eager(s, text);
	}
	if (!machine_works(s->serving.genl, text, sizeof(text)))
		return all_eager(s, text);

	ret = check_huge_pages(s);
	if (!ret && !count_lazy(s->plan))
		return all_eager(s, NULL);
	if (!ret)
		ret = open_pages(s);
	if (ret) {
		s->n_objects = 0;
		snprintf(text, sizeof(text), "cannot open the pages files: %s", strerror(-ret));
		return all_eager(s, text);
	}
	ret = hide_all(s);
	if (ret) {
		snprintf(text, sizeof(text), "cannot mount over the image files: %s", strerror(-ret));
		ret = unhide_all(s);
		return ret ? ret : all_eager(s, text);
	}
	log_plan(s);
	log_notice("%zu of %zu shared memory objects will be lazy", s->serving.n_lazy, s->plan->n_objects);
	return 0;
}
