// SPDX-License-Identifier: GPL-2.0-only
/* Options of status. */
#include "status/options.h"

#include <errno.h>
#include <getopt.h>

#include "common/arguments.h"

int status_options_parse(int argc, char **argv, struct status_options *o, char *error, size_t error_size)
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	struct mistake m = { error, error_size, false };
	int c;

	*o = (struct status_options){ 0 };
	optind = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":fjh", options, NULL)) != -1) {
		switch (c) {
		case 'f':
			o->follow = true;
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
		mistake(&m, "status takes no argument \"%s\"", argv[optind]);
	return m.made ? -EINVAL : 0;
}
