// SPDX-License-Identifier: GPL-2.0-only
/* One snapshot, or two. */
#include "common/strangers.h"

bool strangers_hold(uint32_t kind, uint32_t unexplained)
{
	/* a segment's own namespace has it, too */
	return unexplained > (kind == MEMFDCR_KIND_SYSV);
}

int strangers_snapshot(struct genl *g, uint32_t tree, bool (*wanted)(const void *data, const struct object *o),
		       const void *data, struct snapshot *s)
{
	struct scope scope = { .tree = tree, .holders = true };
	bool consistent;
	int ret = genl_snapshot_take(g, &scope, s);
	size_t i;

	for (i = 0; !ret && i < s->n_objects; i++)
		if (strangers_hold(s->objects[i].kind, s->objects[i].unexplained) && (!wanted || wanted(data, &s->objects[i])))
			break;
	if (ret || i == s->n_objects)
		return ret;
	/* who they are: one of them may be about to bring pages in. They may run, which says nothing of the tree */
	consistent = s->consistent;
	genl_snapshot_free(s);
	scope.outside = true;
	ret = genl_snapshot_take(g, &scope, s);
	s->consistent = consistent;
	return ret;
}
