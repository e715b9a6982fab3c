// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/status/ and user/common/pace.c: what memfdcr status prints for answers made here, and what is no answer. */
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "status/follow.h"
#include "status/options.h"
#include "status/print.h"
#include "status/tell.h"
#include "tap.h"
#include "words.h"

#define MB (1ull << 20)

/* the stream's text is in text, which lasts until the next one */
static char *text;
static size_t text_size;

static FILE *open_text(void)
{
	free(text);
	return open_memstream(&text, &text_size);
}

static struct status_object objects[] = {
	{ .name = (char *)"/dev/zero", .dev = 1, .ino = 77, .size = 512 * MB,
	  .counts = { 400 * MB, 300 * MB, 10 * MB, 80 * MB, 4 * MB, 6 * MB, 0, 1107 } },
	/* a newline, a byte that is not UTF-8, an escape */
	{ .name = (char *)"new\nline \xff\x1b[31m", .size = 4096, .why = (char *)"a task holds a descriptor of it" },
};

static struct status_space spaces[] = {
	{ .name = (char *)"4720#0 (postgres)", .command = (char *)"postgres", .pid = 4720 },
	{ .name = (char *)"?#12 (postgres)", .command = (char *)"postgres", .generation = 12 },
};

static const struct status serving = {
	.pid = 4711, .serving = true, .since = 1000000000, .elapsed_us = 4000000, .root = 4720, .command = (char *)"postgres",
	.directory = (char *)"/srv/ima\033ges", .counts = { 400 * MB, 300 * MB, 10 * MB, 80 * MB, 4 * MB, 6 * MB, 0, 1200 },
	.objects = objects, .n_objects = 2, .spaces = spaces, .n_spaces = 2,
};

#define ZEROS "\"left\":0,\"by_fault\":0,\"background\":0,\"dropped\":0,\"holes\":0,\"damaged\":0,\"faults\":0"

static const char serving_json[] =
	"{\"pid\":4711,\"state\":\"serving\",\"since\":1000000000,\"elapsed_us\":4000000,"
	"\"root\":{\"pid\":4720,\"command\":\"postgres\"},\"directory\":\"/srv/ima\\u001bges\","
	"\"done\":104857600,\"total\":419430400,\"left\":314572800,\"by_fault\":10485760,\"background\":83886080,"
	"\"dropped\":4194304,\"holes\":6291456,\"damaged\":0,\"faults\":1200,\"rate\":26214400,\"seconds_left\":12,"
	"\"objects\":[{\"name\":\"/dev/zero\",\"dev\":\"0:1\",\"ino\":77,\"size\":536870912,\"lazy\":true,\"why\":null,"
	"\"done\":104857600,\"total\":419430400,\"left\":314572800,\"by_fault\":10485760,\"background\":83886080,"
	"\"dropped\":4194304,\"holes\":6291456,\"damaged\":0,\"faults\":1107},"
	"{\"name\":\"new\\nline \xef\xbf\xbd\\u001b[31m\",\"dev\":null,\"ino\":null,\"size\":4096,\"lazy\":false,"
	"\"why\":\"a task holds a descriptor of it\",\"done\":0,\"total\":0," ZEROS "}],"
	"\"spaces\":[{\"name\":\"4720#0 (postgres)\",\"pid\":4720,\"generation\":0,\"command\":\"postgres\"},"
	"{\"name\":\"?#12 (postgres)\",\"pid\":null,\"generation\":12,\"command\":\"postgres\"}]}";

static const struct status waiting = {
	.pid = 4712, .since = 1000000001, .counts = { .total = 3 * MB / 2, .left = 3 * MB / 2 },
};

static const char waiting_json[] =
	"{\"pid\":4712,\"state\":\"waiting\",\"since\":1000000001,\"elapsed_us\":0,\"root\":null,\"directory\":null,"
	"\"done\":0,\"total\":1572864,\"left\":1572864,\"by_fault\":0,\"background\":0,\"dropped\":0,\"holes\":0,\"damaged\":0,\"faults\":0,"
	"\"rate\":0,\"seconds_left\":null,\"objects\":[],\"spaces\":[]}";

/* as an answer that came from there */
static struct pager_answer answer(const struct status *status, const char *channel, const char *error)
{
	struct pager_answer a = { .status = *status };

