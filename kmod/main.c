// SPDX-License-Identifier: GPL-2.0-only
/* memfdcr.ko: loading and unloading. */
#include <linux/module.h>

#include "guard.h"
#include "id.h"
#include "netlink.h"
#include "target.h"
#include "uffd.h"
#include "watch.h"

static int __init memfdcr_init(void)
{
	int err;

	memfdcr_id_init();
	err = memfdcr_target_init();
	if (err)
		return err;
	err = memfdcr_uffd_init();
	if (err)
		goto err_uffd;
	err = memfdcr_guard_init();
	if (err)
		goto err_guard;
	err = memfdcr_watch_init();
	if (err)
		goto err_watch;
	err = memfdcr_netlink_init();
	if (err)
		goto err_netlink;
	return 0;

err_netlink:
	memfdcr_watch_exit();
err_watch:
	memfdcr_guard_exit();
err_guard:
	memfdcr_uffd_exit();
err_uffd:
	memfdcr_target_exit();
	return err;
}

static void __exit memfdcr_exit(void)
{
	memfdcr_netlink_exit();
	memfdcr_watch_exit();
	memfdcr_guard_exit();
	memfdcr_uffd_exit();
	memfdcr_target_exit();
}

module_init(memfdcr_init);
module_exit(memfdcr_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("What checkpoint and restore of shared memory needs from the kernel");
MODULE_AUTHOR("The memfdcr developers");
MODULE_VERSION("0.1.0");
