// SPDX-License-Identifier: GPL-2.0-only
/* Selectors: read, and compared with objects. */
#include "dump/select.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/arguments.h"
#include "common/names.h"

/* the part behind a word and its colon; NULL: there is another word */
static const char *behind(const char *text, const char *word)
{
	size_t n = strlen(word);

	return strncmp(text, word, n) ? NULL : text + n;
}

static bool take_ino(const char *p, uint64_t *ino)
{
	char *end;

	if (*p < '0' || *p > '9')
		return false;
	errno = 0;
	*ino = strtoull(p, &end, 10);
	return !errno && !*end;
}

static bool is_kind(const char *name)
{
	uint32_t kind;

	for (kind = MEMFDCR_KIND_MEMFD; kind <= MEMFDCR_KIND_SECRET; kind++)
		if (!strcmp(kind_name(kind), name))
			return true;
	return false;
}

bool selector_parse(const char *text, struct selector *s)
{
	const char *p = text;

	*s = (struct selector){ .text = text };
	if ((s->word = behind(text, "name:"))) {
		s->by = SELECT_NAME;
		return true;
	}
	if ((s->word = behind(text, "kind:"))) {
		s->by = SELECT_KIND;
		return is_kind(s->word);
	}
	if ((s->word = behind(text, "ino:"))) {
		s->by = SELECT_INO;
		return take_ino(s->word, &s->number);
	}
	if (!take_pid(&p, ':', &s->pid))
		return false;
	p++;
	s->by = SELECT_ADDRESS;
	if (take_address(p, &s->number))
		return true;
	s->by = SELECT_FD;
	return take_number(&p, '\0', INT_MAX, &s->fd);
}

static bool holder_matches(const struct selector *s, const struct holder *h)
{
	if (h->pid != s->pid)
		return false;
	if (s->by == SELECT_FD)
		return !h->is_mapping && h->fd == s->fd;
	return h->is_mapping && s->number >= h->start && s->number < h->end;
}

bool selector_matches(const struct selector *s, const struct object *o)
{
	size_t i;

	switch (s->by) {
	case SELECT_INO:
		return o->ino == s->number;
	case SELECT_NAME:
		return o->kind == MEMFDCR_KIND_MEMFD && o->name && !strcmp(o->name, s->word);
	case SELECT_KIND:
		return !strcmp(kind_name(o->kind), s->word);
	case SELECT_FD:
	case SELECT_ADDRESS:
		break;
	}
	for (i = 0; i < o->n_holders; i++)
		if (holder_matches(s, &o->holders[i]))
			return true;
	return false;
}
