//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * A service that is busy tells whoever begins a session so, that no player waits for an answer that does not come. The
 * quote of an ICMP error is the least that names a flow, the IP header and eight bytes; a packet with options or extension
 * headers is dropped.
 */
#pragma once

#include "icmp_error.h"
#include "reset.h"

enum {
	ICMP_PORT_UNREACHABLE = 3,
	ICMP_PROHIBITED = 13, /* administratively (RFC 1812, section 5.2.7.1) */
	ICMP6_PROHIBITED = 1,
	ICMP6_PORT_UNREACHABLE = 4,
	NAMED4 = sizeof(struct iphdr) + 8,
	NAMED6 = sizeof(struct ipv6hdr) + 8,
};

static __always_inline bool answers_by_icmp(__u32 service)
{
	struct service *svc = bpf_map_lookup_elem(&services, &service);

	return svc && svc->busy == BUSY_ICMP;
}

static __always_inline int answer_busy4(struct xdp_md *ctx)
{
	struct work *w = working();
	struct packet p;
	struct cursor c;
	struct iphdr *ip;
	__be32 from, to;
	bool by_icmp;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	if (!within_limit(w, LIMITED_BUSY))
		return drop(DROP_BUSY);
	by_icmp = answers_by_icmp(w->call.service);
	if (!by_icmp && w->call.t.proto == IPPROTO_TCP) {
		if (!make_rst4(ip, p.l4.end, &w->call.t, true))
			return drop(DROP_BAD_MAP);
		swap_macs(p.eth);
		if (!cut(ctx, p.l2 + sizeof(*ip) + sizeof(struct tcphdr)))
			return drop(DROP_BAD_MAP);
	} else {
		from = ip->daddr;
		to = ip->saddr;
		if (ip->ihl != 5 || !quote(&p, NAMED4, sizeof(*ip) + sizeof(struct icmphdr), bpf_htons(ETH_P_IP)))
			return drop(DROP_BUSY);
		if (!write_error4(&p, NAMED4, from, to, ICMP_DEST_UNREACH, by_icmp ? ICMP_PROHIBITED : ICMP_PORT_UNREACHABLE, 0))
			return drop(DROP_BAD_MAP);
	}
	count(EVENT_BUSY);
	return XDP_TX;
}

static __always_inline int answer_busy6(struct xdp_md *ctx)
{
	struct work *w = working();
	struct in6_addr from, to;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;
	bool by_icmp;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	if (!within_limit(w, LIMITED_BUSY))
		return drop(DROP_BUSY);
	by_icmp = answers_by_icmp(w->call.service);
	if (!by_icmp && w->call.t.proto == IPPROTO_TCP) {
		if (!make_rst6(ip, p.l4.end, &w->call.t, true))
			return drop(DROP_BAD_MAP);
		swap_macs(p.eth);
		if (!cut(ctx, p.l2 + sizeof(*ip) + sizeof(struct tcphdr)))
			return drop(DROP_BAD_MAP);
	} else {
		from = ip->daddr;
		to = ip->saddr;
		if (ip->nexthdr != w->call.t.proto || !quote(&p, NAMED6, sizeof(*ip) + sizeof(struct icmp6hdr), bpf_htons(ETH_P_IPV6)))
			return drop(DROP_BUSY);
		if (!write_error6(&p, NAMED6, &from, &to, ICMP6_UNREACH, by_icmp ? ICMP6_PROHIBITED : ICMP6_PORT_UNREACHABLE, 0))
			return drop(DROP_BAD_MAP);
	}
	count(EVENT_BUSY);
	return XDP_TX;
}
