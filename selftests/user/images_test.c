// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/criu: what is lazy, what is eager and why, what is an error, and that nothing in a file can break it. */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "criu/image.h"
#include "criu/plan.h"
#include "image_maker.h"
#include "tap.h"

/* of the sanitizers' allocator; gcc has them, but not clang's header */
size_t __sanitizer_get_allocated_size(const volatile void *p);
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
					      void (*on_free)(const volatile void *));

/* tens of thousands of small files are written one after the other: in memory, where there is such a place */
static char in_memory[] = "/dev/shm/memfdcr-images-XXXXXX";
static char on_disk[] = "/tmp/memfdcr-images-XXXXXX";
static int dirfd_;

/* what the reader has allocated, now and at most; counted while counting is set */
static bool counting;
static size_t allocated, allocated_peak;

static void on_malloc(const volatile void *p, size_t size)
{
	(void)p;
	if (!counting)
		return;
	allocated += size;
	if (allocated > allocated_peak)
		allocated_peak = allocated;
}

static void on_free(const volatile void *p)
{
	if (counting && p)
		allocated -= __sanitizer_get_allocated_size(p);
}

/* seconds of processor time, which a loaded machine does not make more of */
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

struct result {
	int ret;
	struct plan *plan;
	char error[256];
};

static const struct plan_options options = { .min_size = PAGE };

static void read_set(struct result *r)
{
	r->plan = NULL;
	memset(r->error, 'x', sizeof(r->error));
	r->ret = plan_read(dirfd_, &options, &r->plan, r->error, sizeof(r->error));
}

static bool extent_is(const struct plan_extent *e, uint64_t page, uint64_t pages, uint64_t file_page)
{
	return e->offset == page * PAGE && e->length == pages * PAGE && e->file_offset == file_page * PAGE;
}

static bool mapping_is(const struct plan_mapping *m, uint32_t pid, uint64_t start, uint64_t pages, uint64_t offset_pages)
{
	return m->pid == pid && m->start == start && m->end == start + pages * PAGE && m->offset == offset_pages * PAGE;
}

/* what must hold for whatever plan_read() gives, however wrong the images */
static const char *broken(const struct result *r)
{
	size_t i, k;

	if (!memchr(r->error, 0, sizeof(r->error)))
		return "the error is not terminated";
	if (r->ret)
		return r->ret > 0 ? "positive return" : r->plan ? "error and plan" : !*r->error ? "error without sentence" : NULL;
	if (*r->error)
		return "sentence without error";
	for (i = 0; i < r->plan->n_objects; i++) {
		const struct plan_object *o = &r->plan->objects[i];
		uint64_t end = 0, file = 0;
		struct stat st;
		char name[40];

		if (!o->name)
			return "no name";
		if (i && o->inode_id <= o[-1].inode_id)
			return "objects not sorted";
		if (o->damaged && !o->eager)
			return "damaged and lazy";
		if (o->eager && (o->n_extents || o->extents || !*o->eager))
			return "eager with extents or without reason";
		for (k = 0; k < o->n_mappings; k++) {
			const struct plan_mapping *m = &o->mappings[k];

			if (!m->pid || m->start >= m->end || m->offset + (m->end - m->start) < m->offset)
				return "impossible mapping";
		}
		if (o->eager)
			continue;
		if (!o->n_mappings || !o->n_extents || !o->pages_id || o->size < options.min_size)
			return "lazy without what it takes";
		for (k = 0; k < o->n_extents; k++) {
			const struct plan_extent *e = &o->extents[k];

			if (!e->length || (e->offset | e->length | e->file_offset) % PAGE)
				return "extent is not whole pages";
			if (k && e->offset <= end)
				return "extents not sorted, overlapping or not merged";
			if (e->offset + e->length < e->offset || e->offset + e->length > (o->size + PAGE - 1) / PAGE * PAGE)
				return "extent outside the object";
			if (e->file_offset != file)
				return "extents do not follow each other in the file";
			end = e->offset + e->length;
			file += e->length;
		}
		snprintf(name, sizeof(name), "pages-%u.img", o->pages_id);
		if (file != o->bytes || fstatat(dirfd_, name, &st, 0) || (uint64_t)st.st_size != file)
			return "extents are not the pages file";
		plan_pagemap_name(o, name, sizeof(name));
		if (fstatat(dirfd_, name, &st, 0))
			return "no pagemap";
	}
	return NULL;
}

static void test_valid(void)
{
	static const char *const formats[] = { "before 4.2", "of 4.2", "without flags" };
	struct world w;
	struct result r;
	int i;

	for (i = 0; i < 3; i++) {
		const struct plan_object *o;

		world_init(&w);
		w.objects[0].format = i;
		world_write(&w, dirfd_);
		read_set(&r);
		if (!TAP_OK(!r.ret, "images with pagemaps %s are read: %s", formats[i], r.error))
			continue;
		TAP_OK(!broken(&r), "the plan is sound");
		TAP_OK(r.plan->n_objects == 2, "it has both objects");
		o = &r.plan->objects[0];
		TAP_OK(!o->eager && !o->damaged, "\"data\" is lazy: %s", o->eager ? o->eager : "yes");
		TAP_OK(!strcmp(o->name, "data") && o->inode_id == 1 && o->shmid == 7 && o->pages_id == 3 &&
		       o->size == 64 * PAGE && o->bytes == 14 * PAGE, "it has its numbers");
		TAP_OK(o->n_extents == 2 && extent_is(&o->extents[0], 0, 4, 0) && extent_is(&o->extents[1], 16, 10, 4),
		       "runs that touch are one extent");
		TAP_OK(o->n_mappings == 2 && mapping_is(&o->mappings[0], 10, 0x7f0000000000, 64, 0) &&
		       mapping_is(&o->mappings[1], 11, 0x7f0000000000, 32, 32), "it has its mappings");
		o = &r.plan->objects[1];
		TAP_OK(!o->eager && o->n_extents == 1 && extent_is(&o->extents[0], 9, 2, 0),
		       "\"/dev/zero\" is lazy and its last page may be half beyond its size");
		TAP_OK(o->n_mappings == 2 && mapping_is(&o->mappings[1], 11, 0x7f0000200000, 6, 5),
		       "offsets of mappings are bytes");
		plan_free(r.plan);
	}
}

/* one change to the world, or to the files after it was written, and what object 0 must say */
struct eager_case {
	const char *name;
	void (*change)(struct world *w);
	void (*change_files)(void);
	const char *reason;	/* part of it; NULL: it must stay lazy */
	bool damaged;
};

static Criu__Vma *vma0(struct world *w)
{
	return &w->mappings[1].vma;
}

static void huge_flag(struct world *w, uint32_t flag)
{
	w->objects[0].inode.has_hugetlb_flag = true;
	w->objects[0].inode.hugetlb_flag = flag;
}

static void hugetlb_zero(struct world *w)
{
	huge_flag(w, 0);
}

/* two huge pages, of which the first task maps both and the second the last */
static void hugetlb(struct world *w)
{
	Criu__Vma *first = vma0(w), *second = &w->mappings[3].vma;

	huge_flag(w, 0x54000004);
	w->objects[0].inode.size = 1024 * PAGE;
	first->end = first->start + 1024 * PAGE;
	second->start -= 512 * PAGE;
	second->end = second->start + 512 * PAGE;
	second->pgoff = 512 * PAGE;
	first->flags |= 0x54040000;
	second->flags |= 0x54000000;
}

static void hugetlb_1g(struct world *w)
{
	hugetlb(w);
	huge_flag(w, 0x78000004);
}

