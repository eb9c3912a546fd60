//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Lowers the MSS that a SYN announces to what the way has room for (`mss: auto`). */
#pragma once

#include "rewrite.h"

enum {
	TCP_OPTIONS = 12, /* walked; a SYN has its MSS first, or nearly so */
	L4_OFFSET_MAX = 1024,
	TCPOPT_EOL = 0,
	TCPOPT_NOP = 1,
	TCPOPT_MSS = 2,
};

struct mss_option {
	__u8 kind;
	__u8 len;
	__u8 high;
	__u8 low;
};

/* The value stands on any byte: bytes at odd offsets are the other half of their checksum word. */
static __always_inline void set_mss(struct tcphdr *tcp, struct mss_option *o, __u32 at, __u16 mss)
{
	__u16 old = o->high << 8 | o->low, from = bpf_htons(old), to = bpf_htons(mss);

	if (at & 1) {
		from = from << 8 | from >> 8;
		to = to << 8 | to >> 8;
	}
	tcp->check = csum_apply(tcp->check, csum_port(0, from, to));
	o->high = mss >> 8;
	o->low = mss;
	count(EVENT_MSS);
}

/*
 * Options are walked one by one (RFC 9293, section 3.1); what does not parse is left to the stacks. A global function,
 * verified once, which takes no packet pointer: offset says where the TCP header is.
 */
__noinline int lower_mss(struct xdp_md *ctx, __u32 offset, __u32 most)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct tcphdr *tcp = data + offset;
	__u32 at = sizeof(*tcp), i;

	if (offset > L4_OFFSET_MAX || (void *)(tcp + 1) > end)
		return 0;
	for (i = 0; i < TCP_OPTIONS; i++) {
		struct mss_option *o = (void *)tcp + at;

		if (at + sizeof(*o) > tcp->doff * 4 || (void *)(o + 1) > end || o->kind == TCPOPT_EOL)
			return 0;
		if (o->kind == TCPOPT_MSS) {
			if (o->len == sizeof(*o) && (o->high << 8 | o->low) > most)
				set_mss(tcp, o, at, most);
			return 0;
		}
		if (o->kind != TCPOPT_NOP && o->len < 2)
			return 0;
		at = (at + (o->kind == TCPOPT_NOP ? 1 : o->len)) & 0xff;
	}
	return 0;
}

/* most: what the way takes, less the IP and TCP headers. */
static __always_inline void clamp_mss(struct packet *p, __u32 service, __u32 most)
{
	struct service *svc = bpf_map_lookup_elem(&services, &service);

	if (svc && svc->clamp_mss && p->l4.proto == IPPROTO_TCP && p->l4.header && most <= 0xffff)
		lower_mss(p->ctx, p->l4.header - (void *)(long)p->ctx->data, most);
}
