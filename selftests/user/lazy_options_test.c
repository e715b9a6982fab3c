// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the command line of lazy-restore. */
#include <errno.h>
#include <string.h>

#include "lazy/options.h"
#include "tap.h"
#include "words.h"

static struct lazy_options options;
static char copy[256], error[512];	/* what the options point to is in copy */

static int parse(const char *line)
{
	char *argv[N_WORDS + 1];

	*error = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	return lazy_options_parse(words(copy, argv), argv, &options, error, sizeof(error));
}

static void test_all(void)
{
	static const struct {
		const char *line, *error;
	} mistakes[] = {
		{ "lazy-restore", "wants a tree" },
		{ "lazy-restore -t 7", "wants the directory" },
		{ "lazy-restore -D dir", "wants a tree" },
		{ "lazy-restore -t 0 -D dir", "-t wants a pid, not \"0\"" },
		{ "lazy-restore -t 7 -D", "-D wants an argument" },
		{ "lazy-restore -t 7 -D dir more", "no argument \"more\"" },
		{ "lazy-restore -t 7 -D dir -x", "-x is not an option" },
		{ "lazy-restore -t 7 -D dir --map", "--map wants an argument" },
		{ "lazy-restore -t 7 -D dir --map x", "--map wants OLD=NEW" },
		{ "lazy-restore -t 7 -D dir --map 1:2", "--map wants OLD=NEW" },
		{ "lazy-restore -t 7 -D dir --map 1:2=", "not \"1:2=\"" },
		{ "lazy-restore -t 7 -D dir --map =1:2", "not \"=1:2\"" },
		{ "lazy-restore -t 7 -D dir --map 1:2=3:x", "not \"1:2=3:x\"" },
		{ "lazy-restore -t 7 -D dir --map kind:other=1:2", "--map wants OLD=NEW" },
		/* it may be cut at two places */
		{ "lazy-restore -t 7 -D dir --map name:a=name:b=name:c", "--map wants OLD=NEW" },
	};
	size_t i;

	TAP_OK(!parse("lazy-restore -t 7 -D dir") && options.tree == 7 && !strcmp(options.directory, "dir") && !options.n_maps &&
	       !options.trust_descriptors && !options.wait && !options.eager && !options.json && !options.quiet, "the least");
	TAP_OK(!parse("lazy-restore --tree 7 --directory dir --trust-descriptors --wait -jq") && options.trust_descriptors &&
	       options.wait && !options.eager && options.json && options.quiet, "much");
	TAP_OK(!parse("lazy-restore -t 7 -D dir --eager") && options.eager, "at once");
	parse("lazy-restore --help");
	TAP_OK(options.help, "help");
	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		TAP_OK(parse(mistakes[i].line) == -EINVAL && strstr(error, mistakes[i].error), "%s: %s", mistakes[i].line, error);
	TAP_OK(parse("lazy-restore -j -t x") == -EINVAL && options.json, "a mistake in JSON");
}

static void test_maps(void)
{
	const struct pairing_map *m = options.maps;

	TAP_OK(!parse("lazy-restore -t 7 -D dir --map 1:2=3:0x40 --map ino:5=kind:sysv") && options.n_maps == 2 &&
	       m[0].old.by == SELECT_FD && m[0].old.pid == 1 && m[0].old.fd == 2 && m[0].new.by == SELECT_ADDRESS &&
	       m[0].new.pid == 3 && m[0].new.number == 0x40 && m[1].old.by == SELECT_INO && m[1].new.by == SELECT_KIND,
	       "selectors on both sides");
	TAP_OK(!strcmp(m[0].old.text, "1:2") && !strcmp(m[0].new.text, "3:0x40"), "each with its own text");
	TAP_OK(!parse("lazy-restore -t 7 -D dir --map name:a=b=1:2") && !strcmp(m->old.word, "a=b") && m->new.by == SELECT_FD,
	       "a name with an equals sign, before");
	TAP_OK(!parse("lazy-restore -t 7 -D dir --map 1:2=name:=") && m->old.by == SELECT_FD && !strcmp(m->new.word, "="),
	       "and behind");
	TAP_OK(!parse("lazy-restore -t 7 -D dir --map name:=name:") && !*m->old.word && !*m->new.word, "names of nothing");
}

int main(void)
{
	test_all();
	test_maps();
	return tap_done();
}
