//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * From a listener's packet to the id of its backend: the pin when there is one, else a new pin. Global functions, which
 * the verifier looks at once each. What an established flow sends, which is nearly every packet, is looked at in the hot
 * program: carries_on() is what that needs of this.
 */
#pragma once

#include "session.h"

enum {
	SERVE_ATTEMPTS = 3,
	NEEDS_SESSION = REASONS, /* what settle() returns, negated, for a new flow whose client's session comes first */
};

static __always_inline __u32 reuse_after(__u32 service)
{
	struct service *svc = bpf_map_lookup_elem(&services, &service);

	return svc ? svc->reuse_after : ~0U;
}

static __always_inline void count_reopened(const struct backend *be)
{
	struct counters *n = counters_of(be->generation);

	if (n)
		n->reopened++;
}

static __always_inline bool swap_meta(const struct hit *hit, __u64 next)
{
	if (!rule(RULE_CAS_SEEN)) {
		*(volatile __u64 *)hit->meta = next;
		return true;
	}
	return swap_word(hit->meta, hit->word, next);
}

enum touch {
	TOUCH_DONE,
	TOUCH_AGAIN,	     /* another CPU changed the word */
	TOUCH_MISS,	     /* expired, or this is a new session */
	TOUCH_RESET_BACKEND, /* the session leaves: the backend is told first */
	TOUCH_RESET_CLIENT,  /* then the client */
};

/*
 * A packet of a session that leaves. UDP is steered anew at once. A TCP stack has to be told: its packet becomes a RST for
 * the backend, so that a server that pushes falls silent, and each later one is answered by a RST, until the client's
 * stack takes it and connects anew. A RST of the client's own goes through: it tells the backend the same, and the session
 * ends as one that was reset.
 */
static __always_inline enum touch depart(const enum family family, struct call *call, const struct hit *hit, const struct backend *be)
{
	const bool lost = *(volatile __u16 *)&be->state == BACKEND_LOST;
	__u64 next = meta_with_seen(meta_with_state(hit->word, FLOW_EVICTING) | META_FIN, call->now);

	if (call->t.proto != IPPROTO_TCP || is_open(&call->t)) {
		call->ended = hit->word;
		call->left = was_reset(hit->word) ? 0 : be->generation;
		return TOUCH_MISS;
	}
	if (next != hit->word && !swap_meta(hit, next))
		return TOUCH_AGAIN;
	if (call->t.flags & TCP_RST)
		return TOUCH_DONE;
	if (was_reset(hit->word))
		return TOUCH_RESET_CLIENT;
	if (!has_sessions(family, be->service)) /* else the client's session counts, when he comes back */
		count_moved(be->generation);
	call->backend = meta_backend(hit->word);
	return lost ? TOUCH_RESET_CLIENT : TOUCH_RESET_BACKEND;
}

/* The client's session goes on with its flow. */
static __always_inline void renew_by(const enum family family, struct call *call, const struct backend *be, __u64 flow)
{
	__u32 index = be->service;
	struct service *svc = bpf_map_lookup_elem(&services, &index);
	const __u64 *key = call->id.key;

	if (svc)
		renew_session(family, svc, &key[0], &key[1], &key[2], flow, be->generation, call->now);
}

/*
 * Notes where a FIN ends. The slot may become another flow's meanwhile, whose number this must not replace: it is swapped
 * for one that was still the flow's own.
 */
static __always_inline bool note_fin(const struct hit *hit, struct cold *cold, __u32 end_seq)
{
	__u32 own = *(volatile __u32 *)&cold->end_seq;

	return load_meta(hit->meta) == hit->word && __sync_val_compare_and_swap(&cold->end_seq, own, end_seq) == own;
}

/* Everything but the plain hit: a flag, a flow not yet established, a tick that has passed. */
static __always_inline enum touch touch(const enum table table, const enum family family, struct call *call,
					const struct hit *hit, const struct backend *be, enum direction from)
{
	struct cold *cold;
	struct change change;

	if (silent(be, hit->word, call->t.proto, call->now))
		return TOUCH_MISS;
	if (leaves(hit->word, be))
		return from == FROM_CLIENT ? depart(family, call, hit, be) : TOUCH_DONE;
	cold = cold_at(table, family, hit->index);
	if (!cold)
		return TOUCH_MISS;
	change = flow_step(hit->word, &call->t, from, call->now, call->forwarding,
			   needs_end(hit->word, &call->t) ? cold->end_seq : 0,
			   is_open(&call->t) ? reuse_after(be->service) : 0);
	if (change.new_session) {
		call->ended = hit->word;
		return TOUCH_MISS;
	}
	if (change.reopened)
		count_reopened(be);
	if (change.fin && !note_fin(hit, cold, change.end_seq))
		return TOUCH_AGAIN;
	if (change.meta != hit->word && !swap_meta(hit, change.meta))
		return TOUCH_AGAIN;
	count_trouble(family, change.trouble, hit->word, be);
	if (change.meta == hit->word)
		return TOUCH_DONE;
	renew_by(family, call, be, change.meta);
	if (from == FROM_CLIENT && call->last_hop && *(__u64 *)cold->mac != call->last_hop)
		*(__u64 *)cold->mac = call->last_hop;
	return TOUCH_DONE;
}

/* Nothing to change but seen: established, no FIN to be confirmed, no flag. */
static __always_inline bool steady(const struct hit *hit, const struct transport *t)
{
	return (hit->word & (META_STATE | META_FIN)) == FLOW_ESTABLISHED && !(t->flags & (TCP_SYN | TCP_FIN | TCP_RST));
}

