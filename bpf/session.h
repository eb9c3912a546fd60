//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Affinity `client`: all flows of one client into a service are one session. It is an entry of the flow table like any
 * other, under a VIP id of the service's own and without ports; it is pinned by the same protocol, before the flow, and
 * under its own stripe, so that no two stripes are ever held. A flow takes the session's backend instead of steering.
 *
 * The session lives while one of its flows does: their packets and the sweeper renew it. The sweeper finds out that none
 * is left: it is closing then, and lingers. A flow that comes within that time joins it again. While its generation
 * drains that is bounded, by a cap that counts from the first end of one of its flows, or from the flip.
 */
#pragma once

#include "seek.h"
#include "work.h"

enum { JOIN_ATTEMPTS = 3 };

/* Whether a flow or session is to be taken from its backend: evicted, or the backend is lost and its service moves. */
static __always_inline bool leaves(__u64 meta, const struct backend *be)
{
	return meta_state(meta) == FLOW_EVICTING || *(volatile __u16 *)&be->state == BACKEND_LOST;
}

static __always_inline void session_id(const enum family family, struct flow_id *id, const __u64 key[3], __u32 vip)
{
	if (family == FAMILY_IPV4)
		flow_id4_of(id, key[0] >> 32 << 32, vip);
	else
		flow_id6_of(id, vip, key[1], key[2]);
}

static __always_inline void session_call(const enum family family, struct call *s, const struct call *call, __u32 vip)
{
	__builtin_memset(s, 0, sizeof(*s));
	session_id(family, &s->id, call->id.key, vip);
	s->t.proto = PROTO_SESSION;
	s->now = call->now;
	s->service = call->service;
	s->forwarding = call->forwarding;
	s->closed = call->closed;
	s->midstream = call->midstream;
	s->admission = call->left ? ADMISSION_GIVEN : ADMISSION_OPEN;
}

/* Whether new sessions go to a generation. */
static __always_inline bool takes_sessions(const struct service *svc, __u32 generation)
{
	__u64 word = *(volatile __u64 *)&svc->steer;

	return generation == (word & 0xffff) || generation == ((word >> STEER_CANDIDATE_SHIFT) & 0xffff);
}

/*
 * Whatever drains has an end: a session of a generation that does, or of a backend that takes no new ones, may be joined
 * until its cap. first is the tick of its first end, or 0.
 */
static __always_inline bool capped(const struct service *svc, const struct backend *be, __u32 first, __u32 now)
{
	__u32 since = svc->flipped;

	if (takes_sessions(svc, be->generation)) {
		since = *(volatile __u32 *)&be->retired;
		if (!since)
			return false;
	}
	if (!first)
		return false;
	if ((__s32)(since - first) > 0)
		first = since;
	return (__s32)(now - first) > (__s32)svc->linger_cap;
}

/* Notes the first end of one of a session's flows: when the slot has become another entry's, that has its own number. */
static __always_inline void note_end(struct cold *cold, __u32 now)
{
	if (cold && !cold->end_seq)
		__sync_val_compare_and_swap(&cold->end_seq, 0, now ? now : 1);
}

enum joined {
	JOIN_AGAIN, /* another CPU was faster */
	JOIN_OVER,  /* it is no session any more */
	JOIN_DONE,
};

/* Joins a session that was found. */
static __always_inline enum joined join(const enum family family, struct call *call, struct call *s,
					const struct service *svc, const struct hit *hit)
{
	struct backend *be = backend_of(family, meta_backend(hit->word));
	bool lingered = meta_state(hit->word) == FLOW_CLOSING;
	struct counters *n;
	struct cold *cold;
	__u64 next;

	if (!be || silent(be, hit->word, PROTO_SESSION, s->now))
		return JOIN_OVER;
	if (leaves(hit->word, be)) {
		s->left = be->generation;
		return JOIN_OVER;
	}
	cold = on_previous(s) ? cold_at(TABLE_PREVIOUS, family, hit->index) : cold_at(TABLE_CURRENT, family, hit->index);
	if (capped(svc, be, cold ? cold->end_seq : 0, s->now))
		return JOIN_OVER;
	next = meta_with_seen(lingered ? meta_with_state(hit->word, FLOW_YOUNG) : hit->word, s->now);
	if (next != hit->word && !swap_word(hit->meta, hit->word, next))
		return JOIN_AGAIN;
	n = counters_of(be->generation);
	if (lingered && n)
		n->rejoined++;
	call->preset = meta_backend(hit->word);
	return JOIN_DONE;
}

static __always_inline bool has_sessions(const enum family family, __u32 service)
{
	struct service *svc = bpf_map_lookup_elem(&services, &service);

	return svc && svc->affinity != AFFINITY_FLOW && svc->session_vip[family];
}

