//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* A generator of datagrams, run with live frames on the interface that they leave by, and the sink that counts them. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum { HEADERS = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr) };

const volatile __u16 ORIGINAL[HEADERS / 2];
const volatile __u32 FLOWS;
const volatile __u16 FIRST_PORT; /* of the flows' sources */
const volatile __u16 PORT;	 /* where the sink listens */

__u32 next_flow;
__u64 received;

struct datagram {
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *udp;
};

static __always_inline int datagram_of(struct xdp_md *ctx, struct datagram *d)
{
	d->eth = (void *)(long)ctx->data;
	d->ip = (void *)(d->eth + 1);
	d->udp = (void *)(d->ip + 1);
	return (void *)(d->udp + 1) <= (void *)(long)ctx->data_end;
}

/*
 * The next flow's datagram. The runner hands out the same frames again, as they came back from wherever they went. It has no
 * UDP checksum, so that a port can be written as it is.
 */
SEC("xdp")
int flood(struct xdp_md *ctx)
{
	struct datagram d;
	__u32 i;

	if (!datagram_of(ctx, &d))
		return XDP_ABORTED;
#pragma unroll
	for (i = 0; i < HEADERS / 2; i++)
		((__u16 *)d.eth)[i] = ORIGINAL[i];
	d.udp->source = bpf_htons(FIRST_PORT + next_flow++ % FLOWS);
	return XDP_TX;
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	struct datagram d;

	if (!datagram_of(ctx, &d) || d.eth->h_proto != bpf_htons(ETH_P_IP) || d.ip->protocol != IPPROTO_UDP ||
	    d.udp->dest != bpf_htons(PORT))
		return XDP_PASS;
	__sync_fetch_and_add(&received, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
