//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* The last program for a packet whose backend or client was not found by the hot one. work says which. */
#pragma once

#include "flow.h"
#include "mss.h"

/* The transport header behind whatever IP has before it. A first fragment's UDP length is more than it has. */
static __always_inline void *ports_behind6(struct packet *p, struct cursor *c)
{
	struct fragment_header *f = c->pos;

	if (p->l4.proto != IPPROTO_FRAGMENT)
		return c->pos;
	if ((void *)(f + 1) > c->end)
		return NULL;
	c->pos = f + 1;
	walk(p, c, f->next);
	return c->pos;
}

/* Room for the least transport header, UDP's: the packet was parsed before, the verifier has to be told again. */
static __always_inline bool has_ports(const struct packet *p)
{
	return p->l4.header && p->l4.header + sizeof(struct udphdr) <= p->l4.end;
}

/* work.call.backend sends it, and what its way takes is the client's to know. */
static __always_inline int send_to_client4(struct packet *p, struct iphdr *ip, struct work *w)
{
	struct backend *be = backend_of(FAMILY_IPV4, w->call.backend);

	if (w->ports && w->call.t.flags & TCP_SYN && be)
		clamp_mss(p, be->service, be->room - sizeof(*ip) - sizeof(struct tcphdr));
	return send_back4(p, ip, &w->reply, w->last_hop);
}

static __always_inline int send_packet4(struct xdp_md *ctx)
{
	struct work *w = working();
	struct backend *be;
	struct packet p;
	struct cursor c;
	struct iphdr *ip;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	be = backend_of(FAMILY_IPV4, w->backend);
	p.l4.header = w->ports ? c.pos : NULL;
	if (!be || (w->ports && !has_ports(&p)))
		return drop(DROP_BAD_MAP);
	if (!w->backend)
		return send_to_client4(&p, ip, w);
	if (w->ports && w->call.t.flags & TCP_SYN)
		clamp_mss(&p, be->service, be->room - sizeof(*ip) - sizeof(struct tcphdr));
	return forward4(&p, ip, w->backend, be, w->spread);
}

/* work.call.backend sends it, and what its way takes is the client's to know. */
static __always_inline int send_to_client6(struct packet *p, struct ipv6hdr *ip, struct work *w)
{
	struct backend *be = backend_of(FAMILY_IPV6, w->call.backend);

	if (w->ports && w->call.t.flags & TCP_SYN && be)
		clamp_mss(p, be->service, be->room - sizeof(*ip) - sizeof(struct tcphdr));
	return send_back6(p, ip, &w->reply, w->last_hop);
}

static __always_inline int send_packet6(struct xdp_md *ctx)
{
	struct work *w = working();
	struct backend *be;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	be = backend_of(FAMILY_IPV6, w->backend);
	p.l4.header = w->ports ? ports_behind6(&p, &c) : NULL;
	if (!be || (w->ports && !has_ports(&p)))
		return drop(DROP_BAD_MAP);
	if (!w->backend)
		return send_to_client6(&p, ip, w);
	if (w->ports && w->call.t.flags & TCP_SYN)
		clamp_mss(&p, be->service, be->room - sizeof(*ip) - sizeof(struct tcphdr));
	return forward6(&p, ip, w->backend, be, w->spread);
}
