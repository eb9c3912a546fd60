//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What few packets need lies in programs of its own, reached by a tail call: the hot program stays small, and each has a
 * stack of its own. A step parses the packet again: that is cheaper than to carry everything over.
 */
#pragma once

#include "count.h"

enum step {
	STEP_FLOW4, /* what is no plain hit: touch, pin; whose flow an error is about */
	STEP_FLOW6,
	STEP_SEND4, /* to the backend that was found */
	STEP_SEND6,
	STEP_ICMP4, /* echo, and errors about flows */
	STEP_ICMP6,
	STEP_QUOTE4, /* an error whose flow was found */
	STEP_QUOTE6,
	STEP_FRAGMENT4,
	STEP_FRAGMENT6,
	STEP_TOO_BIG4, /* answer a packet that is larger than its way takes */
	STEP_TOO_BIG6,
	STEP_RESET4, /* end a TCP session whose backend it shall leave */
	STEP_RESET6,
	STEP_BUSY4, /* tell a client that its service is busy */
	STEP_BUSY6,
	STEPS,
};

int flow4(struct xdp_md *ctx);
int flow6(struct xdp_md *ctx);
int send4(struct xdp_md *ctx);
int send6(struct xdp_md *ctx);
int quote4(struct xdp_md *ctx);
int quote6(struct xdp_md *ctx);
int control4(struct xdp_md *ctx);
int control6(struct xdp_md *ctx);
int fragment4(struct xdp_md *ctx);
int fragment6(struct xdp_md *ctx);
int too_big4(struct xdp_md *ctx);
int too_big6(struct xdp_md *ctx);
int reset4(struct xdp_md *ctx);
int reset6(struct xdp_md *ctx);
int busy4(struct xdp_md *ctx);
int busy6(struct xdp_md *ctx);

/* The programs of one build. Pinned, since the kernel empties it when nobody holds it. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STEPS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} steps SEC(".maps") = {
	.values = {
		[STEP_FLOW4] = (void *)&flow4,
		[STEP_FLOW6] = (void *)&flow6,
		[STEP_SEND4] = (void *)&send4,
		[STEP_SEND6] = (void *)&send6,
		[STEP_QUOTE4] = (void *)&quote4,
		[STEP_QUOTE6] = (void *)&quote6,
		[STEP_ICMP4] = (void *)&control4,
		[STEP_ICMP6] = (void *)&control6,
		[STEP_FRAGMENT4] = (void *)&fragment4,
		[STEP_FRAGMENT6] = (void *)&fragment6,
		[STEP_TOO_BIG4] = (void *)&too_big4,
		[STEP_TOO_BIG6] = (void *)&too_big6,
		[STEP_RESET4] = (void *)&reset4,
		[STEP_RESET6] = (void *)&reset6,
		[STEP_BUSY4] = (void *)&busy4,
		[STEP_BUSY6] = (void *)&busy6,
	},
};

/* Goes on in another program; comes back only when it is not there. */
static __always_inline int step_to(struct xdp_md *ctx, const enum step step)
{
	bpf_tail_call(ctx, &steps, step);
	return drop(DROP_BAD_MAP);
}
