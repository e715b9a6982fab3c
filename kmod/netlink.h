/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family. */
#ifndef MEMFDCR_NETLINK_H
#define MEMFDCR_NETLINK_H

extern struct genl_family memfdcr_family;

int memfdcr_netlink_init(void);
void memfdcr_netlink_exit(void);

#endif
