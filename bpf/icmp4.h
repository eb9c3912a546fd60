//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * ICMP to a VIP: echo is answered here; an error goes to the backend whose flow the quoted packet is of (RFC 792: the IP
 * header and eight bytes, which hold the ports). In nat the quoted packet is rewritten as the flow's are. An error that a
 * nat backend sends to a client is rewritten too, and goes where its replies go.
 */
#pragma once

#include "flow.h"

/* RFC 792. linux/icmp.h is not for programs of this kind: it asks for the C library. */
struct icmphdr {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be16 unused;
	__be16 mtu; /* of the next hop (RFC 1191) */
};

enum icmp_type {
	ICMP_ECHOREPLY = 0,
	ICMP_DEST_UNREACH = 3,
	ICMP_ECHO = 8,
	ICMP_TIME_EXCEEDED = 11,
	ICMP_PARAMETERPROB = 12,
};

static __always_inline struct icmphdr *parse_icmp(struct cursor *c)
{
	struct icmphdr *icmp = c->pos;

	if ((void *)(icmp + 1) > c->end)
		return NULL;
	c->pos = icmp + 1;
	return icmp;
}

static __always_inline bool is_vip4(__be32 addr)
{
	return listener4(addr, 0, IPPROTO_TCP) || listener4(addr, 0, IPPROTO_UDP);
}

static __always_inline bool echo_allowed(struct work *w)
{
	return !globals.echo_off && within_limit(w, LIMITED_ECHO);
}

static __always_inline int echo4(struct packet *p, struct iphdr *ip, struct icmphdr *icmp, struct work *w)
{
	__be32 vip = ip->daddr;

	if (!is_vip4(vip))
		return pass(PASS_NOT_OURS);
	if (martian4(ip->saddr, vip))
		return drop(DROP_MARTIAN);
	if (!echo_allowed(w))
		return drop(DROP_ECHO);
	swap_macs(p->eth);
	ip->daddr = ip->saddr; /* a swap leaves the sum as it is */
	ip->saddr = vip;
	ip->check = csum_apply(ip->check, csum_port(0, bpf_htons(ip->ttl << 8), bpf_htons(OUTER_TTL << 8)));
	ip->ttl = OUTER_TTL;
	icmp->checksum = csum_apply(icmp->checksum, csum_port(0, bpf_htons(ICMP_ECHO << 8), bpf_htons(ICMP_ECHOREPLY << 8)));
	icmp->type = ICMP_ECHOREPLY;
	count(EVENT_ECHO);
	return XDP_TX;
}

/* A 16-bit word that changes inside of what another checksum covers. */
static __always_inline __u64 csum_check(__u64 sum, __sum16 from, __sum16 to)
{
	return sum + (__u16)~from + to;
}

/*
 * The quoted transport checksum, where the quote, of so many bytes, reaches that far; the change is added to the outer
 * one's. What follows the packet in its frame is no part of the quote.
 */
static __always_inline __u64 quoted_transport(struct l4 quoted, __u32 bytes, __u64 change, __u64 sum)
{
	if (quoted.proto == IPPROTO_TCP) {
		struct tcphdr *tcp = quoted.header;
		__sum16 *check = &tcp->check, old;

		if (bytes < offsetof(struct tcphdr, check) + sizeof(*check) || (void *)(check + 1) > quoted.end)
			return sum;
		old = *check;
		*check = csum_apply(old, change);
		return csum_check(sum, old, *check);
	} else {
		struct udphdr *udp = quoted.header;
		__sum16 old;

		if ((void *)(udp + 1) > quoted.end)
			return sum;
		old = udp->check;
		csum_transport(quoted, change);
		return csum_check(sum, old, udp->check);
	}
}

/*
 * The quoted packet becomes what whoever hears of it has sent: one of its addresses, and the port with it, are another.
 * to_port 0 keeps the packet's.
 */
static __always_inline void rewrite_quoted4(struct icmphdr *icmp, struct iphdr *inner, struct l4 quoted, __u32 bytes,
					    __be32 *addr, __be16 *port, __be32 to, __be16 to_port)
{
	__u64 change = csum_words(0, addr, &to, 1), sum = change;
	__sum16 old = inner->check;
	__u64 l4 = change;

	*addr = to;
	inner->check = csum_apply(old, change);
	sum = csum_check(sum, old, inner->check);
	if (to_port) {
		l4 = csum_port(l4, *port, to_port);
		sum = csum_port(sum, *port, to_port);
		*port = to_port;
	}
	sum = quoted_transport(quoted, bytes, l4, sum);
	icmp->checksum = csum_apply(icmp->checksum, sum);
}

