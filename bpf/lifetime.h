//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * How long sessions last: the sweeper notes it of those that it frees, so what lives costs nothing. Not noted are sessions
 * that were evicted, which did not end by themselves; half-open flows, which were none; those whose slot another session
 * took before the sweeper came, by a flow that began anew on the same ports or that made room in full lines; and, where
 * thousands end at once, all but the first that a slice comes to: which those are is a matter of the hash alone.
 *
 * A bucket is a tick wide up to 8 ticks, and a quarter of a doubling from there on.
 */
#pragma once

#include "count.h"
#include "lifecycle.h"

enum {
	LIFETIME_MAX = TICK_MASK / 2, /* beyond it lies what ended before it began: two CPUs' clocks */
};

static __always_inline __u32 lifetime_bucket(__u32 ticks)
{
	__u32 shift = 0, step;

	if (ticks < 8)
		return ticks;
#pragma unroll
	for (step = 16; step; step >>= 1)
		if (ticks >> shift >= 8u << step)
			shift += step;
	if (ticks >> shift >= 8)
		shift++;
	return 4 * shift + (ticks >> shift);
}

/* A session that is freed now, whose pin was of the tick start. A global function: verified once. Returns 0. */
__noinline int note_lifetime(__u64 meta, __u32 start, __u32 generation)
{
	struct lifetimes *n = bpf_map_lookup_elem(&lifetimes, &generation);
	__u32 ticks = (meta_seen(meta) - start) & TICK_MASK;
	__u64 at = lifetime_bucket(ticks > LIFETIME_MAX ? 0 : ticks);

	if (!n || meta_state(meta) == FLOW_EVICTING || meta_state(meta) == FLOW_HALF_OPEN)
		return 0;
	asm volatile("" : "+r"(at)); /* 6.1's verifier bounds what is compared with 64 bits */
	if (at < LIFETIME_BUCKETS)
		n->ended[at]++;
	return 0;
}
