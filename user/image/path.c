// SPDX-License-Identifier: GPL-2.0-only
/* Making paths absolute and relative. */
#include "image/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *path_join(const char *directory, const char *name)
{
	char *path;

	if (*name == '/')
		return strdup(name);
	return asprintf(&path, "%s/%s", strcmp(directory, "/") ? directory : "", name) < 0 ? NULL : path;
}

/* of a path without slashes at its end: what it is in, and its last name */
static char *absolute_parent(char *path, const char **name)
{
	char *slash = strrchr(path, '/');

	*name = slash ? slash + 1 : path;
	if (!slash)
		return realpath(".", NULL);
	if (slash == path)
		return strdup("/");
	*slash = '\0';
	return realpath(path, NULL);
}

char *path_absolute(const char *dir)
{
	char *path = realpath(dir, NULL), *copy, *parent, *end;
	const char *name;

	if (path || errno != ENOENT)
		return path;
	copy = strdup(dir);
	if (!copy)
		return NULL;
	for (end = copy + strlen(copy); end > copy + 1 && end[-1] == '/'; end--)
		end[-1] = '\0';
	parent = absolute_parent(copy, &name);
	/* of these only the last may be missing; an empty name is no directory's */
	if (parent && (!*name || !strcmp(name, ".") || !strcmp(name, "..")))
		errno = ENOENT;
	else if (parent)
		path = path_join(parent, name);
	free(parent);
	free(copy);
	return path;
}

char *path_relative(const char *from, const char *to)
{
	const char *f = from + 1, *t = to + 1;
	char *path, *p;
	size_t n, up;

	/* past the names that both begin with */
	while ((n = strcspn(f, "/")) && n == strcspn(t, "/") && !strncmp(f, t, n)) {
		f += n + !!f[n];
		t += n + !!t[n];
	}
	path = malloc(3 * strlen(f) + strlen(t) + 2);
	if (!path)
		return NULL;
	p = path;
	for (up = 0; *f; up++) {
		p = stpcpy(p, "../");
		n = strcspn(f, "/");
		f += n + !!f[n];
	}
	strcpy(p, *t || up ? t : ".");
	if (!*t && up)
		p[-1] = '\0';
	return path;
}
