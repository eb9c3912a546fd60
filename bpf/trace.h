//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What a trace sees: a packet as it came in, as the program left it, and what the program said about it. Around the
 * program, not in it: it knows nothing of being watched.
 */
#pragma once

#include "flow.h"

enum {
	TRACE_SNAP = 256, /* bytes of a frame that are copied, at most */
	TRACE_RING = 1024 * 1024,
	SECOND_SHIFT = 30, /* a second is 2^30 ns, nearly */
};

/* What is traced. */
struct trace_filter {
	__be32 addr[4]; /* of the client, bits behind the mask are 0; an IPv4 address lies in the first word */
	__be32 mask[4];
	__be16 eth_proto; /* of its family */
	__u16 pad;
	__u32 sample;	/* one packet of so many, by chance */
	__u32 rate;	/* packets a second and CPU, at most */
	__u64 until_ns; /* CLOCK_MONOTONIC: nothing is traced later, whoever forgot to take the trace away */
};

/* One packet. */
struct trace_event {
	__u64 time_ns; /* CLOCK_MONOTONIC, when it came in */
	__u64 reasons; /* bit n: reason n was counted */
	__u64 pin;     /* meta word of its flow as it found it in its main lines; 0: none */
	__u32 backend; /* id, when the hot program handed it on to be sent; 0: it did not */
	__u16 service; /* index, of its listener; 0: none */
	__u16 pad;
	__u32 ifindex;
	__u32 cpu;
	__u32 verdict; /* XDP action */
	__u32 in_len;  /* of the frame */
	__u32 in_cap;  /* of it copied */
	__u32 out_len;
	__u32 out_cap;
	__u8 in[TRACE_SNAP];
	__u8 out[TRACE_SNAP];
};

/* Packets that agree with the filter, and why some of them are no events. Per CPU. */
struct trace_counts {
	__u64 matched;
	__u64 sampled_out; /* not chosen */
	__u64 over_rate;
	__u64 lost; /* the ring was full */
};

/* The packet between the program's entry and its exit on this CPU: nothing comes between. */
struct trace_scratch {
	__u32 second; /* in which left counts */
	__u32 left;
	__u64 reasons[REASONS]; /* counts at the entry */
	struct trace_counts counts;
	struct trace_event event;
};

_Static_assert(REASONS <= 64, "reasons are bits of one word");

/* Fixed for the life of a trace: each loads a program of its own. */
const volatile struct trace_filter TRACED SEC(".rodata.trace");

/* Packets on their way to the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TRACE_RING);
} trace_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_scratch);
} trace_scratches SEC(".maps");

static __always_inline __u64 reason_count(__u32 reason)
{
	__u64 *n = bpf_map_lookup_elem(&reasons, &reason);

	return n ? *n : 0;
}

/* Copies the beginning of a frame, from whichever buffers it lies in. Returns how much. */
static __always_inline __u32 copy_frame(struct xdp_md *ctx, __u8 *to, __u64 len)
{
	if (!len)
		return 0;
	if (len > TRACE_SNAP)
		len = TRACE_SNAP;
	asm volatile("" : "+r"(len)); /* or clang leaves out what the verifier has to see; that of 6.1 follows no comparison here */
	len = ((len - 1) & (TRACE_SNAP - 1)) + 1;
	if (bpf_xdp_load_bytes(ctx, 0, to, len))
		return 0;
	return len;
}

static __always_inline bool in_prefix(const __be32 *addr, const int words)
{
	int i;

#pragma unroll
	for (i = 0; i < words; i++)
		if ((addr[i] & TRACED.mask[i]) != TRACED.addr[i])
			return false;
	return true;
}

/* The client is the packet's source, or its destination when a backend answers. */
static __always_inline bool names_client4(const struct cursor *c)
{
	const struct iphdr *ip = c->pos;

	return (void *)(ip + 1) <= c->end && (in_prefix(&ip->saddr, 1) || in_prefix(&ip->daddr, 1));
}

static __always_inline bool names_client6(const struct cursor *c)
{
	const struct ipv6hdr *ip = c->pos;

	return (void *)(ip + 1) <= c->end &&
	       (in_prefix(ip->saddr.in6_u.u6_addr32, 4) || in_prefix(ip->daddr.in6_u.u6_addr32, 4));
}

static __always_inline bool names_client(struct xdp_md *ctx)
{
	__be16 eth_proto;
	struct packet p;
	struct cursor c;

	if (!open_frame(ctx, &p, &c, &eth_proto) || eth_proto != TRACED.eth_proto)
		return false;
	return eth_proto == bpf_htons(ETH_P_IP) ? names_client4(&c) : names_client6(&c);
}

static __always_inline bool within_rate(struct trace_scratch *s, __u64 now)
{
	__u32 second = (now >> SECOND_SHIFT) + 1; /* 0 is before the first */

	if (s->second != second) {
		s->second = second;
		s->left = TRACED.rate;
	}
	if (!s->left)
		return false;
	s->left--;
	return true;
}