static void hugetlb_unknown(struct world *w)
{
	hugetlb(w);
	huge_flag(w, 0x54000014);
}

static void hugetlb_size(struct world *w)
{
	hugetlb(w);
	w->objects[0].inode.size += PAGE;
}

static void hugetlb_flags(struct world *w)
{
	hugetlb(w);
	vma0(w)->flags |= 0x4000;
	w->mappings[3].vma.flags = 0x78040001;
}

static void hugetlb_second(struct world *w)
{
	hugetlb(w);
	w->mappings[3].vma.flags = 0x40001;
}

static void hugetlb_offset(struct world *w)
{
	hugetlb(w);
	w->mappings[3].vma.pgoff = 511 * PAGE;
}

static void hugetlb_beyond(struct world *w)
{
	hugetlb(w);
	vma0(w)->end += 512 * PAGE;
}

static void hugetlb_private(struct world *w)
{
	hugetlb(w);
	vma0(w)->flags = 0x54040002;
	vma0(w)->status = 0x4041;
}

static void seal_write(struct world *w)
{
	w->objects[0].inode.seals = 0x8;
}

static void seal_future_write(struct world *w)
{
	w->objects[0].inode.seals = 0x10;
}

static void seals_harmless(struct world *w)
{
	w->objects[0].inode.seals = 0x27;
}

static void seals_unknown(struct world *w)
{
	w->objects[0].inode.seals = 0x40;
}

static void inode_unknown(struct world *w)
{
	maker_unknown(&w->objects[0].inode.base);
}

static void inode_mode(struct world *w)
{
	w->objects[0].inode.has_mode = true;
	w->objects[0].inode.mode = 0100600;
}

static void file_unknown(struct world *w)
{
	maker_unknown(&w->files[1].memfd.base);
}

static void empty(struct world *w)
{
	w->objects[0].inode.size = 0;
}

static void small(struct world *w)
{
	w->objects[0].inode.size = PAGE - 1;
	w->objects[0].n_runs = 1;
	w->objects[0].runs[0].compat_nr_pages = 1;
}

static void small_size_enormous(struct world *w)
{
	w->objects[0].inode.size = UINT64_MAX - 5;
}

static void descriptor(struct world *w)
{
	w->fds[w->n_fds++] = (struct made_fd){ .files_id = 2, .id = 5, .fd = 3 };
}

static void add_second_file(struct world *w)
{
	w->files[w->n_files] = w->files[1];
	w->files[w->n_files++].memfd.id = 20;
}

static void descriptor_of_second_file(struct world *w)
{
	add_second_file(w);
	w->fds[w->n_fds++] = (struct made_fd){ .files_id = 2, .id = 20, .fd = 3 };
}

static void second_file_mapped(struct world *w)
{
	add_second_file(w);
	w->mappings[3].vma.shmid = 20;
}

static void exe(struct world *w)
{
	w->tasks[1].exe = 5;
}

static void in_flight(struct world *w)
{
	w->rights[w->n_rights++] = 1;
	w->rights[w->n_rights++] = 5;
}

static void in_flight_other(struct world *w)
{
	w->rights[w->n_rights++] = 1;
}

static void not_mapped(struct world *w)
{
	w->mappings[1].pid = w->mappings[3].pid = 99;
	/* without a file entry nothing says what holds it */
	w->files[1] = w->files[2];
	w->n_files = 2;
}

static void private(struct world *w)
{
	vma0(w)->flags = 0x2;
	vma0(w)->status = 0x4041;
}

/* and the other task as well: elsewhere, and at the same addresses */
static void private_twice(struct world *w)
{
	private(w);
	w->mappings[3].vma.flags = 0x2;
	w->mappings[3].vma.status = 0x4041;
	w->mappings[3].vma.start += PAGE;
}

static void private_in_same_place(struct world *w)
{
	private_twice(w);
	w->mappings[3].vma.start = vma0(w)->start;
}

static void private_read_only(struct world *w)
{
	private(w);
	vma0(w)->fdflags = 0;
}

static void private_locked(struct world *w)
{
	private(w);
	vma0(w)->flags |= 0x2000;
}

static void private_by_flags(struct world *w)
{
	vma0(w)->flags = 0x2;
}

static void private_by_status(struct world *w)
{
	vma0(w)->status |= 0x40;
}

static void locked(struct world *w)
{
	vma0(w)->flags |= 0x2000;
}

static void noreserve(struct world *w)
{
	vma0(w)->flags |= 0x4000;
}

static void read_only(struct world *w)
{
	vma0(w)->fdflags = 0;
}

static void write_only(struct world *w)
{
	vma0(w)->fdflags = 1;
}

static void no_fdflags(struct world *w)
{
	vma0(w)->has_fdflags = false;
}

static void more_fdflags(struct world *w)
{
	vma0(w)->fdflags = 02 | 0100000;
}

static void prot_none(struct world *w)
{
	vma0(w)->prot = 0;
}

static void advised(struct world *w)
{
	vma0(w)->has_madv = true;
	vma0(w)->madv = 1 << 14;
}

static void vma_unknown(struct world *w)
{
	maker_unknown(&vma0(w)->base);
}

static void vma_unknown_elsewhere(struct world *w)
{
	maker_unknown(&w->mappings[0].vma.base);
}

static void vma_status(struct world *w)
{
	vma0(w)->status |= 1 << 18;
}

static void vma_not_memfd(struct world *w)
{
	vma0(w)->status = 0x81;
}

static void vma_huge(struct world *w)
{
	vma0(w)->flags |= 0x40000;
}

static void vma_anonymous(struct world *w)
{
	vma0(w)->flags |= 0x20;
}

static void add_guard(struct world *w, uint64_t start, uint64_t pages)
{
	struct made_mapping *m = world_map(w, 10, 0, start, pages, 0);

	m->vma.flags = 0;
	m->vma.status = 1 << 16;
}

static void guards(struct world *w)
{
	add_guard(w, 0x7f0000000000 + 63 * PAGE, 1);
	add_guard(w, 0x400000, 1);
	add_guard(w, 0x400000 + 2 * PAGE, 3);
}

static void guards_elsewhere(struct world *w)
{
	add_guard(w, 0x7f0000000000 + 64 * PAGE, 1);
	add_guard(w, 0x7f0000000000 - PAGE, 1);
	add_guard(w, 0x400000, 1);
}

static void run_flags(struct world *w, uint32_t flags)
{
	w->objects[0].raw_runs = true;
	w->objects[0].runs[1].has_flags = true;
	w->objects[0].runs[1].flags = flags;
}

static void run_lazy(struct world *w)
{
	run_flags(w, 6);
}

static void run_parent(struct world *w)
{
	run_flags(w, 1);
}

static void run_both(struct world *w)
{
	run_flags(w, 5);
}

static void run_no_flags(struct world *w)
{
	run_flags(w, 0);
}

static void run_only_lazy(struct world *w)
{
	run_flags(w, 2);
}

static void run_new_flag(struct world *w)
{
	run_flags(w, 12);
}

static void run_in_parent(struct world *w)
{
	w->objects[0].runs[1].has_in_parent = true;
	w->objects[0].runs[1].in_parent = true;
}

static void run_not_in_parent(struct world *w)
{
	w->objects[0].runs[1].has_in_parent = true;
}

static void run_unknown(struct world *w)
{
	maker_unknown(&w->objects[0].runs[1].base);
}

static void head_unknown(struct world *w)
{
	maker_unknown(&w->objects[0].head.base);
}

static void run_empty(struct world *w)
{
	w->objects[0].runs[1].compat_nr_pages = 0;
}

