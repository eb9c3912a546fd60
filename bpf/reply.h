//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Nat: what a backend answers, and the way back ("auto last hop"), which is learned from the client's packets. */
#pragma once

#include "packet6.h"
#include "serve.h"

enum {
	LAST_HOP_IFACE_SHIFT = 48,
	NO_IFACE = 2 * MAX_IFACES,
};

/*
 * The slot of the VLAN that a tagged frame came in by, from an interface in another slot. A tag of VLAN 0 is none (IEEE
 * 802.1Q, priority-tagged). NO_IFACE: one that this host is not in. A global function: its stack is its own.
 */
__noinline int vlan_of(struct xdp_md *ctx, __u32 l2, __u32 slot)
{
	void *eth = (void *)(long)ctx->data;
	struct vlan_key key = { .ifindex = globals.ifaces[slot % MAX_IFACES].ifindex };
	__u32 *vlan;

	if (eth + L2_MAX > (void *)(long)ctx->data_end)
		return NO_IFACE;
	key.tags = read_tags(eth, l2);
	key.tags.words[0] &= ~TAG_PRIORITY;
	key.tags.words[1] &= ~TAG_PRIORITY;
	if (l2 < L2_MAX && !(key.tags.words[0] & bpf_htonl(0xfff)))
		return slot;
	vlan = bpf_map_lookup_elem(&vlans, &key);
	return vlan ? *vlan : NO_IFACE;
}

/* mac and iface of the cold record as one word, or 0 when no frame would find back. */
static __always_inline __u64 last_hop(const struct packet *p)
{
	const struct ethhdr *eth = p->eth;
	__u64 mac = *(__u32 *)eth->h_source | (__u64) * (__u16 *)(eth->h_source + 4) << 32;
	__u32 slot = globals.ifaces[p->ctx->ingress_ifindex % MAX_IFACES].ifindex % MAX_IFACES; /* of a member: its bond's */

	if (p->l2 > ETH_HLEN)
		slot = vlan_of(p->ctx, p->l2, slot);
	return slot < NO_IFACE ? mac | (__u64)slot << LAST_HOP_IFACE_SHIFT : 0;
}

/* The listener of a backend socket, or else that of all ports of a backend. */
static __always_inline struct reply *reply_of4(__be32 from, __be16 port, __u8 proto)
{
	struct listener_key4 key = { .vip = from, .port = port, .proto = proto };
	struct reply *reply = bpf_map_lookup_elem(&replies4, &key);

	if (reply)
		return reply;
	key.port = 0;
	return bpf_map_lookup_elem(&replies4, &key);
}

static __always_inline struct reply *reply_of6(const struct in6_addr *from, __be16 port, __u8 proto)
{
	struct listener_key6 key = { .port = port, .proto = proto };
	struct reply *reply;

	__builtin_memcpy(key.vip, from, sizeof(key.vip));
	reply = bpf_map_lookup_elem(&replies6, &key);
	if (reply)
		return reply;
	key.port = 0;
	return bpf_map_lookup_elem(&replies6, &key);
}

/*
 * reply_of4(), for the hot program. Where it is noted is asked anew behind the lookup: what is kept over it takes registers,
 * and those are wanted where every packet passes.
 */
static __always_inline struct reply *known_reply4(__be32 from, __be16 port, __u8 proto)
{
	struct listener_key4 key = { .vip = from, .port = port, .proto = proto };
	struct known_reply4 *known = known_reply4_of(&key);
	struct reply *reply;
	__u64 stamp;

	if (known && *(__u64 *)&known->key == *(__u64 *)&key && known->stamp == listeners_stamp_now())
		return &known->reply;
	stamp = listeners_stamp_now();
	reply = reply_of4(from, port, proto);
	known = known_reply4_of(&key);
	if (!reply || !known)
		return NULL;
	known->key = key;
	known->reply = *reply;
	known->stamp = stamp;
	return &known->reply;
}

/* reply_of6(), for the hot program. */
static __always_inline struct reply *known_reply6(const struct in6_addr *from, __be16 port, __u8 proto)
{
	struct listener_key6 key = { .port = port, .proto = proto };
	struct known_reply6 *known;
	struct reply *reply;
	__u64 stamp;

	__builtin_memcpy(key.vip, from, sizeof(key.vip));
	known = known_reply6_of(&key);
	if (known && is_key6(&known->key, &key) && known->stamp == listeners_stamp_now())
		return &known->reply;
	stamp = listeners_stamp_now();
	reply = reply_of6(from, port, proto);
	known = known_reply6_of(&key);
	if (!reply || !known)
		return NULL;
	known->key = key;
	known->reply = *reply;
	known->stamp = stamp;
	return &known->reply;
}

static __always_inline bool is_of(const enum family family, const struct backend *be, const __be32 *addr)
{
	if (be->addr[0] != addr[0])
		return false;
	return family == FAMILY_IPV4 ||
	       (be->addr[1] == addr[1] && be->addr[2] == addr[2] && be->addr[3] == addr[3]);
}

