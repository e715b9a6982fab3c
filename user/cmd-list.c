// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr list: which shared memory processes hold, and who holds it. */
#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "commands.h"
#include "common/report.h"
#include "list/json.h"
#include "list/options.h"
#include "list/table.h"

static void usage(void)
{
	printf("Usage: memfdcr list [OPTION]...\n\n"
	       "Lists memfds, shared anonymous memory, System V segments and secret memory, each once.\n\n"
	       "  -p, --pid PID,...     of these processes; may be repeated\n"
	       "  -t, --tree PID        of this process and all its descendants\n"
	       "  -a, --all             of all processes that you may see (the default)\n"
	       "  -j, --json            everything as JSON\n"
	       "  -r, --raw             for shells: unaligned, in bytes and numbers\n"
	       "  -o, --output COLUMN,...  these columns, or with + before the first the default ones and these\n"
	       "      --list-columns    tell which columns there are\n"
	       "      --holders         a row for each descriptor and mapping\n"
	       "      --outside         look for holders in all other processes, too\n"
	       "  -h, --help            this text\n\n"
	       "Exit status: 0 done, 1 failed, 2 usage, 3 the module is absent or too old,\n"
	       "4 with -p or -t: nothing was found, or not all processes were there to be seen.\n");
}

static bool is_absent(uint32_t pid)
{
	/* refuses threads, as the module does, with EINVAL or ENOENT */
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0)
		close(fd);
	if (fd >= 0 || (errno != ESRCH && errno != EINVAL && errno != ENOENT))
		return false;
	report_notice("there is no process %u", pid);
	return true;
}

/* the module refuses a list with a process that does not exist: leaves the others. Returns how many there were */
static size_t drop_absent(struct list_options *o)
{
	size_t i, n = 0, dropped;

	for (i = 0; i < o->scope.n_pids; i++)
		if (!is_absent(o->pids[i]))
			o->pids[n++] = o->pids[i];
	dropped = o->scope.n_pids - n;
	o->scope.n_pids = n;
	if (o->scope.tree && is_absent(o->scope.tree)) {
		o->scope.tree = 0;
		dropped++;
	}
	return dropped;
}

/* of the processes asked for, without those that do not exist or end while we ask; *dropped: how many these are */
static int take_some(struct genl *g, struct list_options *o, struct snapshot *s, size_t *dropped)
{
	size_t last = drop_absent(o);
	int ret;

	*dropped = 0;
	do {
		*dropped += last;
		/* nothing is left: to ask for that would be to ask for everything */
		if (!o->scope.n_pids && !o->scope.tree) {
			*s = (struct snapshot){ .consistent = true };
			return 0;
		}
		ret = genl_snapshot_take(g, &o->scope, s);
		last = ret == -ESRCH ? drop_absent(o) : 0;
	} while (last);
	return ret;
}

static int print(const struct list_options *o, const struct snapshot *s)
{
	int ret = 0;

	if (o->json)
		return json_print_list(stdout, s, o->scope.outside);
	if (s->n_objects)
		ret = table_print(stdout, &o->columns, s->objects, s->n_objects, o->rows, o->raw);
	report_snapshot(s);
	return ret;
}

static int list(struct genl *g, struct list_options *o)
{
	bool all = !o->scope.n_pids && !o->scope.tree;
	int ret, status = EXIT_DONE;
	size_t dropped = 0;
	struct snapshot s;

	ret = all ? genl_snapshot_take(g, &o->scope, &s) : take_some(g, o, &s, &dropped);
	if (ret)
		return report_request_failure(o->json, -ret);
	if (!all && (dropped || s.hidden || !s.n_objects))
		status = EXIT_PARTIAL;
	ret = print(o, &s);
	genl_snapshot_free(&s);
	return ret ? report_error(false, EXIT_FAILED, "cannot print: %s", strerror(-ret)) : report_end(status);
}

int cmd_list(int argc, char **argv)
{
	static struct list_options options;
	char error[512];
	struct genl *g;
	int ret;

	setlocale(LC_CTYPE, "");	/* what libsmartcols takes for printable, and its width */
	ret = list_options_parse(argc, argv, &options, error, sizeof(error));
	if (options.help) {
		usage();
		return report_end(EXIT_DONE);
	}
	if (ret)
		return report_error(options.json, EXIT_USAGE, "%s", error);
	if (options.list_columns) {
		columns_describe(stdout);
		return report_end(EXIT_DONE);
	}
	g = genl_open();
	if (!g)
		return report_open_failure(options.json, errno);
	ret = list(g, &options);
	genl_close(g);
	return ret;
}
