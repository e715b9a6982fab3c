// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pager's tables against a model, and messages no test on this kernel can make: those of older kernels, those in
 * the wrong order, and nonsense. A pipe takes the place of the userfaultfd here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/pager-internal.h"
#include "pager_fixture.h"
#include "tap.h"

#define MODEL_PAGES	400
#define BASE		(1ULL << 40)

/* what page i of the address space maps: object and page, plus one; 0: nothing */
struct model {
	uint64_t page[MODEL_PAGES];
	unsigned int object[MODEL_PAGES];
};

static bool agrees(const struct space *s, const struct model *m)
{
	for (uint64_t i = 0; i < MODEL_PAGES; i++) {
		uint64_t address = BASE + i * PAGE;
		const struct pager_range *r = space_find(s, address);

		if (!r != !m->page[i])
			return false;
		if (r && (r->object != m->object[i] || r->offset + (address - r->start) != (m->page[i] - 1) * PAGE))
			return false;
	}
	for (size_t i = 0; i < s->n_ranges; i++)
		if (s->ranges[i].start >= s->ranges[i].end || (i && s->ranges[i - 1].end > s->ranges[i].start))
			return false;
	return true;
}

static void test_tables(void)
{
	struct space s = { .uffd = -1 };
	struct model m = { 0 };
	bool ok = true;
	int i;

	for (i = 0; i < 20000 && ok; i++) {
		uint64_t n = 1 + rig_random() % 40, at = rig_random() % (MODEL_PAGES - n);
		uint64_t to = rig_random() % (MODEL_PAGES - n), k;
		struct model old = m;
		struct pager_range r = {
			.start = BASE + at * PAGE,
			.end = BASE + (at + n) * PAGE,
			.offset = rig_random() % 100 * PAGE,
			.object = rig_random() % 2,
		};

		switch (rig_random() % 4) {
		case 0:
		case 1:
			space_insert(&s, &r);
			for (k = 0; k < n; k++) {
				m.page[at + k] = r.offset / PAGE + k + 1;
				m.object[at + k] = r.object;
			}
			break;
		case 2:
			space_cut(&s, r.start, r.end);
			for (k = 0; k < n; k++)
				m.page[at + k] = 0;
			break;
		case 3:
			if (to < at + n && at < to + n)
				break;
			space_move(&s, r.start, BASE + to * PAGE, n * PAGE, true);
			for (k = 0; k < n; k++) {
				m.page[at + k] = 0;
				m.page[to + k] = old.page[at + k];
				m.object[to + k] = old.object[at + k];
			}
			break;
		}
		ok = agrees(&s, &m);
	}
	TAP_OK(ok, "20000 random changes of a table, against a model (%d done)", i);

	/* with pieces that fit each other, the table joins them */
	space_cut(&s, 0, UINT64_MAX);
	for (uint64_t k = 0; k < 100; k++) {
		uint64_t page = k * 37 % 100;
		struct pager_range r = { BASE + page * PAGE, BASE + (page + 1) * PAGE, page * PAGE, 0 };

		space_insert(&s, &r);
	}
	TAP_OK(s.n_ranges == 1 && s.ranges[0].start == BASE && s.ranges[0].end == BASE + 100 * PAGE,
	       "a hundred pieces join to one range");
	free(s.ranges);
}

/* a pager with one object of 100 pages, and a space whose descriptor is the reading end of a pipe */
struct fake {
	struct rig rig;
	struct space *space;
	int in;
};

static bool fake_new(struct fake *f)
{
	struct pager_range r = { BASE, BASE + 100 * PAGE, 0, 0 };
	int pipes[2];

	rig_new(&f->rig, false);
	f->rig.quiet = true;
	rig_object(&f->rig, 100 * PAGE, DENSE);
	rig_object(&f->rig, 100 * PAGE, DENSE);
	rig_arm(&f->rig);
	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK))
		return false;
	f->in = pipes[1];
	f->space = space_new(f->rig.pager, &(struct pager_process){ .name = "fake" }, pipes[0]);
	return f->space && !space_insert(f->space, &r);
}

static void fake_end(struct fake *f)
{
	close(f->in);
	rig_end(&f->rig);
}

static int tell(struct fake *f, struct uffd_msg msg)
{
	if (write(f->in, &msg, sizeof(msg)) != sizeof(msg))
		return -EIO;
	return event_drain(f->rig.pager, f->space);
}

