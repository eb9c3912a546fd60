//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Writing the packet: MAC addresses in every mode, and in nat addresses, ports, TTL and checksums.
 *
 * Checksums are changed incrementally, RFC 1624 equation 3: HC' = ~(~HC + ~m + m'). A UDP checksum of 0 means none in
 * IPv4 and stays 0; one that comes out as 0 is sent as 0xffff (RFC 768).
 */
#pragma once

#include "count.h"
#include "parse.h"

/* Where the transport header lies. */
struct l4 {
	void *header;
	void *end; /* of the frame */
	__u8 proto;
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

/* Applies a difference to a checksum; ends carried round until none is left. */
static __always_inline __sum16 csum_apply(__sum16 check, __u64 sum)
{
	sum += (__u16)~check;
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
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

static __always_inline void rewrite4(struct iphdr *ip, __be32 *addr, struct l4 l4, __be16 *port, __be32 to,
				     __be16 to_port)
{
	__u64 sum = csum_words(0, addr, &to, 1);

	ttl_lower(ip);
	ip->check = csum_apply(ip->check, sum);
	csum_transport(l4, csum_port(sum, *port, to_port));
	*addr = to;
	*port = to_port;
}

static __always_inline void rewrite6(struct ipv6hdr *ip, __be32 *addr, struct l4 l4, __be16 *port, const __be32 *to,
				     __be16 to_port)
{
	__u64 sum = csum_words(0, addr, to, 4);

	ip->hop_limit--;
	csum_transport(l4, csum_port(sum, *port, to_port));
	__builtin_memcpy(addr, to, 16);
	*port = to_port;
}

static __always_inline int transmit(struct xdp_md *ctx, __u32 ifindex)
{
	return ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(ifindex, 0);
}

/* The backend's next hop becomes the destination, this host's interface the source. */
static __always_inline int send_to(struct xdp_md *ctx, struct ethhdr *eth, const struct backend *be)
{
	struct counters *n = counters_of(be->generation);
	__u64 hop = *(volatile __u64 *)be->dst_mac;

	if (hop >> 48 != BACKEND_RESOLVED)
		return drop(DROP_UNRESOLVED);
	if (n) {
		n->packets++;
		n->bytes += ctx->data_end - ctx->data;
	}
	*(__u32 *)eth->h_dest = hop;
	*(__u16 *)(eth->h_dest + 4) = hop >> 32;
	__builtin_memcpy(eth->h_source, be->src_mac, ETH_ALEN);
	return transmit(ctx, be->ifindex);
}
