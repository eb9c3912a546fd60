//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* An IPv4 packet in the hot program: a plain hit or a plain reply goes out, all else is handed on. */
#pragma once

#include "reply.h"

/* A reply of a nat backend: back to the VIP and to the next hop that the client's packets came from. */
static __always_inline int plain_reply4(struct packet *p, struct iphdr *ip, const struct transport *t)
{
	struct reply *reply = known_reply4(ip->saddr, t->sport, t->proto);
	__u32 now = tick_now();
	struct flow_id id;
	struct cold *cold;
	struct hit hit;

	if (!reply)
		return pass(PASS_NOT_OURS);
	flow_id4(&id, ip->daddr, t->dport, reply->port ? reply->port : t->sport, reply->vip_id);
	if (!find(FAMILY_IPV4, &id, &hit) || !plain(&hit, t, now) || !answerer(FAMILY_IPV4, hit.word, &ip->saddr))
		return step_to(p->ctx, STEP_FLOW4);
	cold = cold_at(TABLE_CURRENT, FAMILY_IPV4, hit.index);
	return cold ? send_back4(p, ip, reply, *(volatile __u64 *)cold->mac) : drop(DROP_BAD_MAP);
}

static __always_inline int ipv4(struct packet *p, struct cursor *c)
{
	struct iphdr *ip = read4(p, c);
	struct transport t = {};
	struct listener *l = NULL;
	struct backend *be;
	struct flow_id id;
	struct hit hit;
	bool to_vip;

	if (!ip)
		return pass(PASS_MALFORMED);
	to_vip = filtered4(ip->daddr);
	if (!to_vip && !filtered4(ip->saddr))
		return pass(PASS_NOT_OURS);
	if (ip->protocol == IPPROTO_ICMP)
		return step_to(p->ctx, STEP_ICMP4);
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return pass(PASS_NOT_OURS);
	if (ip->frag_off & bpf_htons(IP_MF_OFFSET))
		return step_to(p->ctx, STEP_FRAGMENT4);
	if (!read_transport4(p, ip, c, true, &t))
		return refuse4(ip, DROP_MALFORMED);
	if (to_vip)
		l = known_serving4(ip->daddr, t.dport, t.proto);
	if (!l)
		return plain_reply4(p, ip, &t);
	flow_id4(&id, ip->saddr, t.sport, t.dport, l->vip);
	if (rule(RULE_PIN) && find_any(FAMILY_IPV4, &id, &hit)) {
		be = backend_of(FAMILY_IPV4, meta_backend(hit.word));
		if (be && carries_on(&hit, &t, l, be))
			return forward4(p, ip, meta_backend(hit.word), be, id.hash);
	}
	return step_to(p->ctx, STEP_FLOW4);
}