static void run_enormous(struct world *w)
{
	w->objects[0].raw_runs = true;
	w->objects[0].runs[1].has_nr_pages = true;
	w->objects[0].runs[1].nr_pages = 1ull << 52;
}

static void run_unaligned(struct world *w)
{
	w->objects[0].runs[1].vaddr++;
}

static void run_overlaps(struct world *w)
{
	w->objects[0].runs[1].vaddr = 3 * PAGE;
}

static void run_unsorted(struct world *w)
{
	w->objects[0].runs[0].vaddr = 40 * PAGE;
}

static void run_beyond(struct world *w)
{
	w->objects[0].runs[2].vaddr = 63 * PAGE;
}

static void run_far_beyond(struct world *w)
{
	w->objects[0].runs[2].vaddr = UINT64_MAX - PAGE + 1;
}

static void run_last(struct world *w)
{
	w->objects[0].runs[2].vaddr = 62 * PAGE;
}

static void no_runs(struct world *w)
{
	w->objects[0].n_runs = 0;
}

static void shmid_shared(struct world *w)
{
	w->objects[1].inode.shmid = 7;
}

static void shmid_of_empty(struct world *w)
{
	w->objects[2] = w->objects[0];
	w->objects[2].inode.inode_id = 3;
	w->objects[2].inode.size = 0;
	w->n_objects = 3;
}

static void pages_id_shared(struct world *w)
{
	w->objects[1].pages_id = 3;
	w->objects[1].inode.size = 20 * PAGE;
	w->objects[1].runs[0].vaddr = 0;
	w->objects[1].runs[0].compat_nr_pages = 14;
}

static void pages_id_zero(struct world *w)
{
	w->objects[0].pages_id = 0;
}

static void anon_shared(struct world *w)
{
	struct made_mapping *m = world_map(w, 11, 7, 0x7f0000300000, 1, 0);

	m->vma.status = 0x101;
	m->vma.flags = 0x21;
}

static void segment(struct world *w)
{
	w->segments[w->n_segments++] = 0;
	w->segments[w->n_segments++] = 7;
}

static void segment_elsewhere(struct world *w)
{
	w->segments[w->n_segments++] = 6;
}

static void pages_cut(void)
{
	dir_truncate(dirfd_, "pages-3.img", 14 * PAGE - 1);
}

static void pages_gone(void)
{
	unlinkat(dirfd_, "pages-3.img", 0);
}

static void pages_longer(void)
{
	dir_truncate(dirfd_, "pages-3.img", 14 * PAGE + 1);
}

static void pages_link(void)
{
	renameat(dirfd_, "pages-3.img", dirfd_, "elsewhere");
	if (symlinkat("elsewhere", dirfd_, "pages-3.img"))
		err(1, "symlink");
}

static void pagemap_gone(void)
{
	unlinkat(dirfd_, "pagemap-shmem-7.img", 0);
}

static void pagemap_head_only(void)
{
	dir_truncate(dirfd_, "pagemap-shmem-7.img", 14);
}

static void pagemap_no_head(void)
{
	dir_truncate(dirfd_, "pagemap-shmem-7.img", 8);
}

static void pagemap_cut_in_head(void)
{
	dir_truncate(dirfd_, "pagemap-shmem-7.img", 13);
}

static uint64_t pagemap_size(void)
{
	struct stat st;

	if (fstatat(dirfd_, "pagemap-shmem-7.img", &st, 0))
		err(1, "pagemap");
	return st.st_size;
}

static void pagemap_cut_in_record(void)
{
	dir_truncate(dirfd_, "pagemap-shmem-7.img", pagemap_size() - 1);
}

static void pagemap_cut_between_records(void)
{
	size_t size, pos = 8, last = 0;
	uint8_t *bytes = dir_read(dirfd_, "pagemap-shmem-7.img", &size);

	for (; pos < size; pos += 4 + bytes[pos])
		last = pos;
	free(bytes);
	dir_truncate(dirfd_, "pagemap-shmem-7.img", last);
}

static void pagemap_magic(void)
{
	size_t size;
	uint8_t *bytes = dir_read(dirfd_, "pagemap-shmem-7.img", &size);

	bytes[4]++;
	dir_write(dirfd_, "pagemap-shmem-7.img", bytes, size);
	free(bytes);
}

static void pagemap_directory(void)
{
	pagemap_gone();
	mkdirat(dirfd_, "pagemap-shmem-7.img", 0700);
}

static void pagemap_link(void)
{
	renameat(dirfd_, "pagemap-shmem-7.img", dirfd_, "elsewhere");
	if (symlinkat("elsewhere", dirfd_, "pagemap-shmem-7.img"))
		err(1, "symlink");
}

static void damaged_and_small(struct world *w)
{
	descriptor(w);
}

