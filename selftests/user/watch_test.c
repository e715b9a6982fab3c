// SPDX-License-Identifier: GPL-2.0-only
/* Tests of user/netlink/watch.c and user/monitor/: notifications made here become events, and events become lines. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/genetlink.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "monitor/event.h"
#include "netlink/watch-internal.h"
#include "tap.h"

#define SEQ	7
#define PORT	4711
#define FAMILY	0x1c
#define AGAIN	"memfdcr list -t 10"
#define BOOT	(45296 * INT64_C(1000000000))	/* 12:34:56 */

static char buffer[65536] __attribute__((aligned(8)));
static size_t used;

/* ---- messages ---- */

static struct nlmsghdr *message(uint16_t type, uint32_t seq, uint8_t command)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer + used);
	struct genlmsghdr *header;

	nlh->nlmsg_type = type;
	nlh->nlmsg_seq = seq;
	nlh->nlmsg_pid = PORT;
	header = mnl_nlmsg_put_extra_header(nlh, sizeof(*header));
	header->cmd = command;
	return nlh;
}

static void end(const struct nlmsghdr *nlh)
{
	used += MNL_ALIGN(nlh->nlmsg_len);
}

/* a notification as far as all have the same, in the module's order, padding included */
static struct nlmsghdr *notification(uint8_t command, uint64_t sequence)
{
	struct nlmsghdr *nlh = message(FAMILY, 0, command);

	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_WATCH, 1);
	mnl_attr_put(nlh, MEMFDCR_A_WATCH_PAD, 0, NULL);
	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_SEQUENCE, sequence);
	mnl_attr_put(nlh, MEMFDCR_A_WATCH_PAD, 0, NULL);
	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_TIME, 789012345 + sequence);
	return nlh;
}

static struct nlmsghdr *process_notification(uint8_t command, uint64_t sequence, uint32_t tid)
{
	struct nlmsghdr *nlh = notification(command, sequence);

	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_PID, 10);
	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_TID, tid);
	return nlh;
}

static void put_fork(uint64_t sequence, uint32_t tid, unsigned int n_uffds)
{
	struct nlmsghdr *nlh = process_notification(MEMFDCR_CMD_FORK_NTF, sequence, tid);
	unsigned int i;

	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_CHILD, 4294967295);
	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_START_TIME, UINT64_MAX);
	if (!n_uffds) {
		mnl_attr_put(nlh, MEMFDCR_A_WATCH_SAME_MEMORY, 0, NULL);
		mnl_attr_put(nlh, MEMFDCR_A_WATCH_HIDDEN, 0, NULL);
	}
	for (i = 0; i < n_uffds; i++)
		mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_UFFD_ID, UINT64_MAX - i);
	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_MAX + 1, 5);	/* a newer module's */
	end(nlh);
}

static void put_exec(uint64_t sequence)
{
	end(process_notification(MEMFDCR_CMD_EXEC_NTF, sequence, 10));
}

static void put_hidden_exec(uint64_t sequence)
{
	struct nlmsghdr *nlh = process_notification(MEMFDCR_CMD_EXEC_NTF, sequence, 10);

	mnl_attr_put(nlh, MEMFDCR_A_WATCH_HIDDEN, 0, NULL);
	end(nlh);
}

static void put_exit(uint64_t sequence, uint32_t code, uint32_t signal, bool last)
{
	struct nlmsghdr *nlh = process_notification(MEMFDCR_CMD_EXIT_NTF, sequence, 10);

	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_CODE, code);
	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_SIGNAL, signal);
	if (last)
		mnl_attr_put(nlh, MEMFDCR_A_WATCH_LAST, 0, NULL);
	end(nlh);
}

static void put_mremap(uint64_t sequence, uint64_t old_length, uint32_t flags)
{
	struct nlmsghdr *nlh = process_notification(MEMFDCR_CMD_MREMAP_NTF, sequence, 11);

	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_OLD, 0x7f0000000000);
	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_NEW, 0x7e0000000000);
	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_OLD_LENGTH, old_length);
	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_NEW_LENGTH, 0x2000);
	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_FLAGS, flags);
	end(nlh);
}

