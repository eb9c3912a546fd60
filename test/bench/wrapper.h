//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What a repeated run needs around the data plane's program: the runner hands the same frame to every repeat, so a
 * wrapper chooses the flow before and undoes the rewriting after. Each comes a second time without the program, to be
 * subtracted.
 *
 * A field is written back with the width at which the program loads it. A load that spans two stores still on their way
 * to the cache waits for both, which no packet off the wire does.
 */
#pragma once

#include "ebbtide.bpf.c"

enum row {
	ROW_DSR,    /* one flow */
	ROW_RANDOM, /* one of FLOWS flows, by a random number */
	ROW_FRESH,  /* the next flow of a counter */
	ROW_NAT_IN,
	ROW_NAT_REPLY,
	ROWS,
};

/* A frame as it is handed to the runner, moved so that the IPv4 header is aligned. */
struct headers {
	__u8 pad[2];
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
};

const volatile struct headers ORIGINALS[ROWS];
const volatile __u32 FLOWS;

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

/* Knuth's multiplier; the upper half is random enough to pick a flow. */
static __always_inline __u32 random_flow(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return ((random_state >> 32) * FLOWS) >> 32;
}

/* Flow n has an address and a port of its own. */
static __always_inline void set_client(struct view *v, __u32 n)
{
	v->ip->saddr = bpf_htonl(0x0a000000 + n);
	v->tcp->source = bpf_htons(0x4000 | (n & 0x3fff));
}

static __always_inline void restore(struct view *v, const enum row row)
{
	const volatile struct headers *h = &ORIGINALS[row];

	*(__u64 *)v->eth = *(volatile __u64 *)&h->eth;
	*(__u32 *)(v->eth->h_source + 2) = *(volatile __u32 *)(h->eth.h_source + 2);
	if (row != ROW_NAT_IN && row != ROW_NAT_REPLY)
		return;
	v->ip->ttl = h->ip.ttl;
	v->ip->check = h->ip.check;
	v->tcp->check = h->tcp.check;
	if (row == ROW_NAT_IN) {
		v->ip->daddr = h->ip.daddr;
		v->tcp->dest = h->tcp.dest;
	} else {
		v->ip->saddr = h->ip.saddr;
		v->tcp->source = h->tcp.source;
	}
}

static __always_inline int around(struct xdp_md *ctx, const enum row row, const bool alone)
{
	int verdict = XDP_TX;
	struct view v;

	if (!view_of(ctx, &v))
		return XDP_ABORTED;
	if (row == ROW_RANDOM)
		set_client(&v, random_flow());
	else if (row == ROW_FRESH)
		set_client(&v, next_flow++);
	if (alone)
		asm volatile("" ::: "memory");
	else
		verdict = handle(ctx);
	if (!view_of(ctx, &v))
		return XDP_ABORTED;
	restore(&v, row);
	return verdict;
}

SEC("xdp")
int empty(struct xdp_md *ctx)
{
	return XDP_TX;
}

SEC("xdp")
int random(struct xdp_md *ctx)
{
	return around(ctx, ROW_RANDOM, false);
}

SEC("xdp")
int random_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_RANDOM, true);
}
