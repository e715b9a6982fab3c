// SPDX-License-Identifier: GPL-2.0-only
/* watch-start, watch-stop, and their notifications turned into events, with an eye on what is missing. */
#include "netlink/watch.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <stdlib.h>
#include <time.h>

#include "netlink/watch-internal.h"

#define START_TRIES 20

static const uint8_t types[MEMFDCR_A_WATCH_MAX + 1] = {
	[MEMFDCR_A_WATCH_WATCH] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_PID] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_SEQUENCE] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_TIME] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_TID] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_CHILD] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_START_TIME] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_UFFD_ID] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_CODE] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_SIGNAL] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_OLD] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_NEW] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_OLD_LENGTH] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_NEW_LENGTH] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_FLAGS] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_START] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_END] = MNL_TYPE_U64,
	[MEMFDCR_A_WATCH_CAUSE] = MNL_TYPE_U32,
	[MEMFDCR_A_WATCH_LOST] = MNL_TYPE_U64,
};

#define HAS(name) (1ull << MEMFDCR_A_WATCH_##name)
#define HAS_ALWAYS (HAS(WATCH) | HAS(SEQUENCE) | HAS(TIME))
#define HAS_PROCESS (HAS_ALWAYS | HAS(PID) | HAS(TID))

/* what a notification cannot do without; 0: a newer module's that we do not know */
static const uint64_t needed[MEMFDCR_CMD_MAX + 1] = {
	[MEMFDCR_CMD_FORK_NTF] = HAS_PROCESS | HAS(CHILD) | HAS(START_TIME),
	[MEMFDCR_CMD_EXEC_NTF] = HAS_PROCESS,
	[MEMFDCR_CMD_EXIT_NTF] = HAS_PROCESS | HAS(CODE) | HAS(SIGNAL),
	[MEMFDCR_CMD_MREMAP_NTF] = HAS_PROCESS | HAS(OLD) | HAS(NEW) | HAS(OLD_LENGTH) | HAS(NEW_LENGTH) | HAS(FLAGS),
	[MEMFDCR_CMD_UNMAP_NTF] = HAS_PROCESS | HAS(START) | HAS(END) | HAS(CAUSE),
	[MEMFDCR_CMD_OVERRUN_NTF] = HAS_ALWAYS | HAS(LOST),
};

/* a message's attributes by their type */
struct values {
	uint64_t present;	/* bits HAS() */
	uint64_t v[MEMFDCR_A_WATCH_MAX + 1];	/* of numbers */
	uint64_t *uffds;	/* room for WATCH_MAX_UFFDS */
	size_t n_uffds;
};

static int malformed(void)
{
	return genl_fail(EBADMSG, "the module's notification is not understood");
}

static int take_value(const struct nlattr *attr, void *data)
{
	uint16_t type = mnl_attr_get_type(attr);
	struct values *values = data;

	/* a newer module's */
	if (type > MEMFDCR_A_WATCH_MAX)
		return MNL_CB_OK;
	/* MNL_TYPE_UNSPEC, for flags, validates anything */
	if (mnl_attr_validate(attr, types[type]) < 0)
		return MNL_CB_ERROR;
	values->present |= 1ull << type;
	if (types[type] == MNL_TYPE_U32)
		values->v[type] = mnl_attr_get_u32(attr);
	else if (types[type] == MNL_TYPE_U64)
		values->v[type] = mnl_attr_get_u64(attr);
	if (type == MEMFDCR_A_WATCH_UFFD_ID) {
		if (values->n_uffds == WATCH_MAX_UFFDS)
			return MNL_CB_ERROR;
		values->uffds[values->n_uffds++] = values->v[type];
	}
	return MNL_CB_OK;
}

static struct watch_event event_of(uint8_t command, const struct values *values)
{
	const uint64_t *v = values->v;
	struct watch_event e = {
		.command = command,
		.last = values->present & HAS(LAST),
		.sequence = v[MEMFDCR_A_WATCH_SEQUENCE],
		.time = v[MEMFDCR_A_WATCH_TIME],
		.pid = v[MEMFDCR_A_WATCH_PID],
		.tid = v[MEMFDCR_A_WATCH_TID],
	};

	switch (command) {
	case MEMFDCR_CMD_FORK_NTF:
		e.child.pid = v[MEMFDCR_A_WATCH_CHILD];
		e.child.same_memory = values->present & HAS(SAME_MEMORY);
		e.child.hidden = values->present & HAS(HIDDEN);
		e.child.start_time = v[MEMFDCR_A_WATCH_START_TIME];
		e.child.uffds = values->uffds;
		e.child.n_uffds = values->n_uffds;
		break;
	case MEMFDCR_CMD_EXEC_NTF:
		e.exec.hidden = values->present & HAS(HIDDEN);
		break;
	case MEMFDCR_CMD_EXIT_NTF:
		e.exit.code = v[MEMFDCR_A_WATCH_CODE];
		e.exit.signal = v[MEMFDCR_A_WATCH_SIGNAL];
		break;
	case MEMFDCR_CMD_MREMAP_NTF:
		e.mremap.old = v[MEMFDCR_A_WATCH_OLD];
		e.mremap.new = v[MEMFDCR_A_WATCH_NEW];
		e.mremap.old_length = v[MEMFDCR_A_WATCH_OLD_LENGTH];
		e.mremap.new_length = v[MEMFDCR_A_WATCH_NEW_LENGTH];
		e.mremap.flags = v[MEMFDCR_A_WATCH_FLAGS];
		break;
	case MEMFDCR_CMD_UNMAP_NTF:
		e.unmap.start = v[MEMFDCR_A_WATCH_START];
		e.unmap.end = v[MEMFDCR_A_WATCH_END];
		e.unmap.cause = v[MEMFDCR_A_WATCH_CAUSE];
		break;
	case MEMFDCR_CMD_OVERRUN_NTF:
		e.lost = v[MEMFDCR_A_WATCH_LOST];
		break;
	}
	return e;
}

