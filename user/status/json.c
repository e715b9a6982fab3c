// SPDX-License-Identifier: GPL-2.0-only
/* An answer as JSON, and out of JSON that somebody else wrote. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/explain.h"
#include "common/json.h"
#include "status/status.h"

#define KEY(name) { #name, offsetof(struct status_counts, name) }

static const struct {
	const char *key;
	size_t offset;
} count_keys[] = {
	KEY(total), KEY(left), KEY(by_fault), KEY(background), KEY(dropped), KEY(holes), KEY(damaged), KEY(faults),
};

#define N_COUNTS (sizeof(count_keys) / sizeof(count_keys[0]))

static void add_number(struct json_object *json, const char *key, uint64_t number)
{
	json_object_object_add(json, key, json_object_new_uint64(number));
}

/* null for NULL */
static void add_text(struct json_object *json, const char *key, const char *text)
{
	json_object_object_add(json, key, text ? json_new_text(text) : NULL);
}

/* null for 0 */
static void add_pid(struct json_object *json, const char *key, pid_t pid)
{
	json_object_object_add(json, key, pid ? json_object_new_int(pid) : NULL);
}

static void add_counts(struct json_object *json, const struct status_counts *c)
{
	size_t i;

	add_number(json, "done", status_done(c));
	for (i = 0; i < N_COUNTS; i++)
		add_number(json, count_keys[i].key, *(const uint64_t *)((const char *)c + count_keys[i].offset));
}

static void add_pace(struct json_object *json, const struct status *s)
{
	struct pace pace;
	uint64_t seconds;

	status_pace(s, &pace);
	add_number(json, "rate", pace.rate);
	json_object_object_add(json, "seconds_left",
			       pace_seconds_left(&pace, &seconds) ? json_object_new_uint64(seconds) : NULL);
}

static struct json_object *new_root(const struct status *s)
{
	struct json_object *json;

	if (!s->root)
		return NULL;
	json = json_object_new_object();
	add_pid(json, "pid", s->root);
	add_text(json, "command", s->command);
	return json;
}

static struct json_object *new_object(const struct status_object *o)
{
	struct json_object *json = json_object_new_object();
	char dev[32];

	add_text(json, "name", o->name);
	snprintf(dev, sizeof(dev), "%u:%u", major(o->dev), minor(o->dev));
	add_text(json, "dev", o->ino ? dev : NULL);
	json_object_object_add(json, "ino", o->ino ? json_object_new_uint64(o->ino) : NULL);
	add_number(json, "size", o->size);
	json_object_object_add(json, "lazy", json_object_new_boolean(!o->why));
	add_text(json, "why", o->why);
	add_counts(json, &o->counts);
	return json;
}

static struct json_object *new_space(const struct status_space *s)
{
	struct json_object *json = json_object_new_object();

	add_text(json, "name", s->name);
	add_pid(json, "pid", s->pid);
	add_number(json, "generation", s->generation);
	add_text(json, "command", s->command);
	return json;
}

struct json_object *status_to_json(const struct status *s, bool with_next)
{
	struct json_object *json = json_object_new_object(), *objects = json_object_new_array();
	struct json_object *spaces = json_object_new_array();
	size_t i;

	add_pid(json, "pid", s->pid);
	json_object_object_add(json, "state", json_object_new_string(s->serving ? "serving" : "waiting"));
	add_number(json, "since", s->since);
	add_number(json, "elapsed_us", s->elapsed_us);
	json_object_object_add(json, "root", new_root(s));
	add_text(json, "directory", s->directory);
	add_counts(json, &s->counts);
	add_pace(json, s);
	for (i = 0; i < s->n_objects; i++)
		json_object_array_add(objects, new_object(&s->objects[i]));
	json_object_object_add(json, "objects", objects);
	for (i = 0; i < s->n_spaces; i++)
		json_object_array_add(spaces, new_space(&s->spaces[i]));
	json_object_object_add(json, "spaces", spaces);
	if (with_next)
		add_number(json, "next", s->next);
	return json;
}

/* what is being read, and the first mistake in it */
struct reader {
	char *error;
	size_t error_size;
	int ret;
};

__attribute__((format(printf, 2, 3))) static void wrong(struct reader *r, const char *fmt, ...)
{
	va_list args;

	if (r->ret)
		return;
	r->ret = -EBADMSG;
	va_start(args, fmt);
	vsnprintf(r->error, r->error_size, fmt, args);
	va_end(args);
}

/* the value of a key that has this type, or is null where that is allowed: then NULL */
static struct json_object *take(struct reader *r, struct json_object *json, const char *key, enum json_type type,
				bool null)
{
	struct json_object *value;

	if (!json_object_object_get_ex(json, key, &value))
		wrong(r, "has no %s", key);
	else if (value ? json_object_get_type(value) != type : !null)
		wrong(r, "has %s of another type", key);
	else
		return value;
	return NULL;
}

static uint64_t number_of(struct reader *r, struct json_object *value, const char *key, uint64_t max)
{
	/* without a sign: what does not fit is cut to the nearest number that does, by json-c */
	if (value && json_object_get_int64(value) >= 0 && json_object_get_uint64(value) <= max)
		return json_object_get_uint64(value);
	if (value)
		wrong(r, "has %s out of range", key);
	return 0;
}

