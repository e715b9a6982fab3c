// SPDX-License-Identifier: GPL-2.0-only
/* Makes images with the parts of memfdcr dump that need no module, and compares them byte by byte. */
#include "dump_maker.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dump/parent.h"
#include "dump/record.h"
#include "image/layout.h"
#include "image/meta.h"
#include "image/writer.h"

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "# dump_maker: %s: %s\n", what, strerror(errno));
	abort();
}

bool dump_enter_tmpfs(char *top, unsigned int mebibytes)
{
	char options[32];

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	must(mkdtemp(top), "mkdtemp");
	snprintf(options, sizeof(options), "size=%um", mebibytes);
	must(!mount("none", top, "tmpfs", 0, options) && !chdir(top), "mount");
	return true;
}

size_t dump_add(struct dump_made *m, const char *name, unsigned int flags, uint64_t size)
{
	int fd = memfd_create(name, flags);

	must(fd >= 0 && !ftruncate(fd, size) && m->n < DUMP_MAX_OBJECTS, name);
	m->fds[m->n] = fd;
	return m->n++;
}

void dump_fill(struct dump_made *m, size_t object, uint64_t offset, uint64_t length, unsigned int seed)
{
	uint8_t *bytes = malloc(length + 1);
	uint64_t i, x = seed * 0x9e3779b97f4a7c15 + offset;

	must(bytes, "malloc");
	for (i = 0; i < length; i++) {
		x = x * 6364136223846793005 + 1442695040888963407;
		bytes[i] = (x >> 56) | 1;
	}
	must(pwrite(m->fds[object], bytes, length, offset) == (ssize_t)length, "pwrite");
	free(bytes);
}

static void add_extent(struct extents *e, uint64_t start, uint64_t end, uint32_t state)
{
	if (start == end)
		return;
	e->v = realloc(e->v, (e->n + 1) * sizeof(*e->v));
	must(e->v, "realloc");
	e->v[e->n++] = (struct extent){ start, end, state };
}

/* what extent-get would tell */
static void find_extents(int fd, uint64_t size, struct extents *e)
{
	uint64_t end = (size + LAYOUT_PAGE - 1) & ~(uint64_t)(LAYOUT_PAGE - 1), at = 0;

	*e = (struct extents){ 0 };
	while (at < end) {
		off_t data = lseek(fd, at, SEEK_DATA), hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		uint64_t stop;

		if (data < 0) {
			add_extent(e, at, end, MEMFDCR_EXTENT_HOLE);
			break;
		}
		stop = (uint64_t)hole >= size ? end : (uint64_t)hole;
		add_extent(e, at, data, MEMFDCR_EXTENT_HOLE);
		add_extent(e, data, stop, MEMFDCR_EXTENT_ALLOCATED);
		at = stop;
	}
	lseek(fd, 0, SEEK_SET);
}

static Memfdcr__Object *record(int fd)
{
	char path[64], link[512] = "", *end;
	struct object o = { .kind = MEMFDCR_KIND_MEMFD, .page_size = LAYOUT_PAGE };
	struct holder h = { .pid = getpid(), .fd = fd, .flags = O_RDWR };
	Memfdcr__Object *r;
	struct stat st;

	must(!fstat(fd, &st), "fstat");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	must(readlink(path, link, sizeof(link) - 1) > 0, path);
	end = strstr(link, " (deleted)");
	must(end, link);
	*end = '\0';
	o.name = link + strlen("/memfd:");
	o.dev = st.st_dev;
	o.ino = st.st_ino;
	o.size = st.st_size;
	o.allocated = st.st_blocks * 512ull;
	o.holders = &h;
	o.n_holders = 1;
	r = record_object(&o);
	must(r, "record_object");
	return r;
}

static int make(struct dump_made *m, struct writer *w, const struct imgdir *parent)
{
	struct extents extents[DUMP_MAX_OBJECTS];
	struct copy_source sources[DUMP_MAX_OBJECTS] = { 0 };
	Memfdcr__Image *image = record_image(getpid());
	int ret;
	size_t i;

	must(image, "record_image");
	image->objects = calloc(DUMP_MAX_OBJECTS, sizeof(*image->objects));
	must(image->objects, "calloc");
	for (i = 0; i < m->n; i++) {
		Memfdcr__Object *o = record(m->fds[i]);

		image->objects[image->n_objects++] = o;
		find_extents(m->fds[i], o->size, &extents[i]);
		must(!record_runs(o, &extents[i]), "record_runs");
		sources[i] = (struct copy_source){ .fd = m->fds[i], .extents = &extents[i], .object = o };
		sources[i].parent = parent ? parent_object(parent, o) : NULL;
	}
	ret = copy_run(sources, m->n, writer_data(w), &m->copied, NULL, NULL, m->error, sizeof(m->error));
	image->data_pages = m->copied.stored / LAYOUT_PAGE;
	if (!ret && parent)
		ret = parent_name_files(image, parent, writer_path(w), m->error, sizeof(m->error));
	if (!ret)
		ret = writer_commit(w, image, m->error, sizeof(m->error));
	for (i = 0; i < m->n; i++)
		free(extents[i].v);
	meta_free(image);
	return ret;
}

