// SPDX-License-Identifier: GPL-2.0-only
/* Tests of pairing the objects of an image with those of a tree, with both made up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lazy/pairing.h"
#include "tap.h"

#define MAX 8
#define KIB 1024ULL

/* a side that is written down: objects get their holders one after the other */
struct scene {
	struct side side;
	struct object objects[MAX];
	struct member members[MAX];
	struct holder holders[MAX][MAX];
};

static struct scene image, tree;
static size_t pairs[MAX];
static char error[8192];

static void begin(void)
{
	memset(&image, 0, sizeof(image));
	memset(&tree, 0, sizeof(tree));
	image.side = (struct side){ .objects = image.objects, .members = image.members };
	tree.side = (struct side){ .objects = tree.objects, .members = tree.members };
}

static void process(struct scene *s, uint32_t pid, uint32_t parent, const char *name)
{
	struct member *m = &s->members[s->side.n_members++];

	m->pid = pid;
	m->parent = parent;
	snprintf(m->name, sizeof(m->name), "%s", name);
}

static void add(struct scene *s, const char *name, uint64_t size)
{
	size_t n = s->side.n_objects++;

	s->objects[n] = (struct object){
		.kind = name ? MEMFDCR_KIND_MEMFD : MEMFDCR_KIND_SHARED_ANONYMOUS, .name = (char *)name, .size = size,
		.page_size = 4096, .ino = n + 1, .holders = s->holders[n],
	};
}

static struct holder *held(struct scene *s, struct holder h)
{
	struct object *o = &s->objects[s->side.n_objects - 1];

	s->holders[s->side.n_objects - 1][o->n_holders] = h;
	return &s->holders[s->side.n_objects - 1][o->n_holders++];
}

static void fd(struct scene *s, uint32_t pid, uint32_t number)
{
	held(s, (struct holder){ .pid = pid, .fd = number });
}

static struct holder *map(struct scene *s, uint32_t pid, uint64_t start, uint64_t size)
{
	return held(s, (struct holder){ .pid = pid, .is_mapping = true, .start = start, .end = start + size, .shared = true });
}

static int make(void)
{
	*error = '\0';
	return pairing_make(&image.side, &tree.side, NULL, 0, pairs, error, sizeof(error));
}

static int make_with(const char *old, const char *new)
{
	struct pairing_map m;

	*error = '\0';
	if (!selector_parse(old, &m.old) || !selector_parse(new, &m.new))
		abort();
	return pairing_make(&image.side, &tree.side, &m, 1, pairs, error, sizeof(error));
}

static void one_process(void)
{
	begin();
	process(&image, 10, 1, "qemu");
	process(&tree, 20, 2, "qemu");
}

static void test_names(void)
{
	one_process();
	add(&image, "ram", 64 * KIB);
	fd(&image, 10, 3);
	add(&image, NULL, 64 * KIB);
	map(&image, 10, 0x1000, 64 * KIB);
	add(&image, "", 64 * KIB);
	fd(&image, 10, 4);
	add(&tree, "", 64 * KIB);
	fd(&tree, 20, 9);
	add(&tree, "other", 64 * KIB);
	add(&tree, NULL, 64 * KIB);
	map(&tree, 20, 0x7000, 64 * KIB);
	add(&tree, "ram", 64 * KIB);
	fd(&tree, 20, 5);
	TAP_OK(!make() && pairs[0] == 3 && pairs[1] == 2 && pairs[2] == 0, "by kind and name, wherever they are: %s", error);
	begin();
	TAP_OK(!make(), "nothing, and nothing");
}

static void test_shapes(void)
{
	one_process();
	add(&image, "ram", 64 * KIB);
	fd(&image, 10, 3);
	TAP_OK(make() == -ENOENT && strstr(error, "no counterpart of the image's memfd \"ram\" of 65536 bytes (10:3 of qemu)"),
	       "no counterpart: %s", error);
	add(&tree, "ram", 60 * KIB);
	fd(&tree, 20, 4);
	TAP_OK(make() == -EINVAL && strstr(error, "another size than its counterpart memfd \"ram\" of 61440 bytes (20:4 of qemu)"),
	       "another size: %s", error);
	add(&tree, "ram", 32 * KIB);
	fd(&tree, 20, 3);
	TAP_OK(make() == -EINVAL && strstr(error, "32768 bytes (20:3"), "of two, the one at its place is named: %s", error);
	add(&tree, "ram", 64 * KIB);
	TAP_OK(!make() && pairs[0] == 2, "another one has its size: %s", error);
	tree.objects[2].page_size = 2 << 20;
	tree.objects[1].name = tree.objects[0].name = NULL;
	TAP_OK(make() == -EINVAL && strstr(error, "pages of 4096 bytes") && strstr(error, "of 2097152"), "other pages: %s", error);
}

