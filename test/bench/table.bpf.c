//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* The data plane as it ships, with the wrappers around it. */
#include "wrapper.h"

SEC("xdp")
int dsr(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, false);
}

SEC("xdp")
int dsr_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_DSR, true);
}

SEC("xdp")
int nat_in(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_IN, false);
}

SEC("xdp")
int nat_in_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_IN, true);
}

SEC("xdp")
int nat_reply(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_REPLY, false);
}

SEC("xdp")
int nat_reply_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_NAT_REPLY, true);
}

SEC("xdp")
int fresh(struct xdp_md *ctx)
{
	return around(ctx, ROW_FRESH, false);
}

SEC("xdp")
int fresh_alone(struct xdp_md *ctx)
{
	return around(ctx, ROW_FRESH, true);
}
