//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* An IPv4 packet on its way out, in each forwarding mode. */
#pragma once

#include "encap.h"
#include "work.h"

/* Larger than what its way takes: answered by a program of its own, which reads the room here. */
static __always_inline int too_big(struct xdp_md *ctx, const enum step step, __u32 room)
{
	struct work *w = working();

	if (!w)
		return drop(DROP_BAD_MAP);
	w->room = room;
	return step_to(ctx, step);
}

static __always_inline int encap4(struct packet *p, struct iphdr *ip, const struct backend *be, __u64 hop, __u32 spread)
{
	struct inner in = {
		.spread = spread,
		.df = ip->frag_off & bpf_htons(IP_DF),
		.tos = ip->tos,
		.proto = IPPROTO_INNER4,
	};

	ttl_lower(ip);
	return encapsulate(p, be, hop, &in);
}

/* spread is the same for all packets of a flow. The next hop was seen to be resolved, and may be no more. */
static __always_inline int forward4(struct packet *p, struct iphdr *ip, __u32 id, const struct backend *be,
				    __u32 spread)
{
	__u64 hop = *(volatile __u64 *)be->dst_mac;
	struct transport_ports *ports = p->l4.header;

	if (hop >> 48 != BACKEND_RESOLVED)
		return drop(DROP_UNRESOLVED);
	if (p->len > be->room)
		return too_big(p->ctx, STEP_TOO_BIG4, be->room);
	if (ip->ttl <= (be->forwarding != FORWARDING_DSR))
		return drop(DROP_TTL);
	count_sent(p, id, be);
	if (be->forwarding == FORWARDING_IPIP)
		return encap4(p, ip, be, hop, spread);
	if (be->forwarding == FORWARDING_NAT)
		rewrite4(ip, &ip->daddr, p->l4, &ports->dest, be->addr[0], be->port);
	return leave(p, bpf_htons(ETH_P_IP), hop, be->src_mac, &be->tags, be->ifindex);
}
