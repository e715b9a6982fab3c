// SPDX-License-Identifier: GPL-2.0-only
/* object-get and extent-get: requests made, answers turned into structures, holders brought to their objects. */
#include "netlink/objects.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/objects-internal.h"

#define N_TRIES 3	/* to get a consistent snapshot */

static const uint8_t object_types[MEMFDCR_A_OBJECT_MAX + 1] = {
	[MEMFDCR_A_OBJECT_KIND] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_NAME] = MNL_TYPE_NUL_STRING,
	[MEMFDCR_A_OBJECT_DEV] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_INO] = MNL_TYPE_U64,
	[MEMFDCR_A_OBJECT_GENERATION] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_SIZE] = MNL_TYPE_U64,
	[MEMFDCR_A_OBJECT_ALLOCATED] = MNL_TYPE_U64,
	[MEMFDCR_A_OBJECT_SWAPPED] = MNL_TYPE_U64,
	[MEMFDCR_A_OBJECT_SEALS] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_PAGE_SIZE] = MNL_TYPE_U64,
	[MEMFDCR_A_OBJECT_MODE] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_UID] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_GID] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_DESCRIPTORS] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_MAPPINGS] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_OUTSIDE_HOLDERS] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_UNEXPLAINED] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_HOLDER] = MNL_TYPE_NESTED,
	[MEMFDCR_A_OBJECT_HIDDEN] = MNL_TYPE_U32,
	[MEMFDCR_A_OBJECT_ID] = MNL_TYPE_U64,
	[MEMFDCR_A_OBJECT_TIME] = MNL_TYPE_U64,
	[MEMFDCR_A_OBJECT_HIDDEN_OUTSIDE] = MNL_TYPE_U32,
};

static const uint8_t holder_types[MEMFDCR_A_HOLDER_MAX + 1] = {
	[MEMFDCR_A_HOLDER_PID] = MNL_TYPE_U32,
	[MEMFDCR_A_HOLDER_TID] = MNL_TYPE_U32,
	[MEMFDCR_A_HOLDER_FD] = MNL_TYPE_U32,
	[MEMFDCR_A_HOLDER_FILE_ID] = MNL_TYPE_U64,
	[MEMFDCR_A_HOLDER_FLAGS] = MNL_TYPE_U32,
	[MEMFDCR_A_HOLDER_POSITION] = MNL_TYPE_U64,
	[MEMFDCR_A_HOLDER_START] = MNL_TYPE_U64,
	[MEMFDCR_A_HOLDER_END] = MNL_TYPE_U64,
	[MEMFDCR_A_HOLDER_OFFSET] = MNL_TYPE_U64,
	[MEMFDCR_A_HOLDER_PROT] = MNL_TYPE_U32,
	[MEMFDCR_A_HOLDER_UFFD_ID] = MNL_TYPE_U64,
	[MEMFDCR_A_HOLDER_UFFD_MODES] = MNL_TYPE_U32,
};

static const uint8_t extents_types[MEMFDCR_A_EXTENTS_MAX + 1] = {
	[MEMFDCR_A_EXTENTS_START] = MNL_TYPE_U64,
	[MEMFDCR_A_EXTENTS_END] = MNL_TYPE_U64,
	[MEMFDCR_A_EXTENTS_STATE] = MNL_TYPE_U32,
	[MEMFDCR_A_EXTENTS_SIZE] = MNL_TYPE_U64,
};

/* attributes by their type; what a newer module has added is left out */
struct table {
	const uint8_t *types;
	const struct nlattr **attrs;	/* as many as types */
	uint16_t max;
};

static int table_put(const struct nlattr *attr, void *data)
{
	const struct table *t = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type > t->max)
		return MNL_CB_OK;
	/* MNL_TYPE_UNSPEC, for flags, validates anything */
	if (mnl_attr_validate(attr, t->types[type]) < 0)
		return MNL_CB_ERROR;
	t->attrs[type] = attr;
	return MNL_CB_OK;
}

static int malformed(void)
{
	return genl_fail(EBADMSG, "the module's answer is not understood");
}

static uint32_t u32(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u32(attr) : 0;
}

static uint64_t u64(const struct nlattr *attr)
{
	return attr ? mnl_attr_get_u64(attr) : 0;
}

/* room for one more in an array of n, which has room for a power of two; NULL if there is no memory */
static void *grow(void *v, size_t n, size_t size)
{
	if (n & (n - 1))
		return v;
	return reallocarray(v, n ? 2 * n : 1, size);
}

