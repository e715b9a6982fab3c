// SPDX-License-Identifier: GPL-2.0-only
/* Options of monitor: whom to watch, and how to print it. */
#include "monitor/options.h"

#include <errno.h>
#include <getopt.h>

#include "common/arguments.h"

/* -p or -t */
static void choose_process(struct monitor_options *o, int option, const char *arg, struct mistake *m)
{
	const char *p = arg;

	if (o->pid)
		mistake(m, "monitor watches one process (-p) or one tree (-t)");
	if (!take_pid(&p, '\0', &o->pid))
		mistake(m, "-%c wants a pid, not \"%s\"", option, arg);
	o->tree = option == 't';
}

int monitor_options_parse(int argc, char **argv, struct monitor_options *o, char *error, size_t error_size)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "tree", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct mistake m = { error, error_size, false };
	int c;

	*o = (struct monitor_options){ 0 };
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":p:t:jh", options, NULL)) != -1) {
		switch (c) {
		case 'p':
		case 't':
			choose_process(o, c, optarg, &m);
			break;
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
	if (optind < argc)
		mistake(&m, "monitor takes no argument \"%s\"", argv[optind]);
	if (!o->pid)
		mistake(&m, "monitor wants a process (-p PID) or a tree (-t PID)");
	return m.made ? -EINVAL : 0;
}
