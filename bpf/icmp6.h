//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * ICMPv6 to a VIP: as icmp4.h, but that the checksum covers the addresses too, and that a quoted packet may have
 * extension headers (RFC 4443). Neighbour discovery is passed: the kernel holds the VIP.
 */
#pragma once

#include <linux/icmpv6.h>

#include "icmp4.h"

enum {
	ICMP6_UNREACH = 1,
	ICMP6_PACKET_TOO_BIG = 2,
	ICMP6_TIME_EXCEED = 3,
	ICMP6_PARAM_PROB = 4,
	ICMP6_ECHO = 128,
	ICMP6_ECHO_REPLY = 129,
};

static __always_inline struct icmp6hdr *parse_icmp6(struct cursor *c)
{
	struct icmp6hdr *icmp = c->pos;

	if ((void *)(icmp + 1) > c->end)
		return NULL;
	c->pos = icmp + 1;
	return icmp;
}

static __always_inline int echo6(struct packet *p, struct ipv6hdr *ip, struct icmp6hdr *icmp, struct work *w)
{
	struct in6_addr vip = ip->daddr;

	if (!is_vip6(&ip->daddr))
		return pass(PASS_NOT_OURS);
	if (martian6(&ip->saddr, &ip->daddr))
		return drop(DROP_MARTIAN);
	if (!echo_allowed(w))
		return drop(DROP_ECHO);
	swap_macs(p->eth);
	ip->daddr = ip->saddr;
	ip->saddr = vip;
	ip->hop_limit = OUTER_TTL;
	icmp->icmp6_cksum = csum_apply(icmp->icmp6_cksum, csum_port(0, bpf_htons(ICMP6_ECHO << 8), bpf_htons(ICMP6_ECHO_REPLY << 8)));
	icmp->icmp6_type = ICMP6_ECHO_REPLY;
	count(EVENT_ECHO);
	return XDP_TX;
}

/* An address of the outer header changes too, by forward6() or send_back6(), and the checksum covers it. */
static __always_inline void rewrite_quoted6(const struct in6_addr *outer, struct icmp6hdr *icmp, struct in6_addr *addr,
					    struct l4 quoted, __u32 bytes, __be16 *port, const __be32 *to, __be16 to_port)
{
	__u64 change = csum_words(0, (__be32 *)addr, to, 4), l4 = change;
	__u64 sum = csum_words(change, (const __be32 *)outer, to, 4);

	__builtin_memcpy(addr, to, sizeof(*addr));
	if (to_port) {
		l4 = csum_port(l4, *port, to_port);
		sum = csum_port(sum, *port, to_port);
		*port = to_port;
	}
	sum = quoted_transport(quoted, bytes, l4, sum);
	icmp->icmp6_cksum = csum_apply(icmp->icmp6_cksum, sum);
}

/* As skip_extensions(); the quoted packet may be the first of several fragments. */
static __always_inline __u8 skip_quoted(struct cursor *c, __u8 next)
{
	struct fragment_header *f;

	next = skip_extensions(c, next);
	f = c->pos;
	if (next != IPPROTO_FRAGMENT)
		return next;
	if ((void *)(f + 1) > c->end || f->offset & bpf_htons(IP6_LATER))
		return IPPROTO_NONE;
	c->pos = f + 1;
	return skip_extensions(c, f->next);
}

static __always_inline int backend_error6(struct packet *p, struct ipv6hdr *ip, struct ipv6hdr *inner, __u8 proto,
					  const struct transport_ports *ports, struct work *w)
{
	struct call *call = &w->call;
	struct reply *reply;

	if (!same6(&inner->daddr, &ip->saddr) || !same6(&inner->saddr, &ip->daddr))
		return pass(PASS_NOT_OURS);
	reply = reply_of6(&inner->daddr, ports->dest, proto);
	if (!reply)
		return pass(PASS_NOT_OURS);
	w->outward = 1;
	w->reply = *reply;
	__builtin_memcpy(w->from.vip, &ip->saddr, sizeof(w->from.vip));
	call->t.proto = proto;
	flow_id6(&call->id, words(&inner->saddr), ports->source, reply->port ? reply->port : ports->dest, reply->vip_id);
	return step_to(p->ctx, STEP_FLOW6);
}

static __always_inline int error6(struct packet *p, struct ipv6hdr *ip, struct cursor *c, struct work *w)
{
	struct call *call = new_call(w);
	struct transport_ports *ports;
	struct ipv6hdr *inner;
	struct listener *l;
	__u64 client[2];
	__u8 proto;

	inner = parse_ipv6(c);
	if (!inner)
		return refuse6(ip, DROP_MALFORMED);
	proto = skip_quoted(c, inner->nexthdr);
	ports = c->pos;
	if (!quotes_ports(p, ip, c))
		return refuse6(ip, DROP_MALFORMED);
	l = serving6(&inner->saddr, ports->source, proto);
	if (!l || !same6(&inner->saddr, &ip->daddr))
		return backend_error6(p, ip, inner, proto, ports, w);
	w->outward = 0;
	call->t.proto = proto;
	__builtin_memcpy(client, &inner->daddr, sizeof(client));
	flow_id6(&call->id, client, ports->dest, ports->source, l->vip);
	return step_to(p->ctx, STEP_FLOW6);
}

static __always_inline int quote_packet6(struct xdp_md *ctx)
{
	struct work *w = working();
	struct transport_ports *ports;
	struct icmp6hdr *icmp;
	struct ipv6hdr *inner;
	struct ipv6hdr *ip;
	struct backend *be;
	struct l4 quoted;
	struct packet p;
	struct cursor c;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	be = backend_of(FAMILY_IPV6, w->backend);
	icmp = parse_icmp6(&c);
	inner = icmp ? parse_ipv6(&c) : NULL;
	if (!be || !inner)
		return drop(DROP_BAD_MAP);
	quoted.proto = skip_quoted(&c, inner->nexthdr);
	ports = quoted.header = c.pos;
	quoted.end = c.end;
	if (c.pos + 8 > c.end)
		return drop(DROP_BAD_MAP);
	if (w->outward)
		rewrite_quoted6(&ip->saddr, icmp, &inner->daddr, quoted, rest_of(&p, ip, &c), &ports->dest, w->reply.vip,
				w->reply.port);
	else if (be->forwarding == FORWARDING_NAT)
		rewrite_quoted6(&ip->daddr, icmp, &inner->saddr, quoted, rest_of(&p, ip, &c), &ports->source, be->addr, be->port);
	count(EVENT_ICMP_ERROR);
	return send_on(ctx, STEP_SEND6, w, w->backend, w->call.id.hash, false);
}

static __always_inline int icmp6(struct xdp_md *ctx)
{
	struct work *w = working();
	struct icmp6hdr *icmp;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	if (rest_of(&p, ip, &c) < sizeof(*icmp) || !is_whole(&p, ip, &c))
		return refuse6(ip, DROP_MALFORMED);
	icmp = parse_icmp6(&c);
	if (!icmp)
		return refuse6(ip, DROP_MALFORMED);
	switch (icmp->icmp6_type) {
	case ICMP6_ECHO:
		return echo6(&p, ip, icmp, w);
	case ICMP6_UNREACH:
	case ICMP6_PACKET_TOO_BIG:
	case ICMP6_TIME_EXCEED:
	case ICMP6_PARAM_PROB:
		return error6(&p, ip, &c, w);
	}
	return pass(PASS_NOT_OURS);
}