static void put_unmap(uint64_t sequence, uint32_t tid, uint64_t start, uint64_t until, uint32_t cause)
{
	struct nlmsghdr *nlh = process_notification(MEMFDCR_CMD_UNMAP_NTF, sequence, tid);

	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_START, start);
	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_END, until);
	mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_CAUSE, cause);
	end(nlh);
}

static void put_overrun(uint64_t sequence, uint64_t lost, bool last)
{
	struct nlmsghdr *nlh = notification(MEMFDCR_CMD_OVERRUN_NTF, sequence);

	mnl_attr_put_u64(nlh, MEMFDCR_A_WATCH_LOST, lost);
	if (last)
		mnl_attr_put(nlh, MEMFDCR_A_WATCH_LAST, 0, NULL);
	end(nlh);
}

static void put_reply(uint32_t number)
{
	struct nlmsghdr *nlh = message(FAMILY, SEQ, MEMFDCR_CMD_WATCH_START);

	if (number)
		mnl_attr_put_u32(nlh, MEMFDCR_A_WATCH_WATCH, number);
	end(nlh);
}

static void put_refusal(int error, const char *text)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buffer + used);
	struct nlmsgerr *err = mnl_nlmsg_put_extra_header(nlh, sizeof(*err));

	nlh->nlmsg_type = NLMSG_ERROR;
	nlh->nlmsg_flags = NLM_F_CAPPED | NLM_F_ACK_TLVS;
	nlh->nlmsg_seq = SEQ;
	nlh->nlmsg_pid = PORT;
	err->error = error;
	if (text)
		mnl_attr_put_strz(nlh, NLMSGERR_ATTR_MSG, text);
	end(nlh);
}

/* ---- lines ---- */

static char *text;
static size_t text_size;

struct printer {
	FILE *f;
	bool json;
	unsigned int n_last;
};

static void print_event(const struct watch_event *e, void *data)
{
	struct printer *p = data;

	p->n_last += e->last;
	if (p->json)
		event_print_json(p->f, e);
	else
		event_print_text(p->f, e, BOOT, AGAIN);
}

/* the lines that the messages in the buffer make; returns what notifications_take() does */
static int print(bool json)
{
	struct printer p = { .json = json };
	struct watch w = { .callback = print_event, .data = &p };
	int ret;

	free(text);
	p.f = open_memstream(&text, &text_size);
	ret = notifications_take(buffer, used, watch_notification, &w);
	fclose(p.f);
	return ret;
}

static bool is(const char *expected)
{
	return tap_same(text, expected);
}

/* one of each, and what differs among them */
static void put_all(void)
{
	used = 0;
	put_fork(1, 10, 2);
	put_fork(2, 12, 0);
	put_exec(3);
	put_mremap(4, 0x1000, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP | 8);
	put_mremap(5, 0, 0);
	put_unmap(6, 10, 0x1000, 0x3000, MEMFDCR_CAUSE_UNMAPPED);
	put_unmap(7, 0, 0, UINT64_MAX, MEMFDCR_CAUSE_DROPPED);
	put_unmap(8, 10, 0, 0x7ffffffff000, MEMFDCR_CAUSE_EXEC);
	put_unmap(9, 10, 0, 0x7ffffffff000, MEMFDCR_CAUSE_EXIT);
	put_unmap(10, 10, 0x1000, 0x2000, 77);
	put_overrun(11, 3, false);
	put_overrun(12, 1, false);
	put_exit(13, 255, 0, false);
	put_hidden_exec(14);
	put_exit(15, 0, 9, true);
}

#define TIME "12:34:56.789012 "
#define NOW "; \"" AGAIN "\" shows how things are now\n"

