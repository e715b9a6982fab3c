// SPDX-License-Identifier: GPL-2.0-only
/* From the module's answer to the messages and sources of a dump. */
#include "dump/collect.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/explain.h"
#include "common/report.h"
#include "common/strangers.h"
#include "dump/open.h"
#include "dump/parent.h"
#include "dump/record.h"
#include "image/label.h"
#include "image/layout.h"
#include "serve/incomplete.h"

static int no_memory(char *error, size_t error_size)
{
	return explain(-ENOMEM, error, error_size, "out of memory");
}

static bool is_selected(const struct dump_options *o, const struct object *object)
{
	size_t i;

	for (i = 0; i < o->n_selectors; i++)
		if (selector_matches(&o->selectors[i], object))
			return true;
	return !o->n_selectors;
}

/* a selector that means nothing is a mistake: what it was to save would be missing */
static int check_snapshot(const struct dump_options *o, const struct snapshot *s, char *error, size_t error_size)
{
	size_t i, k;

	/* they may have more than what we would find */
	if (s->hidden)
		return explain(-EPERM, error, error_size, "%u of process %u and its descendants may not be asked: run as root",
			       s->hidden, o->tree);
	if (!s->n_objects)
		return explain(-ESRCH, error, error_size, "process %u and its descendants hold no shared memory", o->tree);
	for (i = 0; i < o->n_selectors; i++) {
		for (k = 0; k < s->n_objects; k++)
			if (selector_matches(&o->selectors[i], &s->objects[k]))
				break;
		if (k == s->n_objects)
			return explain(-ESRCH, error, error_size, "\"%s\" is nothing that the processes hold",
				       o->selectors[i].text);
	}
	return 0;
}

static bool is_wanted(const void *data, const struct object *object)
{
	return is_selected(data, object);
}

/* what is still missing there would be read as zeros */
static int check_uffd(const struct object *o, const Memfdcr__Object *record, char *error, size_t error_size)
{
	char label[LABEL_SIZE];
	size_t i;

	for (i = 0; i < o->n_holders; i++)
		if (o->holders[i].has_uffd && o->holders[i].uffd_modes & UFFDIO_REGISTER_MODE_MISSING)
			return explain(-EBUSY, error, error_size,
				       "a userfaultfd on the memory of process %u may still bring pages of %s: dump when it has, or choose others with --object",
				       o->holders[i].pid, label_object(record, label));
	return 0;
}

/* a restore that somebody else waits for, or that nobody can go on with, has left holes */
static int check_complete(int fd, const Memfdcr__Object *record, char *error, size_t error_size)
{
	char label[LABEL_SIZE], text[512];
	struct stat st;
	int ret = fstat(fd, &st) ? explain(-errno, text, sizeof(text), "%s", strerror(errno)) :
				   incomplete_check(st.st_dev, st.st_ino, text, sizeof(text));

	return ret ? explain(ret, error, error_size, "%s: %s", label_object(record, label), text) : 0;
}

static int refuse(struct collection *c, Memfdcr__Object *record, const char *why)
{
	c->n_refused++;
	return record_refusal(record, why);
}

static int add_source(struct genl *g, struct collection *c, const struct imgdir *parent, const struct object *o,
		      Memfdcr__Object *record, char *error, size_t error_size)
{
	struct extents *extents = &c->extents[c->n_sources];
	struct copy_source *s = &c->sources[c->n_sources];
	struct object_ref ref = { .by = REF_FD };
	char label[LABEL_SIZE];
	int fd = open_object(o, O_RDONLY), ret;

	if (fd == -EOPNOTSUPP)
		return refuse(c, record, "nobody but its holders can read secret memory");
	if (fd >= 0 && record->page_size > LAYOUT_PAGE && record->size % record->page_size) {
		close(fd);
		return refuse(c, record, "its size is not a multiple of its huge pages, so nobody can read its end");
	}
	if (fd < 0)
		return explain(fd, error, error_size, "cannot open %s: %s%s", label_object(record, label), strerror(-fd),
			       fd == -EACCES || fd == -EPERM ? ": run as root" : "");
	ref.fd = fd;
	ret = o->kind == MEMFDCR_KIND_SYSV ? 0 : check_complete(fd, record, error, error_size);
	if (!ret)
		ret = genl_extents_get(g, &ref, extents);
	if (ret) {
		close(fd);
		return ret;
	}
	*s = (struct copy_source){ .fd = fd, .extents = extents, .object = record };
	s->parent = parent ? parent_object(parent, record) : NULL;
	c->n_sources++;
	ret = record_runs(record, extents);
	/* what is missing must not become a hole */
	if (ret == -ENODATA)
		return explain(ret, error, error_size, "%s became shorter while it was dumped", label_object(record, label));
	return ret ? no_memory(error, error_size) : 0;
}

