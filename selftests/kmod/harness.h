/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's test harness, for slow machines: emulated, next to others, with a kernel that checks everything. */
#ifndef HARNESS_H
#define HARNESS_H

#include "kselftest_harness.h"

/* seconds after which a test that names no time itself is stuck; the harness has 30 */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT (300 * SLOWNESS)

/* and after which one that does is */
#undef TEST_F_TIMEOUT
#define TEST_F_TIMEOUT(fixture, test, seconds) __TEST_F_IMPL(fixture, test, -1, (seconds) * SLOWNESS)

#endif