/* two of the same name and size; which is which, their holders tell */
static void test_places(void)
{
	one_process();
	add(&image, "twin", KIB);
	fd(&image, 10, 3);
	add(&image, "twin", KIB);
	fd(&image, 10, 4);
	add(&tree, "twin", KIB);
	fd(&tree, 20, 4);
	add(&tree, "twin", KIB);
	fd(&tree, 20, 3);
	TAP_OK(!make() && pairs[0] == 1 && pairs[1] == 0, "by descriptor: %s", error);
	tree.holders[1][0].fd = 9;
	TAP_OK(!make() && pairs[0] == 1 && pairs[1] == 0, "one by descriptor, and the other is left: %s", error);
	tree.holders[0][0].fd = 8;
	TAP_OK(make() == -ENOTUNIQ && strstr(error, "(10:3 of qemu)") && strstr(error, "may be memfd \"twin\" of 1024 bytes (20:8 of qemu)") &&
	       strstr(error, "may be memfd \"twin\" of 1024 bytes (20:9 of qemu)") && strstr(error, "as may the image's") &&
	       strstr(error, "(10:4 of qemu)"), "neither: in doubt, with the candidates");

	one_process();
	add(&image, NULL, KIB);
	map(&image, 10, 0x1000, KIB);
	add(&image, NULL, KIB);
	map(&image, 10, 0x2000, KIB);
	add(&tree, NULL, KIB);
	map(&tree, 20, 0x2000, KIB);
	add(&tree, NULL, KIB);
	map(&tree, 20, 0x1000, KIB);
	TAP_OK(!make() && pairs[0] == 1 && pairs[1] == 0, "by address: %s", error);
	map(&tree, 20, 0x2000, KIB);
	TAP_OK(make() == -ENOTUNIQ, "by an address that two have: in doubt");
	tree.objects[1].n_holders = 1;
	tree.holders[0][0].offset = 4096;
	tree.holders[1][0].shared = false;
	TAP_OK(make() == -ENOTUNIQ, "not by an address at which another part is mapped, or in another way");
}

static void test_contradiction(void)
{
	one_process();
	add(&image, "twin", KIB);
	fd(&image, 10, 3);
	map(&image, 10, 0x1000, KIB);
	add(&image, "twin", KIB);
	fd(&image, 10, 4);
	map(&image, 10, 0x2000, KIB);
	add(&tree, "twin", KIB);
	fd(&tree, 20, 3);
	map(&tree, 20, 0x2000, KIB);
	add(&tree, "twin", KIB);
	fd(&tree, 20, 4);
	map(&tree, 20, 0x1000, KIB);
	TAP_OK(make() == -ENOTUNIQ, "descriptors say this, addresses that: in doubt");
}

/* postmaster and two workers, each of which has its own */
static void family(struct scene *s, uint32_t root, const char *first, const char *second)
{
	process(s, root, 1, "server");
	process(s, root + 1, root, first);
	process(s, root + 2, root, second);
}

static void own_memory(struct scene *s, uint32_t root, uint64_t at, bool swapped)
{
	add(s, "own", KIB);
	map(s, root + (swapped ? 2 : 1), at, KIB);
	add(s, "own", KIB);
	map(s, root + (swapped ? 1 : 2), at + 0x10000, KIB);
}

static void test_processes(void)
{
	begin();
	family(&image, 10, "worker", "worker");
	family(&tree, 20, "worker", "worker");
	own_memory(&image, 10, 0x1000, false);
	own_memory(&tree, 20, 0x5000, true);
	TAP_OK(!make() && pairs[0] == 1 && pairs[1] == 0, "by process, the first of a name the first: %s", error);
	snprintf(tree.members[2].name, sizeof(tree.members[2].name), "writer");
	snprintf(image.members[1].name, sizeof(image.members[1].name), "writer");
	TAP_OK(!make() && pairs[0] == 0 && pairs[1] == 1, "by process, by its name: %s", error);
	process(&tree, 30, 20, "writer");
	process(&tree, 31, 20, "worker");
	TAP_OK(make() == -ENOTUNIQ, "of one name there are more now: in doubt");

	begin();
	family(&image, 10, "worker", "worker");
	family(&tree, 20, "worker", "worker");
	process(&image, 13, 11, "helper");
	process(&tree, 99, 21, "helper");
	add(&image, "own", KIB);
	map(&image, 13, 0x1000, KIB);
	add(&image, "own", KIB);
	map(&image, 12, 0x1000, KIB);
	add(&tree, "own", KIB);
	map(&tree, 22, 0x8000, KIB);
	add(&tree, "own", KIB);
	map(&tree, 99, 0x9000, KIB);
	TAP_OK(!make() && pairs[0] == 1 && pairs[1] == 0, "a grandchild: %s", error);
	map(&tree, 99, 0x20000, KIB);
	TAP_OK(!make() && pairs[0] == 1 && pairs[1] == 0, "which has it twice now: %s", error);
	map(&tree, 22, 0x20000, KIB);
	TAP_OK(!make() && pairs[1] == 0 && pairs[0] == 1, "somebody else's, too, and nobody else's: %s", error);
}

