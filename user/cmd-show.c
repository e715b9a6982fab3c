// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr show: everything about one object. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "common/report.h"
#include "list/json.h"
#include "list/options.h"
#include "list/show.h"

static void usage(void)
{
	printf("Usage: memfdcr show [-j] TARGET\n\n"
	       "Shows everything about one memfd, shared anonymous memory, System V segment or secret memory:\n"
	       "properties, extents, and who on this machine holds it. TARGET leads to it:\n\n"
	       "  PID:FD         a descriptor of a process\n"
	       "  PID:0xADDRESS  an address in its memory\n"
	       "  PATH           a path to a descriptor, like /proc/PID/fd/FD or /dev/fd/FD\n\n"
	       "  -j, --json     as JSON\n"
	       "  -h, --help     this text\n\n"
	       "Exit status: 0 done, 1 failed, 2 usage, 3 the module is absent or too old,\n"
	       "4 the process does not exist.\n");
}

static int print(const struct show_options *o, const struct object *object, const struct extents *extents,
		 const struct snapshot *s)
{
	int ret;

	if (o->json)
		return json_print_object(stdout, object, extents, s);
	ret = show_print(stdout, object, extents);
	report_snapshot(s);
	return ret;
}

/* the module's number is unique only as long as the object exists */
static bool is_same(const struct object *a, const struct object *b)
{
	return a->id == b->id && a->dev == b->dev && a->ino == b->ino && a->generation == b->generation;
}

/* a snapshot of this one object has what object-get alone does not tell: who holds it */
static int show_holders(struct genl *g, const struct show_options *o, const struct object *object,
			const struct extents *extents)
{
	const struct scope scope = { .holders = true, .only = &object->id };
	struct snapshot s;
	int ret = genl_snapshot_take(g, &scope, &s);

	if (ret)
		return report_request_failure(o->json, -ret);
	/* held by nobody whom we may see: it has just been let go, perhaps for another one, or it is in flight */
	ret = print(o, s.n_objects && is_same(s.objects, object) ? s.objects : object, extents, &s);
	genl_snapshot_free(&s);
	return ret ? report_error(false, EXIT_FAILED, "cannot print: %s", strerror(-ret)) : report_end(EXIT_DONE);
}

/*
 * The module wants a capability for what is another process's; but our own descriptor of it needs none, and the kernel
 * gives one to who may trace the process.
 */
static int open_descriptor(const struct object_ref *ref)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/fd/%u", ref->pid, ref->fd);
	return open(path, O_PATH | O_CLOEXEC);
}

/* the object and its extents; *fd: a descriptor that was opened for that, or -1 */
static int get(struct genl *g, struct object_ref *ref, struct object *object, struct extents *extents, int *fd)
{
	int ret = genl_object_get(g, ref, object);

	if (ret == -EPERM && ref->by == REF_TARGET_FD) {
		*fd = open_descriptor(ref);
		if (*fd < 0)
			return ret;
		*ref = (struct object_ref){ .by = REF_FD, .fd = *fd };
		ret = genl_object_get(g, ref, object);
	}
	if (ret)
		return ret;
	ret = genl_extents_get(g, ref, extents);
	if (ret)
		genl_object_free(object);
	return ret;
}

static int show(struct genl *g, struct show_options *o)
{
	struct extents extents = { 0 };
	struct object object;
	int ret, fd = -1;

	if (o->path) {
		fd = open(o->path, O_PATH | O_CLOEXEC);
		if (fd < 0)
			return report_error(o->json, EXIT_FAILED, "%s: %s", o->path, strerror(errno));
		o->ref.fd = fd;
	}
	ret = get(g, &o->ref, &object, &extents, &fd);
	/* from here on it would be one more holder of the object */
	if (fd >= 0)
		close(fd);
	if (ret)
		return report_request_failure(o->json, -ret);
	ret = show_holders(g, o, &object, &extents);
	genl_extents_free(&extents);
	genl_object_free(&object);
	return ret;
}

int cmd_show(int argc, char **argv)
{
	struct show_options options;
	char error[512];
	struct genl *g;
	int ret;

	setlocale(LC_CTYPE, "");
	ret = show_options_parse(argc, argv, &options, error, sizeof(error));
	if (options.help) {
		usage();
		return report_end(EXIT_DONE);
	}
	if (ret)
		return report_error(options.json, EXIT_USAGE, "%s", error);
	g = genl_open();
	if (!g)
		return report_open_failure(options.json, errno);
	ret = show(g, &options);
	genl_close(g);
	return ret;
}
