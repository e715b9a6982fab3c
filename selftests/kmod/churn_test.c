// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dumps of a tree that changes all the time: those that claim to show one instant do, and there are such.
 * MEMFDCR_CHURN_SECONDS is how long the unrest lasts (default 60).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <libmnl/libmnl.h>

#include "harness.h"
#include "caches.h"
#include "churn.h"
#include "module.h"
#include "process.h"
#include "stream.h"

/* what the churners do meanwhile */
enum phase { STOPPED, JOLTED, NAPPING, RUNNING, N_PHASES, OVER };

static const struct {
	const char *name;
	int share;		/* of the time, in percent */
} phases[N_PHASES] = {
	[STOPPED] = { "stopped", 15 },
	[JOLTED] = { "stopped and continued", 30 },
	[NAPPING] = { "napping", 25 },
	[RUNNING] = { "running", 30 },
};

/* what is asked for */
static const struct kind {
	const char *name;
	int cmd;
	bool holders, outside;
} kinds[] = {
	{ "objects", MEMFDCR_CMD_OBJECT_GET },
	{ "objects and holders", MEMFDCR_CMD_OBJECT_GET, .holders = true },
	{ "objects, holders, outside", MEMFDCR_CMD_OBJECT_GET, .holders = true, .outside = true },
	{ "holders", MEMFDCR_CMD_HOLDER_GET },
};

#define N_KINDS (sizeof(kinds) / sizeof(*kinds))
#define N_DUMPERS 3

struct tally {
	atomic_ulong claimed;		/* dumps that claim to show one instant */
	atomic_ulong marked;		/* dumps that say they may not */
	atomic_ulong wrong;		/* dumps that claim it and do not */
	atomic_ulong failed;		/* dumps that ended with an error */
	atomic_ulong messages;
};

static struct {
	atomic_int phase;
	struct tally tallies[N_PHASES][N_KINDS];
} *results;

/* what one dump says of the objects with a promise */
struct view {
	const struct kind *kind;
	const struct identity *objects;
	unsigned int n;
	unsigned int counted[N_PROMISES];	/* in the messages about objects */
	unsigned int listed[N_PROMISES];	/* in those about holders */
};

static struct identity identity_of(const struct nlattr **attributes, bool holder)
{
	return (struct identity){
		.ino = stream_u64(attributes[holder ? MEMFDCR_A_HOLDER_INO : MEMFDCR_A_OBJECT_INO]),
		.dev = stream_u32(attributes[holder ? MEMFDCR_A_HOLDER_DEV : MEMFDCR_A_OBJECT_DEV]),
		.generation = stream_u32(attributes[holder ? MEMFDCR_A_HOLDER_GENERATION :
						    MEMFDCR_A_OBJECT_GENERATION]),
	};
}

static void look_at_message(const struct nlattr **attributes, void *arg)
{
	struct view *view = arg;
	bool holder = view->kind->cmd == MEMFDCR_CMD_HOLDER_GET;
	struct identity id = identity_of(attributes, holder);
	unsigned int i = 0;

	while (i < view->n && !same_object(&id, &view->objects[i]))
		i++;
	if (i == view->n)
		return;
	if (holder || attributes[MEMFDCR_A_OBJECT_HOLDER])
		view->listed[i]++;
	else
		view->counted[i] += stream_u32(attributes[MEMFDCR_A_OBJECT_DESCRIPTORS]) +
				    stream_u32(attributes[MEMFDCR_A_OBJECT_MAPPINGS]);
}

/* true if all that was promised is kept, and the messages agree with each other */
static bool believable(const struct view *view, const struct promise *kept, bool tell)
{
	bool good = true;

	for (unsigned int i = 0; i < view->n; i++) {
		bool by_list = view->kind->cmd == MEMFDCR_CMD_HOLDER_GET;
		unsigned int n = by_list ? view->listed[i] : view->counted[i];
		bool agrees = !view->kind->holders || view->listed[i] == view->counted[i];

		if (n >= kept[i].least && n <= kept[i].most && agrees)
			continue;
		good = false;
		if (!tell)
			continue;
		printf("# %s, %s: %u holders counted, %u listed, %u to %u at any instant\n", view->kind->name,
		       kept[i].name, view->counted[i], view->listed[i], kept[i].least, kept[i].most);
		fflush(stdout);
	}
	return good;
}

