/* SPDX-License-Identifier: GPL-2.0-only */
/* The numbers of the format that user/image/memfdcr.proto describes. */
#ifndef MEMFDCR_IMAGE_LAYOUT_H
#define MEMFDCR_IMAGE_LAYOUT_H

#define LAYOUT_META "memfdcr.img"
#define LAYOUT_DATA "memfdcr.data"

#define LAYOUT_MAGIC "memfdcr\x1a"
#define LAYOUT_VERSION 1
#define LAYOUT_HEAD 40			/* bytes before the message */
#define LAYOUT_CHECKED_HEAD 24		/* of these, those that the checksum is over; behind them it stands */
#define LAYOUT_META_MAX (1ull << 30)	/* a longer one, of some TiB of memory, is neither written nor read */

#define LAYOUT_ID 16			/* bytes */
#define LAYOUT_PAGE 4096u
#define LAYOUT_CHUNK 65536u
#define LAYOUT_CHUNK_PAGES (LAYOUT_CHUNK / LAYOUT_PAGE)
#define LAYOUT_ANCESTORS 64

#endif
