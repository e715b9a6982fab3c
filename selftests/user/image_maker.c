// SPDX-License-Identifier: GPL-2.0-only
/* Writing directories of CRIU images for tests. */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "criu/image.h"
#include "image_maker.h"

void maker_bytes(struct maker *m, const void *bytes, size_t size)
{
	if (m->size + size > m->room) {
		m->room = (m->size + size) * 2;
		m->bytes = realloc(m->bytes, m->room);
		if (!m->bytes)
			err(1, "image maker");
	}
	memcpy(m->bytes + m->size, bytes, size);
	m->size += size;
}

void maker_u32(struct maker *m, uint32_t value)
{
	const uint8_t bytes[] = { value, value >> 8, value >> 16, value >> 24 };

	maker_bytes(m, bytes, sizeof(bytes));
}

void maker_begin(struct maker *m, uint32_t magic)
{
	if (magic != IMAGE_MAGIC_INVENTORY)
		maker_u32(m, 0x54564319);
	maker_u32(m, magic);
}

void maker_record(struct maker *m, const void *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *packed = malloc(size + 1);

	if (!packed)
		err(1, "image maker");
	protobuf_c_message_pack(message, packed);
	maker_u32(m, size);
	maker_bytes(m, packed, size);
	free(packed);
}

void maker_write(struct maker *m, int dirfd, const char *fmt, ...)
{
	char name[64];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	dir_write(dirfd, name, m->bytes, m->size);
	free(m->bytes);
	memset(m, 0, sizeof(*m));
}

void maker_unknown(ProtobufCMessage *message)
{
	static uint8_t one = 1;
	static ProtobufCMessageUnknownField field = { .tag = 99, .wire_type = 0, .len = 1, .data = &one };

	message->n_unknown_fields = 1;
	message->unknown_fields = &field;
}

void *dir_read(int dirfd, const char *name, size_t *size)
{
	int fd = openat(dirfd, name, O_RDONLY);
	struct stat st;
	char *bytes;

	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", name);
	bytes = malloc(st.st_size + 1);
	if (!bytes || read(fd, bytes, st.st_size) != st.st_size)
		err(1, "%s", name);
	close(fd);
	*size = st.st_size;
	return bytes;
}

void dir_write(int dirfd, const char *name, const void *bytes, size_t size)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || (size && write(fd, bytes, size) != (ssize_t)size))
		err(1, "%s", name);
	close(fd);
}

void dir_truncate(int dirfd, const char *name, uint64_t size)
{
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || ftruncate(fd, size))
		err(1, "%s", name);
	close(fd);
}

void dir_clear(int dirfd)
{
	DIR *d = fdopendir(openat(dirfd, ".", O_RDONLY | O_DIRECTORY));
	struct dirent *e;

	if (!d)
		err(1, "image directory");
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlinkat(dirfd, e->d_name, 0))
			unlinkat(dirfd, e->d_name, AT_REMOVEDIR);
	closedir(d);
}

static void add_object(struct world *w, const char *name, uint64_t inode_id, uint32_t shmid, uint32_t pages_id,
		       uint64_t size)
{
	struct made_object *o = &w->objects[w->n_objects++];

	*o = (struct made_object){ .inode = CRIU__MEMFD_INODE__INIT, .head = CRIU__PAGEMAP_HEAD__INIT };
	o->inode.name = (char *)name;
	o->inode.size = size;
	o->inode.shmid = shmid;
	o->inode.seals = 1;
	o->inode.inode_id = inode_id;
	o->pages_id = pages_id;
}

static void add_run(struct made_object *o, uint64_t page, uint32_t pages)
{
	Criu__PagemapRun *run = &o->runs[o->n_runs++];

	criu__pagemap_run__init(run);
	run->vaddr = page * PAGE;
	run->compat_nr_pages = pages;
}

static void add_file(struct world *w, uint32_t id, uint32_t inode_id)
{
	struct made_file *f = &w->files[w->n_files++];

	*f = (struct made_file){ .memfd = CRIU__MEMFD_FILE__INIT };
	f->memfd.id = id;
	f->memfd.inode_id = inode_id;
}

static void add_task(struct world *w, uint32_t pid, uint32_t state, uint32_t vm_id)
{
	w->tasks[w->n_tasks++] = (struct made_task){
		.pid = pid,
		.state = state,
		.vm_id = vm_id,
		.files_id = vm_id,
		.ipc_ns_id = 1,
		.exe = 1,
	};
}

