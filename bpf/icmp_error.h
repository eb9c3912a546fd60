//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * ICMP errors that are built here (RFC 792, RFC 4443). The packet itself becomes the quote: its tail is cut off, and the
 * error goes before it, back to where the packet came from.
 */
#pragma once

#include "icmp6.h"

/* Cuts the packet to its quote, and makes room before it for IP and ICMP headers; the frame goes back where it came from. */
static __always_inline bool quote(struct packet *p, const __u32 bytes, const __u32 headers, const __be16 type)
{
	__u32 frame = bpf_xdp_get_buff_len(p->ctx);
	struct tags tags = read_tags(p->eth, p->l2);
	struct ethhdr old = *p->eth, *eth;

	/* What is quoted is summed: it has to lie in the first buffer. */
	if (p->len < bytes || (void *)p->eth + p->l2 + bytes > p->l4.end)
		return false;
	if (bpf_xdp_adjust_tail(p->ctx, -(int)(frame - p->l2 - bytes)) || bpf_xdp_adjust_head(p->ctx, -(int)headers))
		return false;
	eth = (void *)(long)p->ctx->data;
	if ((void *)eth + L2_MAX > (void *)(long)p->ctx->data_end)
		return false;
	__builtin_memcpy(eth->h_dest, old.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, old.h_dest, ETH_ALEN);
	write_tags(eth, &tags, type);
	p->eth = eth;
	return true;
}

/* The headers before what quote() has left: bytes of it. bytes + 8 is at most what bpf_csum_diff() sums at once, 512. */
static __always_inline bool write_error4(struct packet *p, const __u32 bytes, __be32 from, __be32 to, const __u8 type,
					 __u8 code, __u16 mtu)
{
	struct iphdr *ip = (void *)p->eth + p->l2;
	struct icmphdr *icmp = (void *)(ip + 1);
	const __u32 summed = bytes + sizeof(*icmp);

	if ((void *)icmp + summed > (void *)(long)p->ctx->data_end)
		return false;
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = 0xc0; /* internetwork control (RFC 1812, section 4.3.2.5) */
	ip->tot_len = bpf_htons(sizeof(*ip) + summed);
	ip->ttl = OUTER_TTL;
	ip->protocol = IPPROTO_ICMP;
	ip->saddr = from;
	ip->daddr = to;
	ip->check = csum_header(ip);
	__builtin_memset(icmp, 0, sizeof(*icmp));
	icmp->type = type;
	icmp->code = code;
	icmp->mtu = bpf_htons(mtu);
	icmp->checksum = csum_fold(bpf_csum_diff(NULL, 0, (__be32 *)icmp, summed, 0));
	return true;
}

static __always_inline bool write_error6(struct packet *p, const __u32 bytes, const struct in6_addr *from,
					 const struct in6_addr *to, const __u8 type, __u8 code, __u32 mtu)
{
	struct ipv6hdr *ip = (void *)p->eth + p->l2;
	struct icmp6hdr *icmp = (void *)(ip + 1);
	const __u32 summed = bytes + sizeof(*icmp);
	__u64 sum;

	if ((void *)icmp + summed > (void *)(long)p->ctx->data_end)
		return false;
	*(__be32 *)ip = bpf_htonl(6U << 28);
	ip->payload_len = bpf_htons(summed);
	ip->nexthdr = IPPROTO_ICMPV6;
	ip->hop_limit = OUTER_TTL;
	ip->saddr = *from;
	ip->daddr = *to;
	__builtin_memset(icmp, 0, sizeof(*icmp));
	icmp->icmp6_type = type;
	icmp->icmp6_code = code;
	icmp->icmp6_mtu = bpf_htonl(mtu);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)&ip->saddr, 32, 0);
	sum = bpf_csum_diff(NULL, 0, (__be32 *)icmp, summed, sum);
	icmp->icmp6_cksum = csum_fold(sum + bpf_htonl(summed) + bpf_htonl(IPPROTO_ICMPV6));
	return true;
}
