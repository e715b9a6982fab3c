// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr dump: the shared memory of a tree of processes into a directory. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "common/report.h"
#include "common/text.h"
#include "dump/collect.h"
#include "dump/freeze.h"
#include "dump/options.h"
#include "dump/parent.h"
#include "dump/progress.h"
#include "image/layout.h"
#include "image/writer.h"
#include "serve/channel.h"

#define NO_FREEZE_TRIES 10

struct dump {
	const struct dump_options *options;
	struct genl *genl;
	struct writer *writer;
	struct imgdir parent;		/* path is NULL: there is none */
	struct freezer *freezer;	/* NULL: they run */
	struct collection collection;
	struct copy_progress copied;
	struct progress progress;
	bool spared;			/* they were to be killed, and were not */
	uint64_t began, froze, thawed;	/* microseconds; froze 0: not at all */
	size_t n_threads;
	sigset_t signals;		/* those that end us; blocked, so that what we leave behind is in order */
	char error[1024];
};

static void usage(void)
{
	printf("Usage: memfdcr dump -t PID -D DIR [OPTION]...\n\n"
	       "Writes the shared memory of a process and all its descendants into a directory.\n\n"
	       "  -t, --tree PID         of this process and all its descendants\n"
	       "  -D, --directory DIR    where to; new, or empty\n"
	       "      --leave-stopped    leave the processes stopped, as by SIGSTOP\n"
	       "      --kill             kill the processes when the image is on the disk\n"
	       "      --parent DIR       store only what is not the same in that image\n"
	       "      --object SELECTOR  only PID:FD, PID:0xADDRESS, ino:N, name:NAME, kind:KIND; may be repeated\n"
	       "      --no-freeze        do not stop the processes meanwhile\n"
	       "  -j, --json             progress and result as JSON, one object a line\n"
	       "  -q, --quiet            print only what is wrong\n"
	       "  -h, --help             this text\n\n"
	       "Exit status: 0 done, 1 failed, 2 usage, 3 the module is absent or too old,\n"
	       "4 there was nothing to dump, or not everything could be dumped.\n");
}

static int failure(const struct dump *d, int ret)
{
	/* the module has refused */
	if (!*d->error)
		return report_request_failure(d->options->json, -ret);
	return report_error(d->options->json, ret == -ESRCH ? EXIT_PARTIAL : EXIT_FAILED, "%s", d->error);
}

static bool was_interrupted(void *data)
{
	struct dump *d = data;
	struct timespec now = { 0 };

	return sigtimedwait(&d->signals, NULL, &now) > 0;
}

static bool tick(void *data, const struct copy_progress *copied)
{
	struct dump *d = data;

	progress_tell(&d->progress, copied);
	return was_interrupted(d);
}

/* nothing has been changed yet, so this ends in the ordinary way */
static void block_signals(struct dump *d)
{
	sigset_t stop;

	/* nor must we sleep while others are stopped because of us, or end because nobody reads how far we are */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	sigaddset(&stop, SIGTTOU);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* a limit of file sizes is an error that write() tells */
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&d->signals);
	sigaddset(&d->signals, SIGINT);
	sigaddset(&d->signals, SIGTERM);
	sigaddset(&d->signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &d->signals, NULL);
}

