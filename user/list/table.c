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

static int add_row(struct libscols_table *table, const struct column_list *list, const struct row *row, bool raw)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	size_t i;

	if (!line)
		return -ENOMEM;
	for (i = 0; i < list->n; i++) {
		struct value value;
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		if (!f)
			return -ENOMEM;
		column_value(list->v[i], row, &value);
		value_print(f, &value, raw);
		if (fclose(f) || scols_line_refer_data(line, i, text)) {
			free(text);
			return -ENOMEM;
		}
	}
	return 0;
}

static int add_object(struct libscols_table *table, const struct column_list *list, const struct object *o,
		      unsigned int which, bool raw)
{
	struct row row = { .object = o };
	size_t i;
	int ret = 0;

	if (!which)
		return add_row(table, list, &row, raw);
	for (i = 0; !ret && i < o->n_holders; i++) {
		row.holder = &o->holders[i];
		if (which & (row.holder->is_mapping ? OF_MAPPING : OF_DESCRIPTOR))
			ret = add_row(table, list, &row, raw);
	}
	return ret;
}

int table_print(FILE *f, const struct column_list *list, const struct object *objects, size_t n, unsigned int which,
		bool raw)
{
	struct libscols_table *table = scols_new_table();
	size_t i;
	int ret;

	if (!table)
		return -ENOMEM;
	scols_table_set_stream(table, f);
	scols_table_enable_raw(table, raw);
	/* libsmartcols asks whether standard output is a terminal, which f need not be */
	if (!isatty(fileno(f)))
		scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	ret = add_columns(table, list);
	for (i = 0; !ret && i < n; i++)
		ret = add_object(table, list, &objects[i], which, raw);
	if (!ret)
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}