static int tell_remap(struct fake *f, uint64_t from, uint64_t to, uint64_t pages)
{
	return tell(f, (struct uffd_msg){
		.event = UFFD_EVENT_REMAP,
		.arg.remap = { BASE + from * PAGE, BASE + to * PAGE, pages * PAGE },
	});
}

static int tell_range(struct fake *f, uint8_t event, uint64_t from, uint64_t to)
{
	return tell(f, (struct uffd_msg){ .event = event, .arg.remove = { BASE + from * PAGE, BASE + to * PAGE } });
}

static uint64_t object_page(const struct space *s, uint64_t page)
{
	uint64_t address = BASE + page * PAGE;
	const struct pager_range *r = space_find(s, address);

	return r ? r->object * 1000 + (r->offset + (address - r->start)) / PAGE : UINT64_MAX;
}

static void test_old_shrink(void)
{
	struct fake f;

	/* mremap of 100 pages to 60 elsewhere, as Linux 6.1 tells it: all moved, then the tail unmapped where it was */
	if (TAP_OK(fake_new(&f) && !tell_remap(&f, 0, 200, 100) && object_page(f.space, 200) == 0 &&
		   object_page(f.space, 0) == UINT64_MAX, "a remap event moves the range"))
		TAP_OK(!tell_range(&f, UFFD_EVENT_UNMAP, 60, 100) && object_page(f.space, 259) == 59 &&
		       object_page(f.space, 260) == UINT64_MAX, "a tail that was cut off before the move is not there after it");
	fake_end(&f);

	/* the same with a neighbour where the tail would have gone: nobody knows, so resolve is to be asked */
	if (TAP_OK(fake_new(&f), "a new table")) {
		struct pager_range neighbour = { BASE + 260 * PAGE, BASE + 300 * PAGE, 0, 1 };

		space_insert(f.space, &neighbour);
		TAP_OK(!tell_remap(&f, 0, 200, 100) && !tell_range(&f, UFFD_EVENT_UNMAP, 60, 100) &&
		       object_page(f.space, 270) != 70, "the neighbour's pages are not taken for the tail");
	}
	fake_end(&f);
}

static int always_remove(void *data, unsigned int space, const struct uffd_msg *msg, unsigned int *object,
			 uint64_t *offset)
{
	(void)data;
	(void)space;
	(void)msg;
	(void)object;
	(void)offset;
	return MADV_REMOVE;
}

/* knows what is at BASE + 500 pages, and talks nonsense about all that is beyond 600 */
static int remove_of_known(void *data, unsigned int space, const struct uffd_msg *msg, unsigned int *object,
			   uint64_t *offset)
{
	(void)data;
	(void)space;
	*object = msg->arg.remove.start < BASE + 600 * PAGE ? 1 : 99;
	*offset = msg->arg.remove.start - (BASE + 500 * PAGE);
	return MADV_REMOVE;
}

static uint64_t dropped(const struct fake *f)
{
	struct pager_stats stats;

	pager_get_stats(f->rig.pager, &stats);
	return stats.bytes_dropped;
}

