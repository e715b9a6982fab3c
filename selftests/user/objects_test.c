// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/netlink/: answers of the kernel, made here, become structures, and refusals become sentences. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/memfdcr.h>
#include <stdlib.h>
#include <string.h>

#include "netlink/objects-internal.h"
#include "tap.h"

#define SEQ	7
#define PORT	4711
#define FAMILY	0x1c

static char buffer[65536] __attribute__((aligned(8)));
static size_t used;

static void begin(void)
{
	used = 0;
}

/* one more message behind those in the buffer; what is put into it is counted by end() */
static struct nlmsghdr *message(uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer + used);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = flags;
	nlh->nlmsg_seq = SEQ;
	nlh->nlmsg_pid = PORT;
	return nlh;
}

static struct nlmsghdr *data_message(void)
{
	struct nlmsghdr *nlh = message(FAMILY, NLM_F_MULTI);

	mnl_nlmsg_put_extra_header(nlh, sizeof(struct genlmsghdr));
	return nlh;
}

static void end(const struct nlmsghdr *nlh)
{
	used += MNL_ALIGN(nlh->nlmsg_len);
}

static void put_done(uint16_t flags, int error, const char *text)
{
	struct nlmsghdr *nlh = message(NLMSG_DONE, NLM_F_MULTI | flags);

	memcpy(mnl_nlmsg_put_extra_header(nlh, sizeof(error)), &error, sizeof(error));
	if (text) {
		nlh->nlmsg_flags |= NLM_F_ACK_TLVS;
		mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, text);
	}
	end(nlh);
}

static void put_error(int error, uint16_t flags, const char *text, int missing)
{
	struct nlmsghdr *nlh = message(NLMSG_ERROR, flags);
	struct nlmsgerr *err = mnl_nlmsg_put_extra_header(nlh, sizeof(*err));

	err->error = error;
	err->msg.nlmsg_len = sizeof(err->msg) + 8;
	if (!(flags & NLM_F_CAPPED))
		mnl_nlmsg_put_extra_header(nlh, 8);
	if (text)
		mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, text);
	if (missing >= 0)
		mnl_attr_put_u32(nlh, NLMSGERR_ATTR_MISS_TYPE, missing);
	end(nlh);
}

static void put_id(struct nlmsghdr *nlh, uint64_t ino)
{
	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_ID, UINT64_MAX - ino);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_DEV, 1);
	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_INO, ino);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_GENERATION, 3);
}

static void put_object(uint64_t ino, const char *name)
{
	struct nlmsghdr *nlh = data_message();

	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_KIND, MEMFDCR_KIND_MEMFD);
	if (name)
		mnl_attr_put_strz(nlh, MEMFDCR_A_OBJECT_NAME, name);
	put_id(nlh, ino);
	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_SIZE, UINT64_MAX);
	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_ALLOCATED, 1ull << 63);
	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_SWAPPED, 4096);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_SEALS, 0);
	mnl_attr_put(nlh, MEMFDCR_A_OBJECT_SEALING_ALLOWED, 0, NULL);
	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_PAGE_SIZE, 2 << 20);
	mnl_attr_put(nlh, MEMFDCR_A_OBJECT_HUGETLB, 0, NULL);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_MODE, 0600);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_UID, UINT32_MAX);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_UNEXPLAINED, 1);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_MAX + 1, 5);	/* a newer module's */
	end(nlh);
}

static void put_descriptor(uint64_t ino, uint32_t pid, uint32_t fd, bool outside)
{
	struct nlmsghdr *nlh = data_message();
	struct nlattr *nest;

	put_id(nlh, ino);
	nest = mnl_attr_nest_start(nlh, MEMFDCR_A_OBJECT_HOLDER);
	mnl_attr_put_u32(nlh, MEMFDCR_A_HOLDER_PID, pid);
	mnl_attr_put_u32(nlh, MEMFDCR_A_HOLDER_FD, fd);
	mnl_attr_put_u64(nlh, MEMFDCR_A_HOLDER_FILE_ID, 0xfedcba9876543210);
	mnl_attr_put(nlh, MEMFDCR_A_HOLDER_CLOEXEC, 0, NULL);
	if (outside)
		mnl_attr_put(nlh, MEMFDCR_A_HOLDER_OUTSIDE, 0, NULL);
	mnl_attr_nest_end(nlh, nest);
	end(nlh);
}

