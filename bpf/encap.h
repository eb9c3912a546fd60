//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * ipip: another IP header before the packet's own (RFC 2003, RFC 2473). Traffic class and ECN are the inner packet's (RFC
 * 6040, section 4.1, normal mode), and so is DF. The source differs by flow, within the prefix that the operator
 * gives: a receiver spreads packets over its queues by the outer addresses, and the outer header has no ports.
 */
#pragma once

#include "tags.h"

enum {
	IP_DF = 0x4000,
	OUTER_TTL = 64,
	IPPROTO_INNER4 = 4,
	IPPROTO_INNER6 = 41,
};

/* What the outer header takes from the inner one. */
struct inner {
	__u32 spread; /* differs by flow */
	__be16 df;    /* IP_DF or 0 */
	__u8 tos;
	__u8 proto; /* IPPROTO_INNER4 or 6 */
};

static __always_inline __sum16 csum_header(const struct iphdr *ip)
{
	const __u16 *w = (const __u16 *)ip;
	__u32 sum = 0, i;

#pragma unroll
	for (i = 0; i < sizeof(*ip) / 2; i++)
		sum += w[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void write_outer4(struct iphdr *ip, const struct inner *in, __u32 len, __be32 to)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = in->tos;
	ip->tot_len = bpf_htons(len + sizeof(*ip));
	ip->id = in->df ? 0 : bpf_get_prandom_u32(); /* atomic datagrams need none (RFC 6864, section 4.1) */
	ip->frag_off = in->df;
	ip->ttl = OUTER_TTL;
	ip->protocol = in->proto;
	ip->check = 0;
	ip->saddr = globals.source4 | (in->spread & globals.spread4);
	ip->daddr = to;
	ip->check = csum_header(ip);
}

/* The flow label differs by flow too (RFC 6438). */
static __always_inline void write_outer6(struct ipv6hdr *ip, const struct inner *in, __u32 len, const __be32 *to)
{
	*(__be32 *)ip = bpf_htonl(6U << 28 | (__u32)in->tos << 20 | (in->spread & 0xfffff));
	ip->payload_len = bpf_htons(len);
	ip->nexthdr = in->proto;
	ip->hop_limit = OUTER_TTL;
	__builtin_memcpy(&ip->saddr, globals.source6, sizeof(ip->saddr));
	ip->saddr.in6_u.u6_addr32[3] |= in->spread & globals.spread6;
	__builtin_memcpy(&ip->daddr, to, sizeof(ip->daddr));
}

/* Makes room before the packet, and writes Ethernet, tags and the outer header. The packet itself is not looked at again. */
static __always_inline int encapsulate(struct packet *p, const struct backend *be, __u64 hop, const struct inner *in)
{
	const bool four = be->outer == FAMILY_IPV4;
	const int header = four ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	struct tags tags = tags_for(p, &be->tags);
	void *data, *end, *outer;

	if (bpf_xdp_adjust_head(p->ctx, (int)p->l2 - (int)(ETH_HLEN + tags.bytes) - header))
		return drop(DROP_HEADROOM);
	data = (void *)(long)p->ctx->data;
	end = (void *)(long)p->ctx->data_end;
	outer = data + ETH_HLEN + tags.bytes;
	if (data + L2_MAX + sizeof(struct iphdr) > end || outer + sizeof(struct iphdr) > end)
		return drop(DROP_BAD_MAP);
	set_macs(data, hop, be->src_mac);
	write_tags(data, &tags, four ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6));
	if (four) {
		write_outer4(outer, in, p->len, be->addr[0]);
	} else {
		if (outer + sizeof(struct ipv6hdr) > end)
			return drop(DROP_BAD_MAP);
		write_outer6(outer, in, p->len, be->addr);
	}
	return transmit(p->ctx, be->ifindex);
}