static const struct eager_case eager_cases[] = {
	{ "size 0", empty, NULL, "empty", false },
	{ "smaller than min_size", small, NULL, "smaller than 4096 bytes", false },
	{ "a size that cannot be", small_size_enormous, NULL, "impossible", false },
	{ "huge pages", hugetlb, NULL, NULL, false },
	{ "huge pages of 1 GiB", hugetlb_1g, NULL, "not of 2 MiB but of 1048576 KiB", false },
	{ "huge pages of another kind", hugetlb_unknown, NULL, "huge pages 0x54000014 are not known", false },
	{ "huge pages and a part of one", hugetlb_size, NULL, "whole huge pages", false },
	{ "huge pages mapped as if they were others", hugetlb_flags, NULL, "not known", false },
	{ "huge pages mapped with no size told", hugetlb_second, NULL, NULL, false },
	{ "huge pages mapped from within one", hugetlb_offset, NULL, "not at a huge page", false },
	{ "huge pages mapped beyond their end", hugetlb_beyond, NULL, "beyond its end", false },
	{ "huge pages mapped privately", hugetlb_private, NULL, "huge pages privately", false },
	{ "hugetlb flag of zero", hugetlb_zero, NULL, NULL, false },
	{ "F_SEAL_WRITE", seal_write, NULL, "sealed", false },
	{ "F_SEAL_FUTURE_WRITE", seal_future_write, NULL, "sealed", false },
	{ "the other seals", seals_harmless, NULL, NULL, false },
	{ "a seal of the future", seals_unknown, NULL, "seals 0x40", false },
	{ "unknown field of memfd_inode", inode_unknown, NULL, "not known", false },
	{ "mode, of CRIU 3.19", inode_mode, NULL, NULL, false },
	{ "unknown field of memfd_file", file_unknown, NULL, "not known", false },
	{ "a descriptor", descriptor, NULL, "task 11 has it open as descriptor 3", false },
	{ "a descriptor with a file entry of its own", descriptor_of_second_file, NULL, "descriptor 3", false },
	{ "a file entry that nothing known uses", add_second_file, NULL, "file 20 is in use", false },
	{ "two file entries, both mapped", second_file_mapped, NULL, NULL, false },
	{ "a task that runs it", exe, NULL, "task 11 runs it", false },
	{ "a descriptor in flight", in_flight, NULL, "through a socket", false },
	{ "another descriptor in flight", in_flight_other, NULL, NULL, false },
	{ "no mapping", not_mapped, NULL, "no task maps it", false },
	{ "a private mapping", private, NULL, NULL, false },
	{ "a private mapping of a read-only descriptor", private_read_only, NULL, NULL, false },
	{ "a private mapping that is locked", private_locked, NULL, "locked", false },
	{ "two private mappings", private_twice, NULL, NULL, false },
	{ "two private mappings in one place", private_in_same_place, NULL, "10 and 11 both map it privately", false },
	{ "a mapping that is private by its flags only", private_by_flags, NULL, "not known", false },
	{ "a mapping that is private by its status as well", private_by_status, NULL, "not known", false },
	{ "a locked mapping", locked, NULL, "locked", false },
	{ "MAP_NORESERVE", noreserve, NULL, NULL, false },
	{ "a mapping of a read-only descriptor", read_only, NULL, "not open for writing", false },
	{ "a mapping of a write-only descriptor", write_only, NULL, "not open for writing", false },
	{ "a mapping without fdflags", no_fdflags, NULL, "not open for writing", false },
	{ "O_RDWR and O_LARGEFILE", more_fdflags, NULL, NULL, false },
	{ "PROT_NONE", prot_none, NULL, NULL, false },
	{ "madvise", advised, NULL, NULL, false },
	{ "unknown field of vma", vma_unknown, NULL, "not known", false },
	{ "unknown field of another vma", vma_unknown_elsewhere, NULL, NULL, false },
	{ "unknown status bit of vma", vma_status, NULL, "not known", false },
	{ "a file mapping that is no memfd", vma_not_memfd, NULL, "not known", false },
	{ "MAP_HUGETLB", vma_huge, NULL, "not known", false },
	{ "MAP_ANONYMOUS", vma_anonymous, NULL, "not known", false },
	{ "guard pages", guards, NULL, "guard pages", false },
	{ "guard pages beside it", guards_elsewhere, NULL, NULL, false },
	{ "PRESENT and LAZY", run_lazy, NULL, NULL, false },
	{ "PARENT", run_parent, NULL, "flags 0x1", false },
	{ "PARENT and PRESENT", run_both, NULL, "flags 0x5", false },
	{ "flags of zero", run_no_flags, NULL, "flags 0", false },
	{ "LAZY", run_only_lazy, NULL, "flags 0x2", false },
	{ "a flag of the future", run_new_flag, NULL, "flags 0xc", false },
	{ "in_parent", run_in_parent, NULL, "not just bytes in this image", false },
	{ "in_parent that is false", run_not_in_parent, NULL, NULL, false },
	{ "unknown field of pagemap_run", run_unknown, NULL, "not known", false },
	{ "unknown field of pagemap_head", head_unknown, NULL, "head is not understood", false },
	{ "a run without pages", run_empty, NULL, "0 pages", false },
	{ "a run of too many pages", run_enormous, NULL, "pages", false },
	{ "a run not at a page", run_unaligned, NULL, "not at a page", false },
	{ "runs that overlap", run_overlaps, NULL, "not sorted", false },
	{ "runs that are not sorted", run_unsorted, NULL, "not sorted", false },
	{ "a run that ends beyond the object", run_beyond, NULL, "beyond its size", true },
	{ "a run at the end of the address space", run_far_beyond, NULL, "beyond its size", true },
	{ "a run at the end of the object", run_last, NULL, NULL, false },
	{ "no run, and no pages file", no_runs, NULL, "no bytes", false },
	{ "two objects with one pagemap", shmid_shared, NULL, "with another object", true },
	{ "an empty object with the same shmid", shmid_of_empty, NULL, NULL, false },
	{ "two objects with one pages file", pages_id_shared, NULL, "shares pages-3.img", false },
	{ "pages_id 0", pages_id_zero, NULL, "head is not understood", false },
	{ "other shared memory with its pagemap", anon_shared, NULL, "other shared memory", true },
	{ "a SysV segment with its pagemap", segment, NULL, "SysV", true },
	{ "a SysV segment with another", segment_elsewhere, NULL, NULL, false },
	{ "pages file cut", NULL, pages_cut, "pages-3.img is cut", true },
	{ "pages file missing", NULL, pages_gone, "pages-3.img", true },
	{ "pages file longer", NULL, pages_longer, "but its pagemap only", true },
	{ "pages file a symbolic link", NULL, pages_link, "not a regular file", false },
	{ "pages file cut, of an object that is eager anyway", damaged_and_small, pages_cut, "is cut", true },
	{ "pagemap missing", NULL, pagemap_gone, "pagemap-shmem-7.img: missing", false },
	{ "pagemap cut to its head", NULL, pagemap_head_only, "but its pagemap only 0", true },
	{ "pagemap cut to its magics", NULL, pagemap_no_head, "has no head", false },
	{ "pagemap cut in its head", NULL, pagemap_cut_in_head, "is cut", false },
	{ "pagemap cut in a record", NULL, pagemap_cut_in_record, "is cut", false },
	{ "pagemap cut between records", NULL, pagemap_cut_between_records, "but its pagemap only", true },
	{ "pagemap of another magic", NULL, pagemap_magic, "magic", false },
	{ "pagemap a directory", NULL, pagemap_directory, "regular file", false },
	{ "pagemap a symbolic link", NULL, pagemap_link, "symbolic link", false },
};

static void test_eager(void)
{
	size_t i;

	for (i = 0; i < sizeof(eager_cases) / sizeof(*eager_cases); i++) {
		const struct eager_case *c = &eager_cases[i];
		const struct plan_object *o;
		struct world w;
		struct result r;
		const char *wrong;

		world_init(&w);
		if (c->change)
			c->change(&w);
		world_write(&w, dirfd_);
		if (c->change_files)
			c->change_files();
		read_set(&r);
		wrong = broken(&r);
		o = r.ret ? NULL : &r.plan->objects[0];
		TAP_OK(!wrong && o && o->damaged == c->damaged &&
		       (c->reason ? o->eager && strstr(o->eager, c->reason) : !o->eager),
		       "%s: %s (%s)", c->name, c->damaged ? "damaged" : c->reason ? "eager" : "lazy",
		       wrong ? wrong : !o ? r.error : o->eager ? o->eager : "lazy");
		plan_free(r.plan);
	}
}

/* one change, and the error it must give */
struct error_case {
	const char *name;
	void (*change)(struct world *w);
	void (*change_files)(void);
	int ret;
	const char *sentence;
};

static void version(struct world *w)
{
	w->version = 1;
}

static void version_new(struct world *w)
{
	w->version = 3;
}

static void no_fdinfo_per_id(struct world *w)
{
	w->fdinfo_per_id = false;
}

static void task_state(struct world *w)
{
	w->tasks[0].state = 6;
}

static void task_twice(struct world *w)
{
	w->tasks[2].pid = 10;
}

static void task_pid(struct world *w)
{
	w->tasks[0].pid = 0;
}

static void no_tasks(struct world *w)
{
	w->n_tasks = 0;
}

static void shared_mm(struct world *w)
{
	w->tasks[1].vm_id = 1;
}

static void inode_twice(struct world *w)
{
	w->objects[1].inode.inode_id = 1;
}

static void inode_missing(struct world *w)
{
	w->files[1].memfd.inode_id = 77;
}

static void file_twice(struct world *w)
{
	w->files[2].memfd.id = 5;
}

static void file_ids_differ(struct world *w)
{
	w->files[1].id = 55;
}

static void mapping_of_nothing(struct world *w)
{
	vma0(w)->shmid = 1ull << 32 | 5;
}

static void mapping_empty(struct world *w)
{
	vma0(w)->end = vma0(w)->start;
}

static void mapping_unaligned(struct world *w)
{
	vma0(w)->pgoff = 5;
}

static void mapping_overflows(struct world *w)
{
	vma0(w)->pgoff = (1ull << 63) - PAGE;
}

static void mappings_overlap(struct world *w)
{
	w->mappings[3].vma.start = 0x400000 + 9 * PAGE;
}

static void no_mappings(struct world *w)
{
	w->mappings[0].pid = w->mappings[1].pid = 99;
}

static void old_segments(struct world *w)
{
	w->segments[w->n_segments++] = 6;
	w->old_segments = true;
}