/* A reply belongs to a flow when its source is the backend that the flow is pinned to: an old pin's are not ours. */
static __always_inline struct backend *answerer(const enum family family, __u64 meta, const __be32 *from)
{
	struct backend *be = backend_of(family, meta_backend(meta));

	return be && is_of(family, be, from) ? be : NULL;
}

enum answer {
	ANSWER_TO_NONE, /* of no flow that is pinned to this backend */
	ANSWER_TO_FLOW,
	ANSWER_UNTOLD, /* other CPUs were faster, too often: it may be a flow's */
};

/* The pin of a flow that is not in the candidate lines, read again; result says what pin() said. */
static __always_inline bool refound(const enum family family, struct call *call, struct hit *hit, int *result)
{
	*result = family == FAMILY_IPV4 ? pin4(call) : pin6(call);
	if (*result != PIN_FOUND)
		return false;
	return on_previous(call) ? reread(TABLE_PREVIOUS, family, call, hit) : reread(TABLE_CURRENT, family, call, hit);
}

/* Refreshes the flow that a backend answers on, and no other's: call says where it lies. */
static __always_inline enum answer refresh(const enum family family, struct call *call, const __be32 *from)
{
	int i, result = PIN_FOUND;
	struct hit hit;

	call->closed = DROP_LISTENER_CLOSED; /* a reply begins nothing */
#pragma unroll				     /* as in settle() */
	for (i = 0; i < SERVE_ATTEMPTS; i++) {
		struct backend *be;
		enum touch touched;

		if (seek(family, call, &hit))
			call->table = TABLE_CURRENT;
		else if (!refound(family, call, &hit, &result)) {
			if (result == PIN_DROP)
				return call->backend == DROP_LISTENER_CLOSED ? ANSWER_TO_NONE : ANSWER_UNTOLD;
			continue;
		}
		be = answerer(family, hit.word, from);
		if (!be)
			return ANSWER_TO_NONE;
		touched = on_previous(call) ? touch(TABLE_PREVIOUS, family, call, &hit, be, FROM_BACKEND) :
					      touch(TABLE_CURRENT, family, call, &hit, be, FROM_BACKEND);
		if (touched == TOUCH_AGAIN)
			continue;
		call->backend = meta_backend(hit.word);
		return touched == TOUCH_DONE ? ANSWER_TO_FLOW : ANSWER_TO_NONE;
	}
	return ANSWER_UNTOLD;
}

__noinline int refresh4(struct call *call, struct listener_key6 *from)
{
	return call && from ? refresh(FAMILY_IPV4, call, from->vip) : ANSWER_TO_NONE;
}

__noinline int refresh6(struct call *call, struct listener_key6 *from)
{
	return call && from ? refresh(FAMILY_IPV6, call, from->vip) : ANSWER_TO_NONE;
}

/* The cold record of the flow that refresh() found. */
static __always_inline struct cold *cold_of(const enum family family, const struct call *call)
{
	if (on_previous(call))
		return cold_at(TABLE_PREVIOUS, family, call->index);
	return cold_at(TABLE_CURRENT, family, call->index);
}

/* What becomes of a reply that refresh() found no flow for. */
static __always_inline int unanswered(enum answer answer)
{
	/* Never to the host's stack, which would answer the client itself. */
	return answer == ANSWER_UNTOLD ? drop(DROP_STRIPE_BUSY) : pass(PASS_NO_FLOW);
}

static __always_inline struct iface *back_by(__u64 hop)
{
	return &globals.ifaces[hop >> LAST_HOP_IFACE_SHIFT & (2 * MAX_IFACES - 1)];
}

static __always_inline int send_back4(struct packet *p, struct iphdr *ip, const struct reply *reply,
				      __u64 hop)
{
	struct transport_ports *ports = p->l4.header;
	struct iface *out = back_by(hop);

	if (!out->used)
		return drop(DROP_UNRESOLVED);
	if (p->len > out->mtu)
		return too_big(p->ctx, STEP_TOO_BIG4, out->mtu);
	if (ip->ttl <= 1)
		return drop(DROP_TTL);
	rewrite4(ip, &ip->saddr, p->l4, &ports->source, reply->vip[0], reply->port);
	return leave(p, bpf_htons(ETH_P_IP), hop, out->mac, &out->tags, out->ifindex);
}

static __always_inline int send_back6(struct packet *p, struct ipv6hdr *ip, const struct reply *reply,
				      __u64 hop)
{
	struct transport_ports *ports = p->l4.header;
	struct iface *out = back_by(hop);

	if (!out->used)
		return drop(DROP_UNRESOLVED);
	if (p->len > out->mtu)
		return too_big(p->ctx, STEP_TOO_BIG6, out->mtu);
	if (ip->hop_limit <= 1)
		return drop(DROP_TTL);
	rewrite6(ip, (__be32 *)&ip->saddr, p->l4, &ports->source, reply->vip, reply->port);
	return leave(p, bpf_htons(ETH_P_IPV6), hop, out->mac, &out->tags, out->ifindex);
}