static void test_text(void)
{
	put_all();
	TAP_OK(!print(false) && is(TIME "10 fork 4294967295 uffd 0xffffffffffffffff 0xfffffffffffffffe\n"
				   TIME "10/12 fork 4294967295 same-memory hidden\n"
				   TIME "10 exec\n"
				   TIME "10/11 mremap 0x7f0000000000-0x7f0000001000 -> 0x7e0000000000-0x7e0000002000"
				   " maymove,fixed,dontunmap,0x8\n"
				   TIME "10/11 mremap 0x7f0000000000 -> 0x7e0000000000-0x7e0000002000\n"
				   TIME "10 unmap 0x1000-0x3000 unmapped\n"
				   TIME "10/? unmap 0x0-0xffffffffffffffff dropped\n"
				   TIME "10 unmap 0x0-0x7ffffffff000 exec\n"
				   TIME "10 unmap 0x0-0x7ffffffff000 exit\n"
				   TIME "10 unmap 0x1000-0x2000 unknown\n"
				   TIME "overrun: 3 events lost" NOW
				   TIME "overrun: 1 event lost" NOW
				   TIME "10 exit 255\n"
				   TIME "10 exec hidden\n"
				   TIME "10 exit signal 9\n"), "every event as text");
}

#define JSON(event, time, rest) "{\"event\":\"" event "\",\"time\":7890123" #time "," rest "}\n"

static void test_json(void)
{
	put_all();
	TAP_OK(!print(true) &&
	       is(JSON("fork", 46, "\"seq\":1,\"pid\":10,\"tid\":10,\"child\":4294967295,"
		       "\"same_memory\":false,\"hidden\":false,\"start_time\":18446744073709551615,\"uffd\":[\"0xffffffffffffffff\",\"0xfffffffffffffffe\"]")
		  JSON("fork", 47, "\"seq\":2,\"pid\":10,\"tid\":12,\"child\":4294967295,"
		       "\"same_memory\":true,\"hidden\":true,\"start_time\":18446744073709551615,\"uffd\":[]")
		  JSON("exec", 48, "\"seq\":3,\"pid\":10,\"tid\":10,\"hidden\":false")
		  JSON("mremap", 49, "\"seq\":4,\"pid\":10,\"tid\":11,\"old\":\"0x7f0000000000\","
		       "\"new\":\"0x7e0000000000\",\"old_length\":4096,\"new_length\":8192,"
		       "\"flags\":[\"maymove\",\"fixed\",\"dontunmap\",\"0x8\"]")
		  JSON("mremap", 50, "\"seq\":5,\"pid\":10,\"tid\":11,\"old\":\"0x7f0000000000\","
		       "\"new\":\"0x7e0000000000\",\"old_length\":0,\"new_length\":8192,\"flags\":[]")
		  JSON("unmap", 51, "\"seq\":6,\"pid\":10,\"tid\":10,\"start\":\"0x1000\",\"end\":\"0x3000\","
		       "\"cause\":\"unmapped\"")
		  JSON("unmap", 52, "\"seq\":7,\"pid\":10,\"tid\":null,\"start\":\"0x0\","
		       "\"end\":\"0xffffffffffffffff\",\"cause\":\"dropped\"")
		  JSON("unmap", 53, "\"seq\":8,\"pid\":10,\"tid\":10,\"start\":\"0x0\",\"end\":\"0x7ffffffff000\","
		       "\"cause\":\"exec\"")
		  JSON("unmap", 54, "\"seq\":9,\"pid\":10,\"tid\":10,\"start\":\"0x0\",\"end\":\"0x7ffffffff000\","
		       "\"cause\":\"exit\"")
		  JSON("unmap", 55, "\"seq\":10,\"pid\":10,\"tid\":10,\"start\":\"0x1000\",\"end\":\"0x2000\","
		       "\"cause\":\"unknown\"")
		  JSON("overrun", 56, "\"seq\":11,\"lost\":3")
		  JSON("overrun", 57, "\"seq\":12,\"lost\":1")
		  JSON("exit", 58, "\"seq\":13,\"pid\":10,\"tid\":10,\"code\":255,\"signal\":0,\"last\":false")
		  JSON("exec", 59, "\"seq\":14,\"pid\":10,\"tid\":10,\"hidden\":true")
		  JSON("exit", 60, "\"seq\":15,\"pid\":10,\"tid\":10,\"code\":0,\"signal\":9,\"last\":true")),
	       "every event as JSON");
}

