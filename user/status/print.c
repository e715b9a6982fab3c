// SPDX-License-Identifier: GPL-2.0-only
/* Pagers as text with a table of objects, and as JSON. */
#include "status/print.h"

#include <errno.h>
#include <inttypes.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/json.h"
#include "common/text.h"

#define N_SPACES 10	/* that many are printed; JSON has all */

static void print_time(FILE *f, uint64_t since)
{
	time_t t = (time_t)since;
	char text[64];
	struct tm tm;

	if (localtime_r(&t, &tm) && strftime(text, sizeof(text), "%F %T", &tm))
		fputs(text, f);
	else
		fprintf(f, "@%" PRIu64, since);
}

static void print_head(FILE *f, const struct status *s)
{
	fprintf(f, "pager %d ", (int)s->pid);
	if (s->root) {
		fprintf(f, "serves %d (", (int)s->root);
		text_print(f, s->command);
		fputc(')', f);
	} else {
		fputs("waits for the processes", f);
	}
	fputs(" since ", f);
	print_time(f, s->since);
	if (s->directory) {
		fputs(", from ", f);
		text_print(f, s->directory);
	}
	fputc('\n', f);
}

static void print_spaces(FILE *f, const struct status *s)
{
	size_t i;

	if (!s->n_spaces)
		return;
	for (i = 0; i < s->n_spaces && i < N_SPACES; i++) {
		fputs(i ? ", " : "spaces: ", f);
		text_print(f, s->spaces[i].name);
	}
	if (i < s->n_spaces)
		fprintf(f, " and %zu more", s->n_spaces - i);
	fputc('\n', f);
}

/* the text of one cell, to be freed; NULL: no memory */
struct cell {
	FILE *f;
	char *text;
	size_t size;
};

static bool cell_begin(struct cell *c)
{
	*c = (struct cell){ 0 };
	c->f = open_memstream(&c->text, &c->size);
	return c->f;
}

/* puts it there, and lets it go */
static int cell_end(struct cell *c, struct libscols_line *line, size_t column)
{
	if (fclose(c->f)) {
		free(c->text);
		return -ENOMEM;
	}
	/* the table owns the text from here on */
	if (!scols_line_refer_data(line, column, c->text))
		return 0;
	free(c->text);
	return -ENOMEM;
}

static int set_size(struct libscols_line *line, size_t column, uint64_t bytes)
{
	struct cell c;

	if (!cell_begin(&c))
		return -ENOMEM;
	text_print_size(c.f, bytes);
	return cell_end(&c, line, column);
}

static int set_number(struct libscols_line *line, size_t column, uint64_t number)
{
	struct cell c;

	if (!cell_begin(&c))
		return -ENOMEM;
	fprintf(c.f, "%" PRIu64, number);
	return cell_end(&c, line, column);
}

static int set_how(struct libscols_line *line, size_t column, const char *why)
{
	struct cell c;

	if (!cell_begin(&c))
		return -ENOMEM;
	if (why)
		fprintf(c.f, "eager: %s", why);
	else
		fputs("lazy", c.f);
	return cell_end(&c, line, column);
}

enum { NAME, SIZE, DONE, LEFT, DAMAGED, FAULTS, HOW, N_COLUMNS };

static int add_row(struct libscols_table *table, const struct status_object *o)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	int ret = line ? 0 : -ENOMEM;

	if (!ret)
		ret = scols_line_set_data(line, NAME, o->name);
	if (!ret)
		ret = set_size(line, SIZE, o->size);
	/* CRIU has brought in the others */
	if (!ret && !o->why)
		ret = set_size(line, DONE, status_done(&o->counts));
	if (!ret && !o->why)
		ret = set_size(line, LEFT, o->counts.left);
	if (!ret && !o->why)
		ret = set_size(line, DAMAGED, o->counts.damaged);
	if (!ret && !o->why)
		ret = set_number(line, FAULTS, o->counts.faults);
	if (!ret)
		ret = set_how(line, HOW, o->why);
	return ret;
}

static int print_objects(FILE *f, const struct status *s)
{
	static const char *const names[N_COLUMNS] = { "NAME", "SIZE", "DONE", "LEFT", "DAMAGED", "FAULTS", "RESTORED" };
	struct libscols_table *table = scols_new_table();
	int ret = table ? 0 : -ENOMEM, flags;
	size_t i;

	if (ret)
		return ret;
	scols_table_set_stream(table, f);
	if (!isatty(fileno(f)))
		scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
	for (i = 0; !ret && i < N_COLUMNS; i++) {
		flags = i == NAME || i == HOW ? 0 : SCOLS_FL_RIGHT;
		if (i == DAMAGED && !s->counts.damaged)
			flags |= SCOLS_FL_HIDDEN;
		if (!scols_table_new_column(table, names[i], 0, flags))
			ret = -ENOMEM;
	}
	for (i = 0; !ret && i < s->n_objects; i++)
		ret = add_row(table, &s->objects[i]);
	if (!ret && s->n_objects)
		ret = scols_print_table(table);
	scols_unref_table(table);
	return ret;
}

static int print_pager(FILE *f, const struct status *s)
{
	struct pace pace;
	int ret;

	print_head(f, s);
	print_spaces(f, s);
	ret = print_objects(f, s);
	if (!s->serving) {
		text_print_size(f, s->counts.total);
		fputs(" to come\n", f);
		return ret;
	}
	status_pace(s, &pace);
	pace_print(f, &pace);
	fprintf(f, ", %" PRIu64 " faults", s->counts.faults);
	if (s->counts.damaged) {
		fputs(", ", f);
		text_print_size(f, s->counts.damaged);
		fputs(" damaged in the image", f);
	}
	fputc('\n', f);
	return ret;
}

int status_print_text(FILE *f, const struct pager_answers *answers)
{
	bool first = true;
	int ret = 0;
	size_t i;

	for (i = 0; !ret && i < answers->n; i++) {
		if (*answers->v[i].error)
			continue;
		if (!first)
			fputc('\n', f);
		first = false;
		ret = print_pager(f, &answers->v[i].status);
	}
	return ret;
}

static struct json_object *new_failure(const struct pager_answer *answer)
{
	struct json_object *json = json_object_new_object();
	pid_t pid = answer->status.pid;

	json_object_object_add(json, "pid", pid ? json_object_new_int(pid) : NULL);
	json_object_object_add(json, "error", json_new_text(answer->error));
	return json;
}

int status_print_json(FILE *f, const struct pager_answers *answers)
{
	int ret = 0;
	size_t i;

	fputc('[', f);
	for (i = 0; !ret && i < answers->n; i++) {
		const struct pager_answer *one = &answers->v[i];

		if (i)
			fputc(',', f);
		ret = json_print(f, *one->error ? new_failure(one) : status_to_json(&one->status, false));
	}
	fputs("]\n", f);
	return ret;
}
