// SPDX-License-Identifier: GPL-2.0-only
/* Rows of columns through libsmartcols, which aligns, truncates, and escapes what a terminal would obey. */
#include "list/table.h"

#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <unistd.h>

/* what a column may shrink to: that part of the terminal's width, or its header's */
static double width_hint(const struct column *c)
{
	return c->flags & TRUNCATE ? 0.1 : 0;
}

static int add_columns(struct libscols_table *table, const struct column_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++) {
		const struct column *c = list->v[i];
		int flags = (c->flags & ALIGN_RIGHT ? SCOLS_FL_RIGHT : 0) | (c->flags & TRUNCATE ? SCOLS_FL_TRUNC : 0);

		if (!scols_table_new_column(table, c->name, width_hint(c), flags))
			return -ENOMEM;
	}
	return 0;
}

/* what rows are made from; one buffer for the text of every cell, for there may be millions */
struct maker {
	struct libscols_table *table;
	const struct column_list *list;
	bool raw;
	FILE *f;
	char *text;	/* what has been written to f */
	size_t size;
};

static int add_row(struct maker *m, const struct row *row)
{
	struct libscols_line *line = scols_table_new_line(m->table, NULL);
	size_t i;

	if (!line)
		return -ENOMEM;
	for (i = 0; i < m->list->n; i++) {
		struct value value;

		rewind(m->f);
		column_value(m->list->v[i], row, &value);
		value_print(m->f, &value, m->raw);
		fputc('\0', m->f);
		if (fflush(m->f) || scols_line_set_data(line, i, m->text))
			return -ENOMEM;
	}
	return 0;
}

static int add_object(struct maker *m, const struct object *o, unsigned int which)
{
	struct row row = { .object = o };
	size_t i;
	int ret = 0;

	if (!which)
		return add_row(m, &row);
	for (i = 0; !ret && i < o->n_holders; i++) {
		row.holder = &o->holders[i];
		if (which & (row.holder->is_mapping ? OF_MAPPING : OF_DESCRIPTOR))
			ret = add_row(m, &row);
	}
	return ret;
}

static int add_rows(struct maker *m, const struct object *objects, size_t n, unsigned int which)
{
	size_t i;
	int ret = 0;

	m->f = open_memstream(&m->text, &m->size);
	if (!m->f)
		return -ENOMEM;
	for (i = 0; !ret && i < n; i++)
		ret = add_object(m, &objects[i], which);
	fclose(m->f);
	free(m->text);
	return ret;
}

int table_print(FILE *f, const struct column_list *list, const struct object *objects, size_t n, unsigned int which,
		bool raw)
{
	struct maker m = { .table = scols_new_table(), .list = list, .raw = raw };
	int ret;

	if (!m.table)
		return -ENOMEM;
	scols_table_set_stream(m.table, f);
	scols_table_enable_raw(m.table, raw);
	/* libsmartcols asks whether standard output is a terminal, which f need not be */
	if (!isatty(fileno(f)))
		scols_table_set_termforce(m.table, SCOLS_TERMFORCE_NEVER);
	ret = add_columns(m.table, list);
	if (!ret)
		ret = add_rows(&m, objects, n, which);
	if (!ret)
		ret = scols_print_table(m.table);
	scols_unref_table(m.table);
	return ret;
}
