//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Writing the packet: MAC addresses in every mode, and in nat addresses, ports, TTL and checksums.
 *
 * Checksums are changed incrementally, RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). A UDP checksum of 0 means none in
 * IPv4 and stays 0; one that comes out as 0 is sent as 0xffff (RFC 768).
 */
#pragma once

#include "parse.h"
#include "steps.h"

/* Where the transport header lies. */
struct l4 {
	void *header; /* NULL: a later fragment, which has none */
	void *end;    /* of the frame */
	__u8 proto;
};

/* A packet as the frame shows it. */
struct packet {
	struct xdp_md *ctx;
	struct ethhdr *eth;
	__u32 l2;  /* bytes before the IP header: Ethernet and its tags */
	__u32 len; /* of the IP packet */
	struct l4 l4;
};

static __always_inline __u64 csum_words(__u64 sum, const __be32 *from, const __be32 *to, const int words)
{
	int i;

#pragma unroll
	for (i = 0; i < words; i++)
		sum += (__u64)~from[i] + to[i];
	return sum;
}

static __always_inline __u64 csum_port(__u64 sum, __be16 from, __be16 to)
{
	return sum + (__u16)~from + to;
}

/* The checksum of a sum; ends carried round until none is left. */
static __always_inline __sum16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Applies a difference to a checksum. */
static __always_inline __sum16 csum_apply(__sum16 check, __u64 sum)
{
	return csum_fold(sum + (__u16)~check);
}

/* The bound was checked when the header was parsed; the verifier forgets which protocol that was for. */
static __always_inline void csum_transport(struct l4 l4, __u64 sum)
{
	if (l4.proto == IPPROTO_TCP) {
		struct tcphdr *tcp = l4.header;

		if ((void *)(tcp + 1) <= l4.end)
			tcp->check = csum_apply(tcp->check, sum);
	} else {
		struct udphdr *udp = l4.header;

		if (!udp->check)
			return;
		udp->check = csum_apply(udp->check, sum);
		if (!udp->check)
			udp->check = 0xffff;
	}
}

/* A router's share: one less, and the header checksum with it. */
static __always_inline void ttl_lower(struct iphdr *ip)
{
	__u32 check = ip->check + bpf_htons(0x0100);

	ip->check = check + (check >= 0xffff);
	ip->ttl--;
}

/* to_port 0 keeps the packet's. A later fragment has neither port nor checksum: the first one's covers them all. */
static __always_inline void rewrite_l4(struct l4 l4, __u64 sum, __be16 *port, __be16 to_port)
{
	if (!l4.header)
		return;
	if (to_port) {
		sum = csum_port(sum, *port, to_port);
		*port = to_port;
	}
	csum_transport(l4, sum);
}

static __always_inline void rewrite4(struct iphdr *ip, __be32 *addr, struct l4 l4, __be16 *port, __be32 to,
				     __be16 to_port)
{
	__u64 sum = csum_words(0, addr, &to, 1);

	ttl_lower(ip);
	ip->check = csum_apply(ip->check, sum);
	rewrite_l4(l4, sum, port, to_port);
	*addr = to;
}

static __always_inline void rewrite6(struct ipv6hdr *ip, __be32 *addr, struct l4 l4, __be16 *port, const __be32 *to,
				     __be16 to_port)
{
	__u64 sum = csum_words(0, addr, to, 4);

	ip->hop_limit--;
	rewrite_l4(l4, sum, port, to_port);
	__builtin_memcpy(addr, to, 16);
}

static __always_inline int transmit(struct xdp_md *ctx, __u32 ifindex)
{
	return ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(ifindex, 0);
}

static __always_inline void count_sent(const struct packet *p, __u32 id, const struct backend *be)
{
	struct sent *n = sent_to(id, be);

	if (n) {
		n->packets++;
		n->bytes += p->l2 + p->len;
	}
}

/* Back to where the frame came from. */
static __always_inline void swap_macs(struct ethhdr *eth)
{
	__u8 mac[ETH_ALEN];

	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
}

static __always_inline void set_macs(struct ethhdr *eth, __u64 hop, const __u8 *source)
{
	*(__u32 *)eth->h_dest = hop;
	*(__u16 *)(eth->h_dest + 4) = hop >> 32;
	__builtin_memcpy(eth->h_source, source, ETH_ALEN);
}
