// SPDX-License-Identifier: GPL-2.0-only
/* Reasons, from what the module tells of an object. */
#include "lazy/decide.h"

#include <inttypes.h>
#include <linux/fcntl.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/strangers.h"

bool decide_is_sealed(const struct object *o)
{
	/* of the latter, who has mapped it before can still write, but nobody anew */
	return o->has_seals && o->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

__attribute__((format(printf, 3, 4))) static bool because(char *text, size_t size, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, size, fmt, args);
	va_end(args);
	return true;
}

bool decide_refuses(const struct object *o, char *text, size_t size)
{
	size_t i;

	if (o->kind == MEMFDCR_KIND_SECRET)
		return because(text, size, "nobody but its holders can write secret memory");
	if (o->hugetlb && o->page_size != DECIDE_HUGE)
		return because(text, size, "it has huge pages of %" PRIu64 " bytes, and only those of 2 MiB can be filled",
			       o->page_size);
	for (i = 0; i < o->n_holders; i++)
		if (o->holders[i].has_uffd && o->holders[i].uffd_modes & UFFDIO_REGISTER_MODE_MISSING)
			return because(text, size,
				       "a userfaultfd on the memory of process %u may still bring pages of it: restore when it has",
				       o->holders[i].pid);
	return false;
}

/* why this mapping cannot be watched */
static bool cannot_watch(const struct object *o, const struct holder *h, char *text, size_t size)
{
	if (h->outside)
		return because(text, size, "process %u, which is not in the tree, maps it", h->pid);
	if (h->locked)
		return because(text, size, "process %u has locked its mapping at 0x%" PRIx64, h->pid, h->start);
	if (h->shared && !h->may_write)
		return because(text, size, "process %u's mapping at 0x%" PRIx64 " can never be written to", h->pid, h->start);
	/* where a page is missing, it gets one of zeros for itself */
	if (o->hugetlb && !h->shared)
		return because(text, size, "process %u maps its huge pages privately at 0x%" PRIx64, h->pid, h->start);
	return false;
}

bool decide_is_eager(const struct object *o, bool trust, char *text, size_t size)
{
	const struct holder *descriptor = NULL;
	size_t i, watched = 0;

	for (i = 0; i < o->n_holders; i++) {
		const struct holder *h = &o->holders[i];

		if (!h->is_mapping)
			descriptor = h;
		else if (cannot_watch(o, h, text, size))
			return true;
		else
			watched++;
	}
	/* the kernel knows no userfaultfd on them */
	if (o->kind == MEMFDCR_KIND_SYSV)
		return because(text, size, "System V segments cannot be watched");
	/* whoever maps it later would do so unseen */
	if (!watched)
		return because(text, size, "nobody maps it yet");
	if (trust)
		return false;
	if (descriptor)
		return because(text, size, "process %u holds a descriptor of it (--trust-descriptors)", descriptor->pid);
	if (strangers_hold(o->kind, o->unexplained))
		return because(text, size, "somebody who is not to be seen holds it (--trust-descriptors)");
	return false;
}
