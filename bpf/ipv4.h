//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* An IPv4 packet: for a listener, from a nat backend, or not ours. */
#pragma once

#include "reply.h"

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

/* What can't be parsed further is ours when its VIP and protocol have a listener. */
static __always_inline int refuse4(struct iphdr *ip, enum reason reason)
{
	return listener4(ip->daddr, 0, ip->protocol) ? drop(reason) : pass(PASS_NOT_OURS);
}

static __always_inline int forward4(struct xdp_md *ctx, struct ethhdr *eth, struct iphdr *ip, struct l4 l4,
				    struct call *call)
{
	int id = backend_for(FAMILY_IPV4, call);
	struct transport_ports *ports = l4.header;
	struct backend *be;

	if (id < 0)
		return drop(-id);
	be = backend_of(FAMILY_IPV4, id);
	if (!be)
		return drop(DROP_BAD_MAP);
	if (call->forwarding == FORWARDING_NAT) {
		if (ip->ttl <= 1)
			return drop(DROP_TTL);
		rewrite4(ip, &ip->daddr, l4, &ports->dest, be->addr[0], be->port ? be->port : ports->dest);
	}
	return send_to(ctx, eth, be);
}

/* A reply of a nat backend: back to the VIP and to the next hop that the client's packets came from. */
static __always_inline int reply4(struct xdp_md *ctx, struct ethhdr *eth, struct iphdr *ip, struct l4 l4,
				  struct call *call)
{
	struct listener_key4 key = { .vip = ip->saddr, .port = call->t.sport, .proto = call->t.proto };
	struct reply *reply = bpf_map_lookup_elem(&replies4, &key);
	struct transport_ports *ports = l4.header;
	struct cold *cold;
	int verdict;

	if (!reply)
		return pass(PASS_NOT_OURS);
	flow_id4(&call->id, ip->daddr, call->t.dport, reply->port, reply->vip_id);
	cold = answered(FAMILY_IPV4, call, &key, &verdict);
	if (!cold)
		return verdict;
	if (ip->ttl <= 1)
		return drop(DROP_TTL);
	rewrite4(ip, &ip->saddr, l4, &ports->source, reply->vip[0], reply->port);
	return send_back(ctx, eth, cold);
}

static __always_inline int ipv4(struct xdp_md *ctx, struct ethhdr *eth, struct cursor *c)
{
	struct iphdr *ip = parse_ipv4(c);
	struct listener *listener;
	struct call call = {};
	__u32 total, header;
	struct l4 l4;

	if (!ip)
		return pass(PASS_MALFORMED);
	if (!filtered4(ip->daddr) && !filtered4(ip->saddr))
		return pass(PASS_NOT_OURS);
	call.t.proto = ip->protocol;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return pass(PASS_NOT_OURS);
	if (ip->frag_off & bpf_htons(IP_MF_OFFSET))
		return refuse4(ip, DROP_FRAGMENT);
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	l4.header = parse_transport(c, total - header, &call.t);
	if (!l4.header)
		return refuse4(ip, DROP_MALFORMED);
	l4.end = c->end;
	l4.proto = call.t.proto;
	call.now = tick_now();
	listener = listener4(ip->daddr, call.t.dport, ip->protocol);
	if (!listener || listener->kind == LISTENER_MARK)
		return reply4(ctx, eth, ip, l4, &call);
	flow_id4(&call.id, ip->saddr, call.t.sport, call.t.dport, listener->vip);
	call.service = listener->service;
	call.forwarding = listener->forwarding;
	call.closed = listener->kind == LISTENER_CLOSED;
	call.last_hop = last_hop(ctx, eth);
	return forward4(ctx, eth, ip, l4, &call);
}
