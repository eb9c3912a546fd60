//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* The programs for fragments: the first of a datagram is served as any packet is, later ones follow it. */
#pragma once

#include "flow.h"

/* The VIP that a reply's later fragment comes from, in the shape that send_back reads. */
static __always_inline bool reply_from(__u64 noted, struct reply *reply)
{
	__u32 id = noted >> FRAGMENT_ID_SHIFT & 0xffff;
	struct vip *vip = bpf_map_lookup_elem(&vips, &id);

	if (!vip)
		return false;
	__builtin_memcpy(reply->vip, vip->addr, sizeof(reply->vip));
	reply->port = 0;
	return true;
}

static __always_inline int later4(struct packet *p, struct iphdr *ip, struct work *w)
{
	__u64 key = fragment_key4(ip), noted = noted_fragment(key);
	struct cold *cold;

	p->l4.header = NULL;
	switch (noted & FRAGMENT_KIND) {
	case FRAGMENT_TO_BACKEND:
		count(EVENT_FRAGMENT);
		return send_on(p->ctx, STEP_SEND4, w, noted >> FRAGMENT_ID_SHIFT & 0xffff, key >> 32, false);
	case FRAGMENT_TO_CLIENT:
		cold = cold_at(TABLE_CURRENT, FAMILY_IPV4, noted >> FRAGMENT_INDEX_SHIFT);
		if (!cold || !reply_from(noted, &w->reply))
			return drop(DROP_BAD_MAP);
		count(EVENT_FRAGMENT);
		return send_back_on(p->ctx, STEP_SEND4, w, cold, false);
	}
	return refuse4(ip, DROP_FRAGMENT);
}

static __always_inline int fragment_packet4(struct xdp_md *ctx)
{
	struct work *w = working();
	struct packet p;
	struct cursor c;
	struct iphdr *ip;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	if (!(ip->frag_off & bpf_htons(IP_LATER)))
		return step_to(ctx, STEP_FLOW4);
	return is_whole(&p, ip, &c) ? later4(&p, ip, w) : refuse4(ip, DROP_MALFORMED);
}

static __always_inline int later6(struct packet *p, struct ipv6hdr *ip, struct work *w, __u64 key)
{
	__u64 noted = noted_fragment(key);
	struct cold *cold;

	p->l4.header = NULL;
	switch (noted & FRAGMENT_KIND) {
	case FRAGMENT_TO_BACKEND:
		count(EVENT_FRAGMENT);
		return send_on(p->ctx, STEP_SEND6, w, noted >> FRAGMENT_ID_SHIFT & 0xffff, key >> 32, false);
	case FRAGMENT_TO_CLIENT:
		cold = cold_at(TABLE_CURRENT, FAMILY_IPV6, noted >> FRAGMENT_INDEX_SHIFT);
		if (!cold || !reply_from(noted, &w->reply))
			return drop(DROP_BAD_MAP);
		count(EVENT_FRAGMENT);
		return send_back_on(p->ctx, STEP_SEND6, w, cold, false);
	}
	return refuse6(ip, DROP_FRAGMENT);
}

static __always_inline int fragment_packet6(struct xdp_md *ctx)
{
	struct work *w = working();
	struct fragment_header *f;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	f = c.pos;
	if ((void *)(f + 1) > c.end)
		return refuse6(ip, DROP_MALFORMED);
	if (!(f->offset & bpf_htons(IP6_LATER)))
		return step_to(ctx, STEP_FLOW6);
	c.pos = f + 1;
	return is_whole(&p, ip, &c) ? later6(&p, ip, w, fragment_key6(ip, f->id)) : refuse6(ip, DROP_MALFORMED);
}