static void test_outside(void)
{
	one_process();
	add(&image, "twin", KIB);
	held(&image, (struct holder){ .pid = 10, .fd = 3, .outside = true });
	add(&image, "twin", KIB);
	add(&tree, "twin", KIB);
	fd(&tree, 20, 3);
	add(&tree, "twin", KIB);
	TAP_OK(make() == -ENOTUNIQ, "who was outside the tree says nothing");
}

static void test_maps(void)
{
	one_process();
	add(&image, "twin", KIB);
	fd(&image, 10, 3);
	add(&image, "twin", KIB);
	fd(&image, 10, 4);
	add(&tree, "twin", KIB);
	fd(&tree, 20, 8);
	add(&tree, "twin", KIB);
	fd(&tree, 20, 9);
	add(&tree, "other", KIB);
	fd(&tree, 20, 10);
	TAP_OK(!make_with("10:3", "20:9") && pairs[0] == 1 && pairs[1] == 0, "a map, and the other is left: %s", error);
	TAP_OK(make_with("10:4", "name:other") == -ENOTUNIQ && pairs[1] == 2 && strstr(error, "(10:3 of qemu)") &&
	       !strstr(error, "(10:4 of qemu)"), "a map to another name, which leaves the other one in doubt");
	TAP_OK(make_with("name:twin", "20:8") == -ENOTUNIQ && strstr(error, "\"name:twin\" is more than one object in the image") &&
	       strstr(error, "it is memfd \"twin\" of 1024 bytes (10:3 of qemu)") &&
	       strstr(error, "and memfd \"twin\" of 1024 bytes (10:4 of qemu)"), "a map from two");
	TAP_OK(make_with("10:3", "name:twin") == -ENOTUNIQ && strstr(error, "that the processes hold"), "a map to two");
	TAP_OK(make_with("20:8", "20:8") == -ENOENT && strstr(error, "\"20:8\" is nothing in the image"), "sides mixed up: %s", error);
	tree.objects[0].size = 2 * KIB;
	TAP_OK(make_with("10:3", "20:8") == -EINVAL && strstr(error, "\"10:3\" has 1024 bytes in pages of 4096, \"20:8\" 2048"),
	       "a map to another size: %s", error);
}

static void test_odd_images(void)
{
	one_process();
	/* no tree that was ever dumped, but files may say so */
	process(&image, 10, 10, "qemu");
	process(&image, 11, 12, "a");
	process(&image, 12, 11, "b");
	process(&image, 10, 11, "a");
	process(&tree, 21, 20, "a");
	add(&image, "ram", KIB);
	map(&image, 11, 0x1000, KIB);
	map(&image, 77, 0x1000, KIB);
	add(&tree, "ram", KIB);
	map(&tree, 21, 0x1000, KIB);
	TAP_OK(!make() && pairs[0] == 0, "processes that cannot be: %s", error);
	one_process();
	image.side.n_members = 0;
	add(&image, "ram", KIB);
	fd(&image, 10, 3);
	add(&tree, "ram", KIB);
	TAP_OK(!make() && pairs[0] == 0, "none at all: %s", error);
}

/* no error is too long for its place */
static void test_many(void)
{
	static char name[300];
	char small[64];
	size_t i;

	memset(name, 'n', sizeof(name) - 1);
	one_process();
	for (i = 0; i < MAX; i++) {
		add(&image, name, KIB);
		fd(&image, 10, 100 + i);
		add(&tree, name, KIB);
		fd(&tree, 20, 200 + i);
	}
	TAP_OK(make() == -ENOTUNIQ && strlen(error) < sizeof(error) - 1, "a long error");
	memset(small, 'x', sizeof(small));
	TAP_OK(pairing_make(&image.side, &tree.side, NULL, 0, pairs, small, sizeof(small) - 1) == -ENOTUNIQ &&
	       strlen(small) == sizeof(small) - 2 && small[sizeof(small) - 1] == 'x', "in little room");
}

int main(void)
{
	test_names();
	test_shapes();
	test_places();
	test_contradiction();
	test_processes();
	test_outside();
	test_maps();
	test_odd_images();
	test_many();
	return tap_done();
}
