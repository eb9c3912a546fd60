//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What a packet does to the flow that it belongs to. Pure: the next meta word comes out of the present one and the
 * packet; whoever calls stores it by compare-and-swap.
 *
 * Traffic is the truth, flags are hints: FIN and RST only mark a flow closing, and data, or an ACK of something other
 * than the FIN, revives it. So a forged FIN or RST ends nothing.
 */
#pragma once

#include "meta.h"
#include "parse.h"

enum direction {
	FROM_CLIENT = 0,
	FROM_BACKEND = 1, /* nat only: elsewhere replies do not pass here */
};

struct step {
	__u64 meta;	  /* the next word */
	__u32 fin_seq;	  /* to be stored in the cold record when fin says so */
	bool fin;
	bool new_session; /* the packet opens a new session: the entry is not its pin */
	bool reopened;	  /* it may have opened one, and keeps its pin */
};

static __always_inline __u32 timeout_of(__u32 state, __u8 proto)
{
	if (proto != IPPROTO_TCP)
		return state == FLOW_HALF_OPEN ? TIMEOUT_UDP_NEW : TIMEOUT_UDP;
	if (state == FLOW_HALF_OPEN)
		return TIMEOUT_TCP_HALF_OPEN;
	return state == FLOW_CLOSING ? TIMEOUT_TCP_CLOSING : TIMEOUT_TCP;
}

static __always_inline bool is_open(const struct transport *t)
{
	return (t->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* A TCP packet that does not open a connection: without a pin it is an orphan. */
static __always_inline bool is_midstream(const struct transport *t)
{
	return t->proto == IPPROTO_TCP && !is_open(t);
}

/* Orphans that end something begin as ended: they hold no slot for long. */
static __always_inline enum flow_state first_state(const struct transport *t)
{
	return t->flags & (TCP_FIN | TCP_RST) ? FLOW_CLOSING : FLOW_HALF_OPEN;
}

/* The sequence number after a FIN (RFC 9293, section 3.4: a FIN takes one). */
static __always_inline __u32 fin_end(const struct transport *t)
{
	return t->seq + t->payload + 1;
}

/* Traffic that spans ten seconds makes a flow established; in nat the backend's answer does (answered()). */
static __always_inline __u64 older(__u64 meta, __u32 silence, __u8 forwarding)
{
	__u32 age = meta_age(meta) + (silence < AGE_MAX ? silence : AGE_MAX);

	if (age > AGE_MAX)
		age = AGE_MAX;
	meta = (meta & ~META_AGE) | (__u64)age << META_AGE_SHIFT;
	if (meta_state(meta) == FLOW_YOUNG && age >= AGE_ESTABLISHED && forwarding != FORWARDING_NAT)
		meta = meta_with_state(meta, FLOW_ESTABLISHED);
	return meta;
}

static __always_inline __u64 revived(__u64 meta)
{
	return meta_with_state(meta, meta_age(meta) >= AGE_ESTABLISHED ? FLOW_ESTABLISHED : FLOW_YOUNG);
}

/* An ACK that only confirms the close: it comes right after the sender's own FIN, or acknowledges the other side's. */
static __always_inline bool confirms_fin(__u64 meta, const struct transport *t, __u32 fin_seq)
{
	return (meta & META_FIN) && !t->payload && (t->seq == fin_seq || t->ack == fin_seq);
}

/* A packet that is neither SYN, FIN nor RST. */
static __always_inline __u64 traffic(__u64 meta, const struct transport *t, enum direction from, __u32 silence,
				     __u8 forwarding, __u32 fin_seq)
{
	switch (meta_state(meta)) {
	case FLOW_HALF_OPEN:
		if (from == FROM_CLIENT)
			meta = meta_with_state(meta, FLOW_YOUNG);
		return meta;
	case FLOW_CLOSING:
		return confirms_fin(meta, t, fin_seq) ? meta : revived(meta);
	case FLOW_YOUNG:
		meta = older(meta, silence, forwarding);
		if (from == FROM_BACKEND)
			meta = meta_with_state(meta, FLOW_ESTABLISHED);
		return meta;
	}
	return older(meta, silence, forwarding);
}

static __always_inline void syn(struct step *s, __u64 meta, __u32 silence, __u32 reuse_after, __u32 now)
{
	switch (meta_state(meta)) {
	case FLOW_HALF_OPEN: /* sent again */
		s->meta = meta_with_seen(meta, now);
		return;
	case FLOW_CLOSING:
		s->new_session = true;
		return;
	}
	/* Seen stays: only what a session sends counts against its silence, not the SYN of whoever wants its port. */
	if (silence >= reuse_after)
		s->new_session = true;
	else
		s->reopened = true;
}

/* fin_seq is the cold record's; reuse_after matters for SYNs only. */
static __always_inline struct step flow_step(__u64 meta, const struct transport *t, enum direction from, __u32 now,
					     __u8 forwarding, __u32 fin_seq, __u32 reuse_after)
{
	__u32 silence = meta_silence(meta, now);
	struct step s = { .meta = meta };

	if (from == FROM_CLIENT && is_open(t)) {
		syn(&s, meta, silence, reuse_after, now);
		return s;
	}
	if (t->flags & TCP_FIN) {
		s.fin = true;
		s.fin_seq = fin_end(t);
		meta = meta_with_state(older(meta, silence, forwarding), FLOW_CLOSING) | META_FIN;
	} else if (t->flags & TCP_RST) {
		if (meta_state(meta) != FLOW_CLOSING)
			meta = meta_with_state(older(meta, silence, forwarding), FLOW_CLOSING);
	} else if (!(t->flags & TCP_SYN)) {
		meta = traffic(meta, t, from, silence, forwarding, fin_seq);
	}
	s.meta = meta_with_seen(meta, now);
	return s;
}
