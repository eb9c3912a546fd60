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

enum {
	PROTO_SESSION = 255, /* of a client's session: no flow has it (IANA reserves it) */
};

enum direction {
	FROM_CLIENT = 0,
	FROM_BACKEND = 1, /* nat only: elsewhere replies do not pass here */
};

/* What may be wrong with a flow, as its packet tells. */
enum trouble {
	TROUBLE_NONE,
	TROUBLE_SYN_AGAIN, /* nobody has answered the SYN before, or the answer was lost */
	TROUBLE_RESET,
	TROUBLE_REFUSED, /* a reset before the client's second step */
};

struct change {
	__u64 meta;    /* the next word */
	__u32 end_seq; /* to be stored in the cold record when fin says so */
	bool fin;
	bool new_session; /* the packet opens a new session: the entry is not its pin */
	bool reopened;	  /* it may have opened one, and keeps its pin */
	enum trouble trouble;
};

/* A session that was reset ends as a closed one does. */
static __always_inline bool was_reset(__u64 meta)
{
	return meta_state(meta) == FLOW_EVICTING && meta & META_FIN;
}

static __always_inline __u32 timeout_of(__u64 meta, __u8 proto)
{
	if (proto == PROTO_SESSION)
		return TIMEOUT_LINGER;
	if (proto != IPPROTO_TCP)
		return meta_state(meta) == FLOW_HALF_OPEN ? TIMEOUT_UDP_NEW : TIMEOUT_UDP;
	if (meta_state(meta) == FLOW_HALF_OPEN)
		return TIMEOUT_TCP_HALF_OPEN;
	return meta_state(meta) == FLOW_CLOSING || was_reset(meta) ? TIMEOUT_TCP_CLOSING : TIMEOUT_TCP;
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

/*
 * The sequence number after a SYN or a FIN (RFC 9293, section 3.4: each takes one). A SYN's data is left out: sent again,
 * a SYN of TCP Fast Open may have lost it (RFC 7413, section 4.1.3.1).
 */
static __always_inline __u32 end_of(const struct transport *t)
{
	return t->seq + (is_open(t) ? 0 : t->payload) + 1;
}

/* Whether a packet is judged by the sequence number in the cold record. */
static __always_inline bool needs_end(__u64 meta, const struct transport *t)
{
	return meta & META_FIN || (meta_state(meta) == FLOW_HALF_OPEN && is_open(t));
}

/* Traffic that spans ten seconds makes a flow established; in nat the backend's answer does (answered()). */
static __always_inline __u64 older(__u64 meta, __u32 silence, __u8 forwarding)
{
	__u32 age = meta_age(meta) + (silence < AGE_MAX ? silence : AGE_MAX);

	if (age > AGE_MAX)
		age = AGE_MAX;
	meta = (meta & ~META_AGE) | (__u64)age << META_AGE_SHIFT;
	if (meta_state(meta) == FLOW_YOUNG && age >= AGE_ESTABLISHED && forwarding != FORWARDING_NAT)
		meta = (meta & ~META_STATE) | FLOW_ESTABLISHED;
	return meta;
}

/*
 * Back to life, for now: a FIN that was seen stays noted, since data that was lost and sent again comes behind a true FIN
 * too, and then only ACKs are left to tell.
 */
static __always_inline __u64 revived(__u64 meta)
{
	return (meta & ~META_STATE) | (meta_age(meta) >= AGE_ESTABLISHED ? FLOW_ESTABLISHED : FLOW_YOUNG);
}

/* An ACK that only confirms the close: it comes right after the sender's own FIN, or acknowledges the other side's. */
static __always_inline bool confirms_fin(__u64 meta, const struct transport *t, __u32 end_seq)
{
	return (meta & META_FIN) && !t->payload && (t->seq == end_seq || t->ack == end_seq);
}

/* Data from behind the FIN shows that it was none: nobody sends after his own (RFC 9293, section 3.6). */
static __always_inline bool refutes_fin(__u64 meta, const struct transport *t, __u32 end_seq)
{
	return (meta & META_FIN) && t->payload && (__s32)(t->seq - end_seq) >= 0;
}

/* A packet that is neither SYN, FIN nor RST. */
static __always_inline __u64 traffic(__u64 meta, const struct transport *t, enum direction from, __u32 silence,
				     __u8 forwarding, __u32 end_seq)
{
	if (refutes_fin(meta, t, end_seq))
		meta &= ~META_FIN;
	else if (confirms_fin(meta, t, end_seq))
		return (meta & ~META_STATE) | FLOW_CLOSING;
	switch (meta_state(meta)) {
	case FLOW_HALF_OPEN:
		if (from == FROM_CLIENT)
			meta = meta_with_state(meta, FLOW_YOUNG);
		return meta;
	case FLOW_CLOSING:
		return revived(meta);
	case FLOW_YOUNG:
		meta = older(meta, silence, forwarding);
		if (from == FROM_BACKEND)
			meta = (meta & ~META_STATE) | FLOW_ESTABLISHED;
		return meta;
	}
	return older(meta, silence, forwarding);
}

/* A SYN is one sent again when it has the sequence number of the one that was pinned. */
static __always_inline void syn(struct change *s, __u64 meta, const struct transport *t, __u32 silence, __u32 end_seq,
				__u32 reuse_after, __u32 now)
{
	switch (meta_state(meta)) {
	case FLOW_HALF_OPEN: /* another SYN: its connection was refused, or had lost its pin, and this is the next */
		s->meta = meta_with_seen(meta, now);
		s->new_session = end_of(t) != end_seq;
		s->trouble = TROUBLE_SYN_AGAIN;
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

/* end_seq is the cold record's, where needs_end() asks for it; reuse_after matters for SYNs only. */
static __always_inline struct change flow_step(__u64 meta, const struct transport *t, enum direction from, __u32 now,
					       __u8 forwarding, __u32 end_seq, __u32 reuse_after)
{
	__u32 silence = meta_silence(meta, now);
	struct change s = { .meta = meta };

	if (from == FROM_CLIENT && is_open(t)) {
		syn(&s, meta, t, silence, end_seq, reuse_after, now);
		return s;
	}
	if (t->flags & TCP_FIN) {
		s.fin = true;
		s.end_seq = end_of(t);
		meta = meta_with_state(older(meta, silence, forwarding), FLOW_CLOSING) | META_FIN;
	} else if (t->flags & TCP_RST) {
		if (meta_state(meta) != FLOW_CLOSING) {
			s.trouble = meta_state(meta) == FLOW_HALF_OPEN ? TROUBLE_REFUSED : TROUBLE_RESET;
			meta = meta_with_state(older(meta, silence, forwarding), FLOW_CLOSING);
		}
	} else if (!(t->flags & TCP_SYN)) {
		meta = traffic(meta, t, from, silence, forwarding, end_seq);
	}
	s.meta = meta_with_seen(meta, now);
	return s;
}
