// SPDX-License-Identifier: GPL-2.0-only
/* What list_bench measures: one question to the module. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <libmnl/libmnl.h>

#include "../kmod/stream.h"
#include "list_bench.h"

unsigned long asked_messages, asked_bytes, asked_datagrams;
bool asked_interrupted;

struct reading {
	struct picture *picture;
	struct table table;
};

static void read_holder(const struct nlattr **object, struct picture *p)
{
	const struct nlattr *a[STREAM_ATTRIBUTES];
	struct holder *h = picture_add(p);

	stream_nested(object[MEMFDCR_A_OBJECT_HOLDER], a);
	h->pid = stream_u32(a[MEMFDCR_A_HOLDER_PID]);
	h->fd = a[MEMFDCR_A_HOLDER_FD] ? (int)stream_u32(a[MEMFDCR_A_HOLDER_FD]) : -1;
	h->start = stream_u64(a[MEMFDCR_A_HOLDER_START]);
	h->end = stream_u64(a[MEMFDCR_A_HOLDER_END]);
	h->file = stream_u64(a[MEMFDCR_A_HOLDER_FILE_ID]);
	h->dev = stream_u32(object[MEMFDCR_A_OBJECT_DEV]);
	h->ino = stream_u64(object[MEMFDCR_A_OBJECT_INO]);
}

static void read_message(const struct nlattr **a, void *arg)
{
	struct reading *r = arg;
	struct object *o;

	if (a[MEMFDCR_A_OBJECT_HOLDER]) {
		read_holder(a, r->picture);
	} else if (a[MEMFDCR_A_OBJECT_INO]) {
		o = table_find(&r->table, stream_u32(a[MEMFDCR_A_OBJECT_DEV]), stream_u64(a[MEMFDCR_A_OBJECT_INO]));
		o->dev = stream_u32(a[MEMFDCR_A_OBJECT_DEV]);
		o->ino = stream_u64(a[MEMFDCR_A_OBJECT_INO]);
		o->seals = a[MEMFDCR_A_OBJECT_SEALS] ? (int)stream_u32(a[MEMFDCR_A_OBJECT_SEALS]) : -1;
		o->huge = a[MEMFDCR_A_OBJECT_HUGETLB];
	}
}

static void open_stream(struct stream *s, size_t size)
{
	errno = -stream_open(s, size);
	if (errno)
		die("netlink");
}

static void begin(struct stream *s, pid_t root, bool holders)
{
	stream_begin(s, MEMFDCR_CMD_OBJECT_GET, NLM_F_DUMP);
	mnl_attr_put_u32(s->request, MEMFDCR_A_OBJECT_TREE, root);
	if (holders)
		mnl_attr_put(s->request, MEMFDCR_A_OBJECT_HOLDERS, 0, NULL);
}

static void finish(struct stream *s, stream_fn *each, struct reading *r)
{
	errno = -stream_run(s, each, r);
	if (errno)
		die(s->message);
	stream_close(s);
}

/* seals and the size of pages come with the objects, after the holders */
static void ask(pid_t root, struct picture *p, size_t size)
{
	static struct reading r;
	struct stream s;

	memset(&r, 0, sizeof(r));
	r.picture = p;
	open_stream(&s, size);
	begin(&s, root, true);
	finish(&s, read_message, &r);
	asked_messages = s.messages;
	asked_bytes = s.bytes;
	asked_datagrams = s.datagrams;
	asked_interrupted = s.interrupted;
	for (size_t i = 0; i < p->n; i++) {
		struct object *o = table_find(&r.table, p->holders[i].dev, p->holders[i].ino);

		p->holders[i].seals = o->seals;
		p->holders[i].huge = o->huge;
	}
	p->has_files = true;
}

void ask_module(pid_t root, struct picture *p)
{
	ask(root, p, 32768);
}

void ask_module_small(pid_t root, struct picture *p)
{
	ask(root, p, 8192);
}

void ask_without_reading(pid_t root, struct picture *p)
{
	struct stream s;

	open_stream(&s, 32768);
	begin(&s, root, true);
	finish(&s, NULL, NULL);
}

/* the kernel goes on with messages as large as the first receive buffer was */
void ask_without_copying(pid_t root, struct picture *p)
{
	struct stream s;
	size_t size = 32768;

	open_stream(&s, size);
	begin(&s, root, true);
	if (send(s.sock, s.request, s.request->nlmsg_len, 0) < 0)
		die("send");
	while (recv(s.sock, s.buffer, size, MSG_DONTWAIT) >= 0)
		size = 1;
	stream_close(&s);
}

void ask_objects_only(pid_t root, struct picture *p)
{
	struct stream s;

	open_stream(&s, 32768);
	begin(&s, root, false);
	finish(&s, NULL, NULL);
}

void ask_for_nothing(pid_t root, struct picture *p)
{
	struct stream s;

	open_stream(&s, 32768);
	begin(&s, root, false);
	/* the scene has no such objects */
	mnl_attr_put_u32(s.request, MEMFDCR_A_OBJECT_KINDS, 1U << MEMFDCR_KIND_SECRET);
	finish(&s, NULL, NULL);
}
