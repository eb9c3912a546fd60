//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Nat: what a backend answers, and the way back ("auto last hop"), which is learned from the client's packets. */
#pragma once

#include "rewrite.h"
#include "serve.h"

enum {
	LAST_HOP_IFACE_SHIFT = 48,
	MAC_MASK_BITS = 48,
};

/* mac and iface of the cold record as one word. */
static __always_inline __u64 last_hop(struct xdp_md *ctx, const struct ethhdr *eth)
{
	__u64 mac = *(__u32 *)eth->h_source | (__u64) * (__u16 *)(eth->h_source + 4) << 32;

	return mac | (__u64)(ctx->ingress_ifindex % MAX_IFACES) << LAST_HOP_IFACE_SHIFT;
}

/* A reply belongs to a flow when its source is the backend that the flow is pinned to: an old pin's are not ours. */
static __always_inline struct backend *answerer(const enum family family, __u64 meta, const __be32 *from)
{
	struct backend *be = backend_of(family, meta_backend(meta));

	if (!be || be->addr[0] != from[0])
		return NULL;
	if (family == FAMILY_IPV6 &&
	    (be->addr[1] != from[1] || be->addr[2] != from[2] || be->addr[3] != from[3]))
		return NULL;
	return be;
}

/* Refreshes the flow that a backend answers on. Returns the slot's index, or -1 when there is no such flow. */
static __always_inline int refresh(const enum family family, struct call *call, const __be32 *from)
{
	struct backend *be;
	struct hit hit;
	int i;

	for (i = 0; i < SERVE_ATTEMPTS; i++) {
		if (!find(family, &call->id, &hit))
			return -1;
		be = answerer(family, hit.word, from);
		if (!be)
			return -1;
		switch (touch(TABLE_CURRENT, family, call, &hit, be, FROM_BACKEND)) {
		case TOUCH_DONE:
			return hit.index;
		case TOUCH_AGAIN:
			continue;
		case TOUCH_MISS:
			return -1;
		}
	}
	return hit.index; /* the pin holds; only its refresh is left to the next packet */
}

/* An address handed to a global function. */
struct source {
	__be32 addr[4];
};

__noinline int refresh4(struct call *call, struct source *from)
{
	return call && from ? refresh(FAMILY_IPV4, call, from->addr) : -1;
}

__noinline int refresh6(struct call *call, struct source *from)
{
	return call && from ? refresh(FAMILY_IPV6, call, from->addr) : -1;
}

/* The cold record of the flow that a backend answers on, or NULL. */
static __always_inline struct cold *answered(const enum family family, struct call *call, struct source *from)
{
	struct hit hit;
	int index;

	call->forwarding = FORWARDING_NAT;
	if (find(family, &call->id, &hit) && plain(&hit, call) && answerer(family, hit.word, from->addr))
		return cold_at(TABLE_CURRENT, family, hit.index);
	index = family == FAMILY_IPV4 ? refresh4(call, from) : refresh6(call, from);
	return index < 0 ? NULL : cold_at(TABLE_CURRENT, family, index);
}

static __always_inline int send_back(struct xdp_md *ctx, struct ethhdr *eth, const struct cold *cold)
{
	__u64 hop = *(volatile __u64 *)cold->mac;
	struct iface *out = &ifaces[hop >> LAST_HOP_IFACE_SHIFT & (MAX_IFACES - 1)];

	if (!out->used)
		return drop(DROP_UNRESOLVED);
	*(__u32 *)eth->h_dest = hop;
	*(__u16 *)(eth->h_dest + 4) = hop >> 32;
	__builtin_memcpy(eth->h_source, out->mac, ETH_ALEN);
	return transmit(ctx, out->ifindex);
}