/* the module numbers without gaps, also where it tells of an overrun: so nothing goes unseen, whoever loses it */
static int follow_sequence(struct watch *w, const struct values *values)
{
	uint64_t sequence = values->v[MEMFDCR_A_WATCH_SEQUENCE], expected = w->sequence + 1;

	if (sequence < expected)
		return genl_fail(EBADMSG, "the module's notifications come in a wrong order");
	w->sequence = sequence;
	if (sequence > expected) {
		const struct watch_event gap = {
			.command = WATCH_GAP,
			.sequence = expected,
			.time = values->v[MEMFDCR_A_WATCH_TIME],
			.lost = sequence - expected,
		};

		w->callback(&gap, w->data);
	}
	return 0;
}

int watch_notification(const struct nlmsghdr *nlh, void *data)
{
	const struct genlmsghdr *header = mnl_nlmsg_get_payload(nlh);
	struct watch *w = data;
	struct values values = { .uffds = w->uffds };
	uint64_t need = HAS_ALWAYS;
	struct watch_event e;
	bool known;
	int ret;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*header) ||
	    mnl_attr_parse(nlh, sizeof(*header), take_value, &values) < 0)
		return malformed();
	known = header->cmd <= MEMFDCR_CMD_MAX && needed[header->cmd];
	if (known)
		need = needed[header->cmd];
	if ((values.present & need) != need)
		return malformed();
	ret = follow_sequence(w, &values);
	if (ret || !known)
		return ret;
	e = event_of(header->cmd, &values);
	w->callback(&e, w->data);
	return 0;
}

int watch_start_reply(const struct nlmsghdr *nlh, void *data)
{
	uint64_t uffds[WATCH_MAX_UFFDS];
	struct values values = { .uffds = uffds };
	struct watch *w = data;

	if (mnl_attr_parse(nlh, sizeof(struct genlmsghdr), take_value, &values) < 0 ||
	    !values.v[MEMFDCR_A_WATCH_WATCH])
		return malformed();
	w->number = values.v[MEMFDCR_A_WATCH_WATCH];
	return 0;
}

struct watch *watch_open(watch_callback *callback, void *data)
{
	struct watch *w = calloc(1, sizeof(*w));
	int error;

	if (!w) {
		genl_fail(ENOMEM, "out of memory");
		errno = ENOMEM;
		return NULL;
	}
	w->callback = callback;
	w->data = data;
	w->genl = genl_open();
	if (!w->genl) {
		error = errno;
		free(w);
		errno = error;
		return NULL;
	}
	genl_notify(w->genl, watch_notification, w);
	return w;
}

void watch_close(struct watch *w)
{
	if (!w)
		return;
	genl_close(w->genl);
	free(w);
}

static int start_once(struct watch *w, uint32_t pid, bool tree, uint32_t limit)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(w->genl, buffer, MEMFDCR_CMD_WATCH_START);

	mnl_attr_put_u32(nlh, tree ? MEMFDCR_A_WATCH_TREE : MEMFDCR_A_WATCH_PID, pid);
	if (limit)
		mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_LIMIT, limit);
	return genl_ask(w->genl, nlh, watch_start_reply, w);
}

int watch_start(struct watch *w, uint32_t pid, bool tree, uint32_t limit)
{
	int ret = start_once(w, pid, tree, limit), tries;

	/* a process's memory is locked, or a tree grows: the module waits for neither, and only for a moment */
	for (tries = 1; ret == -EBUSY && tries < START_TRIES; tries++) {
		nanosleep(&(const struct timespec){ .tv_nsec = 50000000 }, NULL);
		ret = start_once(w, pid, tree, limit);
	}
	return ret;
}

int watch_stop(struct watch *w)
{
	char buffer[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = genl_request(w->genl, buffer, MEMFDCR_CMD_WATCH_STOP);
	int ret;

	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_WATCH, w->number);
	ret = genl_tell(w->genl, nlh);
	/* nothing is added any more: this ends, however much there is */
	while (!ret)
		ret = watch_read(w);
	return ret == -EAGAIN ? 0 : ret;
}

int watch_fd(const struct watch *w)
{
	return genl_fd(w->genl);
}

int watch_read(struct watch *w)
{
	return genl_notifications(w->genl);
}