struct made_mapping *world_map(struct world *w, uint32_t pid, uint32_t id, uint64_t start, uint64_t pages,
			       uint64_t offset_pages)
{
	struct made_mapping *m = &w->mappings[w->n_mappings++];

	*m = (struct made_mapping){ .pid = pid, .vma = CRIU__VMA__INIT };
	m->vma.start = start;
	m->vma.end = start + pages * PAGE;
	m->vma.pgoff = offset_pages * PAGE;
	m->vma.shmid = id;
	m->vma.prot = 3;
	m->vma.flags = MADE_FLAGS;
	m->vma.status = MADE_STATUS;
	m->vma.fd = -1;
	m->vma.has_fdflags = true;
	m->vma.fdflags = MADE_FDFLAGS;
	return m;
}

/* a private mapping of the program, as every task has */
static void map_program(struct world *w, uint32_t pid)
{
	struct made_mapping *m = world_map(w, pid, 1, 0x400000, 10, 0);

	m->vma.flags = 0x2;
	m->vma.status = 0x41;
	m->vma.fdflags = 0;
}

void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->version = 2;
	w->fdinfo_per_id = true;

	add_object(w, "data", 1, 7, 3, 64 * PAGE);
	add_run(&w->objects[0], 0, 4);
	add_run(&w->objects[0], 16, 8);
	add_run(&w->objects[0], 24, 2);
	add_object(w, "/dev/zero", 2, 8, 300, 10 * PAGE + 100);
	add_run(&w->objects[1], 9, 2);
	w->objects[1].format = MADE_NEW;

	add_file(w, 1, 0);
	w->files[0].type = 1;
	add_file(w, 5, 1);
	add_file(w, 6, 2);

	add_task(w, 10, 1, 1);
	add_task(w, 11, 3, 2);
	add_task(w, 12, 2, 0);

	map_program(w, 10);
	world_map(w, 10, 5, 0x7f0000000000, 64, 0);
	map_program(w, 11);
	world_map(w, 11, 5, 0x7f0000000000, 32, 32);
	world_map(w, 11, 6, 0x7f0000100000, 5, 0);
	world_map(w, 11, 6, 0x7f0000200000, 6, 5);

	w->fds[w->n_fds++] = (struct made_fd){ .files_id = 1, .id = 1, .fd = 0 };
}

static void write_objects(const struct world *w, int dirfd)
{
	struct maker m = { 0 };
	size_t i, k;

	if (!w->n_objects)
		return;
	maker_begin(&m, IMAGE_MAGIC_MEMFD);
	for (i = 0; i < w->n_objects; i++)
		maker_record(&m, &w->objects[i].inode);
	maker_write(&m, dirfd, "memfd.img");

	for (i = 0; i < w->n_objects; i++) {
		const struct made_object *o = &w->objects[i];
		Criu__PagemapHead head = o->head;
		uint64_t pages = 0;
		char name[32];

		head.pages_id = o->pages_id;
		maker_begin(&m, IMAGE_MAGIC_PAGEMAP);
		maker_record(&m, &head);
		for (k = 0; k < o->n_runs; k++) {
			Criu__PagemapRun run = o->runs[k];

			pages += run.compat_nr_pages;
			if (!o->raw_runs && o->format == MADE_NEW) {
				run.has_nr_pages = true;
				run.nr_pages = run.compat_nr_pages;
				run.compat_nr_pages = 0;
			}
			if (!o->raw_runs && o->format != MADE_OLDEST) {
				run.has_flags = true;
				run.flags = 4;
			}
			maker_record(&m, &run);
		}
		maker_write(&m, dirfd, "pagemap-shmem-%u.img", o->inode.shmid);
		if (pages) {
			snprintf(name, sizeof(name), "pages-%u.img", o->pages_id);
			dir_truncate(dirfd, name, pages * PAGE);
		}
	}
}

static void write_files(const struct world *w, int dirfd)
{
	struct maker m = { 0 };
	size_t i;

	maker_begin(&m, IMAGE_MAGIC_FILES);
	for (i = 0; i < w->n_files; i++) {
		Criu__File file = CRIU__FILE__INIT;
		Criu__MemfdFile memfd = w->files[i].memfd;
		Criu__Fown fown = CRIU__FOWN__INIT;

		memfd.fown = &fown;
		file.id = w->files[i].id ? w->files[i].id : memfd.id;
		file.type = w->files[i].type ? w->files[i].type : 18;
		if (file.type == 18)
			file.memfd = &memfd;
		maker_record(&m, &file);
	}
	maker_write(&m, dirfd, "files.img");
}

