// SPDX-License-Identifier: GPL-2.0-only
/* Tests of the command lines of dump and verify, and of selectors. */
#include <errno.h>
#include <string.h>

#include "dump/options.h"
#include "tap.h"
#include "words.h"

static struct dump_options options;
static char copy[256], error[512];	/* what the options point to is in copy */

static int parse(const char *line)
{
	char *argv[N_WORDS + 1];

	*error = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	return dump_options_parse(words(copy, argv), argv, &options, error, sizeof(error));
}

static int parse_verify(const char *line, struct verify_options *o)
{
	char *argv[N_WORDS + 1];

	*error = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	return verify_options_parse(words(copy, argv), argv, o, error, sizeof(error));
}

static void test_dump(void)
{
	static const struct {
		const char *line, *error;
	} mistakes[] = {
		{ "dump", "wants a tree" },
		{ "dump -t 7", "wants a directory" },
		{ "dump -D dir", "wants a tree" },
		{ "dump -t 0 -D dir", "-t wants a pid, not \"0\"" },
		{ "dump -t 7,8 -D dir", "-t wants a pid" },
		{ "dump -t 7 -D", "-D wants an argument" },
		{ "dump -t 7 -D dir --parent", "--parent wants an argument" },
		{ "dump -t 7 -D dir --kill --leave-stopped", "exclude one another" },
		{ "dump -t 7 -D dir --leave-stopped --kill", "exclude one another" },
		{ "dump -t 7 -D dir --kill --no-freeze", "--no-freeze goes neither" },
		{ "dump -t 7 -D dir --object", "--object wants an argument" },
		{ "dump -t 7 -D dir --object x", "--object wants PID:FD" },
		{ "dump -t 7 -D dir more", "no argument \"more\"" },
		{ "dump -t 7 -D dir -x", "-x is not an option" },
	};
	size_t i;

	TAP_OK(!parse("dump -t 7 -D dir") && options.tree == 7 && !strcmp(options.directory, "dir") && !options.parent &&
	       options.afterwards == LET_RUN && !options.n_selectors && !options.json, "the least");
	TAP_OK(!parse("dump --tree 7 --directory dir --parent old --kill --object name:a --object kind:sysv -jq") &&
	       !strcmp(options.parent, "old") && options.afterwards == KILL && options.n_selectors == 2 && options.json &&
	       options.quiet, "much");
	TAP_OK(!parse("dump -t 7 -D dir --leave-stopped") && options.afterwards == LEAVE_STOPPED, "left stopped");
	TAP_OK(!parse("dump -t 7 -D dir --no-freeze") && options.no_freeze, "not stopped");
	parse("dump --help");
	TAP_OK(options.help, "help");
	for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		TAP_OK(parse(mistakes[i].line) == -EINVAL && strstr(error, mistakes[i].error), "%s: %s", mistakes[i].line, error);
	TAP_OK(parse("dump -j -t x") == -EINVAL && options.json, "a mistake in JSON");
}

static void test_verify(void)
{
	struct verify_options o;

	TAP_OK(!parse_verify("verify -j dir", &o) && o.json && !strcmp(o.directory, "dir"), "verify a directory");
	TAP_OK(parse_verify("verify -q", &o) == -EINVAL && o.quiet && strstr(error, "one argument"), "verify nothing: %s", error);
	TAP_OK(parse_verify("verify a b", &o) == -EINVAL, "verify two: %s", error);
}

static void test_selectors(void)
{
	static const struct holder holders[] = {
		{ .pid = 7, .fd = 3 },
		{ .pid = 8, .is_mapping = true, .start = 0x1000, .end = 0x3000, .fd = 5 },
	};
	static char name[] = "ring";
	static const struct object object = {
		.kind = MEMFDCR_KIND_MEMFD, .ino = 42, .name = name, .holders = holders, .n_holders = 2,
	};
	static const struct {
		const char *text;
		int matches;	/* negative: it is no selector */
	} cases[] = {
		{ "7:3", 1 }, { "7:4", 0 }, { "8:3", 0 }, { "8:5", 0 }, { "8:0x1000", 1 }, { "8:0x2fff", 1 },
		{ "8:0x3000", 0 }, { "8:0xfff", 0 }, { "7:0x1000", 0 }, { "ino:42", 1 }, { "ino:4", 0 },
		{ "ino:18446744073709551615", 0 }, { "name:ring", 1 }, { "name:rin", 0 }, { "name:", 0 }, { "kind:memfd", 1 },
		{ "kind:sysv", 0 }, { "kind:secret", 0 }, { "kind:shared-anonymous", 0 }, { "kind:", -1 }, { "kind:other", -1 },
		{ "ino:", -1 }, { "ino:-1", -1 }, { "ino:4x", -1 }, { "ino:18446744073709551616", -1 }, { "7", -1 },
		{ "7:", -1 }, { "7:x", -1 }, { "7:0x", -1 }, { "0:3", -1 }, { ":3", -1 }, { "", -1 }, { "ring", -1 },
		{ "7:3 ", -1 }, { "7:99999999999", -1 },
	};
	static const struct object unnamed = { .kind = MEMFDCR_KIND_SHARED_ANONYMOUS };
	struct selector s;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool valid = selector_parse(cases[i].text, &s);

		TAP_OK(valid == (cases[i].matches >= 0) && (!valid || selector_matches(&s, &object) == cases[i].matches),
		       "selector \"%s\"", cases[i].text);
	}
	TAP_OK(selector_parse("name:", &s) && !selector_matches(&s, &unnamed), "what has no name is not called \"\"");
}

int main(void)
{
	test_dump();
	test_verify();
	test_selectors();
	return tap_done();
}
