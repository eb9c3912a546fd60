//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * A packet that is larger than its way takes: the sender is told, by "fragmentation needed" (RFC 1191) or "packet too
 * big" (RFC 4443), as a router would. The packet itself becomes the quote: its tail is cut off, and the error goes
 * before it. So much is quoted that the sender finds its socket behind any options, and that the error fits the least MTU.
 */
#pragma once

#include "icmp_error.h"

enum {
	QUOTE = 504, /* bytes of the packet */
	ICMP_FRAGMENTATION_NEEDED = 4,
};

static __always_inline int answer_too_big4(struct xdp_md *ctx)
{
	struct work *w = working();
	__be32 from, to;
	struct packet p;
	struct cursor c;
	struct iphdr *ip;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	from = ip->daddr;
	to = ip->saddr;
	/* No ICMP about ICMP (RFC 1122, section 3.2.2), nor about a later fragment (RFC 1812, section 4.3.2.7). */
	if (ip->protocol == IPPROTO_ICMP || ip->frag_off & bpf_htons(IP_LATER) || martian4(to, from) ||
	    !within_limit(w, LIMITED_TOO_BIG) || !quote(&p, QUOTE, sizeof(*ip) + sizeof(struct icmphdr), bpf_htons(ETH_P_IP)))
		return drop(DROP_TOO_BIG);
	if (!write_error4(&p, QUOTE, from, to, ICMP_DEST_UNREACH, ICMP_FRAGMENTATION_NEEDED, w->room))
		return drop(DROP_BAD_MAP);
	count(EVENT_TOO_BIG);
	return XDP_TX;
}

static __always_inline int answer_too_big6(struct xdp_md *ctx)
{
	struct work *w = working();
	struct in6_addr from, to;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	from = ip->daddr;
	to = ip->saddr;
	if (p.l4.proto == IPPROTO_ICMPV6 || martian6(&ip->saddr, &ip->daddr) || !within_limit(w, LIMITED_TOO_BIG) ||
	    !quote(&p, QUOTE, sizeof(*ip) + sizeof(struct icmp6hdr), bpf_htons(ETH_P_IPV6)))
		return drop(DROP_TOO_BIG);
	if (!write_error6(&p, QUOTE, &from, &to, ICMP6_PACKET_TOO_BIG, 0, w->room))
		return drop(DROP_BAD_MAP);
	count(EVENT_TOO_BIG);
	return XDP_TX;
}