static void write_task(const struct world *w, const struct made_task *t, int dirfd)
{
	Criu__Core core = CRIU__CORE__INIT;
	Criu__TaskCore tc = CRIU__TASK_CORE__INIT;
	Criu__TaskIds ids = CRIU__TASK_IDS__INIT;
	Criu__Mm mm = CRIU__MM__INIT;
	Criu__Vma *vmas[16];
	struct maker m = { 0 };
	size_t i;

	tc.task_state = t->state;
	core.tc = &tc;
	maker_begin(&m, IMAGE_MAGIC_CORE);
	maker_record(&m, &core);
	maker_write(&m, dirfd, "core-%u.img", t->pid);
	if (t->state == 2)
		return;

	ids.vm_id = t->vm_id;
	ids.files_id = t->files_id;
	ids.has_ipc_ns_id = true;
	ids.ipc_ns_id = t->ipc_ns_id;
	maker_begin(&m, IMAGE_MAGIC_IDS);
	maker_record(&m, &ids);
	maker_write(&m, dirfd, "ids-%u.img", t->pid);

	mm.exe_file_id = t->exe;
	mm.vmas = vmas;
	for (i = 0; i < w->n_mappings; i++)
		if (w->mappings[i].pid == t->pid)
			vmas[mm.n_vmas++] = (Criu__Vma *)&w->mappings[i].vma;
	maker_begin(&m, IMAGE_MAGIC_MM);
	maker_record(&m, &mm);
	maker_write(&m, dirfd, "mm-%u.img", t->pid);
}

static void write_descriptors(const struct world *w, uint32_t files_id, int dirfd)
{
	struct maker m = { 0 };
	size_t i;

	maker_begin(&m, IMAGE_MAGIC_FDINFO);
	for (i = 0; i < w->n_fds; i++) {
		Criu__Fd fd = CRIU__FD__INIT;

		if (w->fds[i].files_id != files_id)
			continue;
		fd.id = w->fds[i].id;
		fd.fd = w->fds[i].fd;
		fd.type = 18;
		maker_record(&m, &fd);
	}
	/* CRIU makes no file without a record */
	if (m.size > 8)
		maker_write(&m, dirfd, "fdinfo-%u.img", files_id);
	free(m.bytes);
}

static void write_queues(const struct world *w, int dirfd)
{
	struct maker m = { 0 };
	size_t i;

	if (!w->n_rights)
		return;
	maker_begin(&m, IMAGE_MAGIC_SK_QUEUES);
	for (i = 0; i < w->n_rights; i++) {
		Criu__SkPacket packet = CRIU__SK_PACKET__INIT;
		Criu__Scm scm = CRIU__SCM__INIT, *scms[] = { &scm };
		uint32_t right = w->rights[i];

		scm.type = 1;
		scm.n_rights = 1;
		scm.rights = &right;
		packet.id_for = 9;
		packet.length = 5;
		packet.n_scms = 1;
		packet.scms = scms;
		maker_record(&m, &packet);
		maker_bytes(&m, "hello", 5);
	}
	maker_write(&m, dirfd, "sk-queues.img");
}

static void write_segments(const struct world *w, int dirfd)
{
	struct maker m = { 0 };
	size_t i;

	if (!w->n_segments)
		return;
	maker_begin(&m, IMAGE_MAGIC_IPCNS_SHM);
	for (i = 0; i < w->n_segments; i++) {
		Criu__IpcShm shm = CRIU__IPC_SHM__INIT;
		Criu__IpcDesc desc = CRIU__IPC_DESC__INIT;

		desc.id = w->segments[i];
		shm.desc = &desc;
		shm.size = PAGE;
		shm.has_in_pagemaps = !w->old_segments;
		shm.in_pagemaps = !w->old_segments;
		maker_record(&m, &shm);
	}
	maker_write(&m, dirfd, "ipcns-shm-1.img");
}

void world_write(const struct world *w, int dirfd)
{
	Criu__Inventory inventory = CRIU__INVENTORY__INIT;
	struct maker m = { 0 };
	size_t i;

	dir_clear(dirfd);
	inventory.img_version = w->version;
	inventory.has_fdinfo_per_id = w->fdinfo_per_id;
	inventory.fdinfo_per_id = w->fdinfo_per_id;
	maker_begin(&m, IMAGE_MAGIC_INVENTORY);
	maker_record(&m, &inventory);
	maker_write(&m, dirfd, "inventory.img");

	maker_begin(&m, IMAGE_MAGIC_PSTREE);
	for (i = 0; i < w->n_tasks; i++) {
		Criu__Task task = CRIU__TASK__INIT;

		task.pid = w->tasks[i].pid;
		maker_record(&m, &task);
	}
	maker_write(&m, dirfd, "pstree.img");

	write_objects(w, dirfd);
	write_files(w, dirfd);
	for (i = 0; i < w->n_tasks; i++) {
		write_task(w, &w->tasks[i], dirfd);
		if (w->tasks[i].files_id)
			write_descriptors(w, w->tasks[i].files_id, dirfd);
	}
	write_queues(w, dirfd);
	write_segments(w, dirfd);
}
