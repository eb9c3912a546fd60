//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The data plane. A packet's way: parse, listener, flow, and on a miss steer and pin; then rewrite and send.
 * docs/architecture.md draws it.
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
#include "import.h"
#include "sweep.h"

#define MAC_MASK 0xffffffffffffULL

/* A frame for another MAC was flooded to us, by a switch that has not learned: the kernel ignores it, so do we. */
static __always_inline bool for_us(struct xdp_md *ctx, struct ethhdr *eth)
{
	struct iface *iface = &globals.ifaces[ctx->ingress_ifindex % MAX_IFACES];

	return !((*(__u64 *)eth ^ *(__u64 *)iface->mac) & MAC_MASK);
}

static __always_inline int handle(struct xdp_md *ctx)
{
	struct cursor c = { .pos = (void *)(long)ctx->data, .end = (void *)(long)ctx->data_end };
	struct ethhdr *eth;
	__be16 eth_proto;
	int i;

	eth = parse_eth(&c, &eth_proto);
	if (!eth)
		return pass(PASS_NOT_IP);
	if (!for_us(ctx, eth))
		return pass(PASS_OTHER_MAC);
	for (i = 0; i < VLAN_DEPTH && is_vlan(eth_proto); i++)
		if (!parse_vlan(&c, &eth_proto))
			return pass(PASS_NOT_IP);
	if (eth_proto == bpf_htons(ETH_P_IP))
		return ipv4(ctx, eth, &c);
	if (eth_proto == bpf_htons(ETH_P_IPV6))
		return ipv6(ctx, eth, &c);
	return pass(PASS_NOT_IP);
}

SEC("xdp")
int ebbtide(struct xdp_md *ctx)
{
	return handle(ctx);
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
const enum meta_bits *keep_meta_bits __attribute__((unused));
const enum timeout *keep_timeout __attribute__((unused));
const enum forwarding *keep_forwarding __attribute__((unused));
const enum backend_use *keep_backend_use __attribute__((unused));
const enum listener_kind *keep_listener_kind __attribute__((unused));
const enum backend_state *keep_backend_state __attribute__((unused));

char LICENSE[] SEC("license") = "GPL";