static void remove_inventory(void)
{
	unlinkat(dirfd_, "inventory.img", 0);
}

static void remove_pstree(void)
{
	unlinkat(dirfd_, "pstree.img", 0);
}

static void remove_memfd(void)
{
	unlinkat(dirfd_, "memfd.img", 0);
}

static void remove_files(void)
{
	unlinkat(dirfd_, "files.img", 0);
}

static void remove_core(void)
{
	unlinkat(dirfd_, "core-12.img", 0);
}

static void remove_ids(void)
{
	unlinkat(dirfd_, "ids-11.img", 0);
}

static void remove_mm(void)
{
	unlinkat(dirfd_, "mm-10.img", 0);
}

static void cut_by_one(const char *name)
{
	struct stat st;

	if (fstatat(dirfd_, name, &st, 0))
		err(1, "%s", name);
	dir_truncate(dirfd_, name, st.st_size - 1);
}

static void cut_mm(void)
{
	cut_by_one("mm-11.img");
}

static void cut_fdinfo(void)
{
	cut_by_one("fdinfo-1.img");
}

static void cut_queues(void)
{
	cut_by_one("sk-queues.img");
}

static void two_mms(void)
{
	size_t size;
	uint8_t *bytes = dir_read(dirfd_, "mm-11.img", &size);
	struct maker m = { 0 };

	maker_bytes(&m, bytes, size);
	maker_bytes(&m, bytes + 8, size - 8);
	maker_write(&m, dirfd_, "mm-11.img");
	free(bytes);
}

static void empty_ids(void)
{
	dir_truncate(dirfd_, "ids-10.img", 0);
}

static void link_pstree(void)
{
	renameat(dirfd_, "pstree.img", dirfd_, "elsewhere");
	if (symlinkat("elsewhere", dirfd_, "pstree.img"))
		err(1, "symlink");
}

static void fifo_files(void)
{
	remove_files();
	if (mkfifoat(dirfd_, "files.img", 0600))
		err(1, "mkfifo");
}

static void magic_of_files(void)
{
	size_t size;
	uint8_t *bytes = dir_read(dirfd_, "memfd.img", &size);

	dir_write(dirfd_, "files.img", bytes, size);
	free(bytes);
}

static const struct error_case error_cases[] = {
	{ "images of CRIU before 1.7", version, NULL, -ENOTSUP, "inventory.img: unknown version 1" },
	{ "images of the future", version_new, NULL, -ENOTSUP, "inventory.img: unknown version 3" },
	{ "images of an old format", no_fdinfo_per_id, NULL, -ENOTSUP, "inventory.img: is of an old format" },
	{ "a task in an unknown state", task_state, NULL, -ENOTSUP, "core-10.img: task state 6" },
	{ "a task twice", task_twice, NULL, -EBADMSG, "pstree.img: task 10 is there twice" },
	{ "pid 0", task_pid, NULL, -EBADMSG, "pstree.img: 0 is no pid" },
	{ "no task", no_tasks, NULL, -EBADMSG, "pstree.img: has no task" },
	{ "two tasks with one address space", shared_mm, NULL, -ENOTSUP, "shares its address space" },
	{ "an inode twice", inode_twice, NULL, -EBADMSG, "memfd.img: inode 1 is there twice" },
	{ "a file of an unknown inode", inode_missing, NULL, -EBADMSG, "files.img: file 5 is memfd inode 77" },
	{ "a file twice", file_twice, NULL, -EBADMSG, "files.img: file 5 is there twice" },
	{ "a file with two ids", file_ids_differ, NULL, -EBADMSG, "files.img: file 55" },
	{ "a mapping of an unknown file", mapping_of_nothing, NULL, -EBADMSG, "mm-10.img: mapping at 0x7f0000000000" },
	{ "an empty mapping", mapping_empty, NULL, -EBADMSG, "mm-10.img: mapping at 0x7f0000000000 is empty" },
	{ "a mapping not at a page", mapping_unaligned, NULL, -EBADMSG, "is impossible" },
	{ "a mapping beyond any file", mapping_overflows, NULL, -EBADMSG, "is impossible" },
	{ "mappings that overlap", mappings_overlap, NULL, -EBADMSG, "overlap" },
	{ "a task without mappings", no_mappings, NULL, -ENOTSUP, "mm-10.img: has no mappings" },
	{ "SysV segments of an old format", old_segments, NULL, -ENOTSUP, "ipcns-shm-1.img: is of an old format" },
	{ "no inventory", NULL, remove_inventory, -ENOENT, "inventory.img: missing" },
	{ "no pstree", NULL, remove_pstree, -ENOENT, "pstree.img: missing" },
	{ "no memfd.img but memfds", NULL, remove_memfd, -EBADMSG, "which memfd.img does not have" },
	{ "no files.img", NULL, remove_files, -ENOENT, "files.img: missing" },
	{ "no core", NULL, remove_core, -ENOENT, "core-12.img: missing" },
	{ "no ids", NULL, remove_ids, -ENOENT, "ids-11.img: missing" },
	{ "no mm", NULL, remove_mm, -ENOENT, "mm-10.img: missing" },
	{ "mm cut", NULL, cut_mm, -EBADMSG, "mm-11.img: record at byte 8 is cut" },
	{ "fdinfo cut", NULL, cut_fdinfo, -EBADMSG, "fdinfo-1.img: record at byte 8 is cut" },
	{ "sk-queues cut", in_flight_other, cut_queues, -EBADMSG, "sk-queues.img: 5 bytes after a record are cut" },
	{ "an mm with two records", NULL, two_mms, -EBADMSG, "mm-11.img: has more than one record" },
	{ "an empty file", NULL, empty_ids, -EBADMSG, "ids-10.img: cut in its first bytes" },
	{ "a symbolic link", NULL, link_pstree, -ELOOP, "pstree.img: is a symbolic link" },
	{ "a FIFO", NULL, fifo_files, -ENOTSUP, "files.img: is not a regular file" },
	{ "a file of another kind", NULL, magic_of_files, -EBADMSG, "files.img: magic is 0x48453499" },
};

static void test_errors(void)
{
	size_t i;

	for (i = 0; i < sizeof(error_cases) / sizeof(*error_cases); i++) {
		const struct error_case *c = &error_cases[i];
		struct world w;
		struct result r;
		const char *wrong;

		world_init(&w);
		if (c->change)
			c->change(&w);
		world_write(&w, dirfd_);
		if (c->change_files)
			c->change_files();
		read_set(&r);
		wrong = broken(&r);
		TAP_OK(!wrong && r.ret == c->ret && strstr(r.error, c->sentence), "%s: %s (%d %s)", c->name, c->sentence,
		       r.ret, wrong ? wrong : r.error);
		plan_free(r.plan);
	}
}

static void test_error_text(void)
{
	struct plan *plan = NULL;
	char text[8] = "xxxxxxx";
	struct world w;

	world_init(&w);
	world_write(&w, dirfd_);
	remove_pstree();
	TAP_OK(plan_read(dirfd_, &options, &plan, text, sizeof(text)) == -ENOENT && !strcmp(text, "pstree."),
	       "a long sentence is cut to its buffer");
	TAP_OK(plan_read(dirfd_, &options, &plan, NULL, 0) == -ENOENT && !plan, "it need not be asked for");
	TAP_OK(plan_read(-1, &options, &plan, text, sizeof(text)) == -EBADF && !plan, "a bad descriptor is an error");
}

