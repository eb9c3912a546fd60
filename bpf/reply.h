//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Nat: what a backend answers, and the way back ("auto last hop"), which is learned from the client's packets. */
#pragma once

#include "rewrite.h"
#include "serve.h"

enum {
	LAST_HOP_IFACE_SHIFT = 48,
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

enum answer {
	ANSWER_TO_NONE,	/* of no flow that is pinned to this backend */
	ANSWER_TO_FLOW,
	ANSWER_UNTOLD,	/* other CPUs were faster, too often: it may be a flow's */
};

/* Refreshes the flow that a backend answers on; call says where it lies. */
static __always_inline enum answer refresh(const enum family family, struct call *call, const __be32 *from)
{
	struct hit hit;
	int i, id;

	call->closed = 1; /* a reply begins nothing */
#pragma unroll /* as in settle() */
	for (i = 0; i < SERVE_ATTEMPTS; i++) {
		if (seek(family, call, &hit)) {
			struct backend *be = answerer(family, hit.word, from);

			call->table = TABLE_CURRENT;
			if (!be)
				return ANSWER_TO_NONE;
			switch (touch(TABLE_CURRENT, family, call, &hit, be, FROM_BACKEND)) {
			case TOUCH_DONE:
				return ANSWER_TO_FLOW;
			case TOUCH_AGAIN:
				continue;
			case TOUCH_MISS:
				return ANSWER_TO_NONE;
			}
		}
		id = miss(family, call, FROM_BACKEND);
		if (id < 0)
			return id == -DROP_LISTENER_CLOSED ? ANSWER_TO_NONE : ANSWER_UNTOLD;
		if (id > 0)
			return answerer(family, (__u64)id << META_BACKEND_SHIFT, from) ? ANSWER_TO_FLOW : ANSWER_TO_NONE;
	}
	return ANSWER_UNTOLD;
}

/* The reply's source is in the key by which its backend socket was found: a copy would be too much for the stack. */
__noinline int refresh4(struct call *call, struct listener_key4 *from)
{
	return call && from ? refresh(FAMILY_IPV4, call, &from->vip) : ANSWER_TO_NONE;
}

__noinline int refresh6(struct call *call, struct listener_key6 *from)
{
	return call && from ? refresh(FAMILY_IPV6, call, from->vip) : ANSWER_TO_NONE;
}

/* Looks for the flow that a backend answers on; its cold record, or NULL with the verdict of the packet. */
static __always_inline struct cold *answered(const enum family family, struct call *call, void *from, int *verdict)
{
	const __be32 *addr = family == FAMILY_IPV4 ? &((struct listener_key4 *)from)->vip :
						     ((struct listener_key6 *)from)->vip;
	struct hit hit;

	call->forwarding = FORWARDING_NAT;
	if (find(family, &call->id, &hit) && plain(&hit, call) && answerer(family, hit.word, addr)) {
		call->table = TABLE_CURRENT;
		call->index = hit.index;
	} else {
		switch (family == FAMILY_IPV4 ? refresh4(call, from) : refresh6(call, from)) {
		case ANSWER_TO_FLOW:
			break;
		case ANSWER_UNTOLD: /* never to the host's stack, which would answer the client itself */
			*verdict = drop(DROP_STRIPE_BUSY);
			return NULL;
		default:
			*verdict = pass(PASS_NO_FLOW);
			return NULL;
		}
	}
	*verdict = XDP_DROP;
	if (on_previous(call))
		return cold_at(TABLE_PREVIOUS, family, call->index);
	return cold_at(TABLE_CURRENT, family, call->index);
}

static __always_inline int send_back(struct xdp_md *ctx, struct ethhdr *eth, const struct cold *cold)
{
	__u64 hop = *(volatile __u64 *)cold->mac;
	struct iface *out = &globals.ifaces[hop >> LAST_HOP_IFACE_SHIFT & (MAX_IFACES - 1)];

	if (!out->used)
		return drop(DROP_UNRESOLVED);
	*(__u32 *)eth->h_dest = hop;
	*(__u16 *)(eth->h_dest + 4) = hop >> 32;
	__builtin_memcpy(eth->h_source, out->mac, ETH_ALEN);
	return transmit(ctx, out->ifindex);
}