	snprintf(a.channel, sizeof(a.channel), "%s", channel);
	snprintf(a.error, sizeof(a.error), "%s", error);
	return a;
}

static void test_print(void)
{
	const struct status dead = { .pid = 4713 };
	struct pager_answer v[] = {
		answer(&serving, "1.1", ""), answer(&waiting, "2.2", ""), answer(&dead, "3.3", "it does not answer"),
		answer(&(struct status){ 0 }, "4.4", "it does not answer"),
	};
	const struct pager_answers all = { v, 4 }, none = { 0 };
	char *expected;
	FILE *f;

	f = open_text();
	TAP_OK(!status_print_text(f, &all) && !fclose(f) && tap_same(text,
		"pager 4711 serves 4720 (postgres) since 2001-09-09 01:46:40, from /srv/ima\\x1bges\n"
		"spaces: 4720#0 (postgres), ?#12 (postgres)\n"
		"NAME                     SIZE DONE LEFT FAULTS RESTORED\n"
		"/dev/zero                512M 100M 300M   1107 lazy\n"
		"new\\x0aline \\xff\\x1b[31m   4K                  eager: a task holds a descriptor of it\n"
		"100M of 400M, 25M/s, 12 s left, 1200 faults\n"
		"\n"
		"pager 4712 waits for the processes since 2001-09-09 01:46:41\n"
		"1.5M to come\n"), "text of those that have answered");

	if (asprintf(&expected, "[%s,%s,{\"pid\":4713,\"error\":\"it does not answer\"},"
				"{\"pid\":null,\"error\":\"it does not answer\"}]\n", serving_json, waiting_json) < 0)
		abort();
	f = open_text();
	TAP_OK(!status_print_json(f, &all) && !fclose(f) && tap_same(text, expected), "JSON of all");
	free(expected);
	f = open_text();
	TAP_OK(!status_print_json(f, &none) && !fclose(f) && tap_same(text, "[]\n"), "JSON of none");
}

static void test_many_spaces(void)
{
	struct status_space many[12];
	struct status s = waiting;
	struct pager_answer a;
	FILE *f;
	int i;

	for (i = 0; i < 12; i++)
		many[i] = spaces[1];
	s.spaces = many;
	s.n_spaces = 12;
	a = answer(&s, "1.1", "");
	f = open_text();
	TAP_OK(!status_print_text(f, &(struct pager_answers){ &a, 1 }) && !fclose(f) &&
	       strstr(text, "postgres), ?#12 (postgres) and 2 more\n"), "the first ten spaces");
}

/* what a daemon sends of it */
static char *sent(const struct status *s)
{
	struct json_object *json = status_to_json(s, true);
	char *copy = strdup(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));

	json_object_put(json);
	return copy;
}

static void test_round_trip(void)
{
	struct status s, part = serving, got;
	char *one, *two, error[128];

	part.next = 7;
	one = sent(&part);
	TAP_OK(!status_from_json(one, strlen(one), &got, error, sizeof(error)) && got.next == 7, "an answer is understood");
	two = sent(&got);
	TAP_OK(tap_same(two, one), "as it was meant");
	free(two);
	TAP_OK(got.objects[0].dev == 1 && got.objects[0].ino == 77 && got.spaces[1].generation == 12 &&
	       got.serving && !got.spaces[1].pid, "names and numbers are where they belong");

	/* the same once more, as if it were the second part */
	TAP_OK(!status_from_json(one, strlen(one), &s, error, sizeof(error)), "a second part");
	s.counts.left = 5;
	TAP_OK(!status_append(&got, &s) && got.n_objects == 4 && got.n_spaces == 4 && got.counts.left == 5 &&
	       !strcmp(got.objects[3].why, objects[1].why) && !strcmp(got.spaces[0].name, got.spaces[2].name) && !s.n_objects,
	       "goes behind the first one, with newer numbers");
	status_free(&got);
	status_free(&s);
	free(one);
}

/* text with the first occurrence of what replaced; to be freed */
static char *replaced(const char *what, const char *by)
{
	struct status s = serving;
	char *json = sent(&s), *at = strstr(json, what), *copy;

	if (!at || asprintf(&copy, "%.*s%s%s", (int)(at - json), json, by, at + strlen(what)) < 0)
		abort();
	free(json);
	return copy;
}

