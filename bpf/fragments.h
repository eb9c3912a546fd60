//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The table of datagrams in fragments. Only the first one has ports: it is served as any packet, and where it went is
 * noted under a keyed hash of {source, destination, identification, protocol} for a short time. Later ones follow; one
 * that comes before its first is dropped and counted. The table is bounded, and what an established flow noted makes no room for others, so a
 * flood of fragments competes with newcomers only. Its key is 64 bits of a secret hash: two datagrams in flight that agree
 * in it are less likely than a bit that flips in memory.
 */
#pragma once

#include "pin.h"

enum {
	FRAGMENT_TICKS = 30, /* that a datagram may take (RFC 8200: 60 s; kernels: 30 s) */
	FRAGMENT_TICK_MASK = 0xfff,
	FRAGMENT_TICK_SHIFT = 4,
	FRAGMENT_ID_SHIFT = 16,
	FRAGMENT_INDEX_SHIFT = 32,
};

/*
 * Where the first fragment went.
 *   bits  0..1   kind      enum fragment_kind
 *   bit   2      flow      was established
 *   bits  4..15  tick      at which it was noted, modulo 2^12
 *   bits 16..31  id        to a backend: its id; to a client: the VIP id
 *   bits 32..63  index     to a client: the flow's cold record
 */
enum fragment_kind {
	FRAGMENT_NONE = 0,
	FRAGMENT_TO_BACKEND = 1,
	FRAGMENT_TO_CLIENT = 2,
};

#define FRAGMENT_KIND 3ULL
#define FRAGMENT_ESTABLISHED 4ULL

static __always_inline __u64 fragment_key(__u64 a, __u64 b, __u64 c)
{
	__u64 h = mix(mix(mix(CONFIG.seed, a, 0x9e3779b97f4a7c15ULL), b, 0xbf58476d1ce4e5b9ULL), c, 0x94d049bb133111ebULL);

	return mix(h, CONFIG.seed, 0x9e3779b97f4a7c15ULL) | 1; /* 0 is an empty slot */
}

static __always_inline __u64 fragment_key4(const struct iphdr *ip)
{
	return fragment_key((__u64)ip->saddr << 32 | ip->daddr, (__u64)ip->id << 8 | ip->protocol, FAMILY_IPV4);
}

/* RFC 8200, section 4.5. */
struct fragment_header {
	__u8 next;
	__u8 reserved;
	__be16 offset; /* in units of 8 bytes, and flags below */
	__be32 id;
};

enum {
	IP6_LATER = 0xfff8,
	IP6_MORE = 1,
};

static __always_inline __u64 fragment_key6(const struct ipv6hdr *ip, __be32 id)
{
	const __u32 *s = ip->saddr.in6_u.u6_addr32, *d = ip->daddr.in6_u.u6_addr32;
	__u64 source = fragment_key((__u64)s[0] << 32 | s[1], (__u64)s[2] << 32 | s[3], id);

	return fragment_key((__u64)d[0] << 32 | d[1], (__u64)d[2] << 32 | d[3], source);
}

static __always_inline __u64 fragment_value(enum fragment_kind kind, bool established, __u32 id, __u32 index)
{
	return kind | (established ? FRAGMENT_ESTABLISHED : 0) | (tick_now() & FRAGMENT_TICK_MASK) << FRAGMENT_TICK_SHIFT |
	       (__u64)id << FRAGMENT_ID_SHIFT | (__u64)index << FRAGMENT_INDEX_SHIFT;
}

static __always_inline __u32 fragment_age(__u64 value)
{
	return (tick_now() - (value >> FRAGMENT_TICK_SHIFT)) & FRAGMENT_TICK_MASK;
}

static __always_inline struct fragment_line *fragment_line(__u64 key)
{
	__u32 at = (key >> 32) % FRAGMENT_LINES;

	return bpf_map_lookup_elem(&fragments, &at);
}

/* Which of two makes room sooner: what is empty or too old, then what no established flow noted, then the oldest. */
static __always_inline __u32 fragment_rank(__u64 value)
{
	if (!(value & FRAGMENT_KIND) || fragment_age(value) > FRAGMENT_TICKS)
		return ~0U;
	return fragment_age(value) | (value & FRAGMENT_ESTABLISHED ? 0 : FRAGMENT_TICK_MASK + 1);
}

/* The value is emptied before the key changes, so that no other datagram's reader sees a half of each. */
static __always_inline void note_fragment(__u64 key, __u64 value)
{
	struct fragment_line *line = fragment_line(key);
	struct fragment *best = NULL;
	__u32 rank = 0, i;

	if (!line)
		return;
#pragma unroll
	for (i = 0; i < 4; i++) {
		struct fragment *f = &line->of[i];
		__u32 r = f->key == key ? ~0U : fragment_rank(f->value);

		if (best && r <= rank && f->key != key)
			continue;
		best = f;
		rank = r;
		if (f->key == key)
			break;
	}
	if (rank <= FRAGMENT_TICK_MASK && !(value & FRAGMENT_ESTABLISHED))
		return;
	*(volatile __u64 *)&best->value = 0;
	*(volatile __u64 *)&best->key = key;
	*(volatile __u64 *)&best->value = value;
}

static __always_inline __u64 noted_fragment(__u64 key)
{
	struct fragment_line *line = fragment_line(key);
	__u32 i;

	if (!line)
		return 0;
#pragma unroll
	for (i = 0; i < 4; i++) {
		struct fragment *f = &line->of[i];
		__u64 value;

		if (*(volatile __u64 *)&f->key != key)
			continue;
		value = *(volatile __u64 *)&f->value;
		if (*(volatile __u64 *)&f->key == key && fragment_age(value) <= FRAGMENT_TICKS)
			return value;
	}
	return 0;
}