static int no_memory(void)
{
	return genl_fail(ENOMEM, "out of memory");
}

static int parse_object(const struct nlattr **tb, struct object *o)
{
	const struct nlattr *name = tb[MEMFDCR_A_OBJECT_NAME];

	*o = (struct object){
		.id = u64(tb[MEMFDCR_A_OBJECT_ID]),
		.dev = u32(tb[MEMFDCR_A_OBJECT_DEV]),
		.ino = u64(tb[MEMFDCR_A_OBJECT_INO]),
		.generation = u32(tb[MEMFDCR_A_OBJECT_GENERATION]),
		.kind = u32(tb[MEMFDCR_A_OBJECT_KIND]),
		.size = u64(tb[MEMFDCR_A_OBJECT_SIZE]),
		.allocated = u64(tb[MEMFDCR_A_OBJECT_ALLOCATED]),
		.swapped = u64(tb[MEMFDCR_A_OBJECT_SWAPPED]),
		.page_size = u64(tb[MEMFDCR_A_OBJECT_PAGE_SIZE]),
		.has_seals = tb[MEMFDCR_A_OBJECT_SEALS],
		.seals = u32(tb[MEMFDCR_A_OBJECT_SEALS]),
		.sealing_allowed = tb[MEMFDCR_A_OBJECT_SEALING_ALLOWED],
		.noexec = tb[MEMFDCR_A_OBJECT_NOEXEC],
		.hugetlb = tb[MEMFDCR_A_OBJECT_HUGETLB],
		.mode = u32(tb[MEMFDCR_A_OBJECT_MODE]),
		.uid = u32(tb[MEMFDCR_A_OBJECT_UID]),
		.gid = u32(tb[MEMFDCR_A_OBJECT_GID]),
		.descriptors = u32(tb[MEMFDCR_A_OBJECT_DESCRIPTORS]),
		.mappings = u32(tb[MEMFDCR_A_OBJECT_MAPPINGS]),
		.outside_holders = u32(tb[MEMFDCR_A_OBJECT_OUTSIDE_HOLDERS]),
		.unexplained = u32(tb[MEMFDCR_A_OBJECT_UNEXPLAINED]),
	};
	if (name) {
		o->name = strdup(mnl_attr_get_str(name));
		if (!o->name)
			return no_memory();
	}
	return 0;
}

static int parse_holder(const struct nlattr **object, struct holder *h)
{
	const struct nlattr *tb[MEMFDCR_A_HOLDER_MAX + 1] = { 0 };
	struct table table = { holder_types, tb, MEMFDCR_A_HOLDER_MAX };

	if (mnl_attr_parse_nested(object[MEMFDCR_A_OBJECT_HOLDER], table_put, &table) < 0)
		return malformed();
	if (!tb[MEMFDCR_A_HOLDER_PID] || (!tb[MEMFDCR_A_HOLDER_FD] && !tb[MEMFDCR_A_HOLDER_START]))
		return malformed();
	*h = (struct holder){
		.object = u64(object[MEMFDCR_A_OBJECT_ID]),
		.pid = u32(tb[MEMFDCR_A_HOLDER_PID]),
		.tid = u32(tb[MEMFDCR_A_HOLDER_TID]),
		.outside = tb[MEMFDCR_A_HOLDER_OUTSIDE],
		.is_mapping = !tb[MEMFDCR_A_HOLDER_FD],
		.file_id = u64(tb[MEMFDCR_A_HOLDER_FILE_ID]),
		.fd = u32(tb[MEMFDCR_A_HOLDER_FD]),
		.flags = u32(tb[MEMFDCR_A_HOLDER_FLAGS]),
		.position = u64(tb[MEMFDCR_A_HOLDER_POSITION]),
		.cloexec = tb[MEMFDCR_A_HOLDER_CLOEXEC],
		.start = u64(tb[MEMFDCR_A_HOLDER_START]),
		.end = u64(tb[MEMFDCR_A_HOLDER_END]),
		.offset = u64(tb[MEMFDCR_A_HOLDER_OFFSET]),
		.prot = u32(tb[MEMFDCR_A_HOLDER_PROT]),
		.shared = tb[MEMFDCR_A_HOLDER_SHARED],
		.locked = tb[MEMFDCR_A_HOLDER_LOCKED],
		.may_write = tb[MEMFDCR_A_HOLDER_MAY_WRITE],
		.has_uffd = tb[MEMFDCR_A_HOLDER_UFFD_ID],
		.uffd_id = u64(tb[MEMFDCR_A_HOLDER_UFFD_ID]),
		.uffd_modes = u32(tb[MEMFDCR_A_HOLDER_UFFD_MODES]),
	};
	return 0;
}

