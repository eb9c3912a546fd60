//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* The lookup in all lines of a flow, for the paths that may cost a call. */
#pragma once

#include "pin.h"

/* The slot that a miss found under the stripe, read again without it. */
static __always_inline bool reread(const enum table table, const enum family family, struct call *call,
				   struct hit *hit)
{
	struct slot slot;

	if (!slot_at(table, family, call->index, &slot))
		return false;
	hit->meta = slot.meta;
	hit->word = load_meta(slot.meta);
	hit->index = call->index;
	stall(STALL_READ);
	if (!meta_published(hit->word) || !slot_is(family, &slot, hit->word, &call->id))
		return false;
	stall(STALL_RECHECK);
	return !rule(RULE_RECHECK) || (load_meta(slot.meta) == hit->word && *(volatile __u64 *)slot.k0 == call->id.key[0]);
}

/* find_any() as a function that is verified once, for the paths that may cost a call. Returns the slot's index, or -1. */
__noinline int seek4(struct call *call)
{
	struct hit hit;

	return call && find_any(FAMILY_IPV4, &call->id, &hit) ? (int)hit.index : -1;
}

__noinline int seek6(struct call *call)
{
	struct hit hit;

	return call && find_any(FAMILY_IPV6, &call->id, &hit) ? (int)hit.index : -1;
}

static __always_inline bool seek(const enum family family, struct call *call, struct hit *hit)
{
	int index = family == FAMILY_IPV4 ? seek4(call) : seek6(call);

	if (index < 0)
		return false;
	call->index = index;
	return reread(TABLE_CURRENT, family, call, hit);
}

/* The backend of a flow that a packet is about and not of: nothing is made or renewed. 0: nobody has it. */
static __always_inline int owner(const enum family family, struct call *call)
{
	struct hit hit;

	call->closed = DROP_LISTENER_CLOSED;
	if (!seek(family, call, &hit)) {
		if ((family == FAMILY_IPV4 ? pin4(call) : pin6(call)) != PIN_FOUND)
			return 0;
		if (!(on_previous(call) ? reread(TABLE_PREVIOUS, family, call, &hit) :
					  reread(TABLE_CURRENT, family, call, &hit)))
			return 0;
	}
	return flow_expired(family, hit.word, call->t.proto, call->now) ? 0 : meta_backend(hit.word);
}

__noinline int owner4(struct call *call)
{
	return call ? owner(FAMILY_IPV4, call) : 0;
}

__noinline int owner6(struct call *call)
{
	return call ? owner(FAMILY_IPV6, call) : 0;
}