static void test_empty(void)
{
	struct world w;
	struct result r;

	world_init(&w);
	w.n_objects = 0;
	w.n_files = 1;
	w.n_mappings = 2;
	w.mappings[1] = w.mappings[2];
	world_write(&w, dirfd_);
	read_set(&r);
	TAP_OK(!r.ret && !broken(&r) && !r.plan->n_objects, "a set without shared memory is an empty plan: %s", r.error);
	plan_free(r.plan);

	dir_clear(dirfd_);
	read_set(&r);
	TAP_OK(r.ret == -ENOENT && !broken(&r), "an empty directory is an error: %s", r.error);
	plan_free(NULL);
}

/* a set of n objects, each mapped by both of two tasks, with 100 other file entries and descriptors for each */
static void write_many(unsigned int n)
{
	struct world w;
	struct maker inodes = { 0 }, files = { 0 }, fds = { 0 }, m = { 0 };
	Criu__Vma *vmas = calloc(n, sizeof(*vmas));
	Criu__Vma **list = calloc(n, sizeof(*list));
	Criu__Mm mm = CRIU__MM__INIT;
	unsigned int i, k;

	if (!vmas || !list)
		err(1, "many");
	world_init(&w);
	world_write(&w, dirfd_);
	maker_begin(&inodes, IMAGE_MAGIC_MEMFD);
	maker_begin(&files, IMAGE_MAGIC_FILES);
	maker_begin(&fds, IMAGE_MAGIC_FDINFO);
	for (i = 0; i < n; i++) {
		/* not in the order of their ids */
		const uint32_t id = (i * 7919u) % n + 1;
		Criu__MemfdInode inode = CRIU__MEMFD_INODE__INIT;
		Criu__MemfdFile memfd = CRIU__MEMFD_FILE__INIT;
		Criu__File file = CRIU__FILE__INIT;
		Criu__Fown fown = CRIU__FOWN__INIT;
		Criu__PagemapHead head = CRIU__PAGEMAP_HEAD__INIT;
		Criu__PagemapRun run = CRIU__PAGEMAP_RUN__INIT;
		char name[32];

		inode.name = "many";
		inode.size = 4 * PAGE;
		inode.shmid = id;
		inode.inode_id = id;
		maker_record(&inodes, &inode);

		memfd.id = id;
		memfd.inode_id = id;
		memfd.fown = &fown;
		file.id = id;
		file.type = 18;
		file.memfd = &memfd;
		maker_record(&files, &file);
		file.type = 1;
		file.memfd = NULL;
		for (k = 0; k < 100; k++) {
			Criu__Fd fd = CRIU__FD__INIT;

			file.id = 1000000 + i * 100 + k;
			maker_record(&files, &file);
			fd.id = file.id;
			fd.fd = i * 100 + k;
			fd.type = 1;
			maker_record(&fds, &fd);
		}

		head.pages_id = id;
		run.vaddr = PAGE;
		run.compat_nr_pages = 2;
		maker_begin(&m, IMAGE_MAGIC_PAGEMAP);
		maker_record(&m, &head);
		maker_record(&m, &run);
		maker_write(&m, dirfd_, "pagemap-shmem-%u.img", id);
		snprintf(name, sizeof(name), "pages-%u.img", id);
		dir_truncate(dirfd_, name, 2 * PAGE);

		vmas[i] = *vma0(&w);
		vmas[i].start = 0x10000000 + i * 4 * PAGE;
		vmas[i].end = vmas[i].start + 4 * PAGE;
		vmas[i].shmid = id;
		list[i] = &vmas[i];
	}
	maker_write(&inodes, dirfd_, "memfd.img");
	maker_write(&files, dirfd_, "files.img");
	maker_write(&fds, dirfd_, "fdinfo-1.img");
	mm.exe_file_id = 1000000;
	mm.n_vmas = n;
	mm.vmas = list;
	for (i = 10; i <= 11; i++) {
		maker_begin(&m, IMAGE_MAGIC_MM);
		maker_record(&m, &mm);
		maker_write(&m, dirfd_, "mm-%u.img", i);
	}
	free(list);
	free(vmas);
}

static void test_many(void)
{
	struct result r;
	double seconds;
	size_t i, lazy = 0, mappings = 0;

	write_many(1000);
	seconds = now();
	read_set(&r);
	seconds = now() - seconds;
	for (i = 0; !r.ret && i < r.plan->n_objects; i++) {
		lazy += !r.plan->objects[i].eager;
		mappings += r.plan->objects[i].n_mappings;
	}
	TAP_OK(!r.ret && !broken(&r) && lazy == 1000 && mappings == 2000, "1000 objects are lazy: %s", r.error);
	TAP_OK(seconds < 5, "100000 other files and descriptors do not matter: %.2f s with sanitizers", seconds);
	plan_free(r.plan);
}

/* an object with a hole behind every page */
static void test_fragmented(void)
{
	struct world w;
	struct result r;
	struct maker m = { 0 };
	Criu__PagemapHead head = CRIU__PAGEMAP_HEAD__INIT;
	const uint64_t pages = 200000;
	uint64_t i;

	world_init(&w);
	w.objects[0].inode.size = 2 * pages * PAGE;
	world_write(&w, dirfd_);
	head.pages_id = 3;
	maker_begin(&m, IMAGE_MAGIC_PAGEMAP);
	maker_record(&m, &head);
	for (i = 0; i < pages; i++) {
		Criu__PagemapRun run = CRIU__PAGEMAP_RUN__INIT;

		run.vaddr = 2 * i * PAGE;
		run.compat_nr_pages = 1;
		maker_record(&m, &run);
	}
	maker_write(&m, dirfd_, "pagemap-shmem-7.img");
	dir_truncate(dirfd_, "pages-3.img", pages * PAGE);
	read_set(&r);
	TAP_OK(!r.ret && !broken(&r) && r.plan->objects[0].n_extents == pages, "200000 extents: %s", r.error);
	plan_free(r.plan);
}

/* Sets that CRIU has written: see images/make. */

static const struct {
	const char *name;
	const char *reason;	/* NULL: lazy */
	unsigned int first[3];	/* first page of each extent of a lazy one */
	size_t n_extents;
	size_t n_mappings;	/* in both tasks */
} real_objects[] = {
	{ "lazy", NULL, { 0, 10, 63 }, 3, 4 },
	{ "/dev/zero", NULL, { 15 }, 1, 2 },
	{ "half", NULL, { 0 }, 1, 2 },
	{ "open", "has it open as descriptor 3", { 0 }, 0, 2 },
	{ "private", "both map it privately", { 0 }, 0, 4 },
	{ "sealed", "sealed", { 0 }, 0, 2 },
	{ "locked", "locked", { 0 }, 0, 2 },
	{ "holes", "no bytes", { 0 }, 0, 2 },
	{ "reader", "not open for writing", { 0 }, 0, 2 },
	{ "flight", "through a socket", { 0 }, 0, 2 },
};

static void copy_set(const char *version, const char *kind)
{
	char path[512];
	const char *slash = strrchr(__FILE__, '/');
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%.*simages/%s/%s", slash ? (int)(slash - __FILE__ + 1) : 0, __FILE__, version, kind);
	d = opendir(path);
	if (!d)
		err(1, "%s", path);
	dir_clear(dirfd_);
	while ((e = readdir(d))) {
		size_t size;
		void *bytes;

		if (*e->d_name == '.')
			continue;
		bytes = dir_read(dirfd(d), e->d_name, &size);
		dir_write(dirfd_, e->d_name, bytes, size);
		free(bytes);
	}
	closedir(d);
}

