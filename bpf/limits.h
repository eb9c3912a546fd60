//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What a service may bound: how many flows a prefix of clients begins. Asked on a miss, under the stripe, when the flow has
 * no pin: what is pinned never comes here.
 *
 * Each prefix has a bucket of new flows, which fills up once a tick. The buckets are words in lines, eight to a line, and a
 * line is found by a keyed hash. In a full line a new prefix takes the place of the one heard of longest ago, which is
 * forgotten: whoever comes from more prefixes than there are places has bucketfuls anyway. So memory is bounded, and a
 * prefix never pays for another, but for two that agree in the line and in 23 bits more.
 *
 * The word: bits 0..23 flows left, bits 24..39 the tick of that, bits 40..63 the tag, which is odd; 0: a free place.
 */
#pragma once

#include "flowtable.h"

enum {
	LEFT_BITS = 24,
	LEFT_MASK = (1 << LEFT_BITS) - 1,
	LEFT_TICK_MASK = 0xffff,
	PREFIX_TAG_SHIFT = 40,
	NEVER = LEFT_TICK_MASK + 1,
	PREFIX_ATTEMPTS = 3,
};

/* Of the client's prefix, its length, family and service: no two share a bucket by that. */
static __always_inline __u64 prefix_hash(const enum family family, const struct service *svc, __u32 service,
					 const __u64 key[3])
{
	__u64 bits = svc->prefix_bits[family], prefix;

	if (family == FAMILY_IPV4)
		prefix = (__u64)bpf_ntohl(key[0] >> 32) << 32;
	else
		prefix = bpf_be64_to_cpu(key[1]);
	prefix >>= (64 - bits) & 63;
	return mix(mix(CONFIG.seed, prefix, 0x9e3779b97f4a7c15ULL), (__u64)service << 8 | bits << 1 | family,
		   0xbf58476d1ce4e5b9ULL);
}

/* Ticks since a bucket was changed. A prefix that comes back after 18 hours may find it emptier than it should be. */
static __always_inline __u32 idle(__u64 word, __u32 now)
{
	return word ? (now - (__u32)(word >> LEFT_BITS)) & LEFT_TICK_MASK : NEVER;
}

/* The place of a prefix in its line, or that which it takes. A global function: verified once. */
__noinline int place_of(struct prefix_line *line, __u64 tag, __u32 now)
{
	__u32 i, best = 0, longest = 0;

	if (!line)
		return 0;
	for (i = 0; i < PREFIXES_PER_LINE; i++) {
		__u64 word = *(volatile __u64 *)&line->of[i];
		__u32 since;

		if (word >> PREFIX_TAG_SHIFT == tag)
			return i;
		since = idle(word, now);
		if (since > longest) {
			longest = since;
			best = i;
		}
	}
	return best;
}

/* Takes a new flow from a prefix's bucket. False: it is empty, and nothing is written. */
static __always_inline bool take_new_flow(const struct service *svc, __u64 hash, __u32 now)
{
	__u64 tag = hash >> PREFIX_TAG_SHIFT | 1;
	__u32 at = (__u32)hash % PREFIX_LINES, i;
	struct prefix_line *line = bpf_map_lookup_elem(&prefixes, &at);

	if (!line)
		return true;
	for (i = 0; i < PREFIX_ATTEMPTS; i++) {
		__u64 place = place_of(line, tag, now), word, left = svc->new_flows_burst;

		asm volatile("%0 &= %1" : "+r"(place) : "i"(PREFIXES_PER_LINE - 1)); /* 6.1's verifier wants to be told */
		word = *(volatile __u64 *)&line->of[place];
		if (word >> PREFIX_TAG_SHIFT == tag) {
			__u64 filled = (word & LEFT_MASK) + (__u64)idle(word, now) * svc->new_flows;

			if (filled < left)
				left = filled;
		}
		if (!left)
			return false;
		if (swap_word(&line->of[place], word, tag << PREFIX_TAG_SHIFT | (__u64)(now & LEFT_TICK_MASK) << LEFT_BITS | (left - 1)))
			return true;
	}
	return true; /* others were faster each time: rather one too many than one of a player's */
}
