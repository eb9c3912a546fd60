//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What a repeated run needs around the data plane's program: the runner hands the same frame to every repeat, so a
 * wrapper undoes the rewriting of the one before, and chooses the flow. Each comes a second time without the program, to be
 * subtracted.
 *
 * A field is written back with the width at which the program loads it. A load that spans two stores still on their way
 * to the cache waits for both, which no packet off the wire does.
 */
#pragma once

#include "ebbtide.bpf.c"

/* What was rewritten, and has to be undone. */
enum row {
	ROW_DSR,
	ROW_NAT_IN,
	ROW_NAT_REPLY,
	ROW_IPIP,
	ROWS,
};

enum row6 {
	ROW6_DSR,
	ROW6_IPIP,
	ROWS6,
};

/* Whose packet it is. */
enum choose {
	CHOOSE_NONE,	      /* the frame's own flow */
	CHOOSE_ANY_CLIENT,    /* one of so many, by a random number */
	CHOOSE_NEXT_CLIENT,   /* the next of a counter */
	CHOOSE_ANY_LISTENER,  /* one of so many, by a random number */
	CHOOSE_NEXT_LISTENER, /* the next of a counter */
};

/* A frame as it is handed to the runner, moved so that the IP header is aligned. */
struct headers {
	__u8 pad[2];
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
};

struct headers6 {
	__u8 pad[2];
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

enum {
	LISTENERS_PER_VIP = 10,
};

const volatile struct headers ORIGINALS[ROWS];
const volatile struct headers6 ORIGINALS6[ROWS6];
const volatile __be32 FIRST_VIP; /* of those whose listeners are chosen from, host order */
const volatile __u16 FIRST_PORT;

__u32 among; /* how many flows or listeners are chosen from */
__u32 next_flow;
__u64 random_state;

struct view {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct tcphdr *tcp;
};

static __always_inline bool view_of(struct xdp_md *ctx, struct view *v)
{
	v->eth = (void *)(long)ctx->data;
	v->ip = (void *)(v->eth + 1);
	v->tcp = (void *)(v->ip + 1);
	return (void *)(v->tcp + 1) <= (void *)(long)ctx->data_end;
}

/* Knuth's multiplier; the upper half is random enough to pick one of so many. */
static __always_inline __u32 any(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return ((random_state >> 32) * among) >> 32;
}

/* Flow n has an address and a port of its own. */
static __always_inline void set_client(struct view *v, __u32 n)
{
	v->ip->saddr = bpf_htonl(0x0a000000 + n);
	v->tcp->source = bpf_htons(0x4000 | (n & 0x3fff));
}

static __always_inline void set_listener(struct view *v, __u32 n)
{
	v->ip->daddr = bpf_htonl(FIRST_VIP + n / LISTENERS_PER_VIP);
	v->tcp->dest = bpf_htons(FIRST_PORT + n % LISTENERS_PER_VIP);
}

static __always_inline void set_flow(struct view *v, const enum choose choose)
{
	switch (choose) {
	case CHOOSE_NONE:
		return;
	case CHOOSE_ANY_CLIENT:
		return set_client(v, any());
	case CHOOSE_NEXT_CLIENT:
		return set_client(v, next_flow++);
	case CHOOSE_ANY_LISTENER:
		return set_listener(v, any());
	case CHOOSE_NEXT_LISTENER:
		return set_listener(v, next_flow++);
	}
}

static __always_inline void restore_macs(struct ethhdr *eth, const volatile struct ethhdr *from)
{
	*(__u64 *)eth = *(volatile __u64 *)from;
	*(__u32 *)(eth->h_source + 2) = *(volatile __u32 *)(from->h_source + 2);
}

static __always_inline void restore(struct view *v, const enum row row)
{
	const volatile struct headers *h = &ORIGINALS[row];

	restore_macs(v->eth, &h->eth);
	if (row == ROW_DSR)
		return;
	v->ip->ttl = h->ip.ttl;
	v->ip->check = h->ip.check;
	if (row == ROW_IPIP) { /* which lays the outer header over Ethernet, and lowers the TTL within */
		v->eth->h_proto = h->eth.h_proto;
		return;
	}
	v->tcp->check = h->tcp.check;
	if (row == ROW_NAT_IN) {
		v->ip->daddr = h->ip.daddr;
		v->tcp->dest = h->tcp.dest;
	} else {
		v->ip->saddr = h->ip.saddr;
		v->tcp->source = h->tcp.source;
	}
}

/*
 * Takes off the outer header that the last repeat put on, in whatever program it came to that; without the program the same
 * call moves nothing. False: it could not.
 */
static __always_inline bool decapsulate(struct xdp_md *ctx, bool outer, const int bytes, const bool alone)
{
	return !(outer || alone) || !bpf_xdp_adjust_head(ctx, alone ? 0 : bytes);
}

static __always_inline int run(struct xdp_md *ctx, const bool alone)
{
	if (!alone)
		return handle(ctx);
	asm volatile("" ::: "memory");
	return XDP_TX;
}

static __always_inline int around(struct xdp_md *ctx, const enum row row, const enum choose choose, const bool alone)
{
	struct view v;

	if (!view_of(ctx, &v))
		return XDP_ABORTED;
	if (row == ROW_IPIP && (!decapsulate(ctx, v.ip->protocol == IPPROTO_IPIP, sizeof(*v.ip), alone) || !view_of(ctx, &v)))
		return XDP_ABORTED;
	restore(&v, row);
	set_flow(&v, choose);
	return run(ctx, alone);
}

static __always_inline struct ipv6hdr *ipv6_of(struct xdp_md *ctx)
{
	struct ipv6hdr *ip = (void *)(long)ctx->data + ETH_HLEN;

	return (void *)(ip + 1) <= (void *)(long)ctx->data_end ? ip : NULL;
}

static __always_inline int around6(struct xdp_md *ctx, const enum row6 row, const bool alone)
{
	const volatile struct headers6 *h = &ORIGINALS6[row];
	struct ipv6hdr *ip = ipv6_of(ctx);
	struct ethhdr *eth;

	if (!ip)
		return XDP_ABORTED;
	if (row == ROW6_IPIP) {
		if (!decapsulate(ctx, ip->nexthdr == IPPROTO_IPV6, sizeof(*ip), alone))
			return XDP_ABORTED;
		ip = ipv6_of(ctx);
		if (!ip)
			return XDP_ABORTED;
	}
	eth = (void *)(long)ctx->data;
	restore_macs(eth, &h->eth);
	if (row == ROW6_IPIP) {
		eth->h_proto = h->eth.h_proto;
		ip->hop_limit = h->ip.hop_limit;
	}
	return run(ctx, alone);
}

SEC("xdp.frags")
int empty(struct xdp_md *ctx)
{
	return XDP_TX;
}

SEC("xdp.frags")
int random_ipip(struct xdp_md *ctx)
{
	return around(ctx, ROW_IPIP, CHOOSE_ANY_CLIENT, false);
}

SEC("xdp.frags")
int random_ipip_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_IPIP, CHOOSE_ANY_CLIENT, true);
}
