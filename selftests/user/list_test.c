// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/list/, with names and text of user/common/: what list and show print for objects made here; options. */
#include <errno.h>
#include <json-c/json.h>
#include <linux/fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/json.h"
#include "common/text.h"
#include "list/json.h"
#include "list/options.h"
#include "list/show.h"
#include "list/table.h"
#include "tap.h"
#include "words.h"

#define NAME "new\nline \\ \xff\xc3\xa9\x1b[31m"	/* a newline, a byte that is not UTF-8, an e acute, an escape */

static const struct holder holders[] = {
	{ .object = 7, .pid = 10, .tid = 12, .file_id = 0xfedcba9876543210, .fd = 3,
	  .flags = O_RDWR | O_LARGEFILE, .position = UINT64_MAX, .cloexec = true },
	{ .object = 7, .pid = 10, .is_mapping = true, .file_id = 1, .start = 0x7f0000000000,
	  .end = 0x7f0000002000, .offset = 4096, .prot = PROT_READ | PROT_WRITE, .shared = true, .may_write = true,
	  .has_uffd = true, .uffd_id = 0xabc, .uffd_modes = 5 },
	{ .object = 7, .pid = 11, .fd = 0, .flags = O_PATH },
	{ .object = 7, .pid = 9, .outside = true, .is_mapping = true, .start = 0x1000, .end = 0x2000,
	  .prot = PROT_EXEC, .locked = true },
};

static struct object objects[] = {
	{ .id = 7, .dev = 1, .ino = 5, .generation = 3, .kind = MEMFDCR_KIND_MEMFD, .name = (char *)NAME,
	  .size = UINT64_MAX, .allocated = 1ull << 63, .swapped = 1536, .page_size = 4096, .has_seals = true,
	  .seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | 0x20 | 0x400,
	  .mode = 0777, .uid = 1000, .gid = UINT32_MAX, .descriptors = 2, .mappings = 2, .outside_holders = 1,
	  .unexplained = 2, .holders = holders, .n_holders = 4 },
	{ .id = UINT64_MAX, .dev = 0xffffffff, .ino = UINT64_MAX, .kind = MEMFDCR_KIND_SECRET, .page_size = 1 << 30,
	  .hugetlb = true, .noexec = true, .sealing_allowed = true },
};

/* the stream's text is in text, which lasts until the next one */
static char *text;
static size_t text_size;

static FILE *open_text(void)
{
	free(text);
	return open_memstream(&text, &text_size);
}

static bool is(const char *expected)
{
	return tap_same(text, expected);
}

static void print_table(const char *names, unsigned int which, bool raw)
{
	struct column_list list;
	char error[256];
	FILE *f = open_text();

	if (column_list_parse(&list, names, "KIND", error, sizeof(error)) ||
	    table_print(f, &list, objects, 2, which, raw))
		abort();
	fclose(f);
}

static bool table_is(const char *names, unsigned int which, bool raw, const char *expected)
{
	print_table(names, which, raw);
	return is(expected);
}

static void test_tables(void)
{
	TAP_OK(table_is("KIND,DEV,INO,SIZE,ALLOCATED,SWAPPED,PAGE-SIZE,PIDS", 0, false,
			"KIND   DEV                           INO SIZE ALLOCATED SWAPPED PAGE-SIZE PIDS\n"
			"memfd  0:1                             5  16E        8E    1.5K        4K 10,11\n"
			"secret 4095:1048575 18446744073709551615   0B        0B      0B        1G \n"),
	       "text of objects");
	TAP_OK(table_is("KIND,SIZE,ALLOCATED,SWAPPED,HUGETLB,PIDS", 0, true,
			"KIND SIZE ALLOCATED SWAPPED HUGETLB PIDS\n"
			"memfd 18446744073709551615 9223372036854775808 1536 0 10,11\n"
			"secret 0 0 0 1 \n"), "raw text of objects");
	TAP_OK(table_is("SEALS,NOEXEC,MODE,GID,OUTSIDE", 0, true,
			"SEALS NOEXEC MODE GID OUTSIDE\n"
			"seal,shrink,grow,write,future-write,exec,0x400 0 0777 4294967295 1\n"
			" 1 0000 0 0\n"), "seals, known and not, and none");
	TAP_OK(table_is("PID,TID,FD,FLAGS,POS,CLOEXEC,START,PROT,OUTSIDE", OF_HOLDER, true,
			"PID TID FD FLAGS POS CLOEXEC START PROT OUTSIDE\n"
			"10 12 3 rdwr,largefile 18446744073709551615 1   0\n"
			"10      0x7f0000000000 rw- 0\n"
			"11  0 path 0 0   0\n"
			"9      0x1000 --x 1\n"), "raw text of holders");
	TAP_OK(table_is("START,UFFD,UFFD-MODES,LOCKED", OF_MAPPING, false,
			"START          UFFD  UFFD-MODES    LOCKED\n"
			"0x7f0000000000 0xabc missing,minor     no\n"
			"0x1000                                yes\n"), "text of mappings");
	print_table("+NAME", 0, false);
	TAP_OK(strstr(text, "\\x0a") && !strchr(text, 27) && strstr(text, "\xc3\xa9") && !strchr(text, '\xff') &&
	       strstr(text, "KIND") == text, "text of a hostile name: %zu bytes", text_size);
	print_table("NAME", 0, true);
	TAP_OK(!strchr(text, 27) && !strchr(text, ' ') && !strchr(text, '\xff'), "raw text of a hostile name");
}

