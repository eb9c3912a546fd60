//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The data plane. A packet's way: parse, listener, flow, and on a miss steer and pin; then rewrite and send.
 * docs/architecture.md draws it. The hot program calls nothing but maps; what few packets need is in the others.
 */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "config.h"
#include "maps.h"
#include "ipv4.h"
#include "ipv6.h"
#include "flow.h"
#include "icmp4.h"
#include "icmp6.h"
#include "fragment.h"
#include "too_big.h"
#include "reset.h"
#include "busy.h"
#include "send.h"
#include "import.h"
#include "sweep.h"
#include "evict.h"
#include "trace.h"

#define MAC_MASK 0xffffffffffffULL

/* A frame for another MAC was flooded to us, by a switch that has not learned: the kernel ignores it, so do we. */
static __always_inline bool for_us(struct xdp_md *ctx, struct ethhdr *eth)
{
	struct iface *iface = &globals.ifaces[ctx->ingress_ifindex % MAX_IFACES];

	return !((*(__u64 *)eth ^ *(__u64 *)iface->mac) & MAC_MASK);
}

static __always_inline int handle(struct xdp_md *ctx)
{
	__be16 eth_proto;
	struct packet p;
	struct cursor c;

	if (!open_frame(ctx, &p, &c, &eth_proto))
		return pass(PASS_NOT_IP);
	if (!for_us(ctx, p.eth))
		return pass(PASS_OTHER_MAC);
	if (eth_proto == bpf_htons(ETH_P_IP))
		return ipv4(&p, &c);
	if (eth_proto == bpf_htons(ETH_P_IPV6))
		return ipv6(&p, &c);
	return pass(PASS_NOT_IP);
}

/* The hot program. */
SEC("xdp.frags")
int ebbtide(struct xdp_md *ctx)
{
	return handle(ctx);
}

/* A function of its own, since programs that it hands packets on to come back to whoever called it. */
static __noinline int untraced(struct xdp_md *ctx)
{
	return handle(ctx);
}

/* The hot program with a tracer around it: in the kernel, and in its place, while somebody traces. */
SEC("xdp.frags")
int traced(struct xdp_md *ctx)
{
	struct trace_scratch *s = trace_enter(ctx);
	int verdict = untraced(ctx);

	if (s)
		trace_leave(s, ctx, verdict);
	return verdict;
}

SEC("xdp.frags")
int flow4(struct xdp_md *ctx)
{
	return flow_packet4(ctx);
}

SEC("xdp.frags")
int flow6(struct xdp_md *ctx)
{
	return flow_packet6(ctx);
}

SEC("xdp.frags")
int send4(struct xdp_md *ctx)
{
	return send_packet4(ctx);
}

SEC("xdp.frags")
int send6(struct xdp_md *ctx)
{
	return send_packet6(ctx);
}

SEC("xdp.frags")
int quote4(struct xdp_md *ctx)
{
	return quote_packet4(ctx);
}

SEC("xdp.frags")
int quote6(struct xdp_md *ctx)
{
	return quote_packet6(ctx);
}

SEC("xdp.frags")
int control4(struct xdp_md *ctx)
{
	return icmp4(ctx);
}

SEC("xdp.frags")
int control6(struct xdp_md *ctx)
{
	return icmp6(ctx);
}

SEC("xdp.frags")
int fragment4(struct xdp_md *ctx)
{
	return fragment_packet4(ctx);
}

SEC("xdp.frags")
int fragment6(struct xdp_md *ctx)
{
	return fragment_packet6(ctx);
}

SEC("xdp.frags")
int too_big4(struct xdp_md *ctx)
{
	return answer_too_big4(ctx);
}

SEC("xdp.frags")
int too_big6(struct xdp_md *ctx)
{
	return answer_too_big6(ctx);
}

SEC("xdp.frags")
int reset4(struct xdp_md *ctx)
{
	return reset_packet4(ctx);
}

SEC("xdp.frags")
int reset6(struct xdp_md *ctx)
{
	return reset_packet6(ctx);
}

SEC("xdp.frags")
int busy4(struct xdp_md *ctx)
{
	return answer_busy4(ctx);
}

SEC("xdp.frags")
int busy6(struct xdp_md *ctx)
{
	return answer_busy6(ctx);
}

SEC("xdp")
int import(struct xdp_md *ctx)
{
	if (CONFIG.previous)
		import_next();
	return XDP_DROP;
}

SEC("syscall")
int sweep(struct sweep_args *args)
{
	return sweep_slice(args);
}

SEC("syscall")
int evict(struct evict_args *args)
{
	return evict_slice(args);
}

/* The loader learns CONFIG_HZ from two clocks that started together. */
SEC("syscall")
int sample_ticks(struct tick_sample *sample)
{
	sample->jiffies = bpf_jiffies64();
	sample->boot_ns = bpf_ktime_get_ns();
	return 0;
}

/* Keeps in the debug information what Go needs the names of and no map holds. */
const enum flow_state *keep_flow_state __attribute__((unused));
const enum limit *keep_limit __attribute__((unused));
const enum busy *keep_busy __attribute__((unused));
const enum limited *keep_limited __attribute__((unused));
const enum affinity *keep_affinity __attribute__((unused));
const struct evict_args *keep_evict_args __attribute__((unused));
const enum meta_bits *keep_meta_bits __attribute__((unused));
const enum timeout *keep_timeout __attribute__((unused));
const enum forwarding *keep_forwarding __attribute__((unused));
const enum backend_use *keep_backend_use __attribute__((unused));
const enum listener_kind *keep_listener_kind __attribute__((unused));
const enum backend_state *keep_backend_state __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