static void test_clock(void)
{
	static const struct watch_event e = { .command = MEMFDCR_CMD_EXEC_NTF, .pid = 1, .tid = 1, .time = 999 };
	FILE *f;

	free(text);
	f = open_memstream(&text, &text_size);
	event_print_text(f, &e, 86400 * INT64_C(1000000000) - 1000, AGAIN);
	event_print_text(f, &e, 86400 * INT64_C(1000000000) - 999, AGAIN);
	fclose(f);
	TAP_OK(is("23:59:59.999999 1 exec\n00:00:00.000000 1 exec\n"), "midnight");
}

/* ---- what is missing ---- */

static void test_gaps(void)
{
	used = 0;
	put_exec(4);
	put_exec(5);
	put_overrun(7, 2, false);
	put_exec(8);
	TAP_OK(!print(false) && is(TIME "gap: 3 events missing without a reason" NOW TIME "10 exec\n" TIME "10 exec\n"
				   TIME "gap: 1 event missing without a reason" NOW
				   TIME "overrun: 2 events lost" NOW TIME "10 exec\n"), "gaps as text");
	TAP_OK(!print(true) && is(JSON("gap", 49, "\"seq\":1,\"lost\":3")
				  JSON("exec", 49, "\"seq\":4,\"pid\":10,\"tid\":10,\"hidden\":false")
				  JSON("exec", 50, "\"seq\":5,\"pid\":10,\"tid\":10,\"hidden\":false")
				  JSON("gap", 52, "\"seq\":6,\"lost\":1") JSON("overrun", 52, "\"seq\":7,\"lost\":2")
				  JSON("exec", 53, "\"seq\":8,\"pid\":10,\"tid\":10,\"hidden\":false")), "gaps as JSON");
	used = 0;
	put_exec(1);
	put_exec(1);
	TAP_OK(print(false) == -EBADMSG && strstr(genl_error(), "order") && is(TIME "10 exec\n"), "the same twice");
	used = 0;
	put_exec(0);
	TAP_OK(print(false) == -EBADMSG && is(""), "numbers begin at 1");
	used = 0;
	put_overrun(1, 5, true);
	TAP_OK(!print(true) && is(JSON("overrun", 46, "\"seq\":1,\"lost\":5,\"last\":true")), "the last exit was lost");
}

/* ---- what is not as it should be ---- */

static void test_newer(void)
{
	used = 0;
	put_exec(1);
	end(notification(MEMFDCR_CMD_MAX + 1, 2));
	end(notification(255, 3));
	put_exec(4);
	TAP_OK(!print(false) && is(TIME "10 exec\n" TIME "10 exec\n"),
	       "a newer module's notifications are left out, not missed");
}

