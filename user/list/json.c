// SPDX-License-Identifier: GPL-2.0-only
/* Objects and holders as JSON: the columns' names are the keys, their values are typed. */
#include "list/json.h"

#include <ctype.h>
#include <inttypes.h>

#include "common/json.h"
#include "list/columns.h"

/* numbers of 64 bits are not numbers everywhere, and nobody adds addresses */
static struct json_object *new_address(uint64_t address)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	return json_object_new_string(text);
}

static void put_name(void *data, const char *name)
{
	json_object_array_add(data, json_object_new_string(name));
}

static struct json_object *new_names(const struct bit_name *names, uint32_t bits)
{
	struct json_object *array = json_object_new_array();

	names_each(names, bits, put_name, array);
	return array;
}

static struct json_object *new_value(const struct value *v)
{
	switch (v->type) {
	case VALUE_NUMBER:
	case VALUE_SIZE:
		return json_object_new_uint64(v->number);
	case VALUE_ADDRESS:
		return new_address(v->number);
	case VALUE_BOOL:
		return json_object_new_boolean(v->number);
	case VALUE_TEXT:
		return json_new_text(v->text);
	case VALUE_NAMES:
		return new_names(v->names, v->number);
	case VALUE_NONE:
	case VALUE_PIDS:	/* has no key: the holders are there */
		break;
	}
	return NULL;
}

/* PAGE-SIZE becomes page_size, which jq takes without quotes */
static void key_of(const struct column *c, char *key, size_t size)
{
	size_t i;

	for (i = 0; i < size - 1 && c->name[i]; i++)
		key[i] = c->name[i] == '-' ? '_' : tolower((unsigned char)c->name[i]);
	key[i] = '\0';
}

/* the columns of that, OF_OBJECT, OF_DESCRIPTOR or OF_MAPPING */
static struct json_object *new_row(const struct row *row, unsigned int of)
{
	struct json_object *json = json_object_new_object();
	const struct column *c;

	for (c = columns; c->name; c++) {
		struct value value;
		char key[32];

		if (!(c->flags & of) || c->flags & NO_KEY)
			continue;
		key_of(c, key, sizeof(key));
		column_value(c, row, &value);
		json_object_object_add(json, key, new_value(&value));
	}
	return json;
}

static struct json_object *new_uffd(const struct holder *h)
{
	struct json_object *json;

	if (!h->has_uffd)
		return NULL;
	json = json_object_new_object();
	json_object_object_add(json, "id", new_address(h->uffd_id));
	json_object_object_add(json, "modes", new_names(uffd_mode_names, h->uffd_modes));
	return json;
}

static struct json_object *new_holder(const struct object *o, const struct holder *h)
{
	const struct row row = { o, h };
	struct json_object *json = new_row(&row, h->is_mapping ? OF_MAPPING : OF_DESCRIPTOR);

	if (h->is_mapping)
		json_object_object_add(json, "uffd", new_uffd(h));
	return json;
}

static struct json_object *new_holders(const struct object *o, bool outside)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < o->n_holders; i++)
		if (o->holders[i].outside == outside)
			json_object_array_add(array, new_holder(o, &o->holders[i]));
	return array;
}

static struct json_object *new_object(const struct object *o, bool outside)
{
	const struct row row = { .object = o };
	struct json_object *json = new_row(&row, OF_OBJECT);

	json_object_object_add(json, "holders", new_holders(o, false));
	json_object_object_add(json, "outside", outside ? new_holders(o, true) : NULL);
	return json;
}

/* the rest of the outermost object */
static void print_end(FILE *f, const struct snapshot *s)
{
	fprintf(f, ",\"hidden\":%u,\"hidden_outside\":%u,\"consistent\":%s}\n", s->hidden, s->hidden_outside,
		s->consistent ? "true" : "false");
}

/* one object at a time: there may be very many, and a tree of all of them would take many times their memory */
int json_print_list(FILE *f, const struct snapshot *s, bool outside)
{
	int ret = 0;
	size_t i;

	fputs("{\"objects\":[", f);
	for (i = 0; !ret && i < s->n_objects; i++) {
		fputs(i ? ",\n" : "\n", f);
		ret = json_print(f, new_object(&s->objects[i], outside));
	}
	fputs(s->n_objects ? "\n]" : "]", f);
	print_end(f, s);
	return ret;
}

static struct json_object *new_extents(const struct extents *extents)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < extents->n; i++) {
		struct json_object *json = json_object_new_object();

		json_object_object_add(json, "start", json_object_new_uint64(extents->v[i].start));
		json_object_object_add(json, "end", json_object_new_uint64(extents->v[i].end));
		json_object_object_add(json, "state", json_object_new_string(extent_name(extents->v[i].state)));
		json_object_array_add(array, json);
	}
	return array;
}

int json_print_object(FILE *f, const struct object *o, const struct extents *extents, const struct snapshot *s)
{
	struct json_object *json = new_object(o, false);
	int ret;

	json_object_object_add(json, "extents", new_extents(extents));
	fputs("{\"object\":", f);
	ret = json_print(f, json);
	print_end(f, s);
	return ret;
}
