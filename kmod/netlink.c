// SPDX-License-Identifier: GPL-2.0-only
/* The generic netlink family: requests and replies as docs/netlink/memfdcr.yaml has them. */
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/userfaultfd_k.h>
#include <net/genetlink.h>
#include <uapi/linux/memfdcr.h>

#include "dump.h"
#include "extent.h"
#include "find.h"
#include "guard.h"
#include "id.h"
#include "netlink.h"
#include "object.h"
#include "target.h"
#include "uffd.h"
#include "watch.h"
#include "watched.h"

static const struct nla_policy uffd_open_policy[] = {
	[MEMFDCR_A_UFFD_MEM_FD] = { .type = NLA_U32 },
	[MEMFDCR_A_UFFD_FLAGS] = NLA_POLICY_MASK(NLA_U32, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY),
	[MEMFDCR_A_UFFD_GUARD] = { .type = NLA_FLAG },
};

/* the new userfaultfd as the caller wants it, and its number */
static struct file *uffd_open(struct sk_buff *skb, struct genl_info *info, unsigned int flags, u64 *id)
{
	bool guard = nla_get_flag(info->attrs[MEMFDCR_A_UFFD_GUARD]);
	struct file *file, *guarded;
	struct mm_struct *mm;

	mm = memfdcr_target_get(skb, info, info->attrs[MEMFDCR_A_UFFD_MEM_FD], flags & UFFD_USER_MODE_ONLY, guard);
	if (IS_ERR(mm))
		return ERR_CAST(mm);
	file = memfdcr_uffd_open(mm, flags);
	mmput_async(mm);
	if (IS_ERR(file)) {
		GENL_SET_ERR_MSG(info, "the kernel refuses to make a userfaultfd");
		return file;
	}
	*id = memfdcr_id(file->private_data);
	if (!guard)
		return file;

	guarded = memfdcr_guard_open(file, flags & (O_CLOEXEC | O_NONBLOCK), info->extack);
	if (IS_ERR(guarded))
		fput(file);
	return guarded;
}

static int uffd_open_reply(struct genl_info *info, int fd, u64 id)
{
	struct sk_buff *msg;
	void *hdr;

	msg = genlmsg_new(nla_total_size(sizeof(u32)) + nla_total_size_64bit(sizeof(u64)), GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	hdr = genlmsg_put_reply(msg, info, &memfdcr_family, 0, MEMFDCR_CMD_UFFD_OPEN);
	if (!hdr || nla_put_u32(msg, MEMFDCR_A_UFFD_FD, fd) ||
	    nla_put_u64_64bit(msg, MEMFDCR_A_UFFD_UFFD_ID, id, MEMFDCR_A_UFFD_PAD)) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

static int uffd_open_doit(struct sk_buff *skb, struct genl_info *info)
{
	unsigned int flags = 0;
	struct file *file;
	int fd, err;
	u64 id;

	if (GENL_REQ_ATTR_CHECK(info, MEMFDCR_A_UFFD_MEM_FD)) {
		GENL_SET_ERR_MSG(info, "mem-fd is missing");
		return -EINVAL;
	}
	if (info->attrs[MEMFDCR_A_UFFD_FLAGS])
		flags = nla_get_u32(info->attrs[MEMFDCR_A_UFFD_FLAGS]);

	fd = get_unused_fd_flags(flags & O_CLOEXEC);
	if (fd < 0) {
		GENL_SET_ERR_MSG(info, "no descriptor is free");
		return fd;
	}
	file = uffd_open(skb, info, flags, &id);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	err = uffd_open_reply(info, fd, id);
	if (err) {
		GENL_SET_ERR_MSG(info, "the reply cannot be delivered");
		put_unused_fd(fd);
		fput(file);
		return err;
	}
	/* last, for nothing takes a descriptor back once it is there */
	fd_install(fd, file);
	return 0;
}

static const struct nla_policy uffd_complete_policy[] = {
	[MEMFDCR_A_UFFD_FD] = { .type = NLA_U32 },
};

static int uffd_complete_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *attr = info->attrs[MEMFDCR_A_UFFD_FD];
	struct file *file;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, MEMFDCR_A_UFFD_FD)) {
		GENL_SET_ERR_MSG(info, "fd is missing");
		return -EINVAL;
	}
	file = fget(nla_get_u32(attr));
	if (!file) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "no such descriptor");
		return -EBADF;
	}
	err = memfdcr_guard_complete(file);
	if (err)
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "not a guarded userfaultfd");
	fput(file);
	return err;
}

static const struct nla_policy uffd_get_policy[] = {
	[MEMFDCR_A_UFFD_FD] = { .type = NLA_U32 },
};

