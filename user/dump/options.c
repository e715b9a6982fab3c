// SPDX-License-Identifier: GPL-2.0-only
/* Options of dump and verify. */
#include "dump/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "common/arguments.h"

static void add_selector(struct dump_options *o, const char *arg, struct mistake *m)
{
	if (o->n_selectors == DUMP_MAX_SELECTORS)
		mistake(m, "--object can be given up to %d times", DUMP_MAX_SELECTORS);
	else if (!selector_parse(arg, &o->selectors[o->n_selectors++]))
		mistake(m, "--object wants PID:FD, PID:0xADDRESS, ino:N, name:NAME or kind:KIND, not \"%s\"", arg);
}

static void set_afterwards(struct dump_options *o, enum afterwards what, struct mistake *m)
{
	if (o->afterwards != LET_RUN && o->afterwards != what)
		mistake(m, "--leave-stopped and --kill exclude one another");
	o->afterwards = what;
}

static void check_dump(const struct dump_options *o, int argc, char **argv, struct mistake *m)
{
	if (optind < argc)
		mistake(m, "dump takes no argument \"%s\"", argv[optind]);
	if (!o->tree)
		mistake(m, "dump wants a tree of processes (-t PID)");
	if (!o->directory || !*o->directory)
		mistake(m, "dump wants a directory (-D DIR)");
	/* what they would leave behind is not what is in the image */
	if (o->no_freeze && o->afterwards != LET_RUN)
		mistake(m, "--no-freeze goes neither with --leave-stopped nor with --kill");
}

int dump_options_parse(int argc, char **argv, struct dump_options *o, char *error, size_t error_size)
{
	enum { LEAVE_STOPPED_OPTION = 256, KILL_OPTION, PARENT, OBJECT, NO_FREEZE };
	static const struct option options[] = {
		{ "tree", required_argument, NULL, 't' },
		{ "directory", required_argument, NULL, 'D' },
		{ "leave-stopped", no_argument, NULL, LEAVE_STOPPED_OPTION },
		{ "kill", no_argument, NULL, KILL_OPTION },
		{ "parent", required_argument, NULL, PARENT },
		{ "object", required_argument, NULL, OBJECT },
		{ "no-freeze", no_argument, NULL, NO_FREEZE },
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct mistake m = { error, error_size, false };
	int c;

	memset(o, 0, sizeof(*o));
	optind = 0;	/* begin anew */
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":t:D:jqh", options, NULL)) != -1) {
		const char *arg = optarg;

		switch (c) {
		case 't':
			if (!take_pid(&arg, '\0', &o->tree))
				mistake(&m, "-t wants a pid, not \"%s\"", optarg);
			break;
		case 'D':
			o->directory = optarg;
			break;
		case LEAVE_STOPPED_OPTION:
			set_afterwards(o, LEAVE_STOPPED, &m);
			break;
		case KILL_OPTION:
			set_afterwards(o, KILL, &m);
			break;
		case PARENT:
			o->parent = optarg;
			break;
		case OBJECT:
			add_selector(o, optarg, &m);
			break;
		case NO_FREEZE:
			o->no_freeze = true;
			break;
		case 'j':
			o->json = true;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'h':
			o->help = true;
			break;
		default:
			mistaken_option(&m, c, argv);
		}
	}
	check_dump(o, argc, argv, &m);
	return m.made ? -EINVAL : 0;
}

int verify_options_parse(int argc, char **argv, struct verify_options *o, char *error, size_t error_size)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct mistake m = { error, error_size, false };
	int c;

	*o = (struct verify_options){ 0 };
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":jqh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'q':
			o->quiet = true;
			break;
		case 'h':
			o->help = true;
			break;
		default:
			mistaken_option(&m, c, argv);
		}
	}
	if (argc - optind != 1)
		mistake(&m, "verify wants one argument: the directory of an image");
	else
		o->directory = argv[optind];
	return m.made ? -EINVAL : 0;
}