static void put_mapping(uint64_t ino, uint32_t pid, uint64_t start)
{
	struct nlmsghdr *nlh = data_message();
	struct nlattr *nest;

	put_id(nlh, ino);
	nest = mnl_attr_nest_start(nlh, MEMFDCR_A_OBJECT_HOLDER);
	mnl_attr_put_u32(nlh, MEMFDCR_A_HOLDER_PID, pid);
	mnl_attr_put_u64(nlh, MEMFDCR_A_HOLDER_START, start);
	mnl_attr_put_u64(nlh, MEMFDCR_A_HOLDER_END, start + 4096);
	mnl_attr_put_u32(nlh, MEMFDCR_A_HOLDER_PROT, 3);
	mnl_attr_put_u64(nlh, MEMFDCR_A_HOLDER_UFFD_ID, 0);
	mnl_attr_nest_end(nlh, nest);
	end(nlh);
}

static void put_hidden(uint32_t hidden)
{
	struct nlmsghdr *nlh = data_message();

	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_TIME, 1234);
	mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_HIDDEN, hidden);
	end(nlh);
}

/* what the buffer holds, as one answer */
static int take(genl_reply *reply, void *data, bool *interrupted)
{
	struct exchange e = { .seq = SEQ, .port = PORT, .reply = reply, .data = data };

	if (!exchange_take(&e, buffer, used))
		return 1;
	if (interrupted)
		*interrupted = e.interrupted;
	return e.ret;
}

static void test_snapshot(void)
{
	struct snapshot s = { 0 };
	const struct object *o;
	struct nlmsghdr *nlh;
	bool interrupted;

	begin();
	nlh = data_message();
	mnl_attr_put_u64(nlh, MEMFDCR_A_OBJECT_TIME, 1);
	end(nlh);
	put_mapping(5, 20, 0x7000);
	put_descriptor(5, 10, 4, true);
	put_descriptor(6, 20, 1, false);
	put_descriptor(5, 20, 9, false);
	put_descriptor(5, 3, 7, false);
	put_object(5, "ring");
	put_object(6, NULL);
	put_object(4, "");
	put_hidden(12);
	put_done(0, 0, NULL);
	TAP_OK(!take(snapshot_reply, &s, &interrupted) && !interrupted, "a dump is taken in");
	snapshot_join(&s);
	if (!TAP_OK(s.n_objects == 3 && s.n_holders == 5 && s.hidden == 12, "objects, holders, and those hidden"))
		return;
	o = &s.objects[0];
	TAP_OK(o->kind == MEMFDCR_KIND_MEMFD && !strcmp(o->name, "ring") && o->id == UINT64_MAX - 5 && o->dev == 1 &&
	       o->ino == 5 && o->generation == 3, "kind, name and identity");
	TAP_OK(o->size == UINT64_MAX && o->allocated == 1ull << 63 && o->swapped == 4096 && o->page_size == 2 << 20,
	       "sizes, the largest there are");
	TAP_OK(o->has_seals && !o->seals && o->sealing_allowed && !o->noexec && o->hugetlb, "seals and flags");
	TAP_OK(o->mode == 0600 && o->uid == UINT32_MAX && !o->gid && o->unexplained == 1, "mode and owner");
	TAP_OK(o->n_holders == 4 && o->holders[0].pid == 3 && o->holders[1].fd == 9 && o->holders[2].is_mapping &&
	       o->holders[3].outside, "holders by process, descriptors first, those outside last");
	TAP_OK(o->holders[0].file_id == 0xfedcba9876543210 && o->holders[0].cloexec && !o->holders[0].has_uffd,
	       "a descriptor");
	TAP_OK(o->holders[2].start == 0x7000 && o->holders[2].end == 0x8000 && o->holders[2].prot == 3 &&
	       o->holders[2].has_uffd, "a mapping, and an uffd with the id 0");
	TAP_OK(!s.objects[1].name && s.objects[1].n_holders == 1 && !strcmp(s.objects[2].name, "") &&
	       !s.objects[2].n_holders, "no name, an empty name, no holder");
	genl_snapshot_free(&s);
	TAP_OK(!s.objects && !s.holders, "freed");
}

