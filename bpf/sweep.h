//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The sweeper: walks a slice of a flow table, frees what has expired and counts what lives, per backend and state, per
 * VIP and per listener. It takes no stripe: it frees by a compare-and-swap of the word that it judged. When that fails a
 * packet was faster, and the slot counts as missed: the next pass will tell.
 */
#pragma once

#include "pin.h"

struct sweep_walk {
	struct sweep_args *args;
	__u32 first;
	__u32 now;
	__u64 used;
	__u64 freed;
	__u64 stash;
	__u64 missed;
};

static __always_inline void count_listener(const struct vip *vip, const struct slot *slot)
{
	struct listener *l = NULL;
	__u32 id = vip->listener;
	__be16 port;
	__u64 *n;

	if (!id) {
		if (vip->family == FAMILY_IPV4) {
			struct listener_key4 key = { .vip = vip->addr[0], .port = *slot->k0, .proto = vip->proto };

			l = bpf_map_lookup_elem(&listeners4, &key);
		} else {
			port = *slot->k0 >> 32;
			struct listener_key6 key = { .port = port, .proto = vip->proto };

			__builtin_memcpy(key.vip, vip->addr, sizeof(key.vip));
			l = bpf_map_lookup_elem(&listeners6, &key);
		}
		id = l ? l->id : 0;
	}
	n = bpf_map_lookup_elem(&listener_counts, &id);
	if (n)
		(*n)++;
}

static __always_inline void count_session(const enum family family, const struct slot *slot, __u64 meta)
{
	__u32 backend = meta_backend(meta), state = meta_state(meta);
	__u32 vip = family == FAMILY_IPV4 ? meta_tag(meta) : (__u32)*slot->k0;
	struct sessions *n = bpf_map_lookup_elem(&session_counts, &backend);
	__u64 *per_vip = bpf_map_lookup_elem(&vip_counts, &vip);
	struct vip *v = bpf_map_lookup_elem(&vips, &vip);

	if (n && state < FLOW_STATES)
		n->states[state]++;
	if (per_vip)
		(*per_vip)++;
	if (v)
		count_listener(v, slot);
}

static __always_inline void sweep_slot(const enum family family, struct sweep_walk *walk, __u32 index)
{
	struct slot slot;
	__u64 meta;

	if (!slot_at(TABLE_CURRENT, family, index, &slot))
		return;
	meta = load_meta(slot.meta);
	if (meta_state(meta) == FLOW_FREE)
		return;
	if (!meta_published(meta)) {
		walk->missed++;
	} else if (!flow_expired(family, meta, slot_proto(family, &slot, meta), walk->now)) {
		count_session(family, &slot, meta);
		walk->used++;
		if (index >= CONFIG.layouts[TABLE_CURRENT][family].lines * SLOTS)
			walk->stash++;
	} else if (__sync_val_compare_and_swap(slot.meta, meta, family == FAMILY_IPV4 ? 0 : meta & META_TAG) == meta) {
		walk->freed++;
	} else {
		walk->missed++;
	}
}

static long sweep_line4(__u32 i, struct sweep_walk *walk)
{
	__u32 s;

	for (s = 0; s < SLOTS; s++)
		sweep_slot(FAMILY_IPV4, walk, (walk->first + i) * SLOTS + s);
	return 0;
}

static long sweep_line6(__u32 i, struct sweep_walk *walk)
{
	__u32 s;

	for (s = 0; s < SLOTS; s++)
		sweep_slot(FAMILY_IPV6, walk, (walk->first + i) * SLOTS + s);
	return 0;
}

/* Returns 0, or -1 when the arguments name no table. */
static __always_inline int sweep_slice(struct sweep_args *args)
{
	struct sweep_walk walk = { .first = args->first, .now = tick_now() };

	if (args->table == FAMILY_IPV4)
		bpf_loop(args->lines, sweep_line4, &walk, 0);
	else if (args->table == FAMILY_IPV6)
		bpf_loop(args->lines, sweep_line6, &walk, 0);
	else
		return -1;
	args->now = walk.now;
	args->used = walk.used;
	args->freed = walk.freed;
	args->stash = walk.stash;
	args->missed = walk.missed;
	return 0;
}
