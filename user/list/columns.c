// SPDX-License-Identifier: GPL-2.0-only
/* The column table, and values as text. */
#include "list/columns.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "common/process.h"
#include "common/text.h"

#define N_PIDS 3	/* that many are printed of an object; -r and JSON have all */

/* most columns are one field of a structure */
#define FIELD(function, of, field, kind_of_value)						\
	static void function(const struct row *row, struct value *v)				\
	{											\
		v->type = kind_of_value;							\
		v->number = row->of->field;							\
	}

FIELD(get_id, object, id, VALUE_ADDRESS)
FIELD(get_ino, object, ino, VALUE_NUMBER)
FIELD(get_generation, object, generation, VALUE_NUMBER)
FIELD(get_size, object, size, VALUE_SIZE)
FIELD(get_allocated, object, allocated, VALUE_SIZE)
FIELD(get_swapped, object, swapped, VALUE_SIZE)
FIELD(get_sealing, object, sealing_allowed, VALUE_BOOL)
FIELD(get_noexec, object, noexec, VALUE_BOOL)
FIELD(get_hugetlb, object, hugetlb, VALUE_BOOL)
FIELD(get_page_size, object, page_size, VALUE_SIZE)
FIELD(get_uid, object, uid, VALUE_NUMBER)
FIELD(get_gid, object, gid, VALUE_NUMBER)
FIELD(get_descriptors, object, descriptors, VALUE_NUMBER)
FIELD(get_mappings, object, mappings, VALUE_NUMBER)
FIELD(get_unexplained, object, unexplained, VALUE_NUMBER)
FIELD(get_pid, holder, pid, VALUE_NUMBER)
FIELD(get_fd, holder, fd, VALUE_NUMBER)
FIELD(get_file, holder, file_id, VALUE_ADDRESS)
FIELD(get_pos, holder, position, VALUE_NUMBER)
FIELD(get_cloexec, holder, cloexec, VALUE_BOOL)
FIELD(get_start, holder, start, VALUE_ADDRESS)
FIELD(get_end, holder, end, VALUE_ADDRESS)
FIELD(get_offset, holder, offset, VALUE_NUMBER)
FIELD(get_shared, holder, shared, VALUE_BOOL)
FIELD(get_locked, holder, locked, VALUE_BOOL)
FIELD(get_may_write, holder, may_write, VALUE_BOOL)

static void set_text(struct value *v, const char *text)
{
	v->type = VALUE_TEXT;
	v->text = text;
}

static void set_names(struct value *v, const struct bit_name *names, uint32_t bits)
{
	v->type = VALUE_NAMES;
	v->names = names;
	v->number = bits;
}

static void get_kind(const struct row *row, struct value *v)
{
	set_text(v, kind_name(row->object->kind));
}

static void get_name(const struct row *row, struct value *v)
{
	if (row->object->name)
		set_text(v, row->object->name);
}

static void get_dev(const struct row *row, struct value *v)
{
	uint32_t dev = row->object->dev;

	snprintf(v->buffer, sizeof(v->buffer), "%u:%u", major(dev), minor(dev));
	set_text(v, v->buffer);
}

static void get_seals(const struct row *row, struct value *v)
{
	if (row->object->has_seals)
		set_names(v, seal_names, row->object->seals);
}

static void get_mode(const struct row *row, struct value *v)
{
	snprintf(v->buffer, sizeof(v->buffer), "%04o", row->object->mode);
	set_text(v, v->buffer);
}

/* of an object how many holders are outside, of a holder whether it is */
static void get_outside(const struct row *row, struct value *v)
{
	v->type = row->holder ? VALUE_BOOL : VALUE_NUMBER;
	v->number = row->holder ? row->holder->outside : row->object->outside_holders;
}

static void get_pids(const struct row *row, struct value *v)
{
	v->type = VALUE_PIDS;
	v->object = row->object;
}

/* one process holds many objects: its name is read from /proc once, unless another one has taken its place here */
static void get_command(const struct row *row, struct value *v)
{
	static struct {
		uint32_t pid;
		char name[32];
	} cache[1024];
	uint32_t pid = row->holder->pid;
	size_t i = pid % (sizeof(cache) / sizeof(cache[0]));

	if (cache[i].pid != pid)
		process_name(pid, cache[i].name, sizeof(cache[i].name));
	cache[i].pid = pid;
	set_text(v, cache[i].name);
}

static void get_tid(const struct row *row, struct value *v)
{
	if (!row->holder->tid)
		return;
	v->type = VALUE_NUMBER;
	v->number = row->holder->tid;
}

