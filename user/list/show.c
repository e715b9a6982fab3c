// SPDX-License-Identifier: GPL-2.0-only
/* One object as lines of "key: value", then its extents and tables of its holders. */
#include "list/show.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "common/text.h"
#include "list/columns.h"
#include "list/table.h"

#define N_EXTENTS 10	/* that many are printed; JSON has all */

static int print_line(FILE *f, const struct column *c, const struct value *v)
{
	char *text = NULL;
	const char *p;
	size_t size;
	FILE *memory = open_memstream(&text, &size);

	if (!memory)
		return -ENOMEM;
	value_print(memory, v, false);
	if (fclose(memory)) {
		free(text);
		return -ENOMEM;
	}
	for (p = c->name; *p; p++)
		fputc(tolower((unsigned char)*p), f);
	fputs(": ", f);
	text_print(f, text);
	fputc('\n', f);
	free(text);
	return 0;
}

static int print_object(FILE *f, const struct object *o)
{
	const struct row row = { .object = o };
	const struct column *c;
	int ret = 0;

	for (c = columns; !ret && c->name; c++) {
		struct value v;

		if (!(c->flags & OF_OBJECT) || c->flags & NO_KEY)
			continue;
		column_value(c, &row, &v);
		if (v.type != VALUE_NONE)
			ret = print_line(f, c, &v);
	}
	return ret;
}

static void print_bytes(FILE *f, const char *before, uint64_t bytes)
{
	fputs(before, f);
	text_print_size(f, bytes);
}

static void print_extents(FILE *f, const struct extents *extents)
{
	uint64_t bytes[MEMFDCR_EXTENT_SWAPPED + 1] = { 0 };
	size_t i;

	for (i = 0; i < extents->n; i++)
		if (extents->v[i].state <= MEMFDCR_EXTENT_SWAPPED)
			bytes[extents->v[i].state] += extents->v[i].end - extents->v[i].start;
	fprintf(f, "extents: %zu", extents->n);
	print_bytes(f, ", allocated ", bytes[MEMFDCR_EXTENT_ALLOCATED]);
	print_bytes(f, ", swapped ", bytes[MEMFDCR_EXTENT_SWAPPED]);
	print_bytes(f, ", hole ", bytes[MEMFDCR_EXTENT_HOLE]);
	fputc('\n', f);
	for (i = 0; i < extents->n && i < N_EXTENTS; i++)
		fprintf(f, "  0x%" PRIx64 "-0x%" PRIx64 " %s\n", extents->v[i].start, extents->v[i].end,
			extent_name(extents->v[i].state));
	if (i < extents->n)
		fprintf(f, "  and %zu more\n", extents->n - i);
}

/* the object's holders of that kind, if it has any */
static int print_holders(FILE *f, const struct object *o, unsigned int which, const char *names)
{
	struct column_list list;
	char error[256];
	size_t i;

	for (i = 0; i < o->n_holders; i++)
		if (o->holders[i].is_mapping == (which == OF_MAPPING))
			break;
	if (i == o->n_holders)
		return 0;
	if (column_list_parse(&list, names, "", error, sizeof(error)))
		return -EINVAL;
	fputc('\n', f);
	return table_print(f, &list, o, 1, which, false);
}

int show_print(FILE *f, const struct object *o, const struct extents *extents)
{
	int ret = print_object(f, o);

	if (ret)
		return ret;
	print_extents(f, extents);
	ret = print_holders(f, o, OF_DESCRIPTOR, "PID,COMMAND,TID,FD,FILE,FLAGS,POS,CLOEXEC");
	if (ret)
		return ret;
	return print_holders(f, o, OF_MAPPING,
			     "PID,COMMAND,START,END,OFFSET,PROT,SHARED,LOCKED,MAY-WRITE,UFFD,UFFD-MODES");
}
