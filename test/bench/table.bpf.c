//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* The data plane as it ships, with the wrappers around it. */
#include "wrapper.h"

SEC("xdp.frags")
int dsr(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, CHOOSE_NONE, false);
}

SEC("xdp.frags")
int dsr_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, CHOOSE_NONE, true);
}

SEC("xdp.frags")
int nat_in(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_IN, CHOOSE_NONE, false);
}

SEC("xdp.frags")
int nat_in_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_IN, CHOOSE_NONE, true);
}

SEC("xdp.frags")
int nat_reply(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_REPLY, CHOOSE_NONE, false);
}

SEC("xdp.frags")
int nat_reply_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_REPLY, CHOOSE_NONE, true);
}

SEC("xdp.frags")
int ipip(struct xdp_md *ctx)
{
	return around(ctx, ROW_IPIP, CHOOSE_NONE, false);
}

SEC("xdp.frags")
int ipip_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_IPIP, CHOOSE_NONE, true);
}

SEC("xdp.frags")
int dsr6(struct xdp_md *ctx)
{
	return around6(ctx, ROW6_DSR, false);
}

SEC("xdp.frags")
int dsr6_alone(struct xdp_md *ctx)
{
	return around6(ctx, ROW6_DSR, true);
}

SEC("xdp.frags")
int ipip6(struct xdp_md *ctx)
{
	return around6(ctx, ROW6_IPIP, false);
}

SEC("xdp.frags")
int ipip6_alone(struct xdp_md *ctx)
{
	return around6(ctx, ROW6_IPIP, true);
}

SEC("xdp.frags")
int fresh(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, CHOOSE_NEXT_CLIENT, false);
}

SEC("xdp.frags")
int fresh_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, CHOOSE_NEXT_CLIENT, true);
}

SEC("xdp.frags")
int fresh_ipip(struct xdp_md *ctx)
{
	return around(ctx, ROW_IPIP, CHOOSE_NEXT_CLIENT, false);
}

SEC("xdp.frags")
int listeners(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, CHOOSE_ANY_LISTENER, false);
}

SEC("xdp.frags")
int listeners_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, CHOOSE_ANY_LISTENER, true);
}

SEC("xdp.frags")
int listeners_fresh(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, CHOOSE_NEXT_LISTENER, false);
}

/* What a packet would see of a flip: the watcher looks at the steer word until it is another. */
__u32 watch_service;
__u32 watch_looking; /* out, 1: it looks */
__u64 watch_from;    /* the steer word before */
__u64 watch_seen;    /* out: when it was another, CLOCK_MONOTONIC */

static long look_once(__u32 i, void *ctx)
{
	__u32 index = watch_service;
	struct service *svc = bpf_map_lookup_elem(&services, &index);

	if (!svc)
		return 1;
	*(volatile __u32 *)&watch_looking = 1;
	if (*(volatile __u64 *)&svc->steer == watch_from)
		return 0;
	watch_seen = bpf_ktime_get_ns();
	return 1;
}

SEC("syscall")
int watch_flip(void *ctx)
{
	bpf_loop(1 << 22, look_once, NULL, 0);
	return 0;
}
