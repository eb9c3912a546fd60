//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* An IPv6 packet in the hot program: a plain hit or a plain reply goes out, all else is handed on. */
#pragma once

#include "reply.h"

static __always_inline int plain_reply6(struct packet *p, struct ipv6hdr *ip, const struct transport *t)
{
	struct reply *reply = known_reply6(&ip->saddr, t->sport, t->proto);
	__u32 now = tick_now();
	__u64 client[2];
	struct flow_id id;
	struct cold *cold;
	struct hit hit;

	if (!reply)
		return pass(PASS_NOT_OURS);
	__builtin_memcpy(client, &ip->daddr, sizeof(client));
	flow_id6(&id, client, t->dport, reply->port ? reply->port : t->sport, reply->vip_id);
	if (!find(FAMILY_IPV6, &id, &hit) || !plain(&hit, t, now) ||
	    !answerer(FAMILY_IPV6, hit.word, (const __be32 *)&ip->saddr))
		return step_to(p->ctx, STEP_FLOW6);
	cold = cold_at(TABLE_CURRENT, FAMILY_IPV6, hit.index);
	return cold ? send_back6(p, ip, reply, *(volatile __u64 *)cold->mac) : drop(DROP_BAD_MAP);
}

static __always_inline int ipv6(struct packet *p, struct cursor *c)
{
	struct ipv6hdr *ip = parse_ipv6(c);
	struct transport t = {};
	struct listener *l = NULL;
	struct backend *be;
	struct flow_id id;
	__u64 client[2];
	struct hit hit;
	bool to_vip;

	if (!ip)
		return pass(PASS_MALFORMED);
	to_vip = filtered6(&ip->daddr);
	if (!to_vip && !filtered6(&ip->saddr))
		return pass(PASS_NOT_OURS);
	read_extensions(p, ip, c);
	switch (p->l4.proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
		break;
	case IPPROTO_ICMPV6:
		return step_to(p->ctx, STEP_ICMP6);
	case IPPROTO_FRAGMENT:
		return step_to(p->ctx, STEP_FRAGMENT6);
	case IPPROTO_NONE:
		return refuse6(ip, DROP_MALFORMED);
	default:
		return pass(PASS_NOT_OURS);
	}
	if (!read_transport6(p, ip, c, true, &t))
		return refuse6(ip, DROP_MALFORMED);
	if (to_vip)
		l = known_serving6(&ip->daddr, t.dport, t.proto);
	if (!l)
		return plain_reply6(p, ip, &t);
	__builtin_memcpy(client, &ip->saddr, sizeof(client));
	flow_id6(&id, client, t.sport, t.dport, l->vip);
	if (rule(RULE_PIN) && find_any(FAMILY_IPV6, &id, &hit)) {
		be = backend_of(FAMILY_IPV6, meta_backend(hit.word));
		if (be && carries_on(&hit, &t, l, be))
			return forward6(p, ip, meta_backend(hit.word), be, id.hash);
	}
	return step_to(p->ctx, STEP_FLOW6);
}
