//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Makes a race that takes nanoseconds take long enough for a test to see it. Empty in the program that ships. */
#pragma once

#include "rules.h"

#ifdef EBBTIDE_TEST
/* How long a stall lasts: loads of this word. Set by the test. */
const volatile __u32 STALL_LOOPS;

static long stall_once(__u32 i, void *ctx)
{
	return 0;
}

static __always_inline void stall(enum rule where)
{
	if (LEAVE_OUT & where)
		bpf_loop(STALL_LOOPS, stall_once, NULL, 0);
}
#else
static __always_inline void stall(enum rule where)
{
}
#endif
