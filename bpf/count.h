//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Counters, and the verdicts that need one. */
#pragma once

#include "maps.h"

static __always_inline void count(enum reason reason)
{
	__u64 *n = bpf_map_lookup_elem(&reasons, &reason);

	if (n)
		(*n)++;
}

static __always_inline int drop(enum reason reason)
{
	count(reason);
	return XDP_DROP;
}

static __always_inline int pass(enum reason reason)
{
	count(reason);
	return XDP_PASS;
}

static __always_inline bool swap_word(__u64 *at, __u64 old, __u64 next)
{
	if (__sync_val_compare_and_swap(at, old, next) == old)
		return true;
	count(EVENT_CAS_LOST);
	return false;
}

static __always_inline struct counters *counters_of(__u32 generation)
{
	return bpf_map_lookup_elem(&generation_counters, &generation);
}

/* Where a packet to a backend is counted: by itself, or with its generation. */
static __always_inline struct sent *sent_to(__u32 id, const struct backend *be)
{
	struct counters *n;

	if (be->counted)
		return bpf_map_lookup_elem(&backend_counters, &id);
	n = counters_of(be->generation);
	return n ? &n->sent : NULL;
}
