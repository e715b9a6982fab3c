/* SPDX-License-Identifier: GPL-2.0-only */
/* Going through the threads of a process, on kernels that check how that is done, too. */
#ifndef MEMFDCR_COMPAT_WRAPPER_THREAD_H
#define MEMFDCR_COMPAT_WRAPPER_THREAD_H

#include <linux/rculist.h>
#include <linux/sched/signal.h>

/*
 * for_each_thread(), under RCU. The kernel's own asks for tasklist_lock as well from 6.12 on when RCU lists are proved
 * (CONFIG_PROVE_RCU_LIST), and modules do not get that lock.
 */
#define memfdcr_for_each_thread(process, t) \
	list_for_each_entry_rcu(t, &(process)->signal->thread_head, thread_node)

#endif