static void test_pids(void)
{
	static struct holder many[12];
	const struct object o = { .holders = many, .n_holders = 12 };
	const struct value v = { .type = VALUE_PIDS, .object = &o };
	size_t i;
	FILE *f;

	for (i = 0; i < 12; i++)
		many[i] = (struct holder){ .pid = 10 + i / 2, .outside = i >= 10 };
	f = open_text();
	value_print(f, &v, false);
	fclose(f);
	TAP_OK(is("10,11,12,+2"), "the first pids, each once");
	f = open_text();
	value_print(f, &v, true);
	fclose(f);
	TAP_OK(is("10,11,12,13,14"), "raw: all of them");
}

static void test_sizes(void)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
		{ 0, "0B" }, { 1023, "1023B" }, { 1024, "1K" }, { 1075, "1K" }, { 1076, "1.1K" }, { 1536, "1.5K" },
		{ 1048575, "1M" }, { 1048576, "1M" }, { 1 << 30, "1G" }, { (1ull << 50) + (1ull << 49), "1.5P" },
		{ INT64_MAX, "8E" }, { UINT64_MAX, "16E" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct value v = { .type = VALUE_SIZE, .number = cases[i].n };
		FILE *f = open_text();

		value_print(f, &v, false);
		fclose(f);
		TAP_OK(is(cases[i].text), "%s", cases[i].text);
	}
}

#define JSON_OBJECT \
	"{\"kind\":\"memfd\",\"name\":\"new\\nline \\\\ \xef\xbf\xbd\xc3\xa9\\u001b[31m\",\"dev\":\"0:1\",\"ino\":5," \
	"\"generation\":3,\"id\":\"0x7\"," \
	"\"size\":18446744073709551615,\"allocated\":9223372036854775808,\"swapped\":1536," \
	"\"seals\":[\"seal\",\"shrink\",\"grow\",\"write\",\"future-write\",\"exec\",\"0x400\"],\"sealing\":false," \
	"\"noexec\":false,\"hugetlb\":false,\"page_size\":4096,\"mode\":\"0777\",\"uid\":1000,\"gid\":4294967295," \
	"\"descriptors\":2,\"mappings\":2,\"unexplained\":2,\"holders\":[" \
	"{\"pid\":10,\"tid\":12,\"fd\":3,\"file\":\"0xfedcba9876543210\",\"flags\":[\"rdwr\",\"largefile\"]," \
	"\"pos\":18446744073709551615,\"cloexec\":true}," \
	"{\"pid\":10,\"file\":\"0x1\",\"start\":\"0x7f0000000000\",\"end\":\"0x7f0000002000\",\"offset\":4096," \
	"\"prot\":\"rw-\",\"shared\":true,\"locked\":false,\"may_write\":true," \
	"\"uffd\":{\"id\":\"0xabc\",\"modes\":[\"missing\",\"minor\"]}}," \
	"{\"pid\":11,\"tid\":null,\"fd\":0,\"file\":\"0x0\",\"flags\":[\"path\"],\"pos\":0,\"cloexec\":false}],"

