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

static __always_inline struct counters *counters_of(__u32 generation)
{
	return bpf_map_lookup_elem(&generation_counters, &generation);
}