/* a notification without one of its attributes, or with one of a wrong size */
static bool refuses(uint8_t command, int without, int cut)
{
	static const struct {
		int type;
		unsigned int size;
	} attributes[] = {
		{ MEMFDCR_A_WATCH_WATCH, 4 }, { MEMFDCR_A_WATCH_SEQUENCE, 8 }, { MEMFDCR_A_WATCH_TIME, 8 },
		{ MEMFDCR_A_WATCH_PID, 4 }, { MEMFDCR_A_WATCH_TID, 4 }, { MEMFDCR_A_WATCH_CHILD, 4 },
		{ MEMFDCR_A_WATCH_START_TIME, 8 }, { MEMFDCR_A_WATCH_CODE, 4 }, { MEMFDCR_A_WATCH_SIGNAL, 4 },
		{ MEMFDCR_A_WATCH_OLD, 8 }, { MEMFDCR_A_WATCH_NEW, 8 }, { MEMFDCR_A_WATCH_OLD_LENGTH, 8 },
		{ MEMFDCR_A_WATCH_NEW_LENGTH, 8 }, { MEMFDCR_A_WATCH_FLAGS, 4 }, { MEMFDCR_A_WATCH_START, 8 },
		{ MEMFDCR_A_WATCH_END, 8 }, { MEMFDCR_A_WATCH_CAUSE, 4 }, { MEMFDCR_A_WATCH_LOST, 8 },
		{ MEMFDCR_A_WATCH_UFFD_ID, 8 },
	};
	const uint64_t one = 1;
	struct nlmsghdr *nlh;
	size_t i;

	used = 0;
	nlh = message(FAMILY, 0, command);
	for (i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		if (attributes[i].type != without)
			mnl_attr_put(nlh, attributes[i].type, attributes[i].size - (attributes[i].type == cut ? 1 : 0),
				     &one);
	end(nlh);
	return print(false) == -EBADMSG && !*text && strstr(genl_error(), "not understood");
}

static void test_malformed(void)
{
	static const struct {
		uint8_t command;
		int needs[6];
	} cases[] = {
		{ MEMFDCR_CMD_FORK_NTF, { MEMFDCR_A_WATCH_CHILD, MEMFDCR_A_WATCH_START_TIME } },
		{ MEMFDCR_CMD_EXEC_NTF, { MEMFDCR_A_WATCH_PID, MEMFDCR_A_WATCH_TID } },
		{ MEMFDCR_CMD_EXIT_NTF, { MEMFDCR_A_WATCH_CODE, MEMFDCR_A_WATCH_SIGNAL } },
		{ MEMFDCR_CMD_MREMAP_NTF, { MEMFDCR_A_WATCH_OLD, MEMFDCR_A_WATCH_NEW, MEMFDCR_A_WATCH_OLD_LENGTH,
					    MEMFDCR_A_WATCH_NEW_LENGTH, MEMFDCR_A_WATCH_FLAGS } },
		{ MEMFDCR_CMD_UNMAP_NTF, { MEMFDCR_A_WATCH_START, MEMFDCR_A_WATCH_END, MEMFDCR_A_WATCH_CAUSE } },
		{ MEMFDCR_CMD_OVERRUN_NTF, { MEMFDCR_A_WATCH_LOST } },
	};
	static const int always[] = { MEMFDCR_A_WATCH_WATCH, MEMFDCR_A_WATCH_SEQUENCE, MEMFDCR_A_WATCH_TIME };
	size_t i, j;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok = !refuses(cases[i].command, -1, -1);

		for (j = 0; j < sizeof(always) / sizeof(always[0]); j++)
			ok = ok && refuses(cases[i].command, always[j], -1) && refuses(cases[i].command, -1, always[j]);
		for (j = 0; cases[i].needs[j]; j++)
			ok = ok && refuses(cases[i].command, cases[i].needs[j], -1) &&
			     refuses(cases[i].command, -1, cases[i].needs[j]);
		TAP_OK(ok, "command %u: each attribute is needed, in its size", cases[i].command);
	}
	TAP_OK(refuses(MEMFDCR_CMD_FORK_NTF, -1, MEMFDCR_A_WATCH_UFFD_ID), "a cut id of a userfaultfd");

	used = 0;
	put_fork(1, 10, WATCH_MAX_UFFDS);
	TAP_OK(!print(true), "as many userfaultfds as there is room for");
	used = 0;
	put_fork(1, 10, WATCH_MAX_UFFDS + 1);
	TAP_OK(print(true) == -EBADMSG, "and one too many");
}

/* a message whose header says that there is more of it than there is */
static void test_cut(void)
{
	size_t whole, n;
	bool ok = true;

	put_all();
	whole = used;
	for (n = 0; n < whole; n++) {
		/* of exactly this size, so that ASan sees what looks behind it */
		char *copy = malloc(n + 1);
		struct printer p = { .json = true };
		struct watch w = { .callback = print_event, .data = &p };

		memcpy(copy, buffer, n);
		free(text);
		p.f = open_memstream(&text, &text_size);
		ok = ok && !notifications_take(copy, n, watch_notification, &w);
		fclose(p.f);
		free(copy);
		ok = ok && !p.n_last;
	}
	TAP_OK(ok, "whatever is cut off the end: only whole messages are taken");
	used = 0;
	end(mnl_nlmsg_put_header(buffer));
	((struct nlmsghdr *)buffer)->nlmsg_type = FAMILY;
	TAP_OK(print(false) == -EBADMSG, "a message without its header");
}