static void test_json(void)
{
	struct snapshot s = { .objects = objects, .n_objects = 2, .hidden = 4, .hidden_outside = 5, .consistent = true };
	const struct snapshot none = { 0 };
	static struct extent v[] = { { 0, 4096, MEMFDCR_EXTENT_HOLE }, { 4096, UINT64_MAX, MEMFDCR_EXTENT_SWAPPED } };
	const struct extents extents = { v, 2 };
	FILE *f = open_text();

	json_print_list(f, &s, true);
	fclose(f);
	TAP_OK(is("{\"objects\":[\n" JSON_OBJECT "\"outside\":[{\"pid\":9,\"file\":\"0x0\",\"start\":\"0x1000\","
		  "\"end\":\"0x2000\",\"offset\":0,\"prot\":\"--x\",\"shared\":false,\"locked\":true,"
		  "\"may_write\":false,\"uffd\":null}]},\n"
		  "{\"kind\":\"secret\",\"name\":null,\"dev\":\"4095:1048575\",\"ino\":18446744073709551615,"
		  "\"generation\":0,\"id\":\"0xffffffffffffffff\","
		  "\"size\":0,\"allocated\":0,\"swapped\":0,\"seals\":null,\"sealing\":true,"
		  "\"noexec\":true,\"hugetlb\":true,\"page_size\":1073741824,\"mode\":\"0000\",\"uid\":0,\"gid\":0,"
		  "\"descriptors\":0,\"mappings\":0,\"unexplained\":0,\"holders\":[],\"outside\":[]}\n"
		  "],\"hidden\":4,\"hidden_outside\":5,\"consistent\":true}\n"), "JSON of a list");
	f = open_text();
	json_print_list(f, &none, false);
	fclose(f);
	TAP_OK(is("{\"objects\":[],\"hidden\":0,\"hidden_outside\":0,\"consistent\":false}\n"), "JSON of nothing");
	f = open_text();
	json_print_object(f, &objects[0], &extents, &s);
	fclose(f);
	TAP_OK(is("{\"object\":" JSON_OBJECT "\"outside\":null,\"extents\":["
		  "{\"start\":0,\"end\":4096,\"state\":\"hole\"},"
		  "{\"start\":4096,\"end\":18446744073709551615,\"state\":\"swapped\"}]},\"hidden\":4,\"hidden_outside\":5,"
		  "\"consistent\":true}\n"), "JSON of one object");
	f = open_text();
	json_print_error(f, "no \"\xfe\"");
	fclose(f);
	TAP_OK(is("{\"error\":\"no \\\"\xef\xbf\xbd\\\"\"}\n"), "JSON of an error");
}

/* every byte string is valid JSON, and what is UTF-8 is kept */
static void test_names(void)
{
	static const char *const odd[] = {
		"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xc3",
		"\xe2\x82", "\x80", "\xff", "\xc1\xbf",
	};
	static const char *const good[] = { "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xef\xbf\xbd", "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf", "\"", "\x7f" };
	char name[250], *utf8;
	bool ok = true;
	size_t i;
	FILE *f;

	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		utf8 = text_to_utf8(odd[i]);
		ok = ok && !strncmp(utf8, "\xef\xbf\xbd", 3) && strlen(utf8) == 3 * strlen(odd[i]);
		free(utf8);
	}
	TAP_OK(ok, "bytes that are not UTF-8 are replaced one by one");
	for (i = 0, ok = true; i < sizeof(good) / sizeof(good[0]); i++) {
		utf8 = text_to_utf8(good[i]);
		ok = ok && !strcmp(utf8, good[i]);
		free(utf8);
	}
	TAP_OK(ok, "what is UTF-8 is kept");
	for (i = 0; i < 249; i++)
		name[i] = i + 1;
	name[249] = '\0';
	utf8 = text_to_utf8(name);
	TAP_OK(strlen(utf8) == 127 + 3 * (249 - 127), "a name of 249 bytes");
	free(utf8);
	f = open_text();
	text_print(f, "a\\b\n\xc2\x9b\xc3\xa9\xff\x7f");
	fclose(f);
	TAP_OK(is("a\\\\b\\x0a\\xc2\\x9b\xc3\xa9\\xff\\x7f"), "what terminals obey is escaped");
}

