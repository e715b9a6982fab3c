// SPDX-License-Identifier: GPL-2.0-only
/* Options and arguments of list and show turned into requests. */
#include "list/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <string.h>

#include "common/arguments.h"

#define PRESET		"KIND,NAME,INO,SIZE,ALLOCATED,SEALS,PIDS"
#define PRESET_HOLDERS	"PID,COMMAND,FD,START,END,PROT,INO,KIND,NAME"

static void add_pids(struct list_options *o, const char *list, struct mistake *m)
{
	const char *p = list;

	for (;;) {
		uint32_t pid;

		if (!take_pid(&p, ',', &pid) && !take_pid(&p, '\0', &pid)) {
			mistake(m, "-p wants pids with commas between them, not \"%s\"", list);
			return;
		}
		if (o->scope.n_pids == OBJECTS_MAX_PIDS) {
			mistake(m, "-p takes up to %d pids", OBJECTS_MAX_PIDS);
			return;
		}
		o->pids[o->scope.n_pids++] = pid;
		if (!*p)
			return;
		p++;
	}
}

/* what is asked of the kernel is what the columns need */
static void choose_columns(struct list_options *o, const char *names, bool holders, struct mistake *m)
{
	const char *preset = holders ? PRESET_HOLDERS : PRESET;

	if (!names)
		names = o->scope.outside ? "+OUTSIDE" : preset;
	if (column_list_parse(&o->columns, names, preset, m->text, m->size)) {
		m->made = true;
		return;
	}
	if (holders || o->columns.flags & OF_HOLDER)
		o->rows = OF_HOLDER;
	o->scope.holders = o->json || o->rows || o->columns.flags & NEEDS_HOLDERS;
	if (o->columns.flags & NEEDS_OUTSIDE)
		o->scope.outside = true;
}

int list_options_parse(int argc, char **argv, struct list_options *o, char *error, size_t error_size)
{
	enum { LIST_COLUMNS = 256, HOLDERS, OUTSIDE };
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "tree", required_argument, NULL, 't' },
		{ "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "raw", no_argument, NULL, 'r' },
		{ "output", required_argument, NULL, 'o' },
		{ "list-columns", no_argument, NULL, LIST_COLUMNS },
		{ "holders", no_argument, NULL, HOLDERS },
		{ "outside", no_argument, NULL, OUTSIDE },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct mistake m = { error, error_size, false };
	bool all = false, holders = false;
	const char *names = NULL;
	int c;

	memset(o, 0, sizeof(*o));
	o->scope.pids = o->pids;
	optind = 0;	/* begin anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":p:t:ajro:h", options, NULL)) != -1) {
		const char *arg = optarg;

		switch (c) {
		case 'p':
			add_pids(o, arg, &m);
			break;
		case 't':
			if (!take_pid(&arg, '\0', &o->scope.tree))
				mistake(&m, "-t wants a pid, not \"%s\"", optarg);
			break;
		case 'a':
			all = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'r':
			o->raw = true;
			break;
		case 'o':
			names = arg;
			break;
		case LIST_COLUMNS:
			o->list_columns = true;
			break;
		case HOLDERS:
			holders = true;
			break;
		case OUTSIDE:
			o->scope.outside = true;
			break;
		case 'h':
			o->help = true;
			break;
		default:
			mistaken_option(&m, c, argv);
		}
	}
	if (optind < argc)
		mistake(&m, "list takes no argument \"%s\"", argv[optind]);
	if (!!o->scope.n_pids + !!o->scope.tree + all > 1)
		mistake(&m, "-p, -t and -a exclude one another");
	if (o->json && (o->raw || names))
		mistake(&m, "-j prints everything: neither -r nor -o goes with it");
	if (!m.made)
		choose_columns(o, names, holders, &m);
	return m.made ? -EINVAL : 0;
}

/* PID:FD, PID:0xADDRESS; all else is a path */
static void parse_target(struct show_options *o, const char *target, struct mistake *m)
{
	const char *p = target;

	if (!take_pid(&p, ':', &o->ref.pid)) {
		o->path = target;
		o->ref.by = REF_FD;
		return;
	}
	p++;
	if (take_address(p, &o->ref.address))
		o->ref.by = REF_ADDRESS;
	else if (take_number(&p, '\0', INT_MAX, &o->ref.fd))
		o->ref.by = REF_TARGET_FD;
	else
		mistake(m, "\"%s\" is neither PID:FD nor PID:0xADDRESS", target);
}

int show_options_parse(int argc, char **argv, struct show_options *o, char *error, size_t error_size)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct mistake m = { error, error_size, false };
	int c;

	*o = (struct show_options){ 0 };
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":jh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'h':
			o->help = true;
			break;
		default:
			mistaken_option(&m, c, argv);
		}
	}
	if (argc - optind != 1)
		mistake(&m, "show wants one argument: PID:FD, PID:0xADDRESS or a path like /proc/PID/fd/FD");
	else
		parse_target(o, argv[optind], &m);
	return m.made ? -EINVAL : 0;
}
