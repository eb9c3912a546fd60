//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* An IPv6 packet: for a listener, from a nat backend, or not ours. */
#pragma once

#include "reply.h"

/* Extension headers that only say what follows (RFC 8200, section 4). */
struct extension {
	__u8 next;
	__u8 units; /* of 8 bytes, the first not counted */
	__u8 rest[6];
};

static __always_inline bool filtered6(const struct in6_addr *addr)
{
	const __u32 *w = addr->in6_u.u6_addr32;
	__u32 bit = ((w[0] ^ w[1] * 3 ^ w[2] * 5 ^ w[3] * 7) * 0x9e3779b1U) >> 16;

	return globals.address_filter[bit / 64] >> (bit % 64) & 1;
}

static __always_inline struct listener *listener6(const struct in6_addr *vip, __be16 port, __u8 proto)
{
	struct listener_key6 key = { .port = port, .proto = proto };

	__builtin_memcpy(key.vip, vip, sizeof(key.vip));
	return bpf_map_lookup_elem(&listeners6, &key);
}

/* A packet without a readable transport header is ours when its VIP has a listener of either protocol. */
static __always_inline int refuse6(struct ipv6hdr *ip, enum reason reason)
{
	if (listener6(&ip->daddr, 0, IPPROTO_TCP) || listener6(&ip->daddr, 0, IPPROTO_UDP))
		return drop(reason);
	return pass(PASS_NOT_OURS);
}

/* Moves behind the extension headers. Returns the protocol found there, or NEXTHDR_NONE (59) when it can't. */
static __always_inline __u8 skip_extensions(struct cursor *c, __u8 next)
{
	int i;

	for (i = 0; i < IP6_EXTENSIONS; i++) {
		struct extension *ext = c->pos;

		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return next;
		if ((void *)(ext + 1) > c->end)
			return IPPROTO_NONE;
		next = ext->next;
		c->pos += (ext->units + 1) * 8;
		if (c->pos > c->end)
			return IPPROTO_NONE;
	}
	return IPPROTO_NONE;
}

static __always_inline int forward6(struct xdp_md *ctx, struct ethhdr *eth, struct ipv6hdr *ip, struct l4 l4,
				    struct call *call)
{
	int id = backend_for(FAMILY_IPV6, call);
	struct transport_ports *ports = l4.header;
	struct backend *be;

	if (id < 0)
		return drop(-id);
	be = backend_of(FAMILY_IPV6, id);
	if (!be)
		return drop(DROP_BAD_MAP);
	if (call->forwarding == FORWARDING_NAT) {
		if (ip->hop_limit <= 1)
			return drop(DROP_TTL);
		rewrite6(ip, (__be32 *)&ip->daddr, l4, &ports->dest, be->addr, be->port ? be->port : ports->dest);
	}
	return send_to(ctx, eth, be);
}

static __always_inline int reply6(struct xdp_md *ctx, struct ethhdr *eth, struct ipv6hdr *ip, struct l4 l4,
				  struct call *call)
{
	struct listener_key6 key = { .port = call->t.sport, .proto = call->t.proto };
	struct transport_ports *ports = l4.header;
	struct reply *reply;
	__u64 client[2];
	struct cold *cold;
	int verdict;

	__builtin_memcpy(key.vip, &ip->saddr, sizeof(key.vip));
	reply = bpf_map_lookup_elem(&replies6, &key);
	if (!reply)
		return pass(PASS_NOT_OURS);
	__builtin_memcpy(client, &ip->daddr, sizeof(client));
	flow_id6(&call->id, client, call->t.dport, reply->port, reply->vip_id);
	cold = answered(FAMILY_IPV6, call, &key, &verdict);
	if (!cold)
		return verdict;
	if (ip->hop_limit <= 1)
		return drop(DROP_TTL);
	rewrite6(ip, (__be32 *)&ip->saddr, l4, &ports->source, reply->vip, reply->port);
	return send_back(ctx, eth, cold);
}

static __always_inline int ipv6(struct xdp_md *ctx, struct ethhdr *eth, struct cursor *c)
{
	struct ipv6hdr *ip = parse_ipv6(c);
	struct listener *listener;
	struct call call = {};
	__u64 client[2];
	__u32 room;
	struct l4 l4;

	if (!ip)
		return pass(PASS_MALFORMED);
	if (!filtered6(&ip->daddr) && !filtered6(&ip->saddr))
		return pass(PASS_NOT_OURS);
	room = bpf_ntohs(ip->payload_len);
	call.t.proto = skip_extensions(c, ip->nexthdr);
	room -= c->pos - (void *)(ip + 1);
	if (call.t.proto == IPPROTO_FRAGMENT)
		return refuse6(ip, DROP_FRAGMENT);
	if (call.t.proto == IPPROTO_NONE)
		return refuse6(ip, DROP_MALFORMED);
	if (call.t.proto != IPPROTO_TCP && call.t.proto != IPPROTO_UDP)
		return pass(PASS_NOT_OURS);
	l4.header = parse_transport(c, room, &call.t);
	if (!l4.header)
		return refuse6(ip, DROP_MALFORMED);
	l4.end = c->end;
	l4.proto = call.t.proto;
	call.now = tick_now();
	listener = listener6(&ip->daddr, call.t.dport, call.t.proto);
	if (!listener || listener->kind == LISTENER_MARK)
		return reply6(ctx, eth, ip, l4, &call);
	__builtin_memcpy(client, &ip->saddr, sizeof(client));
	flow_id6(&call.id, client, call.t.sport, call.t.dport, listener->vip);
	call.service = listener->service;
	call.forwarding = listener->forwarding;
	call.closed = listener->kind == LISTENER_CLOSED;
	call.last_hop = last_hop(ctx, eth);
	return forward6(ctx, eth, ip, l4, &call);
}