static void test_show(void)
{
	static struct extent v[12];
	const struct extents extents = { v, 12 };
	FILE *f;
	int i;

	for (i = 0; i < 12; i++)
		v[i] = (struct extent){ i * 4096, (i + 1) * 4096, i % 3 + 1 };
	f = open_text();
	show_print(f, &objects[0], &extents);
	fclose(f);
	TAP_OK(!strncmp(text, "kind: memfd\nname: new\\x0aline \\\\ \\xff\xc3\xa9\\x1b[31m\ndev: 0:1\n", 20) &&
	       strstr(text, "\nsize: 16E\n") && strstr(text, "\nmode: 0777\n"), "show: properties");
	TAP_OK(strstr(text, "\nextents: 12, allocated 16K, swapped 16K, hole 16K\n  0x0-0x1000 hole\n") &&
	       strstr(text, "0x9000-0xa000 hole\n  and 2 more\n"), "show: extents");
	TAP_OK(strstr(text, "\n10 ") || strstr(text, " 10 "), "show: holders");
	TAP_OK(strstr(text, " FD ") && strstr(text, "0x7f0000000000"), "descriptors and mappings");
	f = open_text();
	show_print(f, &objects[1], &(struct extents){ 0 });
	fclose(f);
	TAP_OK(!strstr(text, "name:") && !strstr(text, "seals:") && !strstr(text, "PID"), "what is not there");
}

static struct list_options options;
static char error[512];

static int parse_list(const char *line)
{
	char copy[256], *argv[N_WORDS + 1];

	*error = '\0';
	snprintf(copy, sizeof(copy), "%s", line);
	return list_options_parse(words(copy, argv), argv, &options, error, sizeof(error));
}

static void test_list_options(void)
{
	static const struct {
		const char *line, *error;
		bool json;
	} bad[] = {
		{ "list -p", "-p wants an argument", false },
		{ "list --pid", "--pid wants an argument", false },
		{ "list -p 1,", "-p wants pids", false },
		{ "list -p ,1", "-p wants pids", false },
		{ "list -p 0", "-p wants pids", false },
		{ "list -p -1 -j", "-p wants pids with commas between them, not \"-1\"", true },
		{ "list -p 2147483648", "-p wants pids", false },
		{ "list -p 99999999999999999999", "-p wants pids", false },
		{ "list -t x", "-t wants a pid, not \"x\"", false },
		{ "list -t 1,2", "-t wants a pid", false },
		{ "list -p 1 -t 1", "exclude one another", false },
		{ "list -p 1 -a -j", "exclude one another", true },
		{ "list -t 1 -a", "exclude one another", false },
		{ "list -j -r", "neither -r nor -o", true },
		{ "list -o PID -j", "neither -r nor -o", true },
		{ "list -o PID,FOO", "unknown column \"FOO\"", false },
		{ "list -o PID,,FD", "unknown column \"\"", false },
		{ "list -o +", "unknown column \"\"", false },
		{ "list -x -j", "-x is not an option", true },
		{ "list --foo", "--foo is not an option", false },
		{ "list --json=1", "--json=1 is not an option", true },
		{ "list 17", "list takes no argument \"17\"", false },
	};
	char many[8 * COLUMNS_MAX] = "";
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		TAP_OK(parse_list(bad[i].line) == -EINVAL && strstr(error, bad[i].error) &&
		       (options.json == bad[i].json || strstr(bad[i].line, "=")), "%s: %s", bad[i].line, error);

	TAP_OK(!parse_list("list") && !options.scope.n_pids && !options.scope.tree && options.scope.holders &&
	       !options.scope.outside && !options.rows && options.columns.n == 7, "list: everything, a row an object");
	TAP_OK(!parse_list("list -p 1,2 -p 3") && options.scope.n_pids == 3 && options.scope.pids[2] == 3,
	       "list: pids, several times");
	TAP_OK(!parse_list("list -t 2147483647 --outside") && options.scope.tree == 2147483647 &&
	       options.scope.outside && options.columns.n == 8, "list: a tree, and what is outside");
	TAP_OK(!parse_list("list -o kind,size") && !options.scope.holders && options.columns.n == 2,
	       "list: without holders where no column needs them");
	TAP_OK(!parse_list("list -o +outside") && options.scope.outside && options.columns.n == 8,
	       "list: a column that needs holders outside");
	TAP_OK(!parse_list("list -o PID") && options.scope.holders && options.rows == OF_HOLDER,
	       "list: a column of holders makes a row a holder");
	TAP_OK(!parse_list("list --holders -r") && options.scope.holders && options.rows == OF_HOLDER && options.raw,
	       "list: holders");
	TAP_OK(!parse_list("list -aj") && options.json && options.scope.holders, "list: JSON has holders");
	TAP_OK(!parse_list("list --help") && options.help, "list: help");
	TAP_OK(!parse_list("list --list-columns") && options.list_columns, "list: columns");

	for (i = 0; i <= COLUMNS_MAX; i++)
		strcat(many, i ? ",FD" : "FD");
	TAP_OK(column_list_parse(&options.columns, many, "", error, sizeof(error)) == -EINVAL &&
	       strstr(error, "more than"), "too many columns");
}

