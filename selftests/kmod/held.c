// SPDX-License-Identifier: GPL-2.0-only
/* Objects and their holders as the module tells them, or somebody else, and where two such accounts differ. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>

#include "held.h"

/* where an attribute goes; size 0: a flag, sizeof(object.name): a string */
struct column {
	int type;
	const char *name;
	size_t offset, size;
};

#define OBJECT(type, field) { MEMFDCR_A_OBJECT_##type, #field, offsetof(struct object, field), \
			      sizeof(((struct object *)0)->field) }
#define HOLDER(type, field) { MEMFDCR_A_HOLDER_##type, #field, offsetof(struct holder, field), \
			      sizeof(((struct holder *)0)->field) }

static const struct column object_columns[] = {
	OBJECT(DEV, dev), OBJECT(INO, ino), OBJECT(GENERATION, generation), OBJECT(KIND, kind), OBJECT(NAME, name),
	OBJECT(SIZE, size), OBJECT(ALLOCATED, allocated), OBJECT(SWAPPED, swapped), OBJECT(SEALS, seals),
	{ MEMFDCR_A_OBJECT_SEALING_ALLOWED, "sealing_allowed" }, { MEMFDCR_A_OBJECT_NOEXEC, "noexec" },
	{ MEMFDCR_A_OBJECT_HUGETLB, "hugetlb" }, OBJECT(PAGE_SIZE, page_size), OBJECT(MODE, mode), OBJECT(UID, uid),
	OBJECT(GID, gid), OBJECT(DESCRIPTORS, descriptors), OBJECT(MAPPINGS, mappings),
	OBJECT(OUTSIDE_HOLDERS, outside_holders), OBJECT(UNEXPLAINED, unexplained), OBJECT(ID, id),
	{ 0 }
};

static const struct column holder_columns[] = {
	HOLDER(PID, pid), HOLDER(TID, tid), HOLDER(FD, fd), HOLDER(START, start), HOLDER(END, end), HOLDER(DEV, dev),
	HOLDER(INO, ino), HOLDER(GENERATION, generation), HOLDER(FLAGS, flags), HOLDER(POSITION, position),
	{ MEMFDCR_A_HOLDER_CLOEXEC, "cloexec" }, HOLDER(OFFSET, offset), HOLDER(PROT, prot),
	{ MEMFDCR_A_HOLDER_SHARED, "shared" }, { MEMFDCR_A_HOLDER_LOCKED, "locked" },
	{ MEMFDCR_A_HOLDER_MAY_WRITE, "may_write" }, HOLDER(UFFD_MODES, uffd_modes), HOLDER(UFFD_ID, uffd_id),
	HOLDER(FILE_ID, file_id), HOLDER(ID, id), { MEMFDCR_A_HOLDER_OUTSIDE, "outside" },
	{ 0 }
};

/* room for one more; entries is of the size that a power of two of them needs */
static void *grow(void *entries, size_t n, size_t size)
{
	if (n & (n - 1))
		return entries;
	entries = realloc(entries, (n ? 2 * n : 1) * size);
	if (!entries) {
		perror("realloc");
		_exit(99);
	}
	return entries;
}

struct object *held_new_object(struct held *held)
{
	held->objects = grow(held->objects, held->n_objects, sizeof(*held->objects));
	return memset(&held->objects[held->n_objects++], 0, sizeof(*held->objects));
}

struct holder *held_new_holder(struct held *held)
{
	held->holders = grow(held->holders, held->n_holders, sizeof(*held->holders));
	return memset(&held->holders[held->n_holders++], 0, sizeof(*held->holders));
}

struct object *held_object(struct held *held, uint32_t dev, uint64_t ino, uint32_t generation)
{
	for (size_t i = 0; i < held->n_objects; i++) {
		struct object *o = &held->objects[i];

		if (o->dev == dev && o->ino == ino && o->generation == generation)
			return o;
	}
	return NULL;
}

void held_free(struct held *held)
{
	free(held->objects);
	free(held->holders);
	*held = (struct held){ 0 };
}

/* Reading messages. */

static void fault(struct held *held, const char *what, int type)
{
	held->faults++;
	fprintf(stderr, "# message %d: %s, attribute %d\n", held->messages, what, type);
}

static bool right_length(const struct column *column, const struct nlattr *attr)
{
	size_t length = mnl_attr_get_payload_len(attr);
	const char *text = mnl_attr_get_payload(attr);

	if (column->size == sizeof(((struct object *)0)->name))
		return length && length <= column->size && strnlen(text, length) == length - 1;
	return length == column->size;
}