static void test_swapped(void)
{
	struct fake f;
	struct space *child;
	struct pager_range wrong = { BASE + 500 * PAGE, BASE + 600 * PAGE, 0, 0 };
	int pipes[2];

	/* a fork whose event came before that of the remap it happened after */
	if (!TAP_OK(fake_new(&f) && !pipe2(pipes, O_CLOEXEC), "a table and a forked child"))
		return;
	TAP_OK(!tell(&f, (struct uffd_msg){ .event = UFFD_EVENT_FORK, .arg.fork.ufd = (uint32_t)pipes[0] }) &&
	       f.rig.forked == 1 && f.rig.pager->n_spaces == 2 && object_page(f.rig.pager->spaces[1], 50) == 50,
	       "a fork event makes a space with the parent's table");
	TAP_OK(fcntl(pipes[0], F_GETFL) & O_NONBLOCK, "whose descriptor does not block");
	child = f.rig.pager->spaces[1];
	TAP_OK(!child->doubtful && !tell_remap(&f, 0, 300, 10) && child->doubtful, "a remap close to a fork leaves a doubt");

	/* a punch goes where the owner says, not where the table says; in a space in doubt the table does not count */
	f.rig.pager->ops.advice = remove_of_known;
	space_insert(child, &wrong);
	close(f.in);
	f.in = pipes[1];
	f.space = child;
	TAP_OK(!tell_range(&f, UFFD_EVENT_REMOVE, 510, 520) && object_needs(f.rig.pager->objects[0], 15) &&
	       !object_needs(f.rig.pager->objects[1], 15) && dropped(&f) == 10 * PAGE,
	       "MADV_REMOVE drops the pages that the owner names");
	TAP_OK(tell_range(&f, UFFD_EVENT_REMOVE, 700, 710) == -EINVAL && dropped(&f) == 10 * PAGE,
	       "MADV_REMOVE of an object that is none drops nothing and stops the pager");
	f.rig.pager->ops.advice = always_remove;
	TAP_OK(tell_range(&f, UFFD_EVENT_REMOVE, 520, 530) == -EOPNOTSUPP &&
	       dropped(&f) == 10 * PAGE,
	       "MADV_REMOVE that only a table in doubt explains drops nothing and stops the pager");
	child->doubtful = false;
	TAP_OK(tell_range(&f, UFFD_EVENT_REMOVE, 700, 710) == -EOPNOTSUPP &&
	       dropped(&f) == 10 * PAGE,
	       "MADV_REMOVE where no object is known drops nothing and stops the pager");
	TAP_OK(!tell_range(&f, UFFD_EVENT_REMOVE, 520, 530) && !object_needs(f.rig.pager->objects[0], 25) &&
	       dropped(&f) == 20 * PAGE,
	       "MADV_REMOVE that a table explains drops its pages");
	fake_end(&f);
}

static void test_nonsense(void)
{
	struct fake f;
	int rc = 0;

	if (!TAP_OK(fake_new(&f), "a table to talk nonsense to"))
		return;
	f.rig.pager->ops.advice = always_remove;
	for (int i = 0; i < 20000 && !rc; i++) {
		struct uffd_msg msg;
		uint64_t words[4] = { 0 };

		for (int k = 1; k < 4; k++) {
			switch (rig_random() % 4) {
			case 0:
				words[k] = rig_random();
				break;
			case 1:
				words[k] = BASE + rig_random() % 200 * PAGE;
				break;
			case 2:
				words[k] = (rig_random() % 300 - 100) * PAGE;
				break;
			case 3:
				words[k] = 0 - rig_random() % 3;
				break;
			}
		}
		memcpy(&msg, words, sizeof(msg));
		msg.event = (uint8_t)(UFFD_EVENT_PAGEFAULT + rig_random() % 6);
		/* only the kernel names descriptors */
		if (msg.event == UFFD_EVENT_FORK)
			msg.event = (uint8_t)(words[1] & 0xf);
		rc = tell(&f, msg);
		/* a MADV_REMOVE of nothing that is known: the one thing that it may stop at */
		if (rc == -EOPNOTSUPP)
			rc = 0;
		if (!rc)
			rc = fault_serve_all(f.rig.pager);
		if (i % 1000 == 0) {
			struct pager_range r = { BASE, BASE + 100 * PAGE, 0, rig_random() % 2 };

			space_insert(f.space, &r);
		}
	}
	TAP_OK(!rc, "20000 nonsensical messages");
	TAP_OK(write(f.in, "half", 4) == 4 && event_drain(f.rig.pager, f.space) == -EPROTO, "half a message is an error");
	fake_end(&f);
}

static int alive_answer, alive_asked;

static int alive(void *data, unsigned int space)
{
	(void)data;
	(void)space;
	/* says that the space is gone only when asked again */
	return alive_asked++ ? 0 : alive_answer;
}

static void test_alive(void)
{
	struct fake f;

	for (alive_answer = -ENOSYS; alive_answer <= 1; alive_answer += 1 + ENOSYS) {
		alive_asked = 0;
		if (TAP_OK(fake_new(&f), "a space whose owner is asked")) {
			f.rig.pager->ops.alive = alive;
			TAP_OK(pager_run(f.rig.pager) == -ESRCH && alive_asked == 2, "%s, then gone",
			       alive_answer < 0 ? "not known" : "alive");
		}
		fake_end(&f);
	}
}

int main(int argc, char **argv)
{
	rig_seed(argc, argv);
	test_tables();
	if (!have_userfaultfd()) {
		tap_skip("no userfaultfd for this user on this kernel");
		return tap_done();
	}
	test_old_shrink();
	test_swapped();
	test_nonsense();
	test_alive();
	return tap_done();
}