static __always_inline bool chosen(struct trace_scratch *s, __u64 now)
{
	s->counts.matched++;
	if (TRACED.sample > 1 && bpf_get_prandom_u32() % TRACED.sample) {
		s->counts.sampled_out++;
		return false;
	}
	if (within_rate(s, now))
		return true;
	s->counts.over_rate++;
	return false;
}

/* The flow of a packet of a client or of a nat backend, as the program will find it. */
static __always_inline bool flow_of4(struct packet *p, struct iphdr *ip, const struct transport *t, struct flow_id *id,
				     struct trace_event *e)
{
	struct listener *l = filtered4(ip->daddr) ? serving4(ip->daddr, t->dport, t->proto) : NULL;
	struct reply *reply;

	if (l) {
		e->service = l->service;
		flow_id4(id, ip->saddr, t->sport, t->dport, l->vip);
		return true;
	}
	reply = reply_of4(ip->saddr, t->sport, t->proto);
	if (reply)
		flow_id4(id, ip->daddr, t->dport, reply->port ? reply->port : t->sport, reply->vip_id);
	return reply != NULL;
}

static __always_inline bool flow_of6(struct packet *p, struct ipv6hdr *ip, const struct transport *t, struct flow_id *id,
				     struct trace_event *e)
{
	struct listener *l = filtered6(&ip->daddr) ? serving6(&ip->daddr, t->dport, t->proto) : NULL;
	struct reply *reply;
	__u64 client[2];

	if (l) {
		e->service = l->service;
		__builtin_memcpy(client, &ip->saddr, sizeof(client));
		flow_id6(id, client, t->sport, t->dport, l->vip);
		return true;
	}
	reply = reply_of6(&ip->saddr, t->sport, t->proto);
	__builtin_memcpy(client, &ip->daddr, sizeof(client));
	if (reply)
		flow_id6(id, client, t->dport, reply->port ? reply->port : t->sport, reply->vip_id);
	return reply != NULL;
}

/* Functions of their own, for the sake of the stack. */
static __noinline void note_pin4(struct xdp_md *ctx, struct trace_event *e)
{
	struct transport t = {};
	struct flow_id id;
	struct packet p;
	struct cursor c;
	struct iphdr *ip;
	struct hit hit;

	ip = reopen4(ctx, &p, &c);
	if (!ip || (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) || ip->frag_off & bpf_htons(IP_LATER))
		return;
	if (read_transport4(&p, ip, &c, false, &t) && flow_of4(&p, ip, &t, &id, e) && find_any(FAMILY_IPV4, &id, &hit))
		e->pin = hit.word;
}

static __noinline void note_pin6(struct xdp_md *ctx, struct trace_event *e)
{
	struct transport t = {};
	struct flow_id id;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;
	struct hit hit;

	ip = reopen6(ctx, &p, &c);
	if (!ip || (p.l4.proto != IPPROTO_TCP && p.l4.proto != IPPROTO_UDP))
		return;
	if (read_transport6(&p, ip, &c, false, &t) && flow_of6(&p, ip, &t, &id, e) && find_any(FAMILY_IPV6, &id, &hit))
		e->pin = hit.word;
}

/* Notes a packet that is to be traced, before the program sees it; NULL for any other. */
static __always_inline struct trace_scratch *trace_enter(struct xdp_md *ctx)
{
	struct trace_scratch *s;
	__u32 zero = 0, i;
	struct work *w;
	__u64 now;

	if (!names_client(ctx))
		return NULL;
	s = bpf_map_lookup_elem(&trace_scratches, &zero);
	w = working();
	now = bpf_ktime_get_ns();
	if (!s || !w || now > TRACED.until_ns || !chosen(s, now))
		return NULL;
	for (i = 0; i < REASONS; i++)
		s->reasons[i] = reason_count(i);
	s->event.pin = s->event.service = 0;
	if (TRACED.eth_proto == bpf_htons(ETH_P_IP))
		note_pin4(ctx, &s->event);
	else
		note_pin6(ctx, &s->event);
	s->event.time_ns = now;
	s->event.ifindex = ctx->ingress_ifindex;
	s->event.cpu = bpf_get_smp_processor_id();
	s->event.in_len = bpf_xdp_get_buff_len(ctx);
	s->event.in_cap = copy_frame(ctx, s->event.in, s->event.in_len);
	w->backend = 0; /* no step reads it before one has written it: what is there afterwards is this packet's */
	return s;
}

/* Hands the packet on, after the program and all that it went on to have returned. */
static __always_inline void trace_leave(struct trace_scratch *s, struct xdp_md *ctx, int verdict)
{
	struct work *w = working();
	__u32 i;

	s->event.reasons = 0;
	for (i = 0; i < REASONS; i++)
		if (reason_count(i) != s->reasons[i])
			s->event.reasons |= 1ULL << i;
	s->event.verdict = verdict;
	s->event.backend = w ? w->backend : 0;
	s->event.out_len = bpf_xdp_get_buff_len(ctx);
	s->event.out_cap = copy_frame(ctx, s->event.out, s->event.out_len);
	if (bpf_ringbuf_output(&trace_events, &s->event, sizeof(s->event), 0))
		s->counts.lost++;
}
