// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr verify: whether an image is as it was dumped. */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "common/json.h"
#include "common/report.h"
#include "common/text.h"
#include "dump/options.h"
#include "image/label.h"
#include "image/layout.h"
#include "image/verify.h"

struct verify {
	const struct verify_options *options;
	const struct imgdir *dir;
	struct json_object *damaged;
	size_t n_damaged;
};

static void usage(void)
{
	printf("Usage: memfdcr verify [-j] [-q] DIR\n\n"
	       "Reads all of an image that memfdcr dump has made, and names what is damaged.\n\n"
	       "  -j, --json   the answer as JSON\n"
	       "  -q, --quiet  print only what is wrong\n"
	       "  -h, --help   this text\n\n"
	       "Exit status: 0 all is as it was dumped, 1 it is not, or is no image, 2 usage.\n");
}

static struct json_object *name_json(const Memfdcr__Object *o)
{
	char *name = o->has_name ? strndup((const char *)o->name.data, o->name.len) : NULL;
	struct json_object *json = name ? json_new_text(name) : NULL;

	free(name);
	return json;
}

static void add_json(struct verify *v, const Memfdcr__Object *o, const struct damage *d)
{
	struct json_object *json = json_object_new_object();

	json_object_object_add(json, "object", json_object_new_uint64(d->object));
	json_object_object_add(json, "name", name_json(o));
	json_object_object_add(json, "start", json_object_new_uint64(d->start));
	json_object_object_add(json, "end", json_object_new_uint64(d->end));
	json_object_object_add(json, "file", json_new_text(d->file));
	json_object_object_add(json, "offset", json_object_new_uint64(d->offset));
	json_object_array_add(v->damaged, json);
}

static void found(void *data, const struct damage *d)
{
	struct verify *v = data;
	const Memfdcr__Object *o = v->dir->image->objects[d->object];
	char label[LABEL_SIZE];

	v->n_damaged++;
	if (v->options->json)
		add_json(v, o, d);
	else
		report_notice("%s: bytes %" PRIu64 " to %" PRIu64 " %s%s (%s from byte %" PRIu64 " on)", label_object(o, label),
			      d->start, d->end, d->error == -EBADMSG ? "are damaged" : "cannot be read: ",
			      d->error == -EBADMSG ? "" : d->error == -ENODATA ? "the file is cut" : strerror(-d->error), d->file,
			      d->offset);
}

static uint64_t stored_bytes(const Memfdcr__Image *image)
{
	uint64_t pages = 0;
	size_t i, k;

	for (i = 0; i < image->n_objects; i++)
		for (k = 0; k < image->objects[i]->n_chunks; k++)
			pages += __builtin_popcount(image->objects[i]->pages[k]);
	return pages * LAYOUT_PAGE;
}

static int print_json(struct verify *v)
{
	printf("{\"objects\":%zu,\"bytes\":%" PRIu64 ",\"images\":%zu,\"damaged\":%s}\n", v->dir->image->n_objects,
	       stored_bytes(v->dir->image), v->dir->image->n_ancestors + 1,
	       json_object_to_json_string_ext(v->damaged, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	return report_end(v->n_damaged ? EXIT_FAILED : EXIT_DONE);
}

static int print_text(const struct verify *v)
{
	size_t n = v->dir->image->n_objects, i;
	char label[LABEL_SIZE];

	for (i = 0; i < n; i++)
		if (v->dir->image->objects[i]->refused && !v->options->quiet)
			report_notice("%s was left out: %s", label_object(v->dir->image->objects[i], label),
				      v->dir->image->objects[i]->refused);
	if (v->n_damaged)
		return EXIT_FAILED;
	if (v->options->quiet)
		return EXIT_DONE;
	printf("%zu object%s, ", n, n == 1 ? "" : "s");
	text_print_size(stdout, stored_bytes(v->dir->image));
	printf(" stored");
	if (v->dir->image->n_ancestors)
		printf(" in %zu images", v->dir->image->n_ancestors + 1);
	printf(", no damage\n");
	return report_end(EXIT_DONE);
}

int cmd_verify(int argc, char **argv)
{
	struct verify_options options;
	struct verify v = { .options = &options };
	struct imgdir dir;
	char error[1024];
	int ret;

	ret = verify_options_parse(argc, argv, &options, error, sizeof(error));
	if (options.help) {
		usage();
		return report_end(EXIT_DONE);
	}
	if (ret)
		return report_error(options.json, EXIT_USAGE, "%s", error);
	if (imgdir_open(options.directory, &dir, error, sizeof(error)))
		return report_error(options.json, EXIT_FAILED, "%s", error);
	v.dir = &dir;
	v.damaged = json_object_new_array();
	ret = verify_data(&dir, found, &v);
	if (ret)
		ret = report_error(options.json, EXIT_FAILED, "%s", strerror(-ret));
	else
		ret = options.json ? print_json(&v) : print_text(&v);
	json_object_put(v.damaged);
	imgdir_close(&dir);
	return ret;
}