static void test_wrong(void)
{
	static const struct {
		const char *what, *by, *error;
	} cases[] = {
		{ "{\"pid\"", "[{\"pid\"", "is no JSON, or cut" },
		{ "{\"pid\":4711", "{\"pid\":4711}", "is no JSON, or cut" },
		{ "\"state\"", "\"stale\"", "has no state" },
		{ "serving", "sleeping", "is in an unknown state" },
		{ "\"serving\"", "1", "has state of another type" },
		{ "\"pid\":4711", "\"pid\":\"4711\"", "has pid of another type" },
		{ "\"pid\":4711", "\"pid\":-1", "has pid out of range" },
		{ "\"pid\":4711", "\"pid\":2147483648", "has pid out of range" },
		{ "\"pid\":4720,\"command\"", "\"pid\":null,\"command\"", "has pid of another type" },
		{ "\"since\":1000000000", "\"since\":null", "has since of another type" },
		{ "\"since\":1000000000", "\"since\":1e9", "has since of another type" },
		{ "\"left\":314572800", "\"left\":419430401", "has more left than there is" },
		{ "\"left\":314572800", "\"left\":-1", "has left out of range" },
		{ "\"total\":419430400", "\"total\":9223372036854775808", "has total out of range" },
		{ "\"total\":419430400", "\"total\":99999999999999999999999999", "has total out of range" },
		{ "\"dev\":\"0:1\"", "\"dev\":\"zero\"", "has a dev that is none" },
		{ "\"objects\":[", "\"objects\":[null,", "has objects of another type" },
		{ "\"objects\":[", "\"objects\":[3,", "has objects of another type" },
		{ "\"objects\":[", "\"subjects\":[", "has no objects" },
		{ "\"spaces\":[", "\"spaces\":[[],", "has spaces of another type" },
		{ "\"name\":\"/dev/zero\"", "\"name\":null", "has name of another type" },
		{ "\"generation\":12", "\"generation\":4294967296", "has generation out of range" },
		{ "\"next\":0", "\"next\":0.5", "has next of another type" },
		{ ",\"next\":0", "", "has no next" },
		{ "\"directory\":\"/srv/ima\\u001bges\"", "\"directory\":[]", "has directory of another type" },
	};
	struct status s = serving, got;
	char error[128], *json;
	size_t i, length, refused = 0;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json = replaced(cases[i].what, cases[i].by);
		TAP_OK(status_from_json(json, strlen(json), &got, error, sizeof(error)) == -EBADMSG &&
		       tap_same(error, cases[i].error) && !got.objects, "%s for %s", cases[i].by, cases[i].what);
		free(json);
	}
	json = sent(&s);
	length = strlen(json);
	for (i = 0; i < length; i++)
		refused += status_from_json(json, i, &got, error, sizeof(error)) == -EBADMSG;
	TAP_OK(refused == length, "an answer cut anywhere is none (%zu of %zu)", refused, length);
	free(json);

	json = replaced("\"state\"", "\"to_come\":[{}],\"state\"");
	TAP_OK(!status_from_json(json, strlen(json), &got, error, sizeof(error)), "what a later version says as well is left out");
	status_free(&got);
	free(json);
}

/* any bytes at all: understood or refused, and nothing else */
static void test_garbled(void)
{
	struct status s = serving, got;
	char error[128], *json = sent(&s), *copy = strdup(json);
	size_t length = strlen(json), understood = 0, refused = 0;
	unsigned int i, k;

	srandom(1);
	for (i = 0; i < 20000; i++) {
		memcpy(copy, json, length);
		for (k = 0; k <= i % 4; k++)
			copy[random() % length] = i % 2 ? (char)random() : "[]{}\",:0123456789-.enull"[random() % 25];
		if (status_from_json(copy, length, &got, error, sizeof(error))) {
			refused += !got.objects && !got.spaces && *error;
			continue;
		}
		understood++;
		status_free(&got);
	}
	TAP_OK(understood && refused && understood + refused == 20000, "garbled: %zu are understood, %zu refused", understood,
	       refused);
	free(copy);
	free(json);
}

static bool pace_is(struct pace p, const char *expected)
{
	FILE *f = open_text();

	pace_print(f, &p);
	fclose(f);
	return tap_same(text, expected);
}

