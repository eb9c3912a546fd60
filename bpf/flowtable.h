//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The flow table: where a flow may lie, and the unlocked lookup.
 *
 * A flow has two candidate lines and the neighbour of each, and four lines of the overflow. Nearly every flow lies in
 * its first line, so a hit costs one cache miss; a neighbour is the other half of the same 128 bytes, which the
 * prefetcher brings along.
 *
 * A reader loads meta, then the key, then meta again: a hit only when the key is the flow's and meta differs in
 * nothing but seen. What a reader can't be sure of counts as a miss, and the miss looks again under the stripe.
 */
#pragma once

#include "maps.h"
#include "meta.h"
#include "rules.h"
#include "stall.h"

/* A flow as the table knows it. IPv4 uses the first word only, and the tag for the VIP. */
struct flow_id {
	__u64 key[3];
	__u64 hash;
	__u32 vip;
};

struct hit {
	__u64 *meta;
	__u64 word;
	__u32 index; /* line * SLOTS + slot; of the cold record too */
};

static __always_inline __u64 mix(__u64 x, __u64 word, __u64 factor)
{
	x = (x ^ word) * factor;
	return x ^ x >> 32;
}

static __always_inline void flow_id4_of(struct flow_id *id, __u64 key, __u32 vip)
{
	id->key[0] = key;
	id->key[1] = id->key[2] = 0;
	id->vip = vip;
	id->hash = mix(mix(CONFIG.seed, key + vip, 0x9e3779b97f4a7c15ULL), CONFIG.seed, 0xbf58476d1ce4e5b9ULL);
}

static __always_inline void flow_id4(struct flow_id *id, __be32 client, __be16 cport, __be16 dport, __u32 vip)
{
	flow_id4_of(id, (__u64)client << 32 | (__u32)cport << 16 | dport, vip);
}

static __always_inline void flow_id6_of(struct flow_id *id, __u64 ports, __u64 high, __u64 low)
{
	__u64 h;

	id->key[0] = ports;
	id->key[1] = high;
	id->key[2] = low;
	id->vip = (__u32)ports;
	h = mix(CONFIG.seed, high, 0x9e3779b97f4a7c15ULL);
	h = mix(h, low, 0xbf58476d1ce4e5b9ULL);
	h = mix(h, ports, 0x9e3779b97f4a7c15ULL);
	id->hash = mix(h, CONFIG.seed, 0xbf58476d1ce4e5b9ULL);
}

static __always_inline void flow_id6(struct flow_id *id, const __u64 client[2], __be16 cport, __be16 dport, __u32 vip)
{
	flow_id6_of(id, (__u64)cport << 48 | (__u64)dport << 32 | vip, client[0], client[1]);
}

/* The i-th line in which a flow of this hash may lie. */
static __always_inline __u32 candidate(const volatile struct layout *l, __u64 hash, __u32 i)
{
	__u64 half = i < 2 ? (__u32)hash : hash >> 32;

	if (i < LINES_MAIN)
		return (half * l->lines >> 32) ^ (i & 1);
	half = (hash * 0x94d049bb133111ebULL) >> 32;
	return l->lines + ((half * (l->stash / LINES_STASH) >> 32) * LINES_STASH) + i - LINES_MAIN;
}

static __always_inline void *line_at(const enum table table, const enum family family, __u32 index)
{
	if (table == TABLE_CURRENT)
		return family == FAMILY_IPV4 ? bpf_map_lookup_elem(&flows4, &index) :
					       bpf_map_lookup_elem(&flows6, &index);
	return family == FAMILY_IPV4 ? bpf_map_lookup_elem(&previous_flows4, &index) :
				       bpf_map_lookup_elem(&previous_flows6, &index);
}

static __always_inline struct cold *cold_at(const enum table table, const enum family family, __u32 index)
{
	if (table == TABLE_CURRENT)
		return family == FAMILY_IPV4 ? bpf_map_lookup_elem(&cold4, &index) :
					       bpf_map_lookup_elem(&cold6, &index);
	return family == FAMILY_IPV4 ? bpf_map_lookup_elem(&previous_cold4, &index) :
				       bpf_map_lookup_elem(&previous_cold6, &index);
}

static __always_inline struct backend *backend_of(const enum family family, __u32 id)
{
	return family == FAMILY_IPV4 ? bpf_map_lookup_elem(&backends4, &id) : bpf_map_lookup_elem(&backends6, &id);
}

