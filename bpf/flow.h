//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The program behind the hot one: clients' packets that are no plain hit, nat's replies that are none, and errors about
 * flows. It alone has the machinery of the flow table, so that the verifier walks that once a family.
 */
#pragma once

#include "fragments.h"
#include "reply.h"

/* An address of the packet as two words: a copy would be too much for the stack. */
static __always_inline const __u64 *words(const struct in6_addr *addr)
{
	return (const void *)addr;
}

/* An empty call. Cleared by hand: it is too large for a compiler's idea of a store. */
static __always_inline struct call *new_call(struct work *w)
{
	__builtin_memset(&w->call, 0, sizeof(w->call));
	w->call.now = tick_now();
	return &w->call;
}

static __always_inline void address_call(struct call *call, const struct packet *p, const struct listener *l)
{
	call->service = l->service;
	call->forwarding = l->forwarding;
	call->closed = l->kind == LISTENER_CLOSED ? DROP_LISTENER_CLOSED : 0;
	call->midstream = is_midstream(&call->t);
	if (l->forwarding != FORWARDING_NAT)
		return;
	call->last_hop = last_hop(p);
	if (!call->last_hop && !call->closed)
		call->closed = DROP_OTHER_VLAN;
}

/* A listener's packet: the backend's id, or a negative number as settle() says. */
static __always_inline int serve4(struct packet *p, struct iphdr *ip, struct listener *l, struct call *call)
{
	int id;

	if (martian4(ip->saddr, ip->daddr))
		return -DROP_MARTIAN;
	flow_id4(&call->id, ip->saddr, call->t.sport, call->t.dport, l->vip);
	address_call(call, p, l);
	id = settle4(call);
	if (id != -NEEDS_SESSION)
		return id;
	id = join4(call);
	return id ? -id : settle4(call);
}

static __always_inline int serve6(struct packet *p, struct ipv6hdr *ip, struct listener *l, struct call *call)
{
	int id;

	if (martian6(&ip->saddr, &ip->daddr))
		return -DROP_MARTIAN;
	flow_id6(&call->id, words(&ip->saddr), call->t.sport, call->t.dport, l->vip);
	address_call(call, p, l);
	id = settle6(call);
	if (id != -NEEDS_SESSION)
		return id;
	id = join6(call);
	return id ? -id : settle6(call);
}

/* No backend: dropped, a busy service, or a session that leaves. backend tells the next program which RST to build. */
static __always_inline int refuse(struct xdp_md *ctx, const enum family family, struct call *call, enum reason reason)
{
	if (reason == DROP_BUSY)
		return step_to(ctx, family == FAMILY_IPV4 ? STEP_BUSY4 : STEP_BUSY6);
	if (reason == EVENT_RESET_CLIENT)
		call->backend = 0;
	else if (reason != EVENT_RESET_BACKEND)
		return drop(reason);
	return step_to(ctx, family == FAMILY_IPV4 ? STEP_RESET4 : STEP_RESET6);
}

/* Goes on to the backend that was found, in a program of its own. */
static __always_inline int send_on(struct xdp_md *ctx, const enum step step, struct work *w, __u32 backend, __u32 spread,
				   bool ports)
{
	w->backend = backend;
	w->spread = spread;
	w->ports = ports;
	return step_to(ctx, step);
}

/* Goes on to the client's last hop, as from the socket that work.reply says. */
static __always_inline int send_back_on(struct xdp_md *ctx, const enum step step, struct work *w, const struct cold *cold,
					bool ports)
{
	w->last_hop = *(volatile __u64 *)cold->mac;
	return send_on(ctx, step, w, 0, 0, ports);
}

/* A backend's packet: finds its flow, and leaves in call where it lies. */
static __always_inline enum answer answer_of4(struct iphdr *ip, const struct reply *reply, struct work *w)
{
	struct call *call = &w->call;

	w->from.vip[0] = ip->saddr;
	call->forwarding = FORWARDING_NAT;
	flow_id4(&call->id, ip->daddr, call->t.dport, reply->port ? reply->port : call->t.sport, reply->vip_id);
	return refresh4(call, &w->from);
}

static __always_inline enum answer answer_of6(struct ipv6hdr *ip, const struct reply *reply, struct work *w)
{
	struct call *call = &w->call;

	call->forwarding = FORWARDING_NAT;
	__builtin_memcpy(w->from.vip, &ip->saddr, sizeof(w->from.vip));
	flow_id6(&call->id, words(&ip->daddr), call->t.dport, reply->port ? reply->port : call->t.sport, reply->vip_id);
	return refresh6(call, &w->from);
}

/* Fragments of established flows keep their place in the table. */
static __always_inline bool is_established(const enum family family, struct call *call)
{
	struct hit hit;

	return seek(family, call, &hit) && meta_state(hit.word) == FLOW_ESTABLISHED;
}

/* A client's packet. fragment is the key of a datagram that this is the first of, or 0. */
static __always_inline int client4(struct packet *p, struct iphdr *ip, struct listener *l, struct work *w, __u64 fragment)
{
	int id = serve4(p, ip, l, &w->call);

	if (id < 0)
		return refuse(p->ctx, FAMILY_IPV4, &w->call, -id);
	if (fragment)
		note_fragment(fragment, fragment_value(FRAGMENT_TO_BACKEND, is_established(FAMILY_IPV4, &w->call), id, 0));
	return send_on(p->ctx, STEP_SEND4, w, id, w->call.id.hash, true);
}

