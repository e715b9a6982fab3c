// SPDX-License-Identifier: GPL-2.0-only
/* Options of lazy-restore. */
#include "lazy/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "common/arguments.h"

/* OLD=NEW, cut at an equals sign that has a selector on both sides: names may have others in them */
static bool parse_map(char *text, struct pairing_map *map)
{
	struct pairing_map found;
	char *at, *cut = NULL;

	for (at = strchr(text, '='); at; at = strchr(at + 1, '=')) {
		bool fits;

		*at = '\0';
		fits = selector_parse(text, &map->old) && selector_parse(at + 1, &map->new);
		*at = '=';
		if (fits && cut)
			return false;
		if (fits) {
			cut = at;
			found = *map;
		}
	}
	if (!cut)
		return false;
	*cut = '\0';
	*map = found;
	return true;
}

static void add_map(struct lazy_options *o, char *arg, struct mistake *m)
{
	if (o->n_maps == LAZY_MAX_MAPS)
		mistake(m, "--map can be given up to %d times", LAZY_MAX_MAPS);
	else if (!parse_map(arg, &o->maps[o->n_maps++]))
		mistake(m, "--map wants OLD=NEW, both PID:FD, PID:0xADDRESS, ino:N, name:NAME or kind:KIND, not \"%s\"", arg);
}

static void check(const struct lazy_options *o, int argc, char **argv, struct mistake *m)
{
	if (optind < argc)
		mistake(m, "lazy-restore takes no argument \"%s\"", argv[optind]);
	if (!o->tree)
		mistake(m, "lazy-restore wants a tree of processes (-t PID)");
	if (!o->directory || !*o->directory)
		mistake(m, "lazy-restore wants the directory of an image (-D DIR)");
}

int lazy_options_parse(int argc, char **argv, struct lazy_options *o, char *error, size_t error_size)
{
	enum { TRUST_DESCRIPTORS = 256, WAIT, EAGER, MAP };
	static const struct option options[] = {
		{ "tree", required_argument, NULL, 't' },
		{ "directory", required_argument, NULL, 'D' },
		{ "trust-descriptors", no_argument, NULL, TRUST_DESCRIPTORS },
		{ "wait", no_argument, NULL, WAIT },
		{ "eager", no_argument, NULL, EAGER },
		{ "map", required_argument, NULL, MAP },
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
		case TRUST_DESCRIPTORS:
			o->trust_descriptors = true;
			break;
		case WAIT:
			o->wait = true;
			break;
		case EAGER:
			o->eager = true;
			break;
		case MAP:
			add_map(o, optarg, &m);
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
	check(o, argc, argv, &m);
	return m.made ? -EINVAL : 0;
}
