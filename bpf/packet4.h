//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Reading an IPv4 packet, and finding what it is for. */
#pragma once

#include "forward4.h"
#include "known.h"

static __always_inline bool filtered4(__be32 addr)
{
	__u32 bit = (addr * 0x9e3779b1U) >> 16;

	return globals.address_filter[bit / 64] >> (bit % 64) & 1;
}

static __always_inline struct listener *listener4(__be32 vip, __be16 port, __u8 proto)
{
	struct listener_key4 key = { .vip = vip, .port = port, .proto = proto };

	return bpf_map_lookup_elem(&listeners4, &key);
}

/* The listener of a port, or else the one of all ports. */
static __always_inline struct listener *serving4(__be32 vip, __be16 port, __u8 proto)
{
	struct listener *l = listener4(vip, port, proto);

	if (!l)
		l = listener4(vip, 0, proto);
	return l && l->kind != LISTENER_MARK ? l : NULL;
}

/* serving4(), for the hot program. */
static __always_inline struct listener *known_serving4(__be32 vip, __be16 port, __u8 proto)
{
	struct listener_key4 key = { .vip = vip, .port = port, .proto = proto };
	struct known4 *known = known4_of(&key);
	__u64 stamp = listeners_stamp_now();
	struct listener *l;

	if (!known)
		return NULL;
	if (*(__u64 *)&known->key == *(__u64 *)&key && known->stamp == stamp)
		return &known->listener;
	l = serving4(vip, port, proto);
	if (!l)
		return NULL;
	known->key = key;
	known->listener = *l;
	known->stamp = stamp;
	return &known->listener;
}

/* What can't be parsed further is ours when its VIP and protocol have a listener. */
static __always_inline int refuse4(struct iphdr *ip, enum reason reason)
{
	return listener4(ip->daddr, 0, ip->protocol) ? drop(reason) : pass(PASS_NOT_OURS);
}

/* Sources that no packet may have (RFC 1812, section 5.3.7), our own included. */
static __always_inline bool martian4(__be32 source, __be32 vip)
{
	__u32 a = bpf_ntohl(source);

	return a >> 24 == 0 || a >> 24 == 127 || a >> 28 >= 0xe || source == vip;
}

/* A frame from its Ethernet header on: what stands behind the tags. */
static __always_inline bool open_frame(struct xdp_md *ctx, struct packet *p, struct cursor *c, __be16 *eth_proto)
{
	int i;

	c->pos = (void *)(long)ctx->data;
	c->end = (void *)(long)ctx->data_end;
	p->ctx = ctx;
	p->l2 = ETH_HLEN;
	p->eth = parse_eth(c, eth_proto);
	if (!p->eth)
		return false;
	for (i = 0; i < VLAN_DEPTH && is_vlan(*eth_proto); i++) {
		if (!parse_vlan(c, eth_proto))
			return false;
		p->l2 += sizeof(struct vlan_tag);
	}
	return true;
}

static __always_inline struct iphdr *read4(struct packet *p, struct cursor *c)
{
	struct iphdr *ip = parse_ipv4(c);

	if (!ip)
		return NULL;
	p->len = bpf_ntohs(ip->tot_len);
	p->l4.end = c->end;
	p->l4.proto = ip->protocol;
	return ip;
}

/* The packet again, in a program that it was handed on to. */
static __always_inline struct iphdr *reopen4(struct xdp_md *ctx, struct packet *p, struct cursor *c)
{
	__be16 eth_proto;

	return open_frame(ctx, p, c, &eth_proto) ? read4(p, c) : NULL;
}

/* Bytes behind the cursor that the IP header promises; more than 0xffff when it promises less than what is before. */
static __always_inline __u32 rest_of(const struct packet *p, const void *ip, const struct cursor *c)
{
	return p->len - (__u32)(c->pos - ip);
}

/* Whether the frame has them all. */
static __always_inline bool is_whole(const struct packet *p, const void *ip, const struct cursor *c)
{
	__u32 rest = rest_of(p, ip, c);

	return rest <= 0xffff && frame_holds(p->ctx, c, rest);
}

/* Behind the IP header: TCP or UDP. whole: not the first of several fragments. */
static __always_inline bool read_transport4(struct packet *p, struct iphdr *ip, struct cursor *c, bool whole,
					    struct transport *t)
{
	t->proto = ip->protocol;
	p->l4.header = parse_transport(p->ctx, c, p->len - ip->ihl * 4, whole, t);
	return p->l4.header != NULL;
}