static __always_inline int client6(struct packet *p, struct ipv6hdr *ip, struct listener *l, struct work *w,
				   __u64 fragment)
{
	int id = serve6(p, ip, l, &w->call);

	if (id < 0)
		return refuse(p->ctx, FAMILY_IPV6, &w->call, -id);
	if (fragment)
		note_fragment(fragment, fragment_value(FRAGMENT_TO_BACKEND, is_established(FAMILY_IPV6, &w->call), id, 0));
	return send_on(p->ctx, STEP_SEND6, w, id, w->call.id.hash, true);
}

/* A nat backend's packet. While an upgrade is under way, fragments of flows that are not moved yet are not noted. */
static __always_inline int backend4(struct packet *p, struct iphdr *ip, struct work *w, __u64 fragment)
{
	struct reply *reply = reply_of4(ip->saddr, w->call.t.sport, w->call.t.proto);
	enum answer answer;
	struct cold *cold;

	if (!reply)
		return pass(PASS_NOT_OURS);
	answer = answer_of4(ip, reply, w);
	if (answer != ANSWER_TO_FLOW)
		return unanswered(answer);
	cold = cold_of(FAMILY_IPV4, &w->call);
	if (!cold)
		return drop(DROP_BAD_MAP);
	if (fragment && !on_previous(&w->call))
		note_fragment(fragment, fragment_value(FRAGMENT_TO_CLIENT, true, reply->vip_id, w->call.index));
	w->reply = *reply;
	return send_back_on(p->ctx, STEP_SEND4, w, cold, true);
}

static __always_inline int backend6(struct packet *p, struct ipv6hdr *ip, struct work *w, __u64 fragment)
{
	struct reply *reply = reply_of6(&ip->saddr, w->call.t.sport, w->call.t.proto);
	enum answer answer;
	struct cold *cold;

	if (!reply)
		return pass(PASS_NOT_OURS);
	answer = answer_of6(ip, reply, w);
	if (answer != ANSWER_TO_FLOW)
		return unanswered(answer);
	cold = cold_of(FAMILY_IPV6, &w->call);
	if (!cold)
		return drop(DROP_BAD_MAP);
	if (fragment && !on_previous(&w->call))
		note_fragment(fragment, fragment_value(FRAGMENT_TO_CLIENT, true, reply->vip_id, w->call.index));
	w->reply = *reply;
	return send_back_on(p->ctx, STEP_SEND6, w, cold, true);
}

/*
 * An error about a flow, whose call stands in work: the next program rewrites the quoted packet. One of a nat backend has to
 * be of the backend that the flow is pinned to, as a reply has.
 */
static __always_inline int owned(struct xdp_md *ctx, const enum family family, const enum step step, struct work *w, int id)
{
	struct backend *be = id > 0 ? backend_of(family, id) : NULL;
	struct cold *cold;

	if (!w->outward) {
		if (!be)
			return drop(DROP_ICMP_NO_FLOW);
		w->backend = id;
		return step_to(ctx, step);
	}
	if (!be || !is_of(family, be, w->from.vip))
		return pass(PASS_NO_FLOW);
	cold = cold_of(family, &w->call);
	if (!cold)
		return drop(DROP_BAD_MAP);
	w->last_hop = *(volatile __u64 *)cold->mac;
	w->backend = 0;
	return step_to(ctx, step);
}

static __always_inline int flow_packet4(struct xdp_md *ctx)
{
	struct work *w = working();
	struct listener *l;
	struct packet p;
	struct cursor c;
	struct iphdr *ip;
	__u64 fragment;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	if (ip->protocol == IPPROTO_ICMP)
		return owned(ctx, FAMILY_IPV4, STEP_QUOTE4, w, owner4(&w->call));
	new_call(w);
	fragment = ip->frag_off & bpf_htons(IP_MF_OFFSET) ? fragment_key4(ip) : 0;
	if (!read_transport4(&p, ip, &c, !fragment, &w->call.t))
		return refuse4(ip, DROP_MALFORMED);
	l = filtered4(ip->daddr) ? serving4(ip->daddr, w->call.t.dport, w->call.t.proto) : NULL;
	return l ? client4(&p, ip, l, w, fragment) : backend4(&p, ip, w, fragment);
}

/* Behind the header of a first fragment the rest is walked. An atomic one is first and last: whole (RFC 6946). */
static __always_inline __u64 read_fragment6(struct packet *p, struct ipv6hdr *ip, struct cursor *c)
{
	struct fragment_header *f = c->pos;

	if ((void *)(f + 1) > c->end) {
		p->l4.proto = IPPROTO_NONE;
		return 0;
	}
	c->pos = f + 1;
	walk(p, c, f->next);
	return f->offset & bpf_htons(IP6_MORE) ? fragment_key6(ip, f->id) : 0;
}

static __always_inline int flow_packet6(struct xdp_md *ctx)
{
	struct work *w = working();
	__u64 fragment = 0;
	struct listener *l;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	if (p.l4.proto == IPPROTO_ICMPV6)
		return owned(ctx, FAMILY_IPV6, STEP_QUOTE6, w, owner6(&w->call));
	if (p.l4.proto == IPPROTO_FRAGMENT)
		fragment = read_fragment6(&p, ip, &c);
	if (p.l4.proto == IPPROTO_NONE)
		return refuse6(ip, DROP_MALFORMED);
	if (p.l4.proto != IPPROTO_TCP && p.l4.proto != IPPROTO_UDP)
		return pass(PASS_NOT_OURS);
	new_call(w);
	if (!read_transport6(&p, ip, &c, !fragment, &w->call.t))
		return refuse6(ip, DROP_MALFORMED);
	l = filtered6(&ip->daddr) ? serving6(&ip->daddr, w->call.t.dport, w->call.t.proto) : NULL;
	return l ? client6(&p, ip, l, w, fragment) : backend6(&p, ip, w, fragment);
}
