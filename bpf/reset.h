//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Ends a TCP session that leaves its backend. One packet in can only be one packet out: work.call.backend says whether it
 * becomes the client's RST for that backend, or the VIP's RST for the client. A stack takes a RST whose sequence number is
 * just what it expects next (RFC 5961, section 3): the client's own packet has that of the backend, and acknowledges
 * that of the client.
 */
#pragma once

#include "icmp6.h"

/* Towards a sender: its packet's ACK is the sequence, or, of one that has none, its end is acknowledged (RFC 9293, 3.10.7.1). */
static __always_inline void write_rst_back(struct tcphdr *tcp, const struct transport *t)
{
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = t->dport;
	tcp->dest = t->sport;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (t->flags & TCP_ACK) {
		tcp->seq = bpf_htonl(t->ack);
		return;
	}
	tcp->ack = 1;
	tcp->ack_seq = bpf_htonl(t->seq + (is_open(t) ? 0 : t->payload) + !!(t->flags & (TCP_SYN | TCP_FIN)));
}

static __always_inline void write_rst(struct tcphdr *tcp, __be16 source, __be16 dest, __be32 seq)
{
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = source;
	tcp->dest = dest;
	tcp->seq = seq;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
}

/* pseudo is the sum of the addresses. */
static __always_inline void sum_rst(struct tcphdr *tcp, __u64 pseudo)
{
	const __u16 *w = (const __u16 *)tcp;
	__u32 i;

	pseudo += bpf_htons(sizeof(*tcp)) + bpf_htons(IPPROTO_TCP);
#pragma unroll
	for (i = 0; i < sizeof(*tcp) / 2; i++)
		pseudo += w[i];
	tcp->check = csum_fold(pseudo);
}

/* Cuts the frame to headers alone. */
static __always_inline bool cut(struct xdp_md *ctx, __u32 bytes)
{
	__u32 frame = bpf_xdp_get_buff_len(ctx);

	return frame <= bytes || !bpf_xdp_adjust_tail(ctx, -(int)(frame - bytes));
}

/* The RST in the packet's place; options of IP go too. */
static __always_inline bool make_rst4(struct iphdr *ip, void *end, const struct transport *t, bool back)
{
	struct tcphdr *tcp = (void *)(ip + 1);
	__be32 from = ip->saddr, to = ip->daddr;

	if ((void *)(tcp + 1) > end)
		return false;
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
	ip->frag_off = bpf_htons(IP_DF);
	ip->saddr = back ? to : from;
	ip->daddr = back ? from : to;
	if (back)
		ip->ttl = OUTER_TTL;
	ip->check = 0;
	ip->check = csum_header(ip);
	if (back)
		write_rst_back(tcp, t);
	else
		write_rst(tcp, t->sport, t->dport, bpf_htonl(t->seq));
	sum_rst(tcp, (__u64)ip->saddr + ip->daddr);
	return true;
}

static __always_inline int reset_packet4(struct xdp_md *ctx)
{
	struct work *w = working();
	struct call *call;
	struct packet p;
	struct cursor c;
	struct iphdr *ip;
	__u32 id;

	ip = reopen4(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	call = &w->call;
	id = call->backend;
	if (!id && !within_limit(w, LIMITED_RESET))
		return drop(DROP_RESET);
	if (!make_rst4(ip, p.l4.end, &call->t, !id))
		return drop(DROP_BAD_MAP);
	if (!id)
		swap_macs(p.eth);
	if (!cut(ctx, p.l2 + sizeof(*ip) + sizeof(struct tcphdr)))
		return drop(DROP_BAD_MAP);
	count(id ? EVENT_RESET_BACKEND : EVENT_RESET_CLIENT);
	if (!id)
		return XDP_TX;
	return send_on(ctx, STEP_SEND4, w, id, call->id.hash, true);
}

/* Extension headers go. */
static __always_inline bool make_rst6(struct ipv6hdr *ip, void *end, const struct transport *t, bool back)
{
	struct tcphdr *tcp = (void *)(ip + 1);
	struct in6_addr from = ip->saddr;
	__u64 sum = 0;
	int i;

	if ((void *)(tcp + 1) > end)
		return false;
	ip->payload_len = bpf_htons(sizeof(*tcp));
	ip->nexthdr = IPPROTO_TCP;
	if (back) {
		ip->saddr = ip->daddr;
		ip->daddr = from;
		ip->hop_limit = OUTER_TTL;
		write_rst_back(tcp, t);
	} else {
		write_rst(tcp, t->sport, t->dport, bpf_htonl(t->seq));
	}
#pragma unroll
	for (i = 0; i < 4; i++)
		sum += (__u64)ip->saddr.in6_u.u6_addr32[i] + ip->daddr.in6_u.u6_addr32[i];
	sum_rst(tcp, sum);
	return true;
}

static __always_inline int reset_packet6(struct xdp_md *ctx)
{
	struct work *w = working();
	struct call *call;
	struct packet p;
	struct cursor c;
	struct ipv6hdr *ip;
	__u32 id;

	ip = reopen6(ctx, &p, &c);
	if (!w || !ip)
		return drop(DROP_BAD_MAP);
	call = &w->call;
	id = call->backend;
	if (!id && !within_limit(w, LIMITED_RESET))
		return drop(DROP_RESET);
	if (!make_rst6(ip, p.l4.end, &call->t, !id))
		return drop(DROP_BAD_MAP);
	if (!id)
		swap_macs(p.eth);
	if (!cut(ctx, p.l2 + sizeof(*ip) + sizeof(struct tcphdr)))
		return drop(DROP_BAD_MAP);
	count(id ? EVENT_RESET_BACKEND : EVENT_RESET_CLIENT);
	if (!id)
		return XDP_TX;
	return send_on(ctx, STEP_SEND6, w, id, call->id.hash, true);
}