static void test_pace(void)
{
	TAP_OK(pace_rate(100, 0) == 0 && pace_rate(1ull << 60, 1000000) == 1ull << 60, "rates");
	TAP_OK(pace_is((struct pace){ 0, 4096, 0 }, "0B of 4K, 0B/s"), "not begun");
	TAP_OK(pace_is((struct pace){ 1, 1025, 1024 }, "1B of 1K, 1K/s, 1 s left"), "seconds");
	TAP_OK(pace_is((struct pace){ 1, 1026, 1024 }, "1B of 1K, 1K/s, 2 s left"), "are rounded up");
	TAP_OK(pace_is((struct pace){ 5, 5, 0 }, "5B of 5B, 0B/s, 0 s left"), "nothing is left");
}

static bool follow_is(const struct follow *follow, bool bar, const char *expected)
{
	FILE *f = open_text();

	follow_print(f, follow, bar);
	fclose(f);
	return tap_same(text, expected);
}

static void test_follow(void)
{
	struct pager_answer v[] = { answer(&serving, "1.1", ""), answer(&waiting, "2.2", "") };
	struct pager_answers answers = { v, 1 };
	struct follow f = { 0 };

	TAP_OK(!follow_take(&f, &answers) && follow_is(&f, false, "100M of 400M, 25M/s, 12 s left\n"), "one pager");
	TAP_OK(follow_is(&f, true, "\r[#######                       ] 100M of 400M, 25M/s, 12 s left\033[K"), "as a bar");
	answers.n = 2;
	v[1].status.counts = (struct status_counts){ .total = 100 * MB };
	v[1].status.elapsed_us = 1000000;
	TAP_OK(!follow_take(&f, &answers) && follow_is(&f, false, "200M of 500M, 125M/s, 3 s left, 2 pagers\n"), "two");
	v[0] = answer(&(struct status){ 0 }, "1.1", "it does not answer");
	TAP_OK(!follow_take(&f, &answers) &&
	       follow_is(&f, false, "200M of 500M, 125M/s, 3 s left, 2 pagers, 1 without an answer\n"),
	       "one that does not answer stays where it was");
	answers = (struct pager_answers){ v + 1, 1 };
	TAP_OK(!follow_take(&f, &answers) && follow_is(&f, false, "500M of 500M, 100M/s, 0 s left\n"),
	       "one that has ended counts as done");
	v[1].status.counts.left = 50 * MB;
	snprintf(v[1].channel, sizeof(v[1].channel), "3.3");
	TAP_OK(!follow_take(&f, &answers) && follow_is(&f, false, "550M of 600M, 50M/s, 1 s left\n"), "another one has begun");
	answers.n = 0;
	TAP_OK(!follow_take(&f, &answers) && !f.n && f.ended == 600 * MB, "all have ended");
	follow_free(&f);
}

static void test_room(void)
{
	struct status_room room;
	char *name = calloc(1, 100000);
	int n = 0;

	memset(name, 'x', 99999);
	status_room_begin(&room);
	TAP_OK(status_room_take(&room, name, NULL) && !status_room_take(&room, "", NULL), "one fits in any case, and then no other");
	status_room_begin(&room);
	while (status_room_take(&room, "name", "text"))
		n++;
	TAP_OK(n > 50 && n < 200, "some of the usual ones fit (%d)", n);
	free(name);
}

static bool mistaken(const char *line, const char *expected)
{
	char copy[128], *argv[N_WORDS + 1], error[256] = "";
	struct status_options o;
	int ret;

	snprintf(copy, sizeof(copy), "%s", line);
	ret = status_options_parse(words(copy, argv), argv, &o, error, sizeof(error));
	return ret == (*expected ? -EINVAL : 0) && tap_same(error, expected);
}

static void test_options(void)
{
	TAP_OK(mistaken("status", "") && mistaken("status -f -j", "") && mistaken("status --follow --json", ""), "options");
	TAP_OK(mistaken("status 12", "status takes no argument \"12\""), "an argument");
	TAP_OK(mistaken("status -x", "-x is not an option; memfdcr status --help tells which there are"), "no option");
}

int main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	setenv("TZ", "UTC", 1);
	test_print();
	test_many_spaces();
	test_round_trip();
	test_wrong();
	test_garbled();
	test_pace();
	test_follow();
	test_room();
	test_options();
	free(text);
	return tap_done();
}