static void read_attribute(struct held *held, const struct column *column, const struct nlattr *attr, void *entry)
{
	int type = mnl_attr_get_type(attr);
	uint64_t *has = entry;

	while (column->type && column->type != type)
		column++;
	if (!column->type)
		return fault(held, "what is this", type);
	if (!right_length(column, attr))
		return fault(held, "of a wrong length", type);
	if (*has & 1ULL << type)
		return fault(held, "there twice", type);
	*has |= 1ULL << type;
	memcpy(entry + column->offset, mnl_attr_get_payload(attr), column->size);
}

/* the first message has the time and nothing else, the last one the time and how many are hidden */
static void read_time(struct held *held, const struct nlattr *attr, uint64_t has)
{
	uint64_t time = mnl_attr_get_u64(attr);

	if (has || (held->messages > 1) != held->over)
		fault(held, "time is not where it belongs", 0);
	if (held->over)
		held->ended = time;
	else
		held->began = time;
	if (held->over && held->ended < held->began)
		fault(held, "ended before it began", 0);
}

static void read_holder(const struct nlmsghdr *nlh, void *arg)
{
	struct held *held = arg;
	const struct nlattr *attr, *time = NULL;
	struct holder holder = { 0 };

	held->messages++;
	if (held->over)
		fault(held, "behind the last one", 0);
	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		if (mnl_attr_get_type(attr) == MEMFDCR_A_HOLDER_HIDDEN) {
			held->over = true;
			held->hidden = mnl_attr_get_u32(attr);
		} else if (mnl_attr_get_type(attr) == MEMFDCR_A_HOLDER_HIDDEN_OUTSIDE) {
			held->hidden_outside = mnl_attr_get_u32(attr);
		} else if (mnl_attr_get_type(attr) == MEMFDCR_A_HOLDER_TIME) {
			time = attr;
		} else if (mnl_attr_get_type(attr) != MEMFDCR_A_HOLDER_PAD) {
			read_attribute(held, holder_columns, attr, &holder);
		}
	}
	if (time)
		read_time(held, time, holder.has);
	else if (!held->over)
		*held_new_holder(held) = holder;
	else
		fault(held, "hidden without time", 0);
}

/* an object message that has a holder in it names the object and says no more of it */
static void read_nested(struct held *held, const struct nlattr *nest, const struct object *object)
{
	const uint64_t names = HAS(OBJECT_ID) | HAS(OBJECT_DEV) | HAS(OBJECT_INO) | HAS(OBJECT_GENERATION);
	struct holder holder = { 0 };
	const struct nlattr *attr;

	if (object->has != names)
		fault(held, "a holder without its object's id, dev, ino, generation, or with more", 0);
	if (held->n_objects)
		fault(held, "a holder behind an object", 0);
	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) != MEMFDCR_A_HOLDER_PAD)
			read_attribute(held, holder_columns, attr, &holder);
	holder.id = object->id;
	holder.dev = object->dev;
	holder.ino = object->ino;
	holder.generation = object->generation;
	holder.has |= HAS(HOLDER_ID) | HAS(HOLDER_DEV) | HAS(HOLDER_INO) | HAS(HOLDER_GENERATION);
	*held_new_holder(held) = holder;
}

static void read_object(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr, *nest = NULL, *time = NULL;
	struct object object = { 0 };
	struct held *held = arg;

	held->messages++;
	if (held->over)
		fault(held, "behind the last one", 0);
	mnl_attr_for_each(attr, nlh, GENL_HDRLEN) {
		int type = mnl_attr_get_type(attr);

		if (type == MEMFDCR_A_OBJECT_HIDDEN) {
			held->over = true;
			held->hidden = mnl_attr_get_u32(attr);
		} else if (type == MEMFDCR_A_OBJECT_HOLDER) {
			nest = attr;
		} else if (type == MEMFDCR_A_OBJECT_HIDDEN_OUTSIDE) {
			held->hidden_outside = mnl_attr_get_u32(attr);
		} else if (type == MEMFDCR_A_OBJECT_TIME) {
			time = attr;
		} else if (type != MEMFDCR_A_OBJECT_PAD) {
			read_attribute(held, object_columns, attr, &object);
		}
	}
	if (time)
		read_time(held, time, object.has);
	else if (nest)
		read_nested(held, nest, &object);
	else if (!held->over)
		*held_new_object(held) = object;
	else
		fault(held, "hidden without time", 0);
}