/* x86 keeps loads in order. Elsewhere a fetched add of 0 orders; load time removes it where it is not needed. */
static __always_inline __u64 load_meta(__u64 *meta)
{
	if (CONFIG.weak_order)
		return __sync_fetch_and_add(meta, 0);
	return *(volatile __u64 *)meta;
}

static __always_inline bool key_matches(const enum family family, const __u64 *k0, const __u64 *k12,
					const struct flow_id *id)
{
	if (*(volatile __u64 *)k0 != id->key[0])
		return false;
	return family == FAMILY_IPV4 || (*(volatile __u64 *)k12 == id->key[1] &&
					 *(volatile __u64 *)(k12 + 1) == id->key[2]);
}

/* Rule 2 of the protocol, for a slot whose first key word already looked right. */
static __always_inline bool slot_read(const enum family family, __u64 *meta, const __u64 *k0, const __u64 *k12,
				      const struct flow_id *id, __u64 *word)
{
	__u64 before = load_meta(meta), after = before;

	stall(STALL_READ);
	if (!meta_published(before) || !key_matches(family, k0, k12, id))
		return false;
	stall(STALL_RECHECK);
	if (rule(RULE_RECHECK))
		after = load_meta(meta);
	/*
	 * IPv4 counts no claims, so the slot may have been another flow's, this flow's, and the other's again meanwhile, with
	 * the same word. Then its key is the other's by now.
	 */
	if (family == FAMILY_IPV4 && rule(RULE_RECHECK) && !key_matches(family, k0, k12, id))
		return false;
	*word = after;
	if (family == FAMILY_IPV4 && rule(RULE_VIP) && meta_tag(after) != id->vip)
		return false;
	return !((before ^ after) & ~META_SEEN);
}

/* Looks in the i-th candidate line. */
static __always_inline bool find4_in(const struct flow_id *id, __u32 i, struct hit *hit)
{
	__u32 at = candidate(&CONFIG.layouts[TABLE_CURRENT][FAMILY_IPV4], id->hash, i), s;
	struct line4 *line = line_at(TABLE_CURRENT, FAMILY_IPV4, at);

	if (!line)
		return false;
#pragma unroll
	for (s = 0; s < SLOTS; s++) {
		if (line->key[s] != id->key[0])
			continue;
		if (!slot_read(FAMILY_IPV4, &line->meta[s], &line->key[s], NULL, id, &hit->word))
			continue;
		hit->meta = &line->meta[s];
		hit->index = at * SLOTS + s;
		return true;
	}
	return false;
}

static __always_inline bool find6_in(const struct flow_id *id, __u32 i, struct hit *hit)
{
	__u32 at = candidate(&CONFIG.layouts[TABLE_CURRENT][FAMILY_IPV6], id->hash, i), s;
	struct line6 *line = line_at(TABLE_CURRENT, FAMILY_IPV6, at);

	if (!line)
		return false;
#pragma unroll
	for (s = 0; s < SLOTS; s++) {
		if (line->ports[s] != id->key[0])
			continue;
		if (!slot_read(FAMILY_IPV6, &line->meta[s], &line->ports[s], line->addr[s], id, &hit->word))
			continue;
		hit->meta = &line->meta[s];
		hit->index = at * SLOTS + s;
		return true;
	}
	return false;
}

/* The first line, in which seven flows of eight lie: enough for a reply, which can be handed on. */
static __always_inline bool find(const enum family family, const struct flow_id *id, struct hit *hit)
{
	return family == FAMILY_IPV4 ? find4_in(id, 0, hit) : find6_in(id, 0, hit);
}

/* All candidate lines, the first line first; the overflow is looked at under the stripe only. */
static __always_inline bool find_any(const enum family family, const struct flow_id *id, struct hit *hit)
{
	__u32 i;

	for (i = 0; i < LINES_MAIN; i++)
		if (family == FAMILY_IPV4 ? find4_in(id, i, hit) : find6_in(id, i, hit))
			return true;
	return false;
}

/* The overflow, without its stripe: for what nothing is lost by when it is missed. */
static __always_inline bool find_spilled(const enum family family, const struct flow_id *id, struct hit *hit)
{
	__u32 i;

	for (i = LINES_MAIN; i < LINES_MAIN + LINES_STASH; i++)
		if (family == FAMILY_IPV4 ? find4_in(id, i, hit) : find6_in(id, i, hit))
			return true;
	return false;
}