/* The eight bytes behind the quoted IP header. */
static __always_inline bool quotes_ports(const struct packet *p, const void *ip, const struct cursor *c)
{
	__u32 rest = rest_of(p, ip, c);

	return rest >= 8 && rest <= 0xffff && c->pos + 8 <= c->end;
}

static __always_inline int malformed4(struct iphdr *ip)
{
	return is_vip4(ip->daddr) ? drop(DROP_MALFORMED) : pass(PASS_NOT_OURS);
}

/* An error of a nat backend about a client's packet that it was sent. */
static __always_inline int backend_error4(struct packet *p, struct iphdr *ip, struct iphdr *inner,
					  const struct transport_ports *ports, struct work *w)
{
	struct call *call = &w->call;
	struct reply *reply;

	if (inner->daddr != ip->saddr || inner->saddr != ip->daddr || inner->frag_off & bpf_htons(IP_LATER))
		return pass(PASS_NOT_OURS);
	reply = reply_of4(inner->daddr, ports->dest, inner->protocol);
	if (!reply)
		return pass(PASS_NOT_OURS);
	w->outward = 1;
	w->reply = *reply;
	w->from.vip[0] = ip->saddr;
	call->t.proto = inner->protocol;
	flow_id4(&call->id, inner->saddr, ports->source, reply->port ? reply->port : ports->dest, reply->vip_id);
	return step_to(p->ctx, STEP_FLOW4);
}

static __always_inline int error4(struct packet *p, struct iphdr *ip, struct cursor *c, struct work *w)
{
	struct call *call = new_call(w);
	struct transport_ports *ports;
	struct iphdr *inner;
	struct listener *l;

	inner = parse_ipv4(c);
	ports = c->pos;
	if (!inner || !quotes_ports(p, ip, c))
		return malformed4(ip);
	l = inner->frag_off & bpf_htons(IP_LATER) ? NULL : serving4(inner->saddr, ports->source, inner->protocol);
	if (!l || inner->saddr != ip->daddr)
		return backend_error4(p, ip, inner, ports, w);
	w->outward = 0;
	call->t.proto = inner->protocol;
	flow_id4(&call->id, inner->daddr, ports->dest, ports->source, l->vip);
	return step_to(p->ctx, STEP_FLOW4);
}

/* The flow was found, and work says whose it is. */
static __always_inline int quote_packet4(struct xdp_md *ctx)
{
	struct work *w = working();
	struct transport_ports *ports;
	struct icmphdr *icmp;
	struct iphdr *inner;
	struct backend *be;
	struct l4 quoted;
	struct iphdr *ip;
	struct packet p;
	struct cursor c;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	be = backend_of(FAMILY_IPV4, w->backend);
	icmp = parse_icmp(&c);
	inner = icmp ? parse_ipv4(&c) : NULL;
	ports = quoted.header = c.pos;
	quoted.end = c.end;
	if (!be || !inner || c.pos + 8 > c.end)
		return drop(DROP_BAD_MAP);
	quoted.proto = inner->protocol;
	if (w->outward)
		rewrite_quoted4(icmp, inner, quoted, rest_of(&p, ip, &c), &inner->daddr, &ports->dest, w->reply.vip[0],
				w->reply.port);
	else if (be->forwarding == FORWARDING_NAT)
		rewrite_quoted4(icmp, inner, quoted, rest_of(&p, ip, &c), &inner->saddr, &ports->source, be->addr[0], be->port);
	count(EVENT_ICMP_ERROR);
	return send_on(ctx, STEP_SEND4, w, w->backend, w->call.id.hash, false);
}

static __always_inline int icmp4(struct xdp_md *ctx)
{
	struct work *w = working();
	struct icmphdr *icmp;
	struct packet p;
	struct cursor c;
	struct iphdr *ip;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	if (ip->frag_off & bpf_htons(IP_MF_OFFSET))
		return pass(PASS_NOT_OURS);
	if (rest_of(&p, ip, &c) < sizeof(*icmp) || !is_whole(&p, ip, &c))
		return malformed4(ip);
	icmp = parse_icmp(&c);
	if (!icmp)
		return malformed4(ip);
	switch (icmp->type) {
	case ICMP_ECHO:
		return echo4(&p, ip, icmp, w);
	case ICMP_DEST_UNREACH:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETERPROB:
		return error4(&p, ip, &c, w);
	}
	return pass(PASS_NOT_OURS);
}