/* the attributes of a message about an object, or of one about a holder, or of the first or the last one */
static int parse_message(const struct nlmsghdr *nlh, const struct nlattr **tb)
{
	struct table table = { object_types, tb, MEMFDCR_A_OBJECT_MAX };

	if (mnl_attr_parse(nlh, sizeof(struct genlmsghdr), table_put, &table) < 0)
		return malformed();
	if (tb[MEMFDCR_A_OBJECT_TIME])
		return 0;
	if (!tb[MEMFDCR_A_OBJECT_ID] || (!tb[MEMFDCR_A_OBJECT_KIND] && !tb[MEMFDCR_A_OBJECT_HOLDER]))
		return malformed();
	return 0;
}

int object_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[MEMFDCR_A_OBJECT_MAX + 1] = { 0 };
	struct object *o = data;
	int ret = parse_message(nlh, tb);

	if (ret)
		return ret;
	if (!tb[MEMFDCR_A_OBJECT_KIND] || o->kind)
		return malformed();
	return parse_object(tb, o);
}

static int add_object(struct snapshot *s, const struct nlattr **tb)
{
	struct object *v = grow(s->objects, s->n_objects, sizeof(*v));
	int ret;

	if (!v)
		return no_memory();
	s->objects = v;
	ret = parse_object(tb, &v[s->n_objects]);
	if (!ret)
		s->n_objects++;
	return ret;
}

static int add_holder(struct snapshot *s, const struct nlattr **tb)
{
	struct holder *v = grow(s->holders, s->n_holders, sizeof(*v));
	int ret;

	if (!v)
		return no_memory();
	s->holders = v;
	ret = parse_holder(tb, &v[s->n_holders]);
	if (!ret)
		s->n_holders++;
	return ret;
}

int snapshot_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[MEMFDCR_A_OBJECT_MAX + 1] = { 0 };
	struct snapshot *s = data;
	int ret = parse_message(nlh, tb);

	if (ret)
		return ret;
	if (tb[MEMFDCR_A_OBJECT_TIME]) {
		s->hidden = u32(tb[MEMFDCR_A_OBJECT_HIDDEN]);
		s->hidden_outside = u32(tb[MEMFDCR_A_OBJECT_HIDDEN_OUTSIDE]);
		return 0;
	}
	return tb[MEMFDCR_A_OBJECT_HOLDER] ? add_holder(s, tb) : add_object(s, tb);
}

#define COMPARE(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_holders(const void *left, const void *right)
{
	const struct holder *a = left, *b = right;
	int order = COMPARE(a->object, b->object);

	if (!order)
		order = COMPARE(a->outside, b->outside);
	if (!order)
		order = COMPARE(a->pid, b->pid);
	if (!order)
		order = COMPARE(a->tid, b->tid);
	if (!order)
		order = COMPARE(a->is_mapping, b->is_mapping);
	if (!order)
		order = COMPARE(a->fd, b->fd);
	return order ? order : COMPARE(a->start, b->start);
}

/* the first of the sorted holders that belongs to the object with this id or to one behind it */
static size_t first_holder(const struct snapshot *s, uint64_t id)
{
	size_t low = 0, high = s->n_holders;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->holders[middle].object < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* sorting also puts them into an order in which people and tests find them, whatever order the kernel looks in */
void snapshot_join(struct snapshot *s)
{
	size_t i;

	if (s->n_holders)
		qsort(s->holders, s->n_holders, sizeof(*s->holders), compare_holders);
	for (i = 0; i < s->n_objects; i++) {
		struct object *o = &s->objects[i];
		size_t first = first_holder(s, o->id), end = first;

		while (end < s->n_holders && s->holders[end].object == o->id)
			end++;
		o->holders = s->holders + first;
		o->n_holders = end - first;
	}
}

static int take_once(struct genl *g, const struct scope *scope, struct snapshot *s)
{
	/* an attribute with a pid takes 8 bytes */
	char buffer[8 * OBJECTS_MAX_PIDS + 256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(g, buffer, MEMFDCR_CMD_OBJECT_GET);
	bool interrupted;
	size_t i;
	int ret;

	if (scope->n_pids > OBJECTS_MAX_PIDS)
		return genl_fail(E2BIG, "too many pids in one request");
	for (i = 0; i < scope->n_pids; i++)
		mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_PID, scope->pids[i]);
	if (scope->tree)
		mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_TREE, scope->tree);
	if (scope->holders)
		mnl_attr_put(nlh, MEMFDCR_A_OBJECT_HOLDERS, 0, NULL);
	if (scope->outside)
		mnl_attr_put(nlh, MEMFDCR_A_OBJECT_OUTSIDE, 0, NULL);
	if (scope->only)
		mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_ID, *scope->only);
	ret = genl_dump(g, nlh, snapshot_reply, s, &interrupted);
	s->consistent = !interrupted;
	return ret;
}

