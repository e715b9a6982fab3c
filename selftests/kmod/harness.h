/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's test harness, for slow machines: emulated, next to others, with a kernel that checks everything. */
#ifndef HARNESS_H
#define HARNESS_H

#include "kselftest_harness.h"

/* seconds after which a test that names no time itself is stuck; the harness has 30 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

#endif