/* every object is open at the same time */
static void raise_limit(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int freeze(struct dump *d)
{
	int ret;

	if (d->options->no_freeze)
		return 0;
	d->froze = progress_clock();
	ret = freezer_start(d->options->tree, &d->freezer, was_interrupted, d, d->error, sizeof(d->error));
	if (!ret)
		d->n_threads = freezer_threads(d->freezer);
	return ret;
}

static void thaw(struct dump *d)
{
	if (!d->freezer)
		return;
	freezer_release(d->freezer);
	d->freezer = NULL;
	d->thawed = progress_clock();
}

/* who runs may let go of an object, or get at it in another way, after we were told how: then we ask again */
static int collect(struct dump *d)
{
	int tries = d->options->no_freeze ? NO_FREEZE_TRIES : 1, ret;

	do
		ret = collect_objects(d->genl, d->options, d->parent.path ? &d->parent : NULL, &d->collection, d->error,
				      sizeof(d->error));
	while ((ret == -ENOENT || ret == -ESTALE) && --tries);
	return ret;
}

static int copy(struct dump *d)
{
	struct collection *c = &d->collection;
	bool bar = !d->options->quiet && !d->options->json && isatty(STDERR_FILENO);
	int ret;

	progress_begin(&d->progress, bar ? stderr : NULL, d->options->json && !d->options->quiet ? stdout : NULL);
	ret = copy_run(c->sources, c->n_sources, writer_data(d->writer), &d->copied, tick, d, d->error, sizeof(d->error));
	progress_end(&d->progress);
	c->image->data_pages = d->copied.stored / LAYOUT_PAGE;
	if (!d->freezer || !freezer_held(d->freezer))
		c->image->consistent = false;
	return ret;
}

static int commit(struct dump *d)
{
	Memfdcr__Image *image = d->collection.image;
	int ret = 0;

	if (d->parent.path)
		ret = parent_verify(image, &d->parent, was_interrupted, d, d->error, sizeof(d->error));
	if (!ret && d->parent.path)
		ret = parent_name_files(image, &d->parent, writer_path(d->writer), d->error, sizeof(d->error));
	return ret ? ret : writer_commit(d->writer, image, d->error, sizeof(d->error));
}

/* the image is on the disk */
static void end_tree(struct dump *d)
{
	if (!d->freezer)
		return;
	if (d->options->afterwards == LEAVE_STOPPED) {
		freezer_leave_stopped(d->freezer);
	} else if (d->collection.n_refused || !d->collection.image->consistent || !freezer_held(d->freezer)) {
		freezer_release(d->freezer);
		d->spared = true;
	} else {
		freezer_kill(d->freezer);
	}
	d->freezer = NULL;
	d->thawed = progress_clock();
}

static int print_result(const struct dump *d)
{
	const Memfdcr__Image *image = d->collection.image;
	uint64_t frozen = d->froze ? d->thawed - d->froze : 0, size = 0;
	size_t n = image->n_objects - d->collection.n_refused, i;
	int status = d->collection.n_refused || d->spared ? EXIT_PARTIAL : EXIT_DONE;

	for (i = 0; i < image->n_objects; i++)
		if (!image->objects[i]->refused)
			size += image->objects[i]->size;
	if (d->options->json) {
		printf("{\"objects\":%zu,\"size\":%" PRIu64 ",\"read\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"in_parent\":%" PRIu64
		       ",\"refused\":%zu,\"consistent\":%s,\"frozen_us\":%" PRIu64 ",\"elapsed_us\":%" PRIu64 "}\n", n, size,
		       d->copied.done, d->copied.stored, d->copied.in_parent, d->collection.n_refused,
		       image->consistent ? "true" : "false", frozen, progress_clock() - d->began);
		return report_end(status);
	}
	/* who did not want them to be stopped knows it */
	if (!image->consistent && !d->options->no_freeze)
		report_notice("processes ran while their memory was copied; the image may not be of one moment");
	if (d->options->quiet)
		return status;
	printf("%zu object%s of ", n, n == 1 ? "" : "s");
	text_print_size(stdout, size);
	printf(", ");
	text_print_size(stdout, d->copied.stored);
	printf(" stored");
	if (d->parent.path) {
		printf(", ");
		text_print_size(stdout, d->copied.in_parent);
		printf(" the same as before");
	}
	if (d->froze)
		printf(", %zu thread%s stopped for %" PRIu64 ".%" PRIu64 " ms", d->n_threads, d->n_threads == 1 ? "" : "s",
		       frozen / 1000, frozen / 100 % 10);
	printf("\n");
	return report_end(status);
}

/* from the first thread that stops to the image with its name */
static int dump_tree(struct dump *d)
{
	int ret = freeze(d);

	if (!ret)
		ret = collect(d);
	if (!ret)
		ret = copy(d);
	/* all that is left to do concerns our own copy */
	if (ret || d->options->afterwards == LET_RUN)
		thaw(d);
	if (!ret)
		ret = commit(d);
	if (ret) {
		thaw(d);
		return failure(d, ret);
	}
	end_tree(d);
	collection_tell(&d->collection);
	if (d->spared)
		report_notice("the processes run on, because %s", d->collection.n_refused ? "not everything could be dumped" :
			      "some of them ran while they were dumped");
	return print_result(d);
}

static int dump(struct dump *d)
{
	const struct dump_options *o = d->options;
	int ret = report_process(o->json, o->tree);

	if (ret)
		return ret;
	if (o->parent) {
		ret = imgdir_open(o->parent, &d->parent, d->error, sizeof(d->error));
		if (!ret)
			ret = parent_check(&d->parent, d->error, sizeof(d->error));
		if (ret)
			return report_error(o->json, EXIT_FAILED, "%s", d->error);
	}
	/* before they stop: the pager may need them. That takes its time, and any signal may end it */
	if (channel_finish_all(o->tree))
		return report_error(o->json, EXIT_FAILED, "process %u is being restored", o->tree);
	block_signals(d);
	ret = writer_open(o->directory, &d->writer, d->error, sizeof(d->error));
	if (ret)
		return report_error(o->json, EXIT_FAILED, "%s", d->error);
	return dump_tree(d);
}

int cmd_dump(int argc, char **argv)
{
	static struct dump_options options;
	static struct dump d = { .options = &options };
	int ret;

	ret = dump_options_parse(argc, argv, &options, d.error, sizeof(d.error));
	if (options.help) {
		usage();
		return report_end(EXIT_DONE);
	}
	if (ret)
		return report_error(options.json, EXIT_USAGE, "%s", d.error);
	d.began = progress_clock();
	d.genl = genl_open();
	if (!d.genl)
		return report_open_failure(options.json, errno);
	raise_limit();
	ret = dump(&d);
	collection_free(&d.collection);
	writer_free(d.writer);
	if (d.parent.path)
		imgdir_close(&d.parent);
	genl_close(d.genl);
	return ret;
}
