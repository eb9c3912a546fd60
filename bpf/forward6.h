//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* An IPv6 packet on its way out, in each forwarding mode. */
#pragma once

#include "forward4.h"

static __always_inline __u8 traffic_class(const struct ipv6hdr *ip)
{
	return bpf_ntohl(*(__be32 *)ip) >> 20;
}

static __always_inline int encap6(struct packet *p, struct ipv6hdr *ip, const struct backend *be, __u64 hop,
				  __u32 spread)
{
	struct inner in = { .spread = spread, .df = bpf_htons(IP_DF), .tos = traffic_class(ip), .proto = IPPROTO_INNER6 };

	ip->hop_limit--;
	return encapsulate(p, be, hop, &in);
}

static __always_inline int forward6(struct packet *p, struct ipv6hdr *ip, __u32 id, const struct backend *be,
				    __u32 spread)
{
	__u64 hop = *(volatile __u64 *)be->dst_mac;
	struct transport_ports *ports = p->l4.header;

	if (hop >> 48 != BACKEND_RESOLVED)
		return drop(DROP_UNRESOLVED);
	if (p->len > be->room)
		return too_big(p->ctx, STEP_TOO_BIG6, be->room);
	if (ip->hop_limit <= (be->forwarding != FORWARDING_DSR))
		return drop(DROP_TTL);
	count_sent(p, id, be);
	if (be->forwarding == FORWARDING_IPIP)
		return encap6(p, ip, be, hop, spread);
	if (be->forwarding == FORWARDING_NAT)
		rewrite6(ip, (__be32 *)&ip->daddr, p->l4, &ports->dest, be->addr, be->port);
	return leave(p, bpf_htons(ETH_P_IPV6), hop, be->src_mac, &be->tags, be->ifindex);
}
