//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * From a listener's packet to the id of its backend: the pin when there is one, else a new pin. The plain hit of an
 * established flow, which is nearly every packet, ends in backend_for() itself; the rest are global functions, which the
 * verifier looks at once each.
 */
#pragma once

#include "seek.h"

enum { SERVE_ATTEMPTS = 3 };

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
	if (__sync_val_compare_and_swap(hit->meta, hit->word, next) == hit->word)
		return true;
	count(EVENT_CAS_LOST);
	return false;
}

enum touch {
	TOUCH_DONE,
	TOUCH_AGAIN, /* another CPU changed the word */
	TOUCH_MISS,  /* expired, or this is a new session */
};

/* Everything but the plain hit: a flag, a flow not yet established, a tick that has passed. */
static __always_inline enum touch touch(const enum table table, const enum family family, struct call *call,
					const struct hit *hit, const struct backend *be, enum direction from)
{
	__u32 which = timeout_of(meta_state(hit->word), call->t.proto);
	struct cold *cold;
	struct step step;

	if (which >= TIMEOUTS || meta_silence(hit->word, call->now) > be->timeouts[which])
		return TOUCH_MISS;
	cold = cold_at(table, family, hit->index);
	if (!cold)
		return TOUCH_MISS;
	step = flow_step(hit->word, &call->t, from, call->now, call->forwarding,
			 needs_end(hit->word, &call->t) ? cold->end_seq : 0,
			 is_open(&call->t) ? reuse_after(be->service) : 0);
	if (step.new_session) {
		call->ended = hit->word;
		return TOUCH_MISS;
	}
	if (step.reopened)
		count_reopened(be);
	if (step.fin)
		cold->end_seq = step.end_seq;
	if (step.meta == hit->word)
		return TOUCH_DONE;
	if (!swap_meta(hit, step.meta))
		return TOUCH_AGAIN;
	if (from == FROM_CLIENT && call->forwarding == FORWARDING_NAT && *(__u64 *)cold->mac != call->last_hop)
		*(__u64 *)cold->mac = call->last_hop;
	return TOUCH_DONE;
}

/* Nothing to change: established, no FIN to be confirmed, no flag, and seen is of this tick. */
static __always_inline bool plain(const struct hit *hit, const struct call *call)
{
	return (hit->word & (META_STATE | META_FIN)) == FLOW_ESTABLISHED && meta_seen(hit->word) == call->now &&
	       !(call->t.flags & (TCP_SYN | TCP_FIN | TCP_RST));
}

/*
 * A pin that was found under the stripe: in the overflow, in the previous table, or made by another CPU meanwhile.
 * Returns its backend, or 0 to look again.
 */
static __always_inline int found(const enum table table, const enum family family, struct call *call,
				 enum direction from)
{
	struct backend *be;
	struct hit hit;

	if (!reread(table, family, call, &hit))
		return 0;
	be = backend_of(family, meta_backend(hit.word));
	if (!be || touch(table, family, call, &hit, be, from) != TOUCH_DONE)
		return 0;
	return meta_backend(hit.word);
}

/* No hit in the candidate lines. Returns a backend id, a drop reason as a negative number, or 0 to look again. */
static __always_inline int miss(const enum family family, struct call *call, enum direction from)
{
	int result = family == FAMILY_IPV4 ? pin4(call) : pin6(call);

	if (result == PIN_DROP)
		return -(int)call->backend;
	if (result != PIN_FOUND)
		return call->backend;
	if (on_previous(call))
		return found(TABLE_PREVIOUS, family, call, from);
	return found(TABLE_CURRENT, family, call, from);
}

/* All but the plain hit in the first line: look, touch, pin; begin anew where another CPU was faster. As backend_for(). */
static __always_inline int settle(const enum family family, struct call *call)
{
	int i, id;

	/* Unrolled: as a loop, 6.18's verifier takes its states for those of an endless one. */
#pragma unroll
	for (i = 0; i < SERVE_ATTEMPTS; i++) {
		struct backend *be;
		struct hit hit;

		if (rule(RULE_PIN) && !call->ended && seek(family, call, &hit)) {
			if (plain(&hit, call))
				return meta_backend(hit.word);
			be = backend_of(family, meta_backend(hit.word));
			if (!be)
				return -DROP_BAD_MAP;
			switch (touch(TABLE_CURRENT, family, call, &hit, be, FROM_CLIENT)) {
			case TOUCH_DONE:
				return meta_backend(hit.word);
			case TOUCH_AGAIN:
				continue;
			case TOUCH_MISS:
				break;
			}
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

/* The backend of a client's packet: its id, or a drop reason as a negative number. */
static __always_inline int backend_for(const enum family family, struct call *call)
{
	struct hit hit;

	if (rule(RULE_PIN) && find(family, &call->id, &hit) && plain(&hit, call))
		return meta_backend(hit.word);
	return family == FAMILY_IPV4 ? settle4(call) : settle6(call);
}
