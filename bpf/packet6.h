//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Reading an IPv6 packet, and finding what it is for. */
#pragma once

#include "forward6.h"
#include "packet4.h"

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

/* The listener of a port, or else the one of all ports. */
static __always_inline struct listener *serving6(const struct in6_addr *vip, __be16 port, __u8 proto)
{
	struct listener *l = listener6(vip, port, proto);

	if (!l)
		l = listener6(vip, 0, proto);
	return l && l->kind != LISTENER_MARK ? l : NULL;
}

/* serving6(), for the hot program. */
static __always_inline struct listener *known_serving6(const struct in6_addr *vip, __be16 port, __u8 proto)
{
	struct listener_key6 key = { .port = port, .proto = proto };
	__u64 stamp = listeners_stamp_now();
	struct known6 *known;
	struct listener *l;

	__builtin_memcpy(key.vip, vip, sizeof(key.vip));
	known = known6_of(&key);
	if (!known)
		return NULL;
	if (is_key6(&known->key, &key) && known->stamp == stamp)
		return &known->listener;
	l = serving6(vip, port, proto);
	if (!l)
		return NULL;
	known->key = key;
	known->listener = *l;
	known->stamp = stamp;
	return &known->listener;
}

/* Whether an address is a VIP, of either protocol. */
static __always_inline bool is_vip6(const struct in6_addr *addr)
{
	return listener6(addr, 0, IPPROTO_TCP) || listener6(addr, 0, IPPROTO_UDP);
}

/* A packet without a readable transport header is ours when its VIP has a listener of either protocol. */
static __always_inline int refuse6(struct ipv6hdr *ip, enum reason reason)
{
	return is_vip6(&ip->daddr) ? drop(reason) : pass(PASS_NOT_OURS);
}

static __always_inline bool same6(const struct in6_addr *a, const struct in6_addr *b)
{
	const __u32 *v = a->in6_u.u6_addr32, *w = b->in6_u.u6_addr32;

	return v[0] == w[0] && v[1] == w[1] && v[2] == w[2] && v[3] == w[3];
}

/* Sources that no packet may have: unspecified, loopback, multicast, our own (RFC 4291, section 2). */
static __always_inline bool martian6(const struct in6_addr *source, const struct in6_addr *vip)
{
	const __u32 *s = source->in6_u.u6_addr32;

	if (source->in6_u.u6_addr8[0] == 0xff || !(s[0] | s[1] | s[2] | (s[3] & bpf_htonl(~1U))))
		return true;
	return same6(source, vip);
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

/* Moves the cursor behind the extension headers; l4.proto says what is there. */
static __always_inline void read_extensions(struct packet *p, const struct ipv6hdr *ip, struct cursor *c)
{
	p->len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->l4.end = c->end;
	p->l4.proto = skip_extensions(c, ip->nexthdr);
}

enum {
	WALK_OFFSET = 0x7fff, /* of what walk6() returns: where it ended, from the start of the frame */
	WALK_PROTO_SHIFT = 16,
};

/* skip_extensions() for the programs behind the hot one: a global function, so that the verifier walks it once. */
__noinline int walk6(struct xdp_md *ctx, __u32 offset, __u32 next)
{
	struct cursor c = { .pos = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end };
	__u32 proto;

	c.pos += offset & WALK_OFFSET;
	if (c.pos > c.end)
		return IPPROTO_NONE << WALK_PROTO_SHIFT;
	proto = skip_extensions(&c, next);
	return proto << WALK_PROTO_SHIFT | ((c.pos - (void *)(long)ctx->data) & WALK_OFFSET);
}

/* Moves the cursor on by walk6(), from where it stands. */
static __always_inline void walk(struct packet *p, struct cursor *c, __u8 next)
{
	void *data = (void *)(long)p->ctx->data;
	__u32 found = walk6(p->ctx, c->pos - data, next);

	c->pos = data + (found & WALK_OFFSET);
	p->l4.proto = found >> WALK_PROTO_SHIFT;
}

/* The packet again, in a program that it was handed on to. */
static __always_inline struct ipv6hdr *reopen6(struct xdp_md *ctx, struct packet *p, struct cursor *c)
{
	struct ipv6hdr *ip;
	__be16 eth_proto;

	if (!open_frame(ctx, p, c, &eth_proto))
		return NULL;
	ip = parse_ipv6(c);
	if (!ip)
		return NULL;
	p->len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	p->l4.end = c->end;
	walk(p, c, ip->nexthdr);
	return ip;
}

/* Behind all headers of IP: TCP or UDP. whole: not the first of several fragments. */
static __always_inline bool read_transport6(struct packet *p, struct ipv6hdr *ip, struct cursor *c, bool whole,
					    struct transport *t)
{
	t->proto = p->l4.proto;
	p->l4.header = parse_transport(p->ctx, c, p->len - (c->pos - (void *)ip), whole, t);
	return p->l4.header != NULL;
}