static void test_many_pids(void)
{
	static char list[6 * (OBJECTS_MAX_PIDS + 1)];
	char name[] = "list", option[] = "-p";
	char *argv[] = { name, option, list, NULL };
	size_t i;

	for (i = 0; i < OBJECTS_MAX_PIDS; i++)
		sprintf(list + 5 * i, "%04zu,", i + 1);
	list[5 * OBJECTS_MAX_PIDS - 1] = '\0';
	TAP_OK(!list_options_parse(3, argv, &options, error, sizeof(error)) && options.scope.n_pids == OBJECTS_MAX_PIDS,
	       "as many pids as a request takes");
	strcat(list, ",1");
	TAP_OK(list_options_parse(3, argv, &options, error, sizeof(error)) == -EINVAL && strstr(error, "up to 4096"),
	       "and one too many");
}

static void test_show_options(void)
{
	static const struct {
		const char *line;
		int ret;
		int by;
		uint32_t pid, fd;
		uint64_t address;
		const char *path;
	} cases[] = {
		{ "show 7:3", 0, REF_TARGET_FD, 7, 3, 0, NULL },
		{ "show -j 7:0", 0, REF_TARGET_FD, 7, 0, 0, NULL },
		{ "show 7:0x7f00aBc000", 0, REF_ADDRESS, 7, 0, 0x7f00abc000, NULL },
		{ "show 7:0xffffffffffffffff", 0, REF_ADDRESS, 7, 0, UINT64_MAX, NULL },
		{ "show /proc/7/fd/3", 0, REF_FD, 0, 0, 0, "/proc/7/fd/3" },
		{ "show x:3", 0, REF_FD, 0, 0, 0, "x:3" },
		{ "show 7:", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:x", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:0x", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:0x-1", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:0x0x1", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:0X1", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:0x10000000000000000", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:99999999999", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show 7:3 7:4", -EINVAL, 0, 0, 0, 0, NULL },
		{ "show -x 7:3", -EINVAL, 0, 0, 0, 0, NULL },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char copy[64], *argv[N_WORDS + 1];
		struct show_options o;
		int ret;

		*error = '\0';
		snprintf(copy, sizeof(copy), "%s", cases[i].line);
		ret = show_options_parse(words(copy, argv), argv, &o, error, sizeof(error));
		TAP_OK(ret == cases[i].ret &&
		       (ret ? !!*error : (int)o.ref.by == cases[i].by && o.ref.address == cases[i].address &&
			o.ref.fd == cases[i].fd && !o.path == !cases[i].path &&
			(o.path ? !strcmp(o.path, cases[i].path) : o.ref.pid == cases[i].pid)), "%s", cases[i].line);
	}
}

/* the man page is where people look columns up: it has all of them, in order, in these words */
static void test_man_page(void)
{
	const char *slash = strrchr(__FILE__, '/');
	char path[4096], line[512], name[512] = "";
	const struct column *c = columns;
	bool in_columns = false, ok = true;
	FILE *f;

	snprintf(path, sizeof(path), "%.*s../../docs/man/memfdcr.8", slash ? (int)(slash - __FILE__ + 1) : 0, __FILE__);
	f = fopen(path, "re");
	if (!f)
		abort();
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, ".S", 2))
			in_columns = !strcmp(line, ".SH COLUMNS");
		if (!in_columns)
			continue;
		if (*name) {
			ok = ok && c->name && !strcmp(name, c->name) && !strcmp(line, c->help);
			if (!ok) {
				tap_diag("man page: %s: %s; list --list-columns: %s: %s", name, line,
					 c->name ? c->name : "", c->name ? c->help : "");
				break;
			}
			c++;
		}
		*name = '\0';
		if (!strncmp(line, ".B ", 3)) {
			char *p;

			snprintf(name, sizeof(name), "%s", line + 3);
			for (p = strstr(name, "\\-"); p; p = strstr(p, "\\-"))
				memmove(p, p + 1, strlen(p));
		}
	}
	fclose(f);
	TAP_OK(ok && c != columns && !c->name, "memfdcr(8) has the columns");
}

int main(void)
{
	setlocale(LC_CTYPE, "C.UTF-8");
	test_tables();
	test_pids();
	test_sizes();
	test_json();
	test_names();
	test_show();
	test_list_options();
	test_many_pids();
	test_show_options();
	test_man_page();
	free(text);
	return tap_done();
}