static int dump(struct stream *s, struct view *view, const pid_t *pids, unsigned int n_pids)
{
	bool object = view->kind->cmd == MEMFDCR_CMD_OBJECT_GET;

	memset(view->counted, 0, sizeof(view->counted));
	memset(view->listed, 0, sizeof(view->listed));
	stream_begin(s, view->kind->cmd, NLM_F_DUMP);
	for (unsigned int i = 0; i < n_pids; i++)
		mnl_attr_put_u32(s->request, object ? MEMFDCR_A_OBJECT_PID : MEMFDCR_A_HOLDER_PID, pids[i]);
	if (!n_pids)
		mnl_attr_put_u32(s->request, object ? MEMFDCR_A_OBJECT_TREE : MEMFDCR_A_HOLDER_TREE, *pids);
	if (view->kind->holders)
		mnl_attr_put(s->request, MEMFDCR_A_OBJECT_HOLDERS, 0, NULL);
	if (view->kind->outside)
		mnl_attr_put(s->request, object ? MEMFDCR_A_OBJECT_OUTSIDE : MEMFDCR_A_HOLDER_OUTSIDE, 0, NULL);
	return stream_run(s, look_at_message, view);
}

static void tally(struct tally *t, const struct stream *s, const struct view *view, int error,
		  const struct promise *kept)
{
	t->messages += s->messages;
	if (error) {
		if (t->failed++ < 3)
			printf("# %s: %s: %s\n", view->kind->name, strerror(-error), s->message);
	} else if (s->interrupted) {
		t->marked++;
	} else {
		t->claimed++;
		if (!believable(view, kept, t->wrong < 3))
			t->wrong++;
	}
}

static int dumper(void *arg)
{
	pid_t root = *(pid_t *)arg;
	struct view view = { .objects = churn->objects, .n = N_PROMISES };
	struct stream s;

	if (stream_open(&s, 32768))
		return 1;
	for (unsigned int i = getpid(); results->phase != OVER; i++) {
		int phase = results->phase, error;

		view.kind = &kinds[i % N_KINDS];
		error = dump(&s, &view, &root, 0);
		/* what happened at the turn of two phases belongs to neither, but has to be right */
		if (phase == N_PHASES || phase != results->phase)
			phase = JOLTED;
		tally(&results->tallies[phase][i % N_KINDS], &s, &view, error, promises);
	}
	stream_close(&s);
	return 0;
}

/* stops and continues all of them, at random instants */
static void jolt(pid_t root, int milliseconds)
{
	unsigned int seed = 1;
	int spent = 0;

	while (spent < milliseconds) {
		int run = rand_r(&seed) % 10000, stop = rand_r(&seed) % 40000;

		kill(-root, SIGCONT);
		usleep(run);
		kill(-root, SIGSTOP);
		usleep(stop);
		spent += (run + stop) / 1000 + 1;
	}
}

static bool run_phase(enum phase phase, pid_t root, int milliseconds)
{
	if (phase == STOPPED && !churn_stop(root))
		return false;
	churn->nap = phase == NAPPING ? 20000 : 0;
	if (phase != STOPPED)
		churn_continue(root);
	if (phase == NAPPING)
		kill(churn->exec, SIGSTOP);
	results->phase = phase;
	if (phase == JOLTED)
		jolt(root, milliseconds);
	else
		usleep(milliseconds * 1000);
	results->phase = N_PHASES;
	return true;
}

static int churn_seconds(void)
{
	const char *value = getenv("MEMFDCR_CHURN_SECONDS");

	return value ? atoi(value) : 60;
}

static struct tally sum_of(enum phase phase)
{
	struct tally sum = { 0 };

