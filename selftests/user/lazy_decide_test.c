// SPDX-License-Identifier: GPL-2.0-only
/* Tests of what can be lazy, what cannot, and what cannot be restored at all. */
#include <linux/fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>

#include "lazy/decide.h"
#include "tap.h"

static struct holder holders[4];
static char why[256];

static struct object object(size_t n_holders)
{
	return (struct object){
		.kind = MEMFDCR_KIND_MEMFD, .size = 1 << 20, .page_size = 4096, .has_seals = true, .holders = holders,
		.n_holders = n_holders,
	};
}

static struct holder mapping(void)
{
	return (struct holder){
		.pid = 7, .is_mapping = true, .start = 0x1000, .end = 0x101000, .shared = true, .may_write = true,
	};
}

static bool eager(const struct object *o, bool trust)
{
	*why = '\0';
	return decide_is_eager(o, trust, why, sizeof(why));
}

static void test_eager(void)
{
	struct object o = object(1);

	holders[0] = mapping();
	TAP_OK(!eager(&o, false), "what is only mapped is lazy");
	holders[0].shared = holders[0].may_write = false;
	TAP_OK(!eager(&o, false), "privately, too");
	o.hugetlb = true;
	TAP_OK(eager(&o, true) && strstr(why, "huge pages privately"), "but no huge pages: %s", why);
	holders[0] = mapping();
	TAP_OK(!eager(&o, true), "which are lazy when they are shared");
	o.hugetlb = false;
	holders[0].may_write = false;
	TAP_OK(eager(&o, true) && strstr(why, "0x1000 can never be written to"), "a mapping that is read-only for ever: %s", why);
	holders[0] = mapping();
	holders[0].locked = true;
	TAP_OK(eager(&o, true) && strstr(why, "process 7 has locked"), "a locked one: %s", why);
	holders[0].locked = false;
	o.kind = MEMFDCR_KIND_SYSV;
	o.unexplained = 1;
	TAP_OK(eager(&o, true) && strstr(why, "System V"), "a segment: %s", why);
	o.kind = MEMFDCR_KIND_SHARED_ANONYMOUS;
	o.unexplained = 0;
	TAP_OK(!eager(&o, false), "shared anonymous memory is lazy");
	o.n_holders = 0;
	TAP_OK(eager(&o, true) && strstr(why, "nobody maps it"), "what nobody maps: %s", why);
}

static void test_trust(void)
{
	struct object o = object(2);

	holders[0] = (struct holder){ .pid = 8, .fd = 3 };
	holders[1] = mapping();
	TAP_OK(eager(&o, false) && strstr(why, "process 8 holds a descriptor"), "a descriptor: %s", why);
	TAP_OK(!eager(&o, true), "that is trusted");
	o.n_holders = 1;
	TAP_OK(eager(&o, true) && strstr(why, "nobody maps it"), "without a mapping not: %s", why);
	o = object(1);
	holders[0] = mapping();
	o.unexplained = 1;
	TAP_OK(eager(&o, false) && strstr(why, "not to be seen"), "somebody who is not to be seen: %s", why);
	TAP_OK(!eager(&o, true), "who is trusted");
	o.n_holders = 2;
	holders[1] = mapping();
	holders[1].outside = true;
	holders[1].pid = 9;
	TAP_OK(eager(&o, true) && strstr(why, "process 9, which is not in the tree, maps it"), "a stranger's mapping is not: %s", why);
	holders[1] = (struct holder){ .pid = 9, .fd = 3, .outside = true };
	TAP_OK(eager(&o, false) && strstr(why, "process 9"), "a stranger's descriptor: %s", why);
	TAP_OK(!eager(&o, true), "can be");
}

static void test_refusals(void)
{
	struct object o = object(1);

	holders[0] = mapping();
	TAP_OK(!decide_refuses(&o, why, sizeof(why)) && !decide_is_sealed(&o), "nothing against it");
	holders[0].has_uffd = true;
	holders[0].uffd_modes = UFFDIO_REGISTER_MODE_WP;
	TAP_OK(!decide_refuses(&o, why, sizeof(why)), "a userfaultfd that brings no pages");
	holders[0].uffd_modes |= UFFDIO_REGISTER_MODE_MISSING;
	TAP_OK(decide_refuses(&o, why, sizeof(why)) && strstr(why, "process 7 may still bring"), "one that does: %s", why);
	holders[0] = mapping();
	o.hugetlb = true;
	o.page_size = DECIDE_HUGE;
	TAP_OK(!decide_refuses(&o, why, sizeof(why)), "huge pages");
	o.page_size = 1 << 30;
	TAP_OK(decide_refuses(&o, why, sizeof(why)) && strstr(why, "1073741824"), "too huge pages: %s", why);
	o = object(1);
	o.kind = MEMFDCR_KIND_SECRET;
	TAP_OK(decide_refuses(&o, why, sizeof(why)), "secret memory: %s", why);
	o.seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
	TAP_OK(!decide_is_sealed(&o), "seals that keep the size are harmless");
	o.seals = F_SEAL_WRITE;
	TAP_OK(decide_is_sealed(&o), "a write seal");
	o.seals = F_SEAL_FUTURE_WRITE;
	TAP_OK(decide_is_sealed(&o), "a seal against future writes");
}

int main(void)
{
	test_eager();
	test_trust();
	test_refusals();
	return tap_done();
}
