// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/image/ and of copying: what is dumped comes back, and what is damaged is noticed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump/record.h"
#include "dump_maker.h"
#include "image/layout.h"
#include "image/meta.h"
#include "image/path.h"
#include "image/reader.h"
#include "image/verify.h"
#include "image/writer.h"
#include "tap.h"

#define MIB (1ull << 20)

static char error[1024];

/* the whole file, to be freed */
static uint8_t *load(const char *path, size_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes;
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		abort();
	bytes = malloc(st.st_size + 1);
	if (!bytes || read(fd, bytes, st.st_size) != st.st_size)
		abort();
	close(fd);
	*size = st.st_size;
	return bytes;
}

static void save(const char *path, const uint8_t *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	close(fd);
}

static int try_open(const char *dir)
{
	struct imgdir d;
	int ret = imgdir_open(dir, &d, error, sizeof(error));

	if (!ret)
		imgdir_close(&d);
	return ret;
}

static size_t count_entries(const char *path)
{
	DIR *dir = opendir(path);
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n ? n - 2 : 0;
}

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

static void test_paths(void)
{
	static const struct {
		const char *from, *to, *relative;
	} cases[] = {
		{ "/a/b", "/a/b", "." },
		{ "/a/b", "/a/c", "../c" },
		{ "/a/b", "/a", ".." },
		{ "/a", "/a/b", "b" },
		{ "/a", "/a/b/c", "b/c" },
		{ "/ab", "/a", "../a" },
		{ "/a/b/c", "/", "../../.." },
		{ "/", "/a", "a" },
		{ "/", "/", "." },
		{ "/a/bc/d", "/a/b/d", "../../b/d" },
	};
	char *path;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		path = path_relative(cases[i].from, cases[i].to);
		TAP_OK(!strcmp(path, cases[i].relative), "from %s to %s: %s", cases[i].from, cases[i].to, path);
		free(path);
	}
	path = path_absolute("/proc/self/../nothing///");
	TAP_OK(path && !strcmp(path, "/proc/nothing"), "the path of what is not there yet");
	free(path);
	TAP_OK(!path_absolute("/proc/nothing/at/all") && errno == ENOENT, "but of one directory only");
	TAP_OK(!path_absolute("") && errno == ENOENT, "the empty path is none");
}