static int add_object(struct genl *g, struct collection *c, const struct imgdir *parent, const struct object *o,
		      char *error, size_t error_size)
{
	Memfdcr__Object *record = record_object(o);
	int ret;

	if (!record)
		return no_memory(error, error_size);
	c->image->objects[c->image->n_objects++] = record;
	ret = check_uffd(o, record, error, error_size);
	if (ret)
		return ret;
	return add_source(g, c, parent, o, record, error, error_size);
}

static int add_objects(struct genl *g, const struct dump_options *o, const struct imgdir *parent,
		       const struct snapshot *s, struct collection *c, char *error, size_t error_size)
{
	int ret = 0;
	size_t i;

	c->image = record_image(o->tree);
	c->sources = calloc(s->n_objects, sizeof(*c->sources));
	c->extents = calloc(s->n_objects, sizeof(*c->extents));
	if (c->image)
		c->image->objects = calloc(s->n_objects, sizeof(*c->image->objects));
	if (!c->image || !c->sources || !c->extents || !c->image->objects)
		return no_memory(error, error_size);
	c->image->consistent = s->consistent;
	for (i = 0; !ret && i < s->n_objects; i++)
		if (is_selected(o, &s->objects[i]))
			ret = add_object(g, c, parent, &s->objects[i], error, error_size);
	return ret;
}

int collect_objects(struct genl *g, const struct dump_options *o, const struct imgdir *parent, struct collection *c,
		    char *error, size_t error_size)
{
	struct snapshot s;
	int ret;

	*c = (struct collection){ 0 };
	*error = '\0';
	ret = strangers_snapshot(g, o->tree, is_wanted, o, &s);
	if (ret)
		return ret;
	ret = check_snapshot(o, &s, error, error_size);
	if (!ret)
		ret = add_objects(g, o, parent, &s, c, error, error_size);
	genl_snapshot_free(&s);
	if (ret)
		collection_free(c);
	return ret;
}

static void tell_strangers(const Memfdcr__Object *o, const char *label)
{
	size_t i;

	for (i = 0; i < o->n_holders; i++)
		if (o->holders[i]->outside) {
			report_notice("%s: process %u, which is not in the tree, has it, too, and may have changed it meanwhile",
				      label, o->holders[i]->pid);
			return;
		}
	if (strangers_hold(o->kind, o->unexplained))
		report_notice("%s: somebody outside the tree has it, too, and may have changed it meanwhile", label);
}

void collection_tell(const struct collection *c)
{
	char label[LABEL_SIZE];
	size_t i;

	for (i = 0; i < c->image->n_objects; i++) {
		const Memfdcr__Object *o = c->image->objects[i];

		label_object(o, label);
		tell_strangers(o, label);
		if (o->refused)
			report_notice("%s is left out: %s", label, o->refused);
	}
}

void collection_free(struct collection *c)
{
	size_t i;

	for (i = 0; i < c->n_sources; i++) {
		close(c->sources[i].fd);
		genl_extents_free(&c->extents[i]);
	}
	free(c->sources);
	free(c->extents);
	if (c->image)
		memfdcr__image__free_unpacked(c->image, NULL);
	*c = (struct collection){ 0 };
}
