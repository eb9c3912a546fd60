//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Parsing. Each parse_ helper takes a cursor, returns the header or NULL when it does not fit the frame, and moves the
 * cursor only on success. The result is one small struct that every later step reads.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

enum {
	IP_MF_OFFSET = 0x3fff, /* more fragments, or an offset */
	IP_LATER = 0x1fff,     /* the offset: not the first fragment */
	IP6_EXTENSIONS = 6,    /* extension headers walked before the packet counts as malformed */
	VLAN_DEPTH = 2,
};

enum tcp_flags {
	TCP_FIN = 1 << 0,
	TCP_SYN = 1 << 1,
	TCP_RST = 1 << 2,
	TCP_ACK = 1 << 4,
};

struct cursor {
	void *pos;
	void *end;
};

struct vlan_tag {
	__be16 tci;
	__be16 eth_proto;
};

/* Where TCP and UDP agree. */
struct transport_ports {
	__be16 source;
	__be16 dest;
};

/* What the transport header says; ports are as on the wire, sequence numbers in host order. */
struct transport {
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 flags; /* enum tcp_flags; 0 for UDP */
	__u16 payload;
	__u32 seq;
	__u32 ack;
};

static __always_inline struct ethhdr *parse_eth(struct cursor *c, __be16 *eth_proto)
{
	struct ethhdr *eth = c->pos;

	if ((void *)(eth + 1) > c->end)
		return NULL;
	c->pos = eth + 1;
	*eth_proto = eth->h_proto;
	return eth;
}

static __always_inline bool is_vlan(__be16 eth_proto)
{
	return eth_proto == bpf_htons(ETH_P_8021Q) || eth_proto == bpf_htons(ETH_P_8021AD);
}

static __always_inline struct vlan_tag *parse_vlan(struct cursor *c, __be16 *eth_proto)
{
	struct vlan_tag *tag = c->pos;

	if ((void *)(tag + 1) > c->end)
		return NULL;
	c->pos = tag + 1;
	*eth_proto = tag->eth_proto;
	return tag;
}

/* Returns the header; the cursor stands behind its options, which are part of it. */
static __always_inline struct iphdr *parse_ipv4(struct cursor *c)
{
	struct iphdr *ip = c->pos;
	__u32 len;

	if ((void *)(ip + 1) > c->end)
		return NULL;
	len = ip->ihl * 4;
	if (ip->version != 4 || len < sizeof(*ip) || c->pos + len > c->end)
		return NULL;
	c->pos += len;
	return ip;
}

static __always_inline struct ipv6hdr *parse_ipv6(struct cursor *c)
{
	struct ipv6hdr *ip = c->pos;

	if ((void *)(ip + 1) > c->end || ip->version != 6)
		return NULL;
	c->pos = ip + 1;
	return ip;
}

/* Whether the frame has these bytes behind the cursor. Those of a jumbo frame may lie in later buffers. */
static __always_inline bool frame_holds(struct xdp_md *ctx, const struct cursor *c, __u32 bytes)
{
	if (c->pos + bytes <= c->end)
		return true;
	return c->pos - (void *)(long)ctx->data + bytes <= bpf_xdp_get_buff_len(ctx);
}

/* room is the number of bytes that the IP header promises behind itself: padding is no payload. */
static __always_inline void *parse_tcp(struct xdp_md *ctx, struct cursor *c, __u32 room, struct transport *t)
{
	struct tcphdr *tcp = c->pos;
	__u32 len;

	if ((void *)(tcp + 1) > c->end || room < sizeof(*tcp))
		return NULL;
	len = tcp->doff * 4;
	if (len < sizeof(*tcp) || len > room || !frame_holds(ctx, c, room))
		return NULL;
	t->sport = tcp->source;
	t->dport = tcp->dest;
	t->flags = ((__u8 *)tcp)[13];
	t->payload = room - len;
	t->seq = bpf_ntohl(tcp->seq);
	t->ack = bpf_ntohl(tcp->ack_seq);
	return tcp;
}

/* The length of a datagram in fragments is more than its first one has. */
static __always_inline void *parse_udp(struct xdp_md *ctx, struct cursor *c, __u32 room, bool whole,
				       struct transport *t)
{
	struct udphdr *udp = c->pos;
	__u32 len;

	if ((void *)(udp + 1) > c->end || room < sizeof(*udp))
		return NULL;
	len = bpf_ntohs(udp->len);
	if (len < sizeof(*udp) || (whole && len > room) || !frame_holds(ctx, c, room))
		return NULL;
	t->sport = udp->source;
	t->dport = udp->dest;
	return udp;
}

/* Parses TCP or UDP into t, whose proto is set already. */
static __always_inline void *parse_transport(struct xdp_md *ctx, struct cursor *c, __u32 room, bool whole,
					     struct transport *t)
{
	if (room > 0xffff)
		return NULL;
	if (t->proto == IPPROTO_TCP)
		return parse_tcp(ctx, c, room, t);
	return parse_udp(ctx, c, room, whole, t);
}