static uint64_t take_number(struct reader *r, struct json_object *json, const char *key, uint64_t max)
{
	return number_of(r, take(r, json, key, json_type_int, false), key, max);
}

/* 0 for null */
static uint64_t take_number_or_null(struct reader *r, struct json_object *json, const char *key, uint64_t max)
{
	return number_of(r, take(r, json, key, json_type_int, true), key, max);
}

static char *take_text(struct reader *r, struct json_object *json, const char *key, bool null)
{
	struct json_object *value = take(r, json, key, json_type_string, null);
	char *text = value ? strdup(json_object_get_string(value)) : NULL;

	if (value && !text)
		r->ret = -ENOMEM;
	return text;
}

static void take_counts(struct reader *r, struct json_object *json, struct status_counts *c)
{
	size_t i;

	for (i = 0; i < N_COUNTS; i++)
		*(uint64_t *)((char *)c + count_keys[i].offset) = take_number(r, json, count_keys[i].key, INT64_MAX);
	if (c->left + c->damaged > c->total)
		wrong(r, "has more left than there is");
}

static void take_dev(struct reader *r, struct json_object *json, struct status_object *o)
{
	struct json_object *value = take(r, json, "dev", json_type_string, true);
	unsigned int major, minor;

	if (value && sscanf(json_object_get_string(value), "%u:%u", &major, &minor) == 2)
		o->dev = makedev(major, minor);
	else if (value)
		wrong(r, "has a dev that is none");
}

static void take_object(struct reader *r, struct json_object *json, struct status *s)
{
	struct status_object *o = status_add_object(s);

	if (!o) {
		r->ret = -ENOMEM;
		return;
	}
	o->name = take_text(r, json, "name", false);
	take_dev(r, json, o);
	o->ino = take_number_or_null(r, json, "ino", INT64_MAX);
	o->size = take_number(r, json, "size", INT64_MAX);
	o->why = take_text(r, json, "why", true);
	take_counts(r, json, &o->counts);
}

static void take_space(struct reader *r, struct json_object *json, struct status *s)
{
	struct status_space *space = status_add_space(s);

	if (!space) {
		r->ret = -ENOMEM;
		return;
	}
	space->name = take_text(r, json, "name", false);
	space->pid = (pid_t)take_number_or_null(r, json, "pid", INT_MAX);
	space->generation = (uint32_t)take_number(r, json, "generation", UINT32_MAX);
	space->command = take_text(r, json, "command", false);
}

static void take_array(struct reader *r, struct json_object *json, const char *key, struct status *s,
		       void (*take_one)(struct reader *r, struct json_object *json, struct status *s))
{
	struct json_object *array = take(r, json, key, json_type_array, false);
	size_t i, n = array ? json_object_array_length(array) : 0;

	for (i = 0; !r->ret && i < n; i++) {
		struct json_object *one = json_object_array_get_idx(array, i);

		if (json_object_is_type(one, json_type_object))
			take_one(r, one, s);
		else
			wrong(r, "has %s of another type", key);
	}
}

static void take_state(struct reader *r, struct json_object *json, struct status *s)
{
	struct json_object *state = take(r, json, "state", json_type_string, false);

	s->serving = state && !strcmp(json_object_get_string(state), "serving");
	if (state && !s->serving && strcmp(json_object_get_string(state), "waiting"))
		wrong(r, "is in an unknown state");
}

static void take_status(struct reader *r, struct json_object *json, struct status *s)
{
	struct json_object *root;

	s->pid = (pid_t)take_number_or_null(r, json, "pid", INT_MAX);
	take_state(r, json, s);
	s->since = take_number(r, json, "since", INT64_MAX);
	s->elapsed_us = take_number(r, json, "elapsed_us", INT64_MAX);
	root = take(r, json, "root", json_type_object, true);
	if (root) {
		s->root = (pid_t)take_number(r, root, "pid", INT_MAX);
		s->command = take_text(r, root, "command", false);
	}
	s->directory = take_text(r, json, "directory", true);
	take_counts(r, json, &s->counts);
	take_array(r, json, "objects", s, take_object);
	take_array(r, json, "spaces", s, take_space);
	s->next = (uint32_t)take_number(r, json, "next", INT_MAX);
}

/* exactly one object of JSON; NULL: it is none */
static struct json_object *parse(const char *text, size_t length)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *json;

	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	json = length <= INT_MAX ? json_tokener_parse_ex(tokener, text, (int)length) : NULL;
	json_tokener_free(tokener);
	if (json && !json_object_is_type(json, json_type_object)) {
		json_object_put(json);
		json = NULL;
	}
	return json;
}

int status_from_json(const char *text, size_t length, struct status *s, char *error, size_t error_size)
{
	struct reader r = { error, error_size, 0 };
	struct json_object *json = parse(text, length);

	*s = (struct status){ 0 };
	if (!json)
		return explain(-EBADMSG, error, error_size, "is no JSON, or cut");
	take_status(&r, json, s);
	json_object_put(json);
	if (r.ret)
		status_free(s);
	return r.ret == -ENOMEM ? explain(r.ret, error, error_size, "is too long for the memory there is") : r.ret;
}