#define KINDS_MASK (BIT(MEMFDCR_KIND_MEMFD) | BIT(MEMFDCR_KIND_SHARED_ANONYMOUS) | BIT(MEMFDCR_KIND_SYSV) | \
		    BIT(MEMFDCR_KIND_SECRET))

static const struct nla_policy object_get_policy[] = {
	[MEMFDCR_A_OBJECT_FD] = { .type = NLA_U32 },
	[MEMFDCR_A_OBJECT_PID] = { .type = NLA_U32 },
	[MEMFDCR_A_OBJECT_TARGET_FD] = { .type = NLA_U32 },
	[MEMFDCR_A_OBJECT_ADDRESS] = { .type = NLA_U64 },
	[MEMFDCR_A_OBJECT_TREE] = { .type = NLA_U32 },
	[MEMFDCR_A_OBJECT_KINDS] = NLA_POLICY_MASK(NLA_U32, KINDS_MASK),
	[MEMFDCR_A_OBJECT_HOLDERS] = { .type = NLA_FLAG },
	[MEMFDCR_A_OBJECT_OUTSIDE] = { .type = NLA_FLAG },
	[MEMFDCR_A_OBJECT_DEV] = { .type = NLA_U32 },
	[MEMFDCR_A_OBJECT_INO] = { .type = NLA_U64 },
	[MEMFDCR_A_OBJECT_GENERATION] = { .type = NLA_U32 },
	[MEMFDCR_A_OBJECT_ID] = { .type = NLA_U64 },
};

static const struct nla_policy holder_get_policy[] = {
	[MEMFDCR_A_HOLDER_PID] = { .type = NLA_U32 },
	[MEMFDCR_A_HOLDER_TREE] = { .type = NLA_U32 },
	[MEMFDCR_A_HOLDER_KINDS] = NLA_POLICY_MASK(NLA_U32, KINDS_MASK),
	[MEMFDCR_A_HOLDER_OUTSIDE] = { .type = NLA_FLAG },
	[MEMFDCR_A_HOLDER_DEV] = { .type = NLA_U32 },
	[MEMFDCR_A_HOLDER_INO] = { .type = NLA_U64 },
	[MEMFDCR_A_HOLDER_GENERATION] = { .type = NLA_U32 },
	[MEMFDCR_A_HOLDER_ID] = { .type = NLA_U64 },
};

static const struct nla_policy extent_get_policy[] = {
	[MEMFDCR_A_EXTENTS_FD] = { .type = NLA_U32 },
	[MEMFDCR_A_EXTENTS_PID] = { .type = NLA_U32 },
	[MEMFDCR_A_EXTENTS_TARGET_FD] = { .type = NLA_U32 },
	[MEMFDCR_A_EXTENTS_ADDRESS] = { .type = NLA_U64 },
	[MEMFDCR_A_EXTENTS_START] = { .type = NLA_U64 },
	[MEMFDCR_A_EXTENTS_END] = { .type = NLA_U64 },
};

static struct netlink_range_validation watch_limit = { .min = 16, .max = 65536 };

static const struct nla_policy watch_start_policy[] = {
	[MEMFDCR_A_WATCH_PID] = { .type = NLA_U32 },
	[MEMFDCR_A_WATCH_TREE] = { .type = NLA_U32 },
	[MEMFDCR_A_WATCH_LIMIT] = NLA_POLICY_FULL_RANGE(NLA_U32, &watch_limit),
};

static const struct nla_policy watch_stop_policy[] = {
	[MEMFDCR_A_WATCH_WATCH] = { .type = NLA_U32 },
};

/* attributes that make sense in a dump only */
static const struct nlattr *dump_only(struct nlattr **a)
{
	return a[MEMFDCR_A_OBJECT_TREE] ?: a[MEMFDCR_A_OBJECT_KINDS] ?: a[MEMFDCR_A_OBJECT_HOLDERS] ?:
	       a[MEMFDCR_A_OBJECT_OUTSIDE] ?: a[MEMFDCR_A_OBJECT_DEV] ?: a[MEMFDCR_A_OBJECT_INO] ?:
	       a[MEMFDCR_A_OBJECT_GENERATION] ?: a[MEMFDCR_A_OBJECT_ID];
}

static int object_get_reply(struct genl_info *info, const struct file *file)
{
	unsigned int kind = memfdcr_object_kind(file);
	struct memfdcr_object object;
	struct sk_buff *msg;
	void *hdr;

	msg = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!msg)
		return -ENOMEM;
	memfdcr_object_read(&object, file, kind);
	hdr = genlmsg_put_reply(msg, info, &memfdcr_family, 0, MEMFDCR_CMD_OBJECT_GET);
	if (!hdr || memfdcr_object_put(msg, &object, memfdcr_object_name(file, kind), current_user_ns())) {
		nlmsg_free(msg);
		return -EMSGSIZE;
	}
	genlmsg_end(msg, hdr);
	return genlmsg_reply(msg, info);
}