static void get_flags(const struct row *row, struct value *v)
{
	set_names(v, open_flag_names, row->holder->flags);
}

static void get_prot(const struct row *row, struct value *v)
{
	uint32_t prot = row->holder->prot;

	snprintf(v->buffer, sizeof(v->buffer), "%c%c%c", prot & PROT_READ ? 'r' : '-', prot & PROT_WRITE ? 'w' : '-',
		 prot & PROT_EXEC ? 'x' : '-');
	set_text(v, v->buffer);
}

static void get_uffd(const struct row *row, struct value *v)
{
	if (!row->holder->has_uffd)
		return;
	v->type = VALUE_ADDRESS;
	v->number = row->holder->uffd_id;
}

static void get_uffd_modes(const struct row *row, struct value *v)
{
	if (row->holder->has_uffd)
		set_names(v, uffd_mode_names, row->holder->uffd_modes);
}

const struct column columns[] = {
	{ "KIND", OF_OBJECT, get_kind, "memfd, shared-anonymous, sysv or secret" },
	{ "NAME", OF_OBJECT | TRUNCATE, get_name, "name given to memfd_create(2), or SYSV and the key" },
	{ "DEV", OF_OBJECT, get_dev, "device number, major:minor" },
	{ "INO", OF_OBJECT | ALIGN_RIGHT, get_ino, "inode number" },
	{ "GENERATION", OF_OBJECT | ALIGN_RIGHT, get_generation,
	  "tells apart objects that had the same inode number one after the other" },
	{ "ID", OF_OBJECT, get_id, "number that no other object has as long as it exists" },
	{ "SIZE", OF_OBJECT | ALIGN_RIGHT, get_size, "size in bytes" },
	{ "ALLOCATED", OF_OBJECT | ALIGN_RIGHT, get_allocated, "bytes that are not holes, in memory or swapped out" },
	{ "SWAPPED", OF_OBJECT | ALIGN_RIGHT, get_swapped, "bytes of these that are swapped out" },
	{ "SEALS", OF_OBJECT, get_seals, "seals: seal, shrink, grow, write, future-write, exec" },
	{ "SEALING", OF_OBJECT | ALIGN_RIGHT, get_sealing, "whether more seals can be added" },
	{ "NOEXEC", OF_OBJECT | ALIGN_RIGHT, get_noexec, "whether nobody has the permission to execute it" },
	{ "HUGETLB", OF_OBJECT | ALIGN_RIGHT, get_hugetlb, "whether its pages are hugetlb pages" },
	{ "PAGE-SIZE", OF_OBJECT | ALIGN_RIGHT, get_page_size, "bytes of one of its pages" },
	{ "MODE", OF_OBJECT | ALIGN_RIGHT, get_mode, "permission bits, octal" },
	{ "UID", OF_OBJECT | ALIGN_RIGHT, get_uid, "owner" },
	{ "GID", OF_OBJECT | ALIGN_RIGHT, get_gid, "group" },
	{ "DESCRIPTORS", OF_OBJECT | ALIGN_RIGHT, get_descriptors, "descriptors of it that were found" },
	{ "MAPPINGS", OF_OBJECT | ALIGN_RIGHT, get_mappings, "mappings of it that were found" },
	{ "UNEXPLAINED", OF_OBJECT | ALIGN_RIGHT, get_unexplained,
	  "references to it that none of these explains, for instance in flight over a socket" },
	{ "OUTSIDE", OF_OBJECT | ALIGN_RIGHT | NEEDS_OUTSIDE | NO_KEY, get_outside,
	  "holders outside the processes asked for; of a holder, whether it is one" },
	{ "PIDS", OF_OBJECT | NEEDS_HOLDERS | NO_KEY, get_pids, "processes asked for that hold it" },
	{ "PID", OF_HOLDER | ALIGN_RIGHT, get_pid, "process that holds it" },
	{ "COMMAND", OF_HOLDER | TRUNCATE | NO_KEY, get_command, "command name of the process" },
	{ "TID", OF_DESCRIPTOR | ALIGN_RIGHT, get_tid, "thread that has it, if that has descriptors of its own" },
	{ "FD", OF_DESCRIPTOR | ALIGN_RIGHT, get_fd, "descriptor" },
	{ "FILE", OF_HOLDER, get_file, "id of the open file description, equal for two that share it" },
	{ "FLAGS", OF_DESCRIPTOR, get_flags, "access mode and status flags" },
	{ "POS", OF_DESCRIPTOR | ALIGN_RIGHT, get_pos, "file position in bytes" },
	{ "CLOEXEC", OF_DESCRIPTOR | ALIGN_RIGHT, get_cloexec, "whether execve(2) closes the descriptor" },
	{ "START", OF_MAPPING, get_start, "first address of the mapping" },
	{ "END", OF_MAPPING, get_end, "first address behind it" },
	{ "OFFSET", OF_MAPPING | ALIGN_RIGHT, get_offset, "where in the object the mapping begins, in bytes" },
	{ "PROT", OF_MAPPING, get_prot, "protection: r, w, x" },
	{ "SHARED", OF_MAPPING | ALIGN_RIGHT, get_shared, "whether it is mapped with MAP_SHARED" },
	{ "LOCKED", OF_MAPPING | ALIGN_RIGHT, get_locked, "whether it is locked in memory" },
	{ "MAY-WRITE", OF_MAPPING | ALIGN_RIGHT, get_may_write, "whether mprotect(2) can make it writable" },
	{ "UFFD", OF_MAPPING | NO_KEY, get_uffd, "id of the userfaultfd that it is registered with" },
	{ "UFFD-MODES", OF_MAPPING | NO_KEY, get_uffd_modes, "how it is registered: missing, wp, minor, rwp" },
	{ 0 }
};