/* Finds or makes the session of a call. Returns 0, or a drop reason. */
static __always_inline int join_session(const enum family family, struct call *call)
{
	__u32 index = call->service, i;
	struct service *svc = bpf_map_lookup_elem(&services, &index);
	struct work *w = working();
	struct call *s;
	struct hit hit;

	if (!svc || !w)
		return DROP_BAD_MAP;
	s = &w->session;
	session_call(family, s, call, svc->session_vip[family]);
	call->pool = svc->affinity == AFFINITY_CLIENT_POOL;
#pragma unroll
	for (i = 0; i < JOIN_ATTEMPTS; i++) {
		if (!s->ended && seek(family, s, &hit)) {
			s->table = TABLE_CURRENT;
		} else {
			switch (family == FAMILY_IPV4 ? pin4(s) : pin6(s)) {
			case PIN_DROP:
				if (s->backend == DROP_BUSY)
					s->admission = ADMISSION_REFUSED;
				call->admission = s->admission;
				return s->admission == ADMISSION_REFUSED ? 0 : s->backend; /* the flow may have a pin of old */
			case PIN_PINNED:
			case PIN_LOOSE:
				call->admission = s->admission;
				call->preset = s->backend;
				return 0;
			}
			if (on_previous(s) ? !reread(TABLE_PREVIOUS, family, s, &hit) : !reread(TABLE_CURRENT, family, s, &hit))
				continue;
			s->ended = 0;
		}
		switch (join(family, call, s, svc, &hit)) {
		case JOIN_DONE:
			return 0;
		case JOIN_OVER:
			s->ended = hit.word;
			break;
		case JOIN_AGAIN:
			break;
		}
	}
	return DROP_STRIPE_BUSY;
}

__noinline int join4(struct call *call)
{
	return call ? join_session(FAMILY_IPV4, call) : DROP_BAD_MAP;
}

__noinline int join6(struct call *call)
{
	return call ? join_session(FAMILY_IPV6, call) : DROP_BAD_MAP;
}

/*
 * A flow of the session was seen: alive it renews the session, whose state follows the flow's; at its end it leaves the
 * tick of that, when it is the first. A session that has gone over to another generation is none of the flow's.
 */
static __always_inline void renew(const enum family family, struct flow_id *id, __u64 flow, __u32 generation, __u32 now)
{
	__u32 state = meta_state(flow);
	struct backend *be;
	struct hit hit;
	__u64 next;

	if (!find_any(family, id, &hit) && !find_spilled(family, id, &hit))
		return;
	be = backend_of(family, meta_backend(hit.word));
	if (!be || be->generation != generation || meta_state(hit.word) == FLOW_EVICTING)
		return;
	if (state == FLOW_CLOSING || state == FLOW_FREE || state == FLOW_EVICTING) {
		note_end(cold_at(TABLE_CURRENT, family, hit.index), now);
		return;
	}
	if (meta_state(hit.word) == FLOW_CLOSING || meta_state(hit.word) < state)
		next = meta_with_state(hit.word, state);
	else
		next = hit.word;
	next = meta_with_seen(next, now);
	if (next != hit.word)
		swap_word(hit.meta, hit.word, next);
}

/* Global functions, for packets and for the sweeper. flow is the flow's meta word; a free one's says that it ended. */
__noinline int renew4(__u64 client, __u64 flow, __u32 vip, __u32 generation, __u32 now)
{
	__u64 key[3] = { client };
	struct flow_id id;

	session_id(FAMILY_IPV4, &id, key, vip);
	renew(FAMILY_IPV4, &id, flow, generation, now);
	return 0;
}

__noinline int renew6(__u64 high, __u64 low, __u64 flow, __u64 vip_generation, __u32 now)
{
	__u64 key[3] = { 0, high, low };
	struct flow_id id;

	session_id(FAMILY_IPV6, &id, key, (__u32)vip_generation);
	renew(FAMILY_IPV6, &id, flow, vip_generation >> 32, now);
	return 0;
}

/* key is the flow's, as its slot has it. */
static __always_inline void renew_session(const enum family family, const struct service *svc, const __u64 *k0,
					  const __u64 *k1, const __u64 *k2, __u64 flow, __u32 generation, __u32 now)
{
	__u32 vip = svc->session_vip[family];

	if (svc->affinity == AFFINITY_FLOW || !vip)
		return;
	if (family == FAMILY_IPV4)
		renew4(*k0, flow, vip, generation, now);
	else
		renew6(*k1, *k2, flow, (__u64)generation << 32 | vip, now);
}