int dump_make(struct dump_made *m, const char *dir, const char *parent)
{
	struct imgdir p = { 0 };
	struct writer *w;
	int ret = 0;

	if (parent)
		ret = imgdir_open(parent, &p, m->error, sizeof(m->error));
	if (ret)
		return ret;
	if (parent)
		ret = parent_check(&p, m->error, sizeof(m->error));
	if (!ret)
		ret = writer_open(dir, &w, m->error, sizeof(m->error));
	if (!ret) {
		ret = make(m, w, parent ? &p : NULL);
		writer_free(w);
	}
	if (parent)
		imgdir_close(&p);
	return ret;
}

void dump_close(struct dump_made *m)
{
	while (m->n)
		close(m->fds[--m->n]);
}

/* the object as it would be restored: extents mapped in place over nothing. NULL: they are not as pager.h asks */
static uint8_t *restore(uint64_t size, const struct pager_extent *v, size_t n)
{
	uint8_t *to = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t last = 0;
	size_t i;

	must(to != MAP_FAILED, "mmap");
	for (i = 0; i < n; i++) {
		if (v[i].offset < last || v[i].offset % LAYOUT_PAGE || v[i].length % LAYOUT_PAGE || !v[i].length ||
		    v[i].file_offset % LAYOUT_PAGE || v[i].offset + v[i].length > size) {
			munmap(to, size);
			return NULL;
		}
		last = v[i].offset + v[i].length;
		must(mmap(to + v[i].offset, v[i].length, PROT_READ, MAP_PRIVATE | MAP_FIXED, v[i].fd, v[i].file_offset) !=
		     MAP_FAILED, "mmap");
	}
	return to;
}

/* where neither has anything, both have zeros: a TiB of them is not looked at */
static bool same_bytes(const uint8_t *here, const uint8_t *there, const struct extents *in_memfd,
		       const struct pager_extent *in_image, size_t n)
{
	size_t i;

	for (i = 0; i < in_memfd->n; i++) {
		const struct extent *e = &in_memfd->v[i];

		if (e->state != MEMFDCR_EXTENT_HOLE && memcmp(here + e->start, there + e->start, e->end - e->start))
			return false;
	}
	for (i = 0; i < n; i++)
		if (memcmp(here + in_image[i].offset, there + in_image[i].offset, in_image[i].length))
			return false;
	return true;
}

/* every chunk passes the pager's check, and none of them with another byte */
static bool chunks_pass(const Memfdcr__Object *o, const uint8_t *there, uint64_t size)
{
	uint8_t chunk[LAYOUT_CHUNK];
	size_t i;

	for (i = 0; i < o->n_chunks; i++) {
		uint64_t start = o->chunks[i] * LAYOUT_CHUNK;
		size_t stored = __builtin_ctz(o->pages[i]) * LAYOUT_PAGE;

		memset(chunk, 0, sizeof(chunk));
		memcpy(chunk, there + start, size - start < LAYOUT_CHUNK ? size - start : LAYOUT_CHUNK);
		if (imgdir_check(o, start, chunk))
			return false;
		chunk[stored + i % LAYOUT_PAGE] ^= 1;
		if (imgdir_check(o, start, chunk) != -EBADMSG)
			return false;
	}
	return imgdir_check(o, UINT64_MAX - LAYOUT_CHUNK + 1, chunk) == -EINVAL;
}

static bool same_object(const struct imgdir *d, const Memfdcr__Object *o, int fd)
{
	uint64_t size = (o->size + LAYOUT_PAGE - 1) & ~(uint64_t)(LAYOUT_PAGE - 1);
	struct extents in_memfd;
	struct pager_extent *v;
	uint8_t *there, *here;
	bool same = false;
	size_t n;

	if (!size)
		return !o->n_chunks;
	must(!imgdir_extents(d, o, &v, &n), "imgdir_extents");
	there = restore(size, v, n);
	/* the whole last page, too */
	here = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	must(here != MAP_FAILED, "mmap");
	find_extents(fd, o->size, &in_memfd);
	if (there) {
		same = same_bytes(here, there, &in_memfd, v, n) && chunks_pass(o, there, size);
		munmap(there, size);
	}
	munmap(here, size);
	free(in_memfd.v);
	free(v);
	return same;
}

bool dump_same(const struct dump_made *m, const char *dir)
{
	char error[1024];
	struct imgdir d;
	bool same;
	size_t i;

	if (imgdir_open(dir, &d, error, sizeof(error))) {
		fprintf(stderr, "# %s\n", error);
		return false;
	}
	same = d.image->n_objects == m->n;
	for (i = 0; same && i < m->n; i++)
		same = same_object(&d, d.image->objects[i], m->fds[i]);
	imgdir_close(&d);
	return same;
}