static void test_many(void)
{
	const unsigned int n = 20000;
	struct snapshot s = { 0 };
	unsigned int i, bad = 0;

	for (i = 0; i < n; i++) {
		begin();
		put_descriptor((i * 7919ull) % n, i, 1, false);
		put_object(i, NULL);
		bad += take(snapshot_reply, &s, NULL) != 1;
	}
	snapshot_join(&s);
	for (i = 0; i < n; i++)
		bad += s.objects[i].n_holders != 1 || s.objects[i].holders->object != UINT64_MAX - i;
	TAP_OK(s.n_objects == n && !bad, "%u objects find their holders", n);
	genl_snapshot_free(&s);
}

static void test_interrupted(void)
{
	struct snapshot s = { 0 };
	bool interrupted = false;

	begin();
	put_object(5, NULL);
	put_done(NLM_F_DUMP_INTR, 0, NULL);
	TAP_OK(!take(snapshot_reply, &s, &interrupted) && interrupted && s.n_objects == 1,
	       "an interrupted dump is no error");
	genl_snapshot_free(&s);
}

/* each is an answer that no module gives */
static void test_malformed(void)
{
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	struct snapshot s = { 0 };
	struct extents extents = { 0 };
	struct object o = { 0 };
	int i;

	for (i = 0; i < 6; i++) {
		begin();
		nlh = data_message();
		switch (i) {
		case 0:	/* no identity */
			mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_KIND, 1);
			break;
		case 1:	/* neither object nor holder */
			put_id(nlh, 1);
			break;
		case 2:	/* a number of the wrong size */
			put_id(nlh, 1);
			mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_KIND, 1);
			mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_SIZE, 1);
			break;
		case 3:	/* a name without an end */
			put_id(nlh, 1);
			mnl_attr_put_u32(nlh, MEMFDCR_A_OBJECT_KIND, 1);
			mnl_attr_put(nlh, MEMFDCR_A_OBJECT_NAME, 3, "abc");
			break;
		case 4:	/* a holder that is no process */
			put_id(nlh, 1);
			nest = mnl_attr_nest_start(nlh, MEMFDCR_A_OBJECT_HOLDER);
			mnl_attr_put_u32(nlh, MEMFDCR_A_HOLDER_FD, 1);
			mnl_attr_nest_end(nlh, nest);
			break;
		case 5:	/* a holder that holds nothing */
			put_id(nlh, 1);
			nest = mnl_attr_nest_start(nlh, MEMFDCR_A_OBJECT_HOLDER);
			mnl_attr_put_u32(nlh, MEMFDCR_A_HOLDER_PID, 1);
			mnl_attr_nest_end(nlh, nest);
			break;
		}
		end(nlh);
		put_object(9, NULL);
		put_done(0, 0, NULL);
		TAP_OK(take(snapshot_reply, &s, NULL) == -EBADMSG && !s.n_objects && *genl_error(),
		       "malformed answer %d is refused, and so is the rest", i);
	}
	begin();
	put_hidden(1);
	put_done(0, 0, NULL);
	TAP_OK(take(object_reply, &o, NULL) == -EBADMSG, "an object that is none");
	begin();
	nlh = data_message();
	mnl_attr_put_u64(nlh, MEMFDCR_A_EXTENTS_START, 1);
	end(nlh);
	put_done(0, 0, NULL);
	TAP_OK(take(extents_reply, &extents, NULL) == -EBADMSG && !extents.n, "an extent without end");
	begin();
	end(message(NLMSG_DONE, 0));
	TAP_OK(take(NULL, NULL, NULL) == -EBADMSG, "a cut last message");
	begin();
	end(message(NLMSG_ERROR, 0));
	TAP_OK(take(NULL, NULL, NULL) == -EBADMSG, "a cut error message");
	genl_snapshot_free(&s);
}

