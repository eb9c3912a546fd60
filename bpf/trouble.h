//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What goes wrong with sessions, counted where it is seen: by the packets that begin or end one, and by the sweeper. No
 * plain hit comes here.
 */
#pragma once

#include "flowtable.h"
#include "lifecycle.h"

static __always_inline struct troubles *troubles_of(__u32 generation)
{
	return bpf_map_lookup_elem(&generation_troubles, &generation);
}

/*
 * An entry that was half-open is no more. Where clients have sessions its flows are none. The sweeper may be interrupted by
 * a packet on its CPU: it has to add in one instruction, so all do here.
 */
static __always_inline void count_never(const enum family family, __u64 meta, bool session)
{
	struct backend *be = backend_of(family, meta_backend(meta));
	struct troubles *n;
	struct service *svc;
	__u32 index;

	if (!be || meta_state(meta) != FLOW_HALF_OPEN)
		return;
	index = be->service;
	svc = bpf_map_lookup_elem(&services, &index);
	if (!svc || (!session && svc->affinity != AFFINITY_FLOW))
		return;
	n = troubles_of(be->generation);
	if (n)
		__sync_fetch_and_add(&n->never_established, 1);
}

/* What a packet told of its flow. */
static __always_inline void count_trouble(const enum family family, enum trouble trouble, __u64 meta, const struct backend *be)
{
	struct troubles *n;

	if (trouble == TROUBLE_NONE)
		return;
	n = troubles_of(be->generation);
	if (!n)
		return;
	if (trouble == TROUBLE_SYN_AGAIN)
		n->syn_retransmits++;
	else
		n->resets++;
	if (trouble == TROUBLE_REFUSED)
		count_never(family, meta, false);
}