/* random bytes behind the message header, which netlink itself writes: refusal or lines; ASan and UBSan judge */
static void test_noise(void)
{
	unsigned int seed = 4711, i, flips, taken = 0;

	for (i = 0; i < 5000; i++) {
		used = 0;
		if (i & 2)
			put_mremap(1, 0x1000, MREMAP_MAYMOVE);
		else
			put_fork(1, 10, 3);
		for (flips = 1 + i % 4; flips; flips--)
			buffer[MNL_NLMSG_HDRLEN + rand_r(&seed) % (used - MNL_NLMSG_HDRLEN)] = (char)rand_r(&seed);
		taken += !print(i & 1);
	}
	TAP_OK(taken, "noise: %u of %u are taken, none does harm", taken, i);
}

/* ---- the answer to watch-start ---- */

static bool take_start(struct exchange *e, struct watch *w, bool json)
{
	static struct printer p;
	bool ended;

	p = (struct printer){ .json = json };
	*w = (struct watch){ .callback = print_event, .data = &p };
	*e = (struct exchange){
		.seq = SEQ, .port = PORT, .reply = watch_start_reply, .data = w, .ends_with_reply = true,
		.notification = watch_notification, .notification_data = w,
	};
	free(text);
	p.f = open_memstream(&text, &text_size);
	ended = exchange_take(e, buffer, used);
	fclose(p.f);
	return ended;
}

static void test_start(void)
{
	struct exchange e;
	struct watch w;

	used = 0;
	put_exec(1);
	put_reply(5);
	put_exec(2);
	TAP_OK(take_start(&e, &w, false) && !e.ret && w.number == 5 && w.sequence == 2 &&
	       is(TIME "10 exec\n" TIME "10 exec\n"),
	       "notifications before and behind the answer");
	used = 0;
	put_exec(1);
	TAP_OK(!take_start(&e, &w, false) && !w.number && is(TIME "10 exec\n"), "notifications are no answer");
	used = 0;
	put_reply(0);
	TAP_OK(take_start(&e, &w, false) && e.ret == -EBADMSG, "an answer without a number");
	used = 0;
	put_exec(3);
	put_reply(5);
	put_exec(3);
	TAP_OK(take_start(&e, &w, false) && e.ret == -EBADMSG, "a malformed notification amid the answer");
	used = 0;
	put_refusal(-ESRCH, "the process has exited");
	TAP_OK(take_start(&e, &w, false) && e.ret == -ESRCH && !strcmp(genl_error(), "the process has exited"),
	       "no such process");
	used = 0;
	put_refusal(-EOPNOTSUPP, NULL);
	TAP_OK(take_start(&e, &w, false) && e.ret == -EPROTONOSUPPORT && strstr(genl_error(), "too old"),
	       "a module without watches");
	used = 0;
	put_refusal(-EOPNOTSUPP, "this kernel lets nobody see");
	TAP_OK(take_start(&e, &w, false) && e.ret == -EOPNOTSUPP, "a kernel without watches");
	/* other users of the socket have no notifications, and yet one must not pass for their answer */
	used = 0;
	put_exec(1);
	e = (struct exchange){ .seq = SEQ, .port = PORT, .reply = watch_start_reply, .data = &w };
	TAP_OK(!exchange_take(&e, buffer, used) && !e.ret, "a notification that nobody wants");
	used = 0;
	put_reply(5);
	TAP_OK(!notifications_take(buffer, used, watch_notification, &w), "answers are no notifications");
}

int main(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	test_text();
	test_json();
	test_clock();
	test_gaps();
	test_newer();
	test_malformed();
	test_cut();
	test_noise();
	test_start();
	free(text);
	return tap_done();
}