int genl_snapshot_take(struct genl *g, const struct scope *scope, struct snapshot *s)
{
	int ret, i;

	*s = (struct snapshot){ 0 };
	for (i = 0; i < N_TRIES; i++) {
		genl_snapshot_free(s);
		ret = take_once(g, scope, s);
		if (ret || s->consistent)
			break;
	}
	if (ret)
		genl_snapshot_free(s);
	else
		snapshot_join(s);
	return ret;
}

void genl_snapshot_free(struct snapshot *s)
{
	size_t i;

	for (i = 0; i < s->n_objects; i++)
		genl_object_free(&s->objects[i]);
	free(s->objects);
	free(s->holders);
	*s = (struct snapshot){ 0 };
}

/* object-get and extent-get name an object in the same way, by attributes of their own */
static void put_ref(struct nlmsghdr *nlh, const struct object_ref *ref, int fd, int pid, int target_fd, int address)
{
	if (ref->by == REF_FD) {
		mnl_attr_put_u32(nlh, fd, ref->fd);
		return;
	}
	mnl_attr_put_u32(nlh, pid, ref->pid);
	if (ref->by == REF_TARGET_FD)
		mnl_attr_put_u32(nlh, target_fd, ref->fd);
	else
		mnl_attr_put_u64(nlh, address, ref->address);
}

int genl_object_get(struct genl *g, const struct object_ref *ref, struct object *o)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(g, buffer, MEMFDCR_CMD_OBJECT_GET);
	int ret;

	*o = (struct object){ 0 };
	put_ref(nlh, ref, MEMFDCR_A_OBJECT_FD, MEMFDCR_A_OBJECT_PID, MEMFDCR_A_OBJECT_TARGET_FD,
		MEMFDCR_A_OBJECT_ADDRESS);
	ret = genl_do(g, nlh, object_reply, o);
	if (!ret && !o->kind)
		ret = malformed();
	if (ret)
		genl_object_free(o);
	return ret;
}

void genl_object_free(struct object *o)
{
	free(o->name);
	*o = (struct object){ 0 };
}

int extents_reply(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *tb[MEMFDCR_A_EXTENTS_MAX + 1] = { 0 };
	struct table table = { extents_types, tb, MEMFDCR_A_EXTENTS_MAX };
	struct extents *extents = data;
	struct extent *v;

	if (mnl_attr_parse(nlh, sizeof(struct genlmsghdr), table_put, &table) < 0)
		return malformed();
	/* the first message has nothing else */
	if (tb[MEMFDCR_A_EXTENTS_SIZE])
		return 0;
	if (!tb[MEMFDCR_A_EXTENTS_START] || !tb[MEMFDCR_A_EXTENTS_END] || !tb[MEMFDCR_A_EXTENTS_STATE])
		return malformed();
	v = grow(extents->v, extents->n, sizeof(*v));
	if (!v)
		return no_memory();
	extents->v = v;
	v[extents->n++] = (struct extent){
		.start = u64(tb[MEMFDCR_A_EXTENTS_START]),
		.end = u64(tb[MEMFDCR_A_EXTENTS_END]),
		.state = u32(tb[MEMFDCR_A_EXTENTS_STATE]),
	};
	return 0;
}

int genl_extents_get(struct genl *g, const struct object_ref *ref, struct extents *extents)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(g, buffer, MEMFDCR_CMD_EXTENT_GET);
	bool interrupted;
	int ret;

	*extents = (struct extents){ 0 };
	put_ref(nlh, ref, MEMFDCR_A_EXTENTS_FD, MEMFDCR_A_EXTENTS_PID, MEMFDCR_A_EXTENTS_TARGET_FD,
		MEMFDCR_A_EXTENTS_ADDRESS);
	ret = genl_dump(g, nlh, extents_reply, extents, &interrupted);
	if (ret)
		genl_extents_free(extents);
	return ret;
}

void genl_extents_free(struct extents *extents)
{
	free(extents->v);
	*extents = (struct extents){ 0 };
}