/* a request to a socket of its own, if it was given none */
static struct answer ask(struct mnl_socket *given, int cmd, bool dump, const struct attribute *attributes,
			 struct held *held)
{
	struct mnl_socket *sock = given ?: request_socket();
	each_message each = cmd == MEMFDCR_CMD_OBJECT_GET ? read_object : read_holder;
	struct answer answer = { .error = -errno };

	*held = (struct held){ 0 };
	if (!sock)
		return answer;
	answer = (dump ? request_dump : request_do)(sock, cmd, attributes, each, held);
	if (dump && !answer.error && !held->over)
		fault(held, "hidden did not come", 0);
	if (!given)
		mnl_socket_close(sock);
	return answer;
}

struct answer held_do(struct held *held, const struct attribute *attributes)
{
	return ask(NULL, MEMFDCR_CMD_OBJECT_GET, false, attributes, held);
}

struct answer held_dump(struct mnl_socket *sock, int cmd, const struct attribute *attributes, struct held *held)
{
	return ask(sock, cmd, true, attributes, held);
}

/* Comparing: every entry becomes a line, and lines are sorted. */

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++)
		fprintf(out, *text < ' ' ? "\\%03o" : "%c", *text);
}

static char *line_of(const struct column *column, const void *entry, uint64_t mask)
{
	uint64_t has = *(const uint64_t *)entry & mask;
	size_t length;
	char *line;
	FILE *out = open_memstream(&line, &length);

	if (!out)
		_exit(99);
	for (; column->type; column++) {
		const void *value = entry + column->offset;

		if (!(has & 1ULL << column->type))
			continue;
		fprintf(out, " %s", column->name);
		if (column->size == 4)
			fprintf(out, "=0x%x", *(const uint32_t *)value);
		else if (column->size == 8)
			fprintf(out, "=0x%llx", *(const unsigned long long *)value);
		else if (column->size)
			fputc('=', out), print_escaped(out, value);
	}
	fclose(out);
	return line;
}

struct lines {
	char **text;
	size_t n;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static struct lines object_lines(const struct held *held, uint64_t mask)
{
	struct lines lines = { calloc(held->n_objects + 1, sizeof(char *)), held->n_objects };

	for (size_t i = 0; i < lines.n; i++) {
		const struct object *o = &held->objects[i];

		/* st_blocks of these is always 0: extent_test looks */
		lines.text[i] = line_of(object_columns, o, o->kind == MEMFDCR_KIND_SECRET ?
					mask & ~HAS(OBJECT_ALLOCATED) : mask);
	}
	qsort(lines.text, lines.n, sizeof(char *), by_text);
	return lines;
}

static struct lines holder_lines(const struct held *held, uint64_t mask)
{
	struct lines lines = { calloc(held->n_holders + 1, sizeof(char *)), held->n_holders };

	for (size_t i = 0; i < lines.n; i++) {
		const struct holder *h = &held->holders[i];

		/* nobody else tells the flags of the file behind a mapping */
		lines.text[i] = line_of(holder_columns, h, h->has & HAS(HOLDER_START) ?
					mask & ~(HAS(HOLDER_FLAGS) | HAS(HOLDER_POSITION)) : mask);
	}
	qsort(lines.text, lines.n, sizeof(char *), by_text);
	return lines;
}

#define SHOWN 20

static int compare(struct lines want, struct lines got)
{
	int differences = 0;
	size_t w = 0, g = 0;

	while (w < want.n || g < got.n) {
		int order = w == want.n ? 1 : g == got.n ? -1 : strcmp(want.text[w], got.text[g]);

		if (order && differences++ < SHOWN)
			fprintf(stderr, "# %s:%s\n", order < 0 ? "missing" : "not so",
				order < 0 ? want.text[w] : got.text[g]);
		w += order <= 0;
		g += order >= 0;
	}
	if (differences)
		fprintf(stderr, "# %d differences between %zu wanted and %zu seen\n", differences, want.n, got.n);
	for (w = 0; w < want.n; w++)
		free(want.text[w]);
	for (g = 0; g < got.n; g++)
		free(got.text[g]);
	free(want.text);
	free(got.text);
	return differences;
}

int held_compare_objects(const struct held *want, const struct held *got, uint64_t mask)
{
	return compare(object_lines(want, mask), object_lines(got, mask));
}

int held_compare_holders(const struct held *want, const struct held *got, uint64_t mask)
{
	return compare(holder_lines(want, mask), holder_lines(got, mask));
}