/* Nothing to change at all: seen is of this tick. */
static __always_inline bool plain(const struct hit *hit, const struct transport *t, __u32 now)
{
	return steady(hit, t) && meta_seen(hit->word) == now;
}

/*
 * A steady flow's first packet in a tick, where seen and age are all that it changes: as touch() would, but in the hot
 * program. In nat it may have come by another hop, and a client's session has to be renewed with its flow: not here.
 */
static __always_inline bool renewed(const struct hit *hit, const struct transport *t, const struct listener *l,
				    const struct backend *be, __u32 now)
{
	__u32 index = be->service, silence = meta_silence(hit->word, now);
	struct service *svc = bpf_map_lookup_elem(&services, &index);
	__u64 next = meta_with_seen(older(hit->word, silence, l->forwarding), now);

	if (!svc || svc->affinity != AFFINITY_FLOW || l->forwarding == FORWARDING_NAT)
		return false;
	if (silence > timeout_in(svc, hit->word, t->proto))
		return false;
	return swap_meta(hit, next);
}

/* A packet that goes out at once: the plain hit, or nearly. */
static __always_inline bool carries_on(const struct hit *hit, const struct transport *t, const struct listener *l,
				       const struct backend *be)
{
	__u32 now = tick_now();

	if (!steady(hit, t) || be->state != BACKEND_RESOLVED)
		return false;
	return meta_seen(hit->word) == now || renewed(hit, t, l, be, now);
}

/* What settle() returns for a touch that ends the matter: a backend, or an event as a negative number. 0: it does not. */
static __always_inline int outcome(enum touch touch, const struct hit *hit)
{
	switch (touch) {
	case TOUCH_DONE:
		return meta_backend(hit->word);
	case TOUCH_RESET_BACKEND:
		return -EVENT_RESET_BACKEND;
	case TOUCH_RESET_CLIENT:
		return -EVENT_RESET_CLIENT;
	default:
		return 0;
	}
}

/*
 * A pin that was found under the stripe: in the overflow, in the previous table, or made by another CPU meanwhile.
 * Returns as outcome(), 0 to look again.
 */
static __always_inline int found(const enum table table, const enum family family, struct call *call,
				 enum direction from)
{
	struct backend *be;
	struct hit hit;

	if (!reread(table, family, call, &hit))
		return 0;
	be = backend_of(family, meta_backend(hit.word));
	return be ? outcome(touch(table, family, call, &hit, be, from), &hit) : 0;
}

/* A flow of the overflow is there: only what begins joins its client's session. */
__noinline int spilled4(struct call *call)
{
	struct hit hit;

	return call && find_spilled(FAMILY_IPV4, &call->id, &hit) && !flow_expired(FAMILY_IPV4, hit.word, call->t.proto, call->now);
}

__noinline int spilled6(struct call *call)
{
	struct hit hit;

	return call && find_spilled(FAMILY_IPV6, &call->id, &hit) && !flow_expired(FAMILY_IPV6, hit.word, call->t.proto, call->now);
}

/* Whether a packet that has no pin joins its client's session first. */
static __always_inline bool joins(const enum family family, struct call *call)
{
	if (call->preset || call->closed || call->admission == ADMISSION_REFUSED || !has_sessions(family, call->service))
		return false;
	return call->ended || !(family == FAMILY_IPV4 ? spilled4(call) : spilled6(call));
}

/* No hit in the candidate lines. Returns a backend id, a drop reason as a negative number, or 0 to look again. */
static __always_inline int miss(const enum family family, struct call *call, enum direction from)
{
	int result;

	if (from == FROM_CLIENT && rule(RULE_PIN) && joins(family, call))
		return -NEEDS_SESSION;
	result = family == FAMILY_IPV4 ? pin4(call) : pin6(call);
	if (result == PIN_DROP)
		return -(int)call->backend;
	if (result != PIN_FOUND)
		return call->backend;
	if (on_previous(call))
		return found(TABLE_PREVIOUS, family, call, from);
	return found(TABLE_CURRENT, family, call, from);
}

/*
 * The backend of a client's packet that is no plain hit in its first line: look, touch, pin; begin anew where another CPU
 * was faster. Its id, or a drop reason, reset event or NEEDS_SESSION as a negative number.
 */
static __always_inline int settle(const enum family family, struct call *call)
{
	int i, id;

	/* Unrolled: as a loop, 6.18's verifier takes its states for those of an endless one. */
#pragma unroll
	for (i = 0; i < SERVE_ATTEMPTS; i++) {
		struct backend *be;
		enum touch touched;
		struct hit hit;

		if (rule(RULE_PIN) && !call->ended && seek(family, call, &hit)) {
			be = backend_of(family, meta_backend(hit.word));
			if (!be)
				return -DROP_BAD_MAP;
			touched = touch(TABLE_CURRENT, family, call, &hit, be, FROM_CLIENT);
			if (touched == TOUCH_AGAIN)
				continue;
			id = outcome(touched, &hit);
			if (id)
				return id;
		}
		id = miss(family, call, FROM_CLIENT);
		if (id)
			return id;
	}
	return -DROP_STRIPE_BUSY;
}

__noinline int settle4(struct call *call)
{
	return call ? settle(FAMILY_IPV4, call) : -DROP_BAD_MAP;
}

__noinline int settle6(struct call *call)
{
	return call ? settle(FAMILY_IPV6, call) : -DROP_BAD_MAP;
}