/* dumped.c has filled every page with a letter of its own */
static bool bytes_are(const struct plan_object *o)
{
	char name[40];
	uint8_t *bytes;
	size_t size, i, k;
	bool right = true;

	snprintf(name, sizeof(name), "pages-%u.img", o->pages_id);
	bytes = dir_read(dirfd_, name, &size);
	for (i = 0; i < o->n_extents; i++) {
		const struct plan_extent *e = &o->extents[i];

		/* of "half" only 100 bytes of the second page are the object's */
		for (k = 0; k < e->length && e->offset + k < o->size; k++)
			right = right && bytes[e->file_offset + k] == 'a' + (e->offset + k) / PAGE % 26;
	}
	free(bytes);
	return right;
}

static const struct plan_object *by_name(const struct plan *plan, const char *name)
{
	size_t i;

	for (i = 0; i < plan->n_objects; i++)
		if (!strcmp(plan->objects[i].name, name))
			return &plan->objects[i];
	return NULL;
}

static void test_real(const char *version)
{
	struct result r;
	const struct plan_object *o;
	size_t i, k;

	copy_set(version, "all");
	read_set(&r);
	if (!TAP_OK(!r.ret && !broken(&r), "images of %s are read: %s", version, r.error))
		return;
	TAP_OK(r.plan->n_objects == sizeof(real_objects) / sizeof(*real_objects), "%s: all objects", version);
	for (i = 0; i < sizeof(real_objects) / sizeof(*real_objects); i++) {
		const char *reason = real_objects[i].reason;
		bool right;

		o = by_name(r.plan, real_objects[i].name);
		right = o && !o->damaged && o->n_mappings == real_objects[i].n_mappings &&
			o->n_extents == real_objects[i].n_extents &&
			(reason ? o->eager && strstr(o->eager, reason) : !o->eager && bytes_are(o));
		for (k = 0; right && k < o->n_extents; k++)
			right = o->extents[k].offset == real_objects[i].first[k] * PAGE;
		TAP_OK(right, "%s: \"%s\" is %s (%s)", version, real_objects[i].name, reason ? "eager" : "lazy",
		       !o ? "missing" : o->eager ? o->eager : "lazy");
	}
	plan_free(r.plan);
}

/* that CRIU restores this memfd with the bytes of the segment was seen */
static void test_real_segment(const char *version)
{
	const struct plan_object *o;
	struct result r;

	copy_set(version, "segment");
	read_set(&r);
	o = r.ret ? NULL : by_name(r.plan, "victim");
	TAP_OK(o && !broken(&r) && o->damaged && strstr(o->eager, "SysV"),
	       "%s: a memfd over whose image a SysV segment was written (%s)", version, !o ? r.error : o->eager);
	plan_free(r.plan);
}

/* The mutations: every file of a valid set is changed in every way that one can think of, one at a time. */

struct corpus_file {
	char name[40];
	uint8_t *bytes;
	size_t size;
};

struct corpus {
	struct corpus_file files[48];
	size_t n;
	uint64_t runs;
	uint64_t lazy;		/* objects that stayed lazy */
	uint64_t refused;	/* sets that were an error */
	double slowest;
	size_t leaked;
	char failure[256];	/* the first, or empty */
};

static void corpus_load(struct corpus *c)
{
	DIR *d = fdopendir(openat(dirfd_, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;

	memset(c, 0, sizeof(*c));
	if (!d)
		err(1, "corpus");
	while ((e = readdir(d))) {
		struct corpus_file *f = &c->files[c->n];

		if (*e->d_name == '.' || !strncmp(e->d_name, "pages-", 6))
			continue;
		if (c->n == sizeof(c->files) / sizeof(*c->files) || strlen(e->d_name) >= sizeof(f->name))
			errx(1, "corpus: too many files");
		strcpy(f->name, e->d_name);
		f->bytes = dir_read(dirfd_, f->name, &f->size);
		c->n++;
	}
	closedir(d);
}

static void corpus_free(struct corpus *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		free(c->files[i].bytes);
}

static void corpus_read(struct corpus *c, const char *what, const char *name, size_t at)
{
	const char *wrong;
	struct result r;
	double seconds = now();
	size_t before = allocated, i;

	counting = true;
	read_set(&r);
	counting = false;
	seconds = now() - seconds;
	if (seconds > c->slowest)
		c->slowest = seconds;
	wrong = broken(&r);
	if (wrong && !*c->failure)
		snprintf(c->failure, sizeof(c->failure), "%s: %s at %zu: %s", name, what, at, wrong);
	for (i = 0; !r.ret && i < r.plan->n_objects; i++)
		c->lazy += !r.plan->objects[i].eager;
	c->refused += !!r.ret;
	c->runs++;
	counting = true;
	plan_free(r.plan);
	counting = false;
	c->leaked += allocated - before;
}

static void corpus_try(struct corpus *c, const struct corpus_file *f, const void *bytes, size_t size, const char *what,
		       size_t at)
{
	dir_write(dirfd_, f->name, bytes, size);
	corpus_read(c, what, f->name, at);
}

static void mutate_bits(struct corpus *c, const struct corpus_file *f)
{
	size_t i;

	for (i = 0; i < f->size * 8; i++) {
		f->bytes[i / 8] ^= 1 << i % 8;
		corpus_try(c, f, f->bytes, f->size, "bit flipped", i);
		f->bytes[i / 8] ^= 1 << i % 8;
	}
}

static void mutate_bytes(struct corpus *c, const struct corpus_file *f)
{
	static const uint8_t values[] = { 0, 0x7f, 0x80, 0xff };
	size_t i, k;

	for (i = 0; i < f->size; i++) {
		const uint8_t old = f->bytes[i];

		for (k = 0; k < sizeof(values); k++) {
			f->bytes[i] = values[k];
			corpus_try(c, f, f->bytes, f->size, "byte set", i);
		}
		f->bytes[i] = old;
	}
}

static void mutate_sizes(struct corpus *c, const struct corpus_file *f)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff, 0x04000000, 0x00010000 };
	uint8_t *longer = calloc(1, f->size + 70000);
	size_t i, k;

	if (!longer)
		err(1, "mutation");
	for (i = 0; i < f->size; i++)
		corpus_try(c, f, f->bytes, i, "cut", i);
	for (i = 0; i + 4 <= f->size; i++) {
		for (k = 0; k < sizeof(values) / sizeof(*values); k++) {
			memcpy(longer, f->bytes, f->size);
			memcpy(longer + i, &values[k], 4);
			corpus_try(c, f, longer, f->size, "length set", i);
		}
	}
	memcpy(longer, f->bytes, f->size);
	for (i = 1; i < 9; i++)
		corpus_try(c, f, longer, f->size + i, "zeros appended", i);
	corpus_try(c, f, longer, f->size + 70000, "zeros appended", 70000);
	free(longer);
}

/* every record dropped, doubled, and swapped with the one behind it */
static void mutate_records(struct corpus *c, const struct corpus_file *f)
{
	uint8_t *out = malloc(f->size * 2);
	size_t pos = strcmp(f->name, "inventory.img") ? 8 : 4;

	if (!out)
		err(1, "mutation");
	while (pos + 4 <= f->size) {
		uint32_t length, next;
		size_t end;

		memcpy(&length, f->bytes + pos, 4);
		if (length > f->size - pos - 4)
			break;
		end = pos + 4 + length;
		memcpy(out, f->bytes, pos);
		memcpy(out + pos, f->bytes + end, f->size - end);
		corpus_try(c, f, out, f->size - (end - pos), "record dropped", pos);

		memcpy(out, f->bytes, end);
		memcpy(out + end, f->bytes + pos, f->size - pos);
		corpus_try(c, f, out, f->size + (end - pos), "record doubled", pos);

		if (end + 4 <= f->size) {
			memcpy(&next, f->bytes + end, 4);
			if (next <= f->size - end - 4) {
				memcpy(out, f->bytes, f->size);
				memcpy(out + pos, f->bytes + end, 4 + next);
				memcpy(out + pos + 4 + next, f->bytes + pos, 4 + length);
				corpus_try(c, f, out, f->size, "records swapped", pos);
			}
		}
		pos = end;
	}
	free(out);
}

