//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The meta word of a slot. Everything that may change while others look lies in this one word, so that one
 * compare-and-swap decides.
 *
 *   bits  0..2   state    enum flow_state
 *   bit   3      fin      closing began with a FIN, whose end is in the cold record; evicting: a RST was sent
 *   bits  4..7   age      ticks that the flow's traffic has spanned, at most 15
 *   bits  8..21  tag      IPv4: VIP id; IPv6: claims, which outlive the entry
 *   bits 22..37  backend  id
 *   bits 38..63  seen     tick of the last packet, modulo 2^26 (two years)
 */
#pragma once

#include "layout.h"
#include "config.h"

enum meta_bits {
	META_FIN_SHIFT = 3,
	META_AGE_SHIFT = 4,
	META_TAG_SHIFT = 8,
	META_BACKEND_SHIFT = 22,
	META_SEEN_SHIFT = 38,
	AGE_ESTABLISHED = 10, /* ticks after which a flow is no longer young */
	AGE_MAX = 15,
	TICK_BITS = 26,
};

#define META_STATE 0x7ULL
#define META_FIN (1ULL << META_FIN_SHIFT)
#define META_AGE (0xfULL << META_AGE_SHIFT)
#define META_TAG (0x3fffULL << META_TAG_SHIFT)
#define META_BACKEND (0xffffULL << META_BACKEND_SHIFT)
#define META_SEEN (~0ULL << META_SEEN_SHIFT)
#define TICK_MASK 0x3ffffffU
/* Ticks by which another CPU's clock may be ahead of the one that this packet read when it came. */
#define TICK_SKEW 4U

static __always_inline __u32 meta_state(__u64 meta)
{
	return meta & META_STATE;
}

static __always_inline __u32 meta_age(__u64 meta)
{
	return (meta & META_AGE) >> META_AGE_SHIFT;
}

static __always_inline __u32 meta_tag(__u64 meta)
{
	return (meta & META_TAG) >> META_TAG_SHIFT;
}

static __always_inline __u32 meta_backend(__u64 meta)
{
	return (meta & META_BACKEND) >> META_BACKEND_SHIFT;
}

static __always_inline __u32 meta_seen(__u64 meta)
{
	return meta >> META_SEEN_SHIFT;
}

static __always_inline __u64 meta_make(__u32 state, __u32 tag, __u32 backend, __u32 now)
{
	return (__u64)state | (__u64)tag << META_TAG_SHIFT | (__u64)backend << META_BACKEND_SHIFT |
	       (__u64)now << META_SEEN_SHIFT;
}

static __always_inline __u64 meta_with_state(__u64 meta, __u32 state)
{
	return (meta & ~(META_STATE | META_FIN)) | state;
}

static __always_inline __u64 meta_with_seen(__u64 meta, __u32 now)
{
	return (meta & ~META_SEEN) | (__u64)now << META_SEEN_SHIFT;
}

/* Ticks since the last packet. One that another CPU has seen after now was read counts as none. */
static __always_inline __u32 meta_silence(__u64 meta, __u32 now)
{
	__u32 ticks = (now - meta_seen(meta) + TICK_SKEW) & TICK_MASK;

	return ticks > TICK_SKEW ? ticks - TICK_SKEW : 0;
}

static __always_inline bool meta_published(__u64 meta)
{
	return meta_state(meta) >= FLOW_HALF_OPEN;
}

/* The coarse clock. Jiffies are a load; every clock helper costs more than the whole lookup. */
static __always_inline __u32 tick_now(void)
{
	return (__u32)(bpf_jiffies64() >> CONFIG.tick_shift) & TICK_MASK;
}
