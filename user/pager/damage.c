// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damage: what the image has wrong is never given out, and whoever needs it does not go on with zeros.
 *
 * The kernel can mark a page in an address space so that touching it is SIGBUS (UFFDIO_POISON). The mark is in the page
 * tables and ends with them: it goes by MADV_DONTNEED and munmap(), and fork() does not copy it where memory is shared.
 * The object has a hole there as before. So nothing is marked in advance: a damaged page stays needed, who touches it
 * faults as for any other, and is marked then; and the pager serves until the last space is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "pager/object-internal.h"

#define MAX_LINES	100	/* in the log; one damaged image can have more than anybody reads */

/* whether an error of reading or checking says that these bytes are not to be had, and no more than that */
bool damage_is(int error)
{
	return error == -EBADMSG || error == -EIO || error == -ENODATA;
}

static bool may_log(struct pager *p)
{
	if (p->damage_lines < MAX_LINES)
		p->damage_lines++;
	else if (p->damage_lines++ == MAX_LINES)
		pager_log(p, LOG_ERR, "more about damage is not logged");
	return p->damage_lines <= MAX_LINES;
}

/*
 * The image has [start, end) of the object not as it should be. While pager_run() works, what is needed of that becomes
 * damaged; before, nobody has used the object yet, and the error is the answer.
 */
int damage_found(struct pager *p, struct object *o, uint64_t start, uint64_t end, int error)
{
	bool news = false;
	uint64_t page;

	/* the last chunk may reach beyond the object's end */
	if (end > o->needed_pages << o->shift)
		end = o->needed_pages << o->shift;
	if (may_log(p))
		pager_log(p, LOG_ERR, "%s: bytes %llu to %llu are damaged in the image: %s", o->name,
			  (unsigned long long)start, (unsigned long long)end,
			  error == -EBADMSG ? "the checksum is wrong" : strerror(-error));
	if (!p->running)
		return error;
	for (page = object_next_needed(o, start >> o->shift); page << o->shift < end;
	     page = object_next_needed(o, page + 1))
		news |= object_set_damaged(p, o, page);
	error = news && p->ops.damaged ? p->ops.damaged(p->data, o->number, start, end - start) : 0;
	return error > 0 ? -EINVAL : error;
}

static int poison(struct space *s, uint64_t address, uint64_t length)
{
	struct uffdio_poison poison = {
		.range.start = address & ~(length - 1),
		.range.len = length,
		.mode = UFFDIO_POISON_MODE_DONTWAKE,
	};

	return ioctl(s->uffd, UFFDIO_POISON, &poison) ? -errno : 0;
}

/* what cannot be refused ends whoever asks for it */
static int abandon(struct pager *p, struct space *s, const struct object *o, uint64_t offset, const char *why)
{
	int rc;

	pager_log(p, LOG_ERR, "%s: is killed: it needs byte %llu of %s, damaged in the image, and %s", s->name,
		  (unsigned long long)offset, o->name, why);
	rc = p->ops.abandon ? p->ops.abandon(p->data, s->number, s->uffd) : -ENOSYS;
	if (rc) {
		pager_log(p, LOG_ERR, "%s: cannot be killed alone: %s", s->name, strerror(-rc));
		return -EBADMSG;
	}
	space_close(p, s);
	return 0;
}

/*
 * Somebody waits at address of the space for page, which is damaged. 0: when woken he will not go on, or nobody is to
 * be woken any more; -EAGAIN: woken, he faults again; PAGER_LATER; or another negative errno that ends pager_run().
 */
int damage_refuse(struct pager *p, struct space *s, struct object *o, uint64_t page, uint64_t address)
{
	const uint64_t offset = page << o->shift;
	int rc;

	if (!p->can_poison)
		return abandon(p, s, o, offset, "this kernel cannot refuse a page (UFFDIO_POISON)");
	rc = poison(s, address, page_bytes(o));
	switch (rc) {
	case 0:
		if (may_log(p))
			pager_log(p, LOG_ERR, "%s: gets SIGBUS: it needs byte %llu of %s, damaged in the image",
				  s->name, (unsigned long long)offset, o->name);
		return 0;
	case -EEXIST:
		/* another thread was here before */
		return 0;
	case -EAGAIN:
	case -ENOENT:
	case -ESRCH:
		/* the address space is changing, or has changed, or has gone */
		return -EAGAIN;
	case -ENOMEM:
		return PAGER_LATER;
	case -EFAULT:
		/* truncated meanwhile: the kernel has a SIGBUS of its own for that */
		if (object_drop_truncated(p, o, page))
			return -EAGAIN;
		/* fall through */
	default:
		return abandon(p, s, o, offset, strerror(-rc));
	}
}

/* only damaged pages are left */
void damage_settled(struct pager *p)
{
	pager_log(p, LOG_ERR, "all is in but %llu bytes, damaged in the image: kept from all until the last has gone",
		  (unsigned long long)p->damaged);
	if (p->ops.settled)
		p->ops.settled(p->data);
}