	for (size_t i = 0; i < N_KINDS; i++) {
		const struct tally *t = &results->tallies[phase][i];

		sum.claimed += t->claimed;
		sum.marked += t->marked;
		sum.wrong += t->wrong;
		sum.failed += t->failed;
		printf("# %s, %s: %lu dumps, %lu claim one instant, %lu messages\n", phases[phase].name, kinds[i].name,
		       t->claimed + t->marked + t->failed, t->claimed, t->messages);
	}
	return sum;
}

FIXTURE(churn)
{
	pid_t root;
	pid_t dumpers[N_DUMPERS];
	long slab;
};

FIXTURE_SETUP(churn)
{
	self->root = 0;
	process_prepare();
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, results);
	self->slab = module_slab();
}

FIXTURE_TEARDOWN(churn)
{
	/* much more than what comes and goes with every process, much less than a leak in every dump would be */
	EXPECT_TRUE(caches_nothing_leaked(self->slab + 8192));
	EXPECT_TRUE(module_unused_soon());
	EXPECT_EQ(0, module_unload_soon());
}

static void start_dumpers(pid_t *dumpers, pid_t *root)
{
	results->phase = N_PHASES;
	for (int i = 0; i < N_DUMPERS; i++)
		dumpers[i] = process_start(dumper, root);
}

static bool end_dumpers(const pid_t *dumpers)
{
	bool good = true;
	int status;

	results->phase = OVER;
	for (int i = 0; i < N_DUMPERS; i++)
		good &= waitpid(dumpers[i], &status, 0) == dumpers[i] && status == 0;
	return good;
}

TEST_F_TIMEOUT(churn, one_instant, 7200)
{
	int milliseconds = churn_seconds() * 1000;

	self->root = churn_start();
	ASSERT_LT(0, self->root);
	start_dumpers(self->dumpers, &self->root);
	for (enum phase p = 0; p < N_PHASES; p++)
		EXPECT_TRUE(run_phase(p, self->root, milliseconds / 100 * phases[p].share));
	EXPECT_TRUE(end_dumpers(self->dumpers));
	EXPECT_FALSE(churn->failed);
	churn_end(self->root);

	for (enum phase p = 0; p < N_PHASES; p++) {
		struct tally sum = sum_of(p);

		EXPECT_EQ(0, sum.wrong);
		EXPECT_EQ(0, sum.failed);
		if (p == RUNNING)
			EXPECT_GT(sum.marked, sum.claimed);
	}
	/* the other dumpers are outside, and run */
	for (size_t i = 0; i < N_KINDS; i++) {
		if (!kinds[i].outside)
			EXPECT_LT(0, results->tallies[STOPPED][i].claimed);
	}
}

/* dumps of two sleepers, while others move what they hold */
static void watch_pair(struct __test_metadata *_metadata, bool memory, int nap_us)
{
	static const struct promise kept = { "pair", 1, 2 };
	struct tally sum = { 0 };
	struct view view = { .n = 1 };
	struct pair pair;
	struct stream s;

	ASSERT_TRUE(pair_start(&pair, memory));
	churn->nap = nap_us;
	ASSERT_EQ(0, stream_open(&s, 32768));
	view.objects = pair.object;
	for (int i = 0; i < 2000; i++) {
		int error;

		view.kind = &kinds[i % 2 ? N_KINDS - 1 : 1];
		error = dump(&s, &view, pair.sleepers, 2);
		tally(&sum, &s, &view, error, &kept);
	}
	printf("# %lu dumps claim one instant, %lu do not, %lu are wrong\n", sum.claimed, sum.marked, sum.wrong);
	EXPECT_EQ(0, sum.wrong);
	EXPECT_EQ(0, sum.failed);
	EXPECT_FALSE(churn->failed);
	stream_close(&s);
	pair_end(&pair);
}

TEST_F_TIMEOUT(churn, descriptors_shared_with_others, 600)
{
	watch_pair(_metadata, false, 0);
	watch_pair(_metadata, false, 2000);
}

TEST_F_TIMEOUT(churn, memory_shared_with_others, 600)
{
	watch_pair(_metadata, true, 0);
	watch_pair(_metadata, true, 2000);
}

TEST_HARNESS_MAIN
