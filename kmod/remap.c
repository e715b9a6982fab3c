// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nobody maps missing pages anew where no userfaultfd watches.
 *
 * remap_file_pages() does that, and raises no event. A process with missing pages that calls it is killed, by a probe,
 * before the call does anything: it begins by waiting for a lock, which whoever is being killed does not get.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "advice.h"
#include "remap.h"

/* one for each system call table that the kernel has */
static const char *const symbols[] = { "__x64_sys_remap_file_pages", "__ia32_sys_remap_file_pages" };
static struct kprobe probes[ARRAY_SIZE(symbols)];

static int remap_entered(struct kprobe *kp, struct pt_regs *regs)
{
	if (!memfdcr_advice_missing(current->mm))
		return 0;
	pr_warn("%s[%d] calls remap_file_pages() with pages missing, killed\n", current->comm, task_tgid_nr(current));
	send_sig(SIGKILL, current, 1);
	return 0;
}

static void unregister(unsigned int n)
{
	while (n--)
		if (probes[n].addr)
			unregister_kprobe(&probes[n]);
}

/**
 * memfdcr_remap_hook() - have the probes in place
 *
 * Context: process context; sleeps. Not twice without memfdcr_remap_unhook().
 * Return: 0, or why the kernel refuses a probe.
 */
int memfdcr_remap_hook(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		probes[i] = (struct kprobe){ .symbol_name = symbols[i], .pre_handler = remap_entered };
		err = register_kprobe(&probes[i]);
		/* a kernel without the system call, or without that table */
		if (err == -ENOENT) {
			probes[i].addr = NULL;
		} else if (err) {
			unregister(i);
			return err;
		}
	}
	return 0;
}

/**
 * memfdcr_remap_unhook() - undo memfdcr_remap_hook()
 *
 * Context: process context; sleeps.
 */
void memfdcr_remap_unhook(void)
{
	unregister(ARRAY_SIZE(probes));
}
