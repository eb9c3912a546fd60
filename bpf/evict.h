//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Marks sessions that an operator wants moved: a slice of a flow table, at most so many. Their own next packets do the
 * rest (depart() in serve.h). Marking is a compare-and-swap of the word that was judged, as any change of a slot is.
 */
#pragma once

#include "session.h"

struct evict_walk {
	struct evict_args *args;
	__u32 first;
	__u32 left; /* how many may be marked yet */
	__u32 marked;
};

/* Whether the first bits of two addresses agree, a word at a time. */
static __always_inline bool same_prefix(__be32 a, __be32 b, __u32 bits)
{
	return !bits || !(bpf_ntohl(a ^ b) >> (bits < 32 ? 32 - bits : 0));
}

static __always_inline bool is_client(const enum family family, const struct slot *slot, const struct evict_args *args)
{
	__u32 bits = args->bits, words[4] = {}, i;

	if (family == FAMILY_IPV4)
		return same_prefix(*slot->k0 >> 32, args->client[0], bits);
	words[0] = *slot->k1;
	words[1] = *slot->k1 >> 32;
	words[2] = *slot->k2;
	words[3] = *slot->k2 >> 32;
#pragma unroll
	for (i = 0; i < 4; i++) {
		if (!same_prefix(words[i], args->client[i], bits < 32 ? bits : 32))
			return false;
		bits -= bits < 32 ? bits : 32;
	}
	return true;
}

static __always_inline void evict_slot(const enum family family, struct evict_walk *walk, __u32 index)
{
	struct evict_args *args = walk->args;
	struct backend *be;
	struct slot slot;
	__u32 state;
	__u64 meta;

	if (!walk->left || !slot_at(TABLE_CURRENT, family, index, &slot))
		return;
	meta = load_meta(slot.meta);
	state = meta_state(meta);
	if (state != FLOW_HALF_OPEN && state != FLOW_YOUNG && state != FLOW_ESTABLISHED)
		return;
	be = backend_of(family, meta_backend(meta));
	if (!be || be->service != args->service || (args->generation && be->generation != args->generation) ||
	    !is_client(family, &slot, args) || flow_expired(family, meta, slot_proto(family, &slot, meta), tick_now()))
		return;
	if (!swap_word(slot.meta, meta, meta_with_state(meta, FLOW_EVICTING)))
		return;
	walk->marked++;
	walk->left--;
}

static long evict_line4(__u32 i, struct evict_walk *walk)
{
	__u32 s;

	for (s = 0; s < SLOTS; s++)
		evict_slot(FAMILY_IPV4, walk, (walk->first + i) * SLOTS + s);
	return !walk->left;
}

static long evict_line6(__u32 i, struct evict_walk *walk)
{
	__u32 s;

	for (s = 0; s < SLOTS; s++)
		evict_slot(FAMILY_IPV6, walk, (walk->first + i) * SLOTS + s);
	return !walk->left;
}

/* Returns 0, or -1 when the arguments name no table. */
static __always_inline int evict_slice(struct evict_args *args)
{
	struct evict_walk walk = { .args = args, .first = args->first, .left = args->most };

	if (args->table == FAMILY_IPV4)
		bpf_loop(args->lines, evict_line4, &walk, 0);
	else if (args->table == FAMILY_IPV6)
		bpf_loop(args->lines, evict_line6, &walk, 0);
	else
		return -1;
	args->marked = walk.marked;
	return 0;
}