static void mutate_other_files(struct corpus *c, const struct corpus_file *f)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		if (&c->files[i] != f)
			corpus_try(c, f, c->files[i].bytes, c->files[i].size, c->files[i].name, i);
	unlinkat(dirfd_, f->name, 0);
	corpus_read(c, "removed", f->name, 0);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* several bytes at once, and pieces of the file moved about */
static void mutate_at_random(struct corpus *c, const struct corpus_file *f, unsigned int rounds, uint64_t *seed)
{
	uint8_t *out = malloc(f->size + 64);
	unsigned int i, k;

	if (!out)
		err(1, "mutation");
	for (i = 0; i < rounds; i++) {
		size_t size = f->size;

		memcpy(out, f->bytes, size);
		for (k = next_random(seed) % 5 + 1; k; k--)
			out[next_random(seed) % size] = next_random(seed);
		if (i % 3 == 0) {
			size_t from = next_random(seed) % size, to = next_random(seed) % size;
			size_t length = next_random(seed) % (size - (from > to ? from : to));

			memmove(out + to, out + from, length);
		}
		if (i % 5 == 0) {
			size_t at = next_random(seed) % size, length = next_random(seed) % 64;

			memmove(out + at + length, out + at, size - at);
			size += length;
		}
		corpus_try(c, f, out, size, "random", i);
	}
	free(out);
}

static void mutate_pages(struct corpus *c)
{
	static const uint64_t sizes[] = { 0, 1, PAGE, 14 * PAGE - 1, 14 * PAGE + 1, 15 * PAGE, 1ull << 40 };
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		dir_truncate(dirfd_, "pages-3.img", sizes[i]);
		corpus_read(c, "resized", "pages-3.img", sizes[i]);
	}
	dir_truncate(dirfd_, "pages-3.img", 14 * PAGE);
}

static void rich(struct world *w)
{
	second_file_mapped(w);
	in_flight_other(w);
	segment_elsewhere(w);
	guards_elsewhere(w);
	inode_mode(w);
	w->fds[w->n_fds++] = (struct made_fd){ .files_id = 2, .id = 6, .fd = 3 };
}

static void new_format(struct world *w)
{
	w->objects[0].format = MADE_NEW;
	run_lazy(w);
	w->objects[0].raw_runs = false;
}

static void check_corpus(const struct corpus *c, const char *name)
{
	TAP_OK(!*c->failure, "%s: %" PRIu64 " mutations, %" PRIu64 " refused, %" PRIu64
	       " times an object stayed lazy, all sound %s", name, c->runs, c->refused, c->lazy, c->failure);
	TAP_OK(!c->leaked, "%s: nothing leaked", name);
	TAP_OK(allocated_peak < 64 << 20, "%s: at most %zu KiB of memory", name, allocated_peak >> 10);
	TAP_OK(c->slowest < 2, "%s: at most %.0f ms", name, c->slowest * 1000);
}

/* those are larger, so not every bit of them */
static void test_real_mutations(const char *version)
{
	uint64_t seed = 88172645463325252ull;
	struct corpus c;
	size_t k;

	copy_set(version, "all");
	corpus_load(&c);
	allocated_peak = allocated = 0;
	for (k = 0; k < c.n; k++) {
		const struct corpus_file *f = &c.files[k];

		mutate_records(&c, f);
		mutate_at_random(&c, f, 200, &seed);
		dir_write(dirfd_, f->name, f->bytes, f->size);
	}
	check_corpus(&c, version);
	corpus_free(&c);
}

static void test_mutations(void)
{
	static const struct {
		const char *name;
		void (*change)(struct world *w);
	} sets[] = {
		{ "the plain set", NULL },
		{ "a set with everything in it", rich },
		{ "a set in the format of 4.2", new_format },
	};
	uint64_t seed = 88172645463325252ull;
	size_t i, k;

	for (i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		struct corpus c;
		struct world w;

		world_init(&w);
		if (sets[i].change)
			sets[i].change(&w);
		world_write(&w, dirfd_);
		corpus_load(&c);
		allocated_peak = allocated = 0;
		corpus_read(&c, "nothing", "the set", 0);
		TAP_OK(c.lazy && !c.refused, "%s: is lazy without mutation", sets[i].name);
		for (k = 0; k < c.n; k++) {
			const struct corpus_file *f = &c.files[k];

			mutate_bits(&c, f);
			mutate_bytes(&c, f);
			mutate_sizes(&c, f);
			mutate_records(&c, f);
			mutate_other_files(&c, f);
			mutate_at_random(&c, f, 200, &seed);
			dir_write(dirfd_, f->name, f->bytes, f->size);
		}
		mutate_pages(&c);
		check_corpus(&c, sets[i].name);
		corpus_free(&c);
	}
}

/* a record of short fields that nobody knows would be forty times larger in memory than in the file */
static void test_bomb(void)
{
	struct maker m = { 0 };
	const uint8_t field[] = { 0x78, 0x01 };	/* number 15, a varint */
	struct world w;
	struct result r;
	unsigned int i;

	world_init(&w);
	world_write(&w, dirfd_);
	maker_begin(&m, IMAGE_MAGIC_MM);
	maker_u32(&m, 2 << 20);
	for (i = 0; i < 1 << 20; i++)
		maker_bytes(&m, field, sizeof(field));
	maker_write(&m, dirfd_, "mm-10.img");

	allocated = allocated_peak = 0;
	counting = true;
	read_set(&r);
	counting = false;
	TAP_OK(r.ret == -EBADMSG && !broken(&r) && allocated_peak < 64 << 20,
	       "a record that unpacks to far more than it is: refused after %zu KiB: %s", allocated_peak >> 10, r.error);
	plan_free(r.plan);

	dir_truncate(dirfd_, "mm-10.img", 1ull << 33);
	read_set(&r);
	TAP_OK(r.ret == -EBADMSG && !broken(&r), "a file of 8 GiB: %s", r.error);
	plan_free(r.plan);

	maker_begin(&m, IMAGE_MAGIC_MM);
	maker_u32(&m, 0x7fffffff);
	maker_write(&m, dirfd_, "mm-10.img");
	dir_truncate(dirfd_, "mm-10.img", 1ull << 33);
	read_set(&r);
	TAP_OK(r.ret == -EFBIG && !broken(&r), "a record of 2 GiB: %s", r.error);
	plan_free(r.plan);
}

int main(void)
{
	static const char *const versions[] = { "criu-3.17.1", "criu-4.1.1" };
	const char *directory = mkdtemp(in_memory);
	size_t i;

	if (!directory)
		directory = mkdtemp(on_disk);
	if (!directory)
		err(1, "%s", on_disk);
	dirfd_ = open(directory, O_RDONLY | O_DIRECTORY);
	if (dirfd_ < 0)
		err(1, "%s", directory);
	/* a reader that hangs is killed */
	alarm(1800);
	__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);

	test_valid();
	for (i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		test_real(versions[i]);
	test_real_segment("criu-4.1.1");
	test_eager();
	test_errors();
	test_error_text();
	test_empty();
	test_many();
	test_fragmented();
	test_mutations();
	for (i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		test_real_mutations(versions[i]);
	test_bomb();

	dir_clear(dirfd_);
	close(dirfd_);
	rmdir(directory);
	return tap_done();
}