static int object_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **a = info->attrs;
	const struct memfdcr_place place = {
		.fd = a[MEMFDCR_A_OBJECT_FD],
		.pid = a[MEMFDCR_A_OBJECT_PID],
		.target_fd = a[MEMFDCR_A_OBJECT_TARGET_FD],
		.address = a[MEMFDCR_A_OBJECT_ADDRESS],
	};
	struct file *file;
	int err;

	if (dump_only(a)) {
		NL_SET_ERR_MSG_ATTR(info->extack, dump_only(a), "only dumps know this attribute");
		return -EINVAL;
	}
	file = memfdcr_find(skb, &place, info->extack);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = object_get_reply(info, file);
	fput(file);
	return err;
}

static const struct genl_ops ops[] = {
	{
		.cmd = MEMFDCR_CMD_UFFD_OPEN,
		.doit = uffd_open_doit,
		.policy = uffd_open_policy,
		.maxattr = ARRAY_SIZE(uffd_open_policy) - 1,
	},
	{
		.cmd = MEMFDCR_CMD_UFFD_COMPLETE,
		.doit = uffd_complete_doit,
		.policy = uffd_complete_policy,
		.maxattr = ARRAY_SIZE(uffd_complete_policy) - 1,
	},
	{
		.cmd = MEMFDCR_CMD_OBJECT_GET,
		.doit = object_get_doit,
		.start = memfdcr_object_dump_start,
		.dumpit = memfdcr_dump,
		.done = memfdcr_dump_done,
		.policy = object_get_policy,
		.maxattr = ARRAY_SIZE(object_get_policy) - 1,
	},
	{
		.cmd = MEMFDCR_CMD_HOLDER_GET,
		.start = memfdcr_holder_dump_start,
		.dumpit = memfdcr_dump,
		.done = memfdcr_dump_done,
		.policy = holder_get_policy,
		.maxattr = ARRAY_SIZE(holder_get_policy) - 1,
	},
	{
		.cmd = MEMFDCR_CMD_EXTENT_GET,
		.start = memfdcr_extent_start,
		.dumpit = memfdcr_extent_dump,
		.done = memfdcr_extent_done,
		.policy = extent_get_policy,
		.maxattr = ARRAY_SIZE(extent_get_policy) - 1,
	},
	{
		.cmd = MEMFDCR_CMD_UFFD_GET,
		.doit = memfdcr_watched_do,
		.start = memfdcr_watched_start,
		.dumpit = memfdcr_watched_dump,
		.done = memfdcr_watched_done,
		.policy = uffd_get_policy,
		.maxattr = ARRAY_SIZE(uffd_get_policy) - 1,
	},
	{
		.cmd = MEMFDCR_CMD_WATCH_START,
		.doit = memfdcr_watch_start,
		.policy = watch_start_policy,
		.maxattr = ARRAY_SIZE(watch_start_policy) - 1,
	},
	{
		.cmd = MEMFDCR_CMD_WATCH_STOP,
		.doit = memfdcr_watch_stop,
		.policy = watch_stop_policy,
		.maxattr = ARRAY_SIZE(watch_stop_policy) - 1,
	},
};

struct genl_family memfdcr_family __ro_after_init = {
	.name = MEMFDCR_FAMILY_NAME,
	.version = MEMFDCR_FAMILY_VERSION,
	.module = THIS_MODULE,
	.netnsok = true,
	/*
	 * Requests share nothing but what has locks of its own. What all families still share, for reading, is the
	 * lock that registering one takes, during do, start and the first part of a dump: nothing there waits for long.
	 */
	.parallel_ops = true,
	.ops = ops,
	.n_ops = ARRAY_SIZE(ops),
	.resv_start_op = MEMFDCR_CMD_UFFD_OPEN,
};

/**
 * memfdcr_netlink_init() - from here on requests come in
 *
 * Context: process context; sleeps.
 * Return: 0 or a negative errno.
 */
int memfdcr_netlink_init(void)
{
	return genl_register_family(&memfdcr_family);
}

/**
 * memfdcr_netlink_exit() - no request is under way on return, and none comes in any more
 *
 * Context: process context; sleeps.
 */
void memfdcr_netlink_exit(void)
{
	genl_unregister_family(&memfdcr_family);
}

MODULE_ALIAS_GENL_FAMILY(MEMFDCR_FAMILY_NAME);
