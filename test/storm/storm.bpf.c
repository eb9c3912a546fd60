//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Both ends of a flood, and of a race. `flood` turns each run into the next packet of it: two templates in turn, each pair of them with
 * a sender's address, port and identification that look random. `absorb` stands where the load balancer sends to and
 * ends the flood there, so that no kernel stack of a test has to bear it. `race` sends packets of the same few flows from
 * every CPU that runs it, while it flips the service to and fro; `witness` looks behind the load balancer which backend
 * each flow's packets go to.
 */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum {
	FRAME = 128,
	NET4 = 0xc6120000, /* 198.18.0.0/15, which no host of a test has (RFC 2544) */
	MASK4 = 0xfffe0000,
	RACE_FLOWS = 1 << 17,
	RACE_WINDOW = 16, /* flows that are under way at once */
	RACE_PACKETS = 16, /* of a flow, about */
	RACE_FLIP = 61, /* packets between two flips */
};

/* Keys of counts. */
enum count {
	MADE = 0,
	ABSORBED = 1,
	WITNESSED = 2,	 /* packets */
	ASTRAY = 3,	 /* those that went elsewhere than an earlier one of their flow */
	FLIPS = 4,
	COUNTS = 5,
};

/* 2001:db8:f::/64, in host order. */
#define NET6 0x20010db8000f0000ULL

struct template {
	__u8 frame[FRAME];
	__u16 addr; /* where the last four bytes of the sender's address lie */
	__u16 port; /* where his port lies, or what may as well be written over; and the identification of a fragment */
	__u16 id;
	__u16 ipv4;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct template);
} templates SEC(".maps");

/* What happened. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, COUNTS);
	__type(key, enum count);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline __u64 count(enum count which)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &which);

	return n ? __sync_fetch_and_add(n, 1) : 0;
}

static __always_inline __u64 mix(__u64 x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* The bound is the verifier's: user space keeps it. */
static __always_inline void *place(struct template *t, __u64 at)
{
	asm volatile("%0 &= %1" : "+r"(at) : "i"(FRAME - 1));
	return t->frame + at;
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 n = count(MADE), random = mix(n / 2 + 1);
	__u32 which = n & 1, addr = random;
	struct template *t = bpf_map_lookup_elem(&templates, &which);

	if (!t || data + FRAME > end)
		return XDP_ABORTED;
	if (t->ipv4)
		addr = bpf_htonl(NET4 | (addr & ~MASK4));
	*(__u32 *)place(t, t->addr) = addr;
	*(__u16 *)place(t, t->port) = random >> 32;
	*(__u16 *)place(t, t->id) = random >> 48;
	/* All of it: what comes back from the pool is as its last receiver left it. */
	__builtin_memcpy(data, t->frame, FRAME);
	return XDP_TX;
}

static __always_inline bool of_flood(struct ethhdr *eth, void *end)
{
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return (bpf_ntohl(ip->saddr) & MASK4) == NET4 || (bpf_ntohl(ip->daddr) & MASK4) == NET4;
	if (eth->h_proto != bpf_htons(ETH_P_IPV6) || (void *)(ip6 + 1) > end)
		return false;
	return *(__be64 *)&ip6->saddr == bpf_cpu_to_be64(NET6) || *(__be64 *)&ip6->daddr == bpf_cpu_to_be64(NET6);
}

SEC("xdp.frags")
int absorb(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + sizeof(struct ethhdr) > end || !of_flood(data, end))
		return XDP_PASS;
	count(ABSORBED);
	return XDP_DROP;
}

/* The load balancer's own map, whose values begin with the steer word. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, 128);
} services SEC(".maps");

struct course {
	__u64 steer[2]; /* words that are the service's in turn */
	__u32 service;	/* its index */
	__u8 mac[2][6]; /* where each CPU sends to */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct course);
} courses SEC(".maps");

/* By flow: the last four bytes of the MAC that its first packet went to. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RACE_FLOWS);
	__type(key, __u32);
	__type(value, __u64);
} witnesses SEC(".maps");

static __always_inline void flip(struct course *course)
{
	__u64 *steer = bpf_map_lookup_elem(&services, &course->service);

	if (steer)
		*(volatile __u64 *)steer = course->steer[count(FLIPS) & 1];
}

SEC("xdp")
int race(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 n = count(MADE);
	__u32 zero = 0, cpu = bpf_get_smp_processor_id() & 1;
	struct course *course = bpf_map_lookup_elem(&courses, &zero);
	__u32 flow = n / (RACE_WINDOW * RACE_PACKETS) * RACE_WINDOW + mix(n + 1) % RACE_WINDOW, which = flow & 1;
	struct template *t = bpf_map_lookup_elem(&templates, &which);

	if (!t || !course || data + FRAME > end || flow >= RACE_FLOWS)
		return XDP_DROP;
	if (n % RACE_FLIP == 0)
		flip(course);
	__builtin_memcpy(data, t->frame, FRAME);
	__builtin_memcpy(data, course->mac[cpu], ETH_ALEN);
	if (t->ipv4)
		*(__be32 *)(data + ETH_HLEN + offsetof(struct iphdr, saddr)) = bpf_htonl(NET4 | flow);
	else
		*(__be32 *)(data + ETH_HLEN + offsetof(struct ipv6hdr, saddr) + 12) = bpf_htonl(flow);
	return XDP_TX;
}

SEC("xdp.frags")
int witness(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct ipv6hdr *ip6 = (void *)(eth + 1);
	struct iphdr *ip = (void *)(eth + 1);
	__u64 *first, before, here;
	__u32 flow;

	if ((void *)(ip6 + 1) > end || !of_flood(eth, end))
		return XDP_PASS;
	flow = eth->h_proto == bpf_htons(ETH_P_IP) ? bpf_ntohl(ip->saddr) & ~MASK4 : bpf_ntohl(ip6->saddr.s6_addr32[3]);
	here = *(__u32 *)&eth->h_dest[2];
	first = bpf_map_lookup_elem(&witnesses, &flow);
	if (!first)
		return XDP_DROP;
	count(WITNESSED);
	before = __sync_val_compare_and_swap(first, 0, here);
	if (before && before != here)
		count(ASTRAY);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "GPL";