static void fill_objects(struct dump_made *m)
{
	size_t i;
	uint8_t *map;

	dump_add(m, "empty", 0, 0);
	dump_add(m, "hole", 0, 1ull << 40);
	i = dump_add(m, "dense", 0, 5 * MIB);
	dump_fill(m, i, 0, 5 * MIB, 1);
	i = dump_add(m, "sparse", 0, 1ull << 40);
	dump_fill(m, i, 0, 1, 2);
	dump_fill(m, i, 3 * MIB - 5, 10, 2);
	dump_fill(m, i, (1ull << 40) - 1, 1, 2);
	/* a page of zeros between others, and a whole unit of them */
	i = dump_add(m, "zeros", 0, 8 * MIB);
	if (fallocate(m->fds[i], 0, 0, 8 * MIB))
		abort();
	dump_fill(m, i, LAYOUT_PAGE, 3 * LAYOUT_PAGE, 3);
	dump_fill(m, i, 5 * LAYOUT_PAGE, 1, 3);
	dump_fill(m, i, 7 * MIB, LAYOUT_CHUNK + 1, 3);
	/* somebody who maps it uses what is behind its end */
	i = dump_add(m, "tail", MFD_ALLOW_SEALING, 2 * LAYOUT_PAGE + 100);
	map = mmap(NULL, 3 * LAYOUT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[i], 0);
	if (map == MAP_FAILED)
		abort();
	map[0] = 1;
	map[3 * LAYOUT_PAGE - 1] = 42;
	munmap(map, 3 * LAYOUT_PAGE);
	if (fcntl(m->fds[i], F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
		abort();
}

static void test_round_trip(void)
{
	struct dump_made m = { 0 };
	struct stat st;

	fill_objects(&m);
	TAP_OK(!dump_make(&m, "all", NULL), "an image is made: %s", m.error);
	TAP_OK(dump_same(&m, "all"), "and has the same bytes");
	/* dense, three of sparse at both sides of an edge, zeros, tail */
	TAP_OK(m.copied.stored == 5 * MIB + (4 + 4 + 17 + 2) * LAYOUT_PAGE, "zeros and holes are not stored: %" PRIu64 " bytes",
	       m.copied.stored);
	TAP_OK(m.copied.done == m.copied.total, "all was read that is no hole");
	TAP_OK(!stat("all/" LAYOUT_DATA, &st) && (uint64_t)st.st_size == m.copied.stored && (st.st_mode & 07777) == 0600,
	       "in a file that is as long, and not for others");
	TAP_OK(!exists("all.part"), "nothing is left beside it");
	dump_close(&m);
}

static void test_runs(void)
{
	static const uint64_t wanted[] = { 0, 1, 511, 1, 511 };
	struct dump_made m = { 0 };
	struct imgdir d;

	dump_add(&m, "runs", 0, 4 * MIB);
	dump_fill(&m, 0, 0, 1, 1);
	dump_fill(&m, 0, 2 * MIB, 1, 1);
	if (dump_make(&m, "runs", NULL) || imgdir_open("runs", &d, error, sizeof(error)))
		abort();
	TAP_OK(d.image->objects[0]->n_runs == 5 && !memcmp(d.image->objects[0]->runs, wanted, sizeof(wanted)),
	       "what was allocated is told");
	TAP_OK(d.image->objects[0]->n_holders == 1 && d.image->objects[0]->holders[0]->descriptor->fd == (uint32_t)m.fds[0] &&
	       !strcmp(d.path + strlen(d.path) - 5, "/runs"), "and who holds it");
	imgdir_close(&d);
	dump_close(&m);
}

/* while it is empty */
/* the size is asked for first, and what is allocated then */
static void test_changed_size(void)
{
	static const struct {
		const char *what;
		uint64_t size, end;		/* of the object; of the second extent */
		int ret;
		uint64_t runs[3];
	} cases[] = {
		{ "the same", 20 * 4096, 20 * 4096, 0, { 0, 5, 15 } },
		{ "in the same page", 20 * 4096 - 1, 20 * 4096, 0, { 0, 5, 15 } },
		{ "longer by now", 10 * 4096 + 1, 20 * 4096, 0, { 0, 5, 6 } },
		{ "longer by all that is a hole", 5 * 4096, 20 * 4096, 0, { 0, 5 } },
		{ "shorter", 20 * 4096 + 1, 20 * 4096, -ENODATA, { 0 } },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct extent v[] = { { 0, 5 * 4096, MEMFDCR_EXTENT_ALLOCATED }, { 5 * 4096, cases[i].end, MEMFDCR_EXTENT_HOLE } };
		struct extents e = { v, 2 };
		Memfdcr__Object o = MEMFDCR__OBJECT__INIT;
		int ret;

		o.size = cases[i].size;
		o.page_size = 4096;
		ret = record_runs(&o, &e);
		TAP_OK(ret == cases[i].ret && (ret || (o.n_runs == 2 + !!cases[i].runs[2] &&
						       !memcmp(o.runs, cases[i].runs, o.n_runs * sizeof(*o.runs)))),
		       "an object whose size has changed: %s", cases[i].what);
		free(o.runs);
	}
}

static void test_mount_point(const char *top)
{
	struct dump_made m = { 0 };

	dump_add(&m, "one", 0, 1);
	TAP_OK(dump_make(&m, top, NULL) == -EBUSY && strstr(m.error, "mount point"), "nothing can be renamed to: %s", m.error);
	dump_close(&m);
}

static void test_directories(void)
{
	Memfdcr__Image empty = MEMFDCR__IMAGE__INIT;
	uint8_t id[LAYOUT_ID] = { 0 };
	struct dump_made m = { 0 };
	struct writer *w, *other;
	struct stat st;

	dump_add(&m, "one", 0, LAYOUT_PAGE);
	dump_fill(&m, 0, 0, 1, 1);
	TAP_OK(!mkdir("given", 0755) && !chown("given", 12, 34) && !dump_make(&m, "given/", NULL) && !stat("given", &st) &&
	       (st.st_mode & 07777) == 0755 && st.st_uid == 12 && st.st_gid == 34,
	       "an empty directory keeps its mode and owner");
	TAP_OK(dump_make(&m, "given", NULL) == -ENOTEMPTY && strstr(m.error, "is not empty") && dump_same(&m, "given"),
	       "an image is not replaced: %s", m.error);
	TAP_OK(dump_make(&m, "given/memfdcr.img", NULL) == -ENOTDIR, "a file is no directory: %s", m.error);
	TAP_OK(dump_make(&m, "no/where", NULL) == -ENOENT, "the directory above must be there: %s", m.error);

	/* what a writer that was killed has left, and what somebody else has put there */
	if (mkdir("left.part", 0700))
		abort();
	save("left.part/" LAYOUT_DATA, (const uint8_t *)"x", 1);
	save("left.part/" LAYOUT_META, (const uint8_t *)"x", 1);
	TAP_OK(!dump_make(&m, "left", NULL) && dump_same(&m, "left") && !exists("left.part"), "leftovers are removed");
	if (mkdir("foreign.part", 0700))
		abort();
	save("foreign.part/letter", (const uint8_t *)"x", 1);
	TAP_OK(dump_make(&m, "foreign", NULL) == -ENOTEMPTY && exists("foreign.part/letter") && !exists("foreign"),
	       "not those of others: %s", m.error);

	if (writer_open("twice", &w, error, sizeof(error)))
		abort();
	TAP_OK(writer_open("twice", &other, error, sizeof(error)) == -EBUSY, "one writer at a time: %s", error);
	TAP_OK(exists("twice.part"), "whose files stay");
	writer_free(w);
	TAP_OK(!exists("twice.part") && !exists("twice"), "nothing is left of one that gives up");

	if (writer_open("late", &w, error, sizeof(error)) || mkdir("late", 0700))
		abort();
	TAP_OK(writer_commit(w, &empty, error, sizeof(error)) == -EBADMSG && count_entries("late") == 0,
	       "an image that nobody could read gets no name: %s", error);
	empty.id = (ProtobufCBinaryData){ LAYOUT_ID, id };
	save("late/file", (const uint8_t *)"x", 1);
	TAP_OK(writer_commit(w, &empty, error, sizeof(error)) == -ENOTEMPTY && count_entries("late") == 1,
	       "nor is a directory that has filled meanwhile: %s", error);
	writer_free(w);
	TAP_OK(!exists("late.part"), "and then nothing is left, either");
	dump_close(&m);
}

static void test_full_disk(void)
{
	struct dump_made m = { 0 };

	dump_add(&m, "much", 0, 100 * MIB);
	dump_fill(&m, 0, 0, 100 * MIB, 1);
	TAP_OK(dump_make(&m, "much", NULL) == -ENOSPC && !exists("much") && !exists("much.part"), "the disk is full: %s",
	       m.error);
	dump_close(&m);
	dump_add(&m, "less", 0, 20 * MIB);
	dump_fill(&m, 0, 0, 20 * MIB, 1);
	TAP_OK(!dump_make(&m, "less", NULL) && dump_same(&m, "less"), "and its space free again");
	dump_close(&m);
}

static void test_parents(void)
{
	struct dump_made m = { 0 };
	char name[16], parent[16] = "chain0";
	struct imgdir d;
	size_t i;
	int ret = 0;

	dump_add(&m, "one", 0, 8 * MIB);
	dump_add(&m, "two", 0, 2 * MIB);
	dump_fill(&m, 0, 0, 8 * MIB, 1);
	dump_fill(&m, 1, 0, 2 * MIB, 2);
	if (dump_make(&m, "first", NULL))
		abort();
	TAP_OK(!dump_make(&m, "second", "first") && !m.copied.stored && m.copied.in_parent == 10 * MIB &&
	       dump_same(&m, "second"), "nothing has changed, nothing is stored");
	dump_fill(&m, 0, MIB, 1, 3);
	if (fallocate(m.fds[0], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4 * MIB, LAYOUT_PAGE))
		abort();
	ret = dump_make(&m, "third", "second");
	TAP_OK(!ret && m.copied.stored == 2 * LAYOUT_CHUNK - LAYOUT_PAGE && dump_same(&m, "third"),
	       "of what has changed the chunks are: %" PRIu64 " bytes", m.copied.stored);
	if (imgdir_open("third", &d, error, sizeof(error)))
		abort();
	TAP_OK(d.image->n_ancestors == 1 && !strncmp((char *)d.image->ancestors[0]->path.data, "../first", 8) &&
	       d.image->ancestors[0]->path.len == 8, "an image whose data is not used is not needed");
	imgdir_close(&d);
	TAP_OK(!rename("second", "second.away") && !try_open("third"), "and may go");
	if (mkdir("moved", 0700) || rename("first", "moved/first") || rename("third", "moved/third"))
		abort();
	TAP_OK(dump_same(&m, "moved/third"), "together they may be moved");
	TAP_OK(!rename("moved/first", "moved/away") && try_open("moved/third") == -ENOENT && strstr(error, "/../first/"),
	       "one without what it builds on: %s", error);
	dump_close(&m);
	dump_add(&m, "one", 0, 8 * MIB);
	if (dump_make(&m, "moved/first", NULL))
		abort();
	TAP_OK(try_open("moved/third") == -ESTALE, "or with another in its place: %s", error);
	TAP_OK(dump_make(&m, "orphan", "nowhere") == -ENOENT && !exists("orphan") && !exists("orphan.part"),
	       "a parent that is not there: %s", m.error);
	dump_close(&m);

	/* each has something that the next needs */
	dump_add(&m, "chain", 0, 80 * LAYOUT_CHUNK);
	dump_fill(&m, 0, 0, 1, 1);
	if (dump_make(&m, parent, NULL))
		abort();
	for (i = 1; i < 80 && !ret; i++) {
		dump_fill(&m, 0, i * LAYOUT_CHUNK, 1, i);
		snprintf(name, sizeof(name), "chain%zu", i);
		ret = dump_make(&m, name, parent);
		if (!ret)
			strcpy(parent, name);
	}
	TAP_OK(ret == -EMLINK && i == 66 && !exists(name), "64 images, but not 65: %s", m.error);
	TAP_OK(!dump_make(&m, name, NULL) && dump_same(&m, name), "then one without a parent");
	dump_close(&m);
}

/* with the checksum made right for what the bytes are now */
static uint8_t *repack(const Memfdcr__Image *image, size_t *size)
{
	uint8_t *bytes = meta_pack(image, size);

	if (!bytes)
		abort();
	return bytes;
}

static void test_metadata(void)
{
	struct dump_made m = { 0 };
	size_t size, i, accepted = 0, cuts = 0;
	uint8_t *bytes;

	fill_objects(&m);
	if (dump_make(&m, "meta", NULL))
		abort();
	bytes = load("meta/" LAYOUT_META, &size);
	for (i = 0; i < size; i++) {
		save("meta/" LAYOUT_META, bytes, i);
		accepted += !try_open("meta");
	}
	TAP_OK(!accepted, "metadata that is cut at any of %zu bytes is refused", size);
	for (i = 0; i < size * 8; i++) {
		bytes[i / 8] ^= 1 << i % 8;
		save("meta/" LAYOUT_META, bytes, size);
		bytes[i / 8] ^= 1 << i % 8;
		accepted += !try_open("meta");
	}
	TAP_OK(!accepted, "and with any bit turned");
	bytes[8] = 2;
	save("meta/" LAYOUT_META, bytes, size);
	TAP_OK(try_open("meta") == -EPROTONOSUPPORT && strstr(error, "version 2"), "another version: %s", error);
	bytes[8] = 1;
	bytes = realloc(bytes, size + 1);
	bytes[size] = 0;
	save("meta/" LAYOUT_META, bytes, size + 1);
	TAP_OK(try_open("meta") == -EBADMSG, "a byte too many: %s", error);
	save("meta/" LAYOUT_META, (const uint8_t *)"#!/bin/sh\n", 10);
	TAP_OK(try_open("meta") == -ENOMSG, "a foreign file: %s", error);
	if (unlink("meta/" LAYOUT_META) || mkfifo("meta/" LAYOUT_META, 0600))
		abort();
	TAP_OK(try_open("meta") == -EINVAL, "a pipe: %s", error);
	unlink("meta/" LAYOUT_META);
	TAP_OK(try_open("meta") == -ENOENT, "none: %s", error);
	TAP_OK(try_open("nowhere") == -ENOENT, "no directory: %s", error);
	free(bytes);
	dump_close(&m);

	/* a large one */
	dump_add(&m, "large", 0, 64 * MIB);
	for (i = 0; i < 1024; i++)
		dump_fill(&m, 0, i * LAYOUT_CHUNK, 1, i);
	if (dump_make(&m, "large", NULL))
		abort();
	bytes = load("large/" LAYOUT_META, &size);
	for (i = 0; i < size; i += 4096, cuts++) {
		save("large/" LAYOUT_META, bytes, i);
		accepted += !try_open("large");
	}
	TAP_OK(!accepted && cuts >= 5, "larger metadata, cut at %zu edges", cuts);
	free(bytes);
	dump_close(&m);
}

/* a message that its checksum vouches for, and that is wrong all the same */
static void test_contradictions(void)
{
	struct dump_made m = { 0 };
	Memfdcr__Image *image;
	Memfdcr__Object *o;
	uint64_t saved64;
	uint32_t saved32;
	uint8_t *bytes;
	size_t size;

	dump_add(&m, "one", 0, 4 * MIB);
	dump_fill(&m, 0, 0, 4 * MIB, 1);
	if (dump_make(&m, "wrong", NULL))
		abort();
	bytes = load("wrong/" LAYOUT_META, &size);
	if (meta_parse(bytes, size, &image, error, sizeof(error)))
		abort();
	free(bytes);
	o = image->objects[0];

#define REFUSED(field, wrong, saved, name)							\
	do {											\
		saved = field;									\
		field = wrong;									\
		bytes = repack(image, &size);							\
		field = saved;									\
		save("wrong/" LAYOUT_META, bytes, size);					\
		free(bytes);									\
		TAP_OK(try_open("wrong") == -EBADMSG, "%s: %s", name, error);			\
	} while (0)

	REFUSED(image->id.len, 15, saved64, "an id that is too short");
	REFUSED(image->data_pages, 1023, saved64, "pages behind the end");
	REFUSED(image->data_pages, 1025, saved64, "more pages than there are");
	REFUSED(image->data_pages, UINT64_MAX / 4096 + 1, saved64, "very many pages");
	REFUSED(o->size, 0, saved64, "content of an object without a size");
	REFUSED(o->size, UINT64_MAX, saved64, "a size that no object has");
	REFUSED(o->page_size, 0, saved64, "no page size");
	REFUSED(o->page_size, 12288, saved64, "a page size that is no power of two");
	REFUSED(o->page_size, 1ull << 63, saved64, "a page size that is too large");
	REFUSED(o->n_chunks, 63, saved64, "a chunk too few");
	REFUSED(o->n_pages, 63, saved64, "pages too few");
	REFUSED(o->n_files, 63, saved64, "files too few");
	REFUSED(o->n_places, 63, saved64, "places too few");
	REFUSED(o->checksums.len, 63 * 16, saved64, "checksums too few");
	REFUSED(o->chunks[1], 0, saved64, "a chunk twice");
	REFUSED(o->chunks[63], UINT64_MAX, saved64, "a chunk far away");
	REFUSED(o->pages[0], 0, saved32, "a chunk of nothing");
	REFUSED(o->pages[0], 0x1ffff, saved32, "a chunk of too many pages");
	REFUSED(o->files[0], 1, saved32, "a file that nobody has named");
	REFUSED(o->files[0], UINT32_MAX, saved32, "very many files");
	REFUSED(o->places[0], UINT64_MAX, saved64, "a place far away");
	REFUSED(o->runs[1], 1023, saved64, "runs that end early");
	REFUSED(o->runs[1], UINT64_MAX, saved64, "runs that are too long");
	REFUSED(o->holders[0]->descriptor, NULL, *(Memfdcr__Descriptor **)&saved64, "a holder of nothing");
#undef REFUSED
	bytes = repack(image, &size);
	save("wrong/" LAYOUT_META, bytes, size);
	free(bytes);
	TAP_OK(!try_open("wrong") && dump_same(&m, "wrong"), "and without any of that it is right");
	meta_free(image);
	dump_close(&m);
}

struct found {
	size_t n;
	struct damage last;
};

static void found(void *data, const struct damage *d)
{
	struct found *f = data;

	f->n++;
	f->last = *d;
}

static struct found verify(const char *dir)
{
	struct found f = { 0 };
	struct imgdir d;

	if (imgdir_open(dir, &d, error, sizeof(error)) || verify_data(&d, found, &f))
		abort();
	imgdir_close(&d);
	return f;
}

static void flip(const char *path, uint64_t offset)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t byte;

	if (fd < 0 || pread(fd, &byte, 1, offset) != 1)
		abort();
	byte ^= 0x10;
	if (pwrite(fd, &byte, 1, offset) != 1)
		abort();
	close(fd);
}

static void test_data(void)
{
	struct dump_made m = { 0 };
	size_t i, missed = 0;
	struct found f;

	dump_add(&m, "hole", 0, MIB);
	/* a unit, so that chunks are in order in the file */
	dump_add(&m, "one", 0, 2 * MIB - 10);
	dump_fill(&m, 1, 0, 2 * MIB - 10, 1);
	if (dump_make(&m, "damaged", NULL))
		abort();
	TAP_OK(!verify("damaged").n, "no damage");
	for (i = 0; i < 2 * MIB - 4096; i += 50021) {
		flip("damaged/" LAYOUT_DATA, i);
		f = verify("damaged");
		missed += f.n != 1 || f.last.object != 1 || f.last.start != i / LAYOUT_CHUNK * LAYOUT_CHUNK ||
			f.last.end - f.last.start > LAYOUT_CHUNK || f.last.offset != f.last.start || f.last.error != -EBADMSG;
		flip("damaged/" LAYOUT_DATA, i);
	}
	TAP_OK(!missed, "a bit turned anywhere is found, with object and place");
	flip("damaged/" LAYOUT_DATA, LAYOUT_CHUNK);
	flip("damaged/" LAYOUT_DATA, 3 * LAYOUT_CHUNK - 1);
	f = verify("damaged");
	TAP_OK(f.n == 1 && f.last.start == LAYOUT_CHUNK && f.last.end == 3 * LAYOUT_CHUNK, "damage side by side is one");
	flip("damaged/" LAYOUT_DATA, 2 * MIB - 1000);
	f = verify("damaged");
	TAP_OK(f.n == 2 && f.last.end == 2 * MIB - 10, "it ends with the object");
	flip("damaged/" LAYOUT_DATA, LAYOUT_CHUNK);
	flip("damaged/" LAYOUT_DATA, 3 * LAYOUT_CHUNK - 1);
	flip("damaged/" LAYOUT_DATA, 2 * MIB - 1000);

	dump_fill(&m, 1, 0, 1, 2);
	if (dump_make(&m, "child", "damaged"))
		abort();
	flip("damaged/" LAYOUT_DATA, LAYOUT_CHUNK);
	f = verify("child");
	TAP_OK(f.n == 1 && f.last.start == LAYOUT_CHUNK, "damage in a parent is damage");
	flip("damaged/" LAYOUT_DATA, LAYOUT_CHUNK);
	flip("damaged/" LAYOUT_DATA, 0);
	TAP_OK(!verify("child").n, "but not of what is not needed of it");
	flip("damaged/" LAYOUT_DATA, 0);

	if (truncate("damaged/" LAYOUT_DATA, 2 * MIB - 1))
		abort();
	TAP_OK(try_open("damaged") == -EBADMSG, "data that is cut: %s", error);
	TAP_OK(try_open("child") == -EBADMSG, "of the parent, too: %s", error);
	if (unlink("damaged/" LAYOUT_DATA))
		abort();
	TAP_OK(try_open("damaged") == -ENOENT, "and data that is not there: %s", error);
	dump_close(&m);
}

int main(void)
{
	char top[] = "/tmp/memfdcr-image-XXXXXX";

	test_paths();
	if (!dump_enter_tmpfs(top, 60)) {
		tap_skip("no mount for want of privilege");
		return tap_done();
	}
	test_mount_point(top);
	test_round_trip();
	test_runs();
	test_changed_size();
	test_directories();
	test_full_disk();
	test_parents();
	test_metadata();
	test_contradictions();
	test_data();
	/* the mount goes with our name space */
	if (chdir("/"))
		abort();
	return tap_done();
}