void column_value(const struct column *c, const struct row *row, struct value *v)
{
	unsigned int has = OF_OBJECT;

	if (row->holder)
		has |= row->holder->is_mapping ? OF_MAPPING : OF_DESCRIPTOR;
	memset(v, 0, sizeof(*v));
	if (c->flags & has)
		c->get(row, v);
}

/* holders are sorted by process; for people the first few and how many more there are */
static void print_pids(FILE *f, const struct object *o, bool raw)
{
	uint32_t last = 0;
	size_t i, n = 0;

	for (i = 0; i < o->n_holders && !o->holders[i].outside; i++) {
		if (o->holders[i].pid == last)
			continue;
		last = o->holders[i].pid;
		if (raw || n < N_PIDS)
			fprintf(f, "%s%u", n ? "," : "", last);
		n++;
	}
	if (!raw && n > N_PIDS)
		fprintf(f, ",+%zu", n - N_PIDS);
}

void value_print(FILE *f, const struct value *v, bool raw)
{
	switch (v->type) {
	case VALUE_NONE:
		break;
	case VALUE_NUMBER:
		fprintf(f, "%" PRIu64, v->number);
		break;
	case VALUE_SIZE:
		if (raw)
			fprintf(f, "%" PRIu64, v->number);
		else
			text_print_size(f, v->number);
		break;
	case VALUE_ADDRESS:
		fprintf(f, "0x%" PRIx64, v->number);
		break;
	case VALUE_BOOL:
		fputs(raw ? v->number ? "1" : "0" : v->number ? "yes" : "no", f);
		break;
	case VALUE_TEXT:
		fputs(v->text, f);
		break;
	case VALUE_NAMES:
		names_print(f, "", v->names, v->number);
		break;
	case VALUE_PIDS:
		print_pids(f, v->object, raw);
		break;
	}
}

static const struct column *find(const char *name, size_t n)
{
	const struct column *c;

	for (c = columns; c->name; c++)
		if (strlen(c->name) == n && !strncasecmp(c->name, name, n))
			return c;
	return NULL;
}

static int append(struct column_list *list, const char *names, char *error, size_t error_size)
{
	for (;;) {
		size_t n = strcspn(names, ",");
		const struct column *c = find(names, n);

		if (!c) {
			snprintf(error, error_size, "unknown column \"%.*s\"; memfdcr list --list-columns tells all",
				 (int)n, names);
			return -EINVAL;
		}
		if (list->n == COLUMNS_MAX) {
			snprintf(error, error_size, "more than %d columns", COLUMNS_MAX);
			return -EINVAL;
		}
		list->v[list->n++] = c;
		list->flags |= c->flags;
		if (!names[n])
			return 0;
		names += n + 1;
	}
}

int column_list_parse(struct column_list *list, const char *names, const char *preset, char *error, size_t error_size)
{
	int ret = 0;

	*list = (struct column_list){ 0 };
	if (*names == '+') {
		ret = append(list, preset, error, error_size);
		names++;
	}
	return ret ? ret : append(list, names, error, error_size);
}

void columns_describe(FILE *f)
{
	const struct column *c;

	for (c = columns; c->name; c++)
		fprintf(f, "%-12s %s\n", c->name, c->help);
}
