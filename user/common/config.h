/* SPDX-License-Identifier: GPL-2.0-only */
/* /etc/memfdcr.conf: what an administrator may set. */
#ifndef MEMFDCR_COMMON_CONFIG_H
#define MEMFDCR_COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_PATH "/etc/memfdcr.conf"

struct config {
	bool lazy;		/* "lazy = yes|no": no switches the hook off; yes unless set */
	uint64_t min_size;	/* "min-size = N[K|M|G]": smaller objects, in bytes, are restored eagerly; 1 MiB unless set */
};

/*
 * Fills config from path, or with the defaults if there is no such file. 0, or a negative errno and a sentence in error
 * that names file, line and remedy; config then holds the defaults.
 */
int config_read(const char *path, struct config *config, char *error, size_t error_size);

#endif