static void test_do(void)
{
	struct object o = { 0 };

	begin();
	put_object(5, "x\xff\n");
	put_error(0, NLM_F_CAPPED, NULL, -1);
	TAP_OK(!take(object_reply, &o, NULL) && o.ino == 5 && !strcmp(o.name, "x\xff\n"), "one object, of any name");
	genl_object_free(&o);
	TAP_OK(!o.name, "freed");
}

static void test_extents(void)
{
	struct extents extents = { 0 };
	struct nlmsghdr *nlh;
	int i;

	begin();
	nlh = data_message();
	mnl_attr_put_u64(nlh, MEMFDCR_A_EXTENTS_SIZE, 12000);
	end(nlh);
	for (i = 0; i < 3; i++) {
		nlh = data_message();
		mnl_attr_put_u64(nlh, MEMFDCR_A_EXTENTS_START, i * 4096);
		mnl_attr_put_u64(nlh, MEMFDCR_A_EXTENTS_END, (i + 1) * 4096);
		mnl_attr_put_u32(nlh, MEMFDCR_A_EXTENTS_STATE, i + 1);
		end(nlh);
	}
	put_done(0, 0, NULL);
	TAP_OK(!take(extents_reply, &extents, NULL) && extents.n == 3 && extents.v[2].start == 8192 &&
	       extents.v[2].end == 12288 && extents.v[2].state == MEMFDCR_EXTENT_SWAPPED, "extents");
	genl_extents_free(&extents);
}

static void test_refusals(void)
{
	static const struct {
		int error;
		uint16_t flags;
		const char *text;
		int missing;
		int ret;
		const char *sentence;
	} cases[] = {
		{ -EPERM, NLM_F_CAPPED | NLM_F_ACK_TLVS, "you may not", -1, -EPERM, "you may not" },
		{ -EPERM, NLM_F_ACK_TLVS, "you may not", -1, -EPERM, "you may not" },
		{ -EINVAL, NLM_F_CAPPED | NLM_F_ACK_TLVS, NULL, 5, -EINVAL, "attribute 5 is missing" },
		{ -ESRCH, NLM_F_CAPPED, NULL, -1, -ESRCH, "No such process" },
		{ -EOPNOTSUPP, NLM_F_CAPPED, NULL, -1, -EPROTONOSUPPORT, "too old" },
		{ -EOPNOTSUPP, NLM_F_CAPPED | NLM_F_ACK_TLVS, "not of this", -1, -EOPNOTSUPP, "not of this" },
	};
	struct snapshot s = { 0 };
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		put_error(cases[i].error, cases[i].flags, cases[i].text, cases[i].missing);
		TAP_OK(take(snapshot_reply, &s, NULL) == cases[i].ret && strstr(genl_error(), cases[i].sentence),
		       "refusal %zu: %s", i, genl_error());
	}
	begin();
	put_done(0, -ENOMEM, NULL);
	TAP_OK(take(snapshot_reply, &s, NULL) == -ENOMEM, "a dump that fails half way");
	begin();
	put_done(0, -EIO, "half way");
	TAP_OK(take(snapshot_reply, &s, NULL) == -EIO && !strcmp(genl_error(), "half way"), "and says why");
}

/* what is left from a request before, or is another process's */
static void test_strangers(void)
{
	struct nlmsghdr *nlh;
	struct snapshot s = { 0 };

	begin();
	nlh = data_message();
	nlh->nlmsg_seq = SEQ - 1;
	end(nlh);
	nlh = message(NLMSG_DONE, 0);
	nlh->nlmsg_pid = PORT + 1;
	end(nlh);
	TAP_OK(take(snapshot_reply, &s, NULL) == 1, "messages of others are not the end");
	put_done(0, 0, NULL);
	TAP_OK(!take(snapshot_reply, &s, NULL) && !s.n_objects, "and are skipped");
}

int main(void)
{
	test_snapshot();
	test_many();
	test_interrupted();
	test_malformed();
	test_do();
	test_extents();
	test_refusals();
	test_strangers();
	return tap_done();
}
