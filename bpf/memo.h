//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What the sweeper knows by heart. Nearly all flows differ in nothing that it asks for but their backend and their VIP, of
 * which there are few: how long such a flow may be silent is looked up once a slice, and the flows are counted here until
 * the slice ends. What needs its key as well has no memo: a client's session, a flow that belongs to one, a VIP that has
 * several listeners.
 */
#pragma once

#include "pin.h"

enum {
	MEMO_BITS = 6,
	MEMOS = 1 << MEMO_BITS,
	FOR_EVER = 0x7fffffff, /* ticks */
};

/*
 * By state of the flow: for how many ticks it may be silent, TICK_SKEW included, and how many were counted. Less than 0:
 * such a flow is not judged by heart. A free slot lasts for ever, in each memo that is in use.
 */
struct memo {
	__s32 lasts[FLOW_STATES];
	__u32 id; /* backend and VIP id */
	__u32 n[FLOW_STATES];
	__u32 pad;
};

struct memos {
	__u64 held; /* by the sweep that runs; another one does without */
	__u64 pad[7];
	struct memo of[MEMOS];
};

/* The sweeper's own, and empty between two slices. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct memos);
} memos SEC(".maps");

_Static_assert(sizeof(struct memo) == 64, "a memo is one cache line");

static __always_inline struct memos *memos_of(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&memos, &zero);
}

/* A free slot has id 0, which no flow has. */
static __always_inline __u32 memo_id(const enum family family, __u64 meta, const __u64 *k0)
{
	if (family == FAMILY_IPV4)
		return (meta & (META_BACKEND | META_TAG)) >> META_TAG_SHIFT;
	if (meta_state(meta) == FLOW_FREE)
		return 0;
	return meta_backend(meta) << (META_BACKEND_SHIFT - META_TAG_SHIFT) | (*(volatile __u32 *)k0 & (MAX_VIPS - 1));
}

static __always_inline struct memo *memo_of(struct memos *m, __u32 id)
{
	__u32 at = (id * 0x9e3779b1U) >> (32 - MEMO_BITS);

	return &m->of[at];
}

static __always_inline __s32 lasting(__u32 timeout)
{
	return (timeout < TICK_MASK ? timeout : TICK_MASK) + TICK_SKEW;
}

/* Notes what flows of an id live for, where there is room. */
static __always_inline void memorize(struct memo *memo, __u32 id, const struct service *svc, __u8 proto)
{
	__u32 state;

	if (memo->lasts[FLOW_FREE])
		return;
	memo->id = id;
#pragma unroll
	for (state = FLOW_HALF_OPEN; state < FLOW_EVICTING; state++)
		memo->lasts[state] = lasting(timeout_in(svc, state, proto));
	memo->lasts[FLOW_CLAIMED] = memo->lasts[FLOW_EVICTING] = -1;
	memo->lasts[FLOW_FREE] = FOR_EVER;
}

/* The memo of free slots: a claimed one has their id too, and is its owner's. */
static __always_inline void know_free(struct memo *memo)
{
	__u32 state;

#pragma unroll
	for (state = FLOW_CLAIMED; state < FLOW_STATES; state++)
		memo->lasts[state] = -1;
	memo->lasts[FLOW_FREE] = FOR_EVER;
}

/* Adds what a memo counted to what the sweep found, and empties it. Returns how many flows that were. */
static __always_inline __u32 settle_memo(struct memo *memo)
{
	__u32 backend = memo->id >> (META_BACKEND_SHIFT - META_TAG_SHIFT), vip = memo->id & (MAX_VIPS - 1);
	struct sessions *n = bpf_map_lookup_elem(&session_counts, &backend);
	struct tally *of = bpf_map_lookup_elem(&tallies, &vip);
	__u32 flows = 0, state;

	if (memo->id && n && of) {
#pragma unroll
		for (state = FLOW_HALF_OPEN; state < FLOW_STATES; state++) {
			n->states[state - FLOW_HALF_OPEN] += memo->n[state];
			flows += memo->n[state];
		}
		n->flows += flows;
		of->of_vip += flows;
	}
	__builtin_memset(memo, 0, sizeof(*memo));
	return flows;
}
