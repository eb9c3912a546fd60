//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The sweeper: walks a slice of a flow table, frees what has expired and counts what lives, per backend and state, per
 * VIP and per listener. It takes no stripe: it frees by a compare-and-swap of the word that it judged. When that fails a
 * packet was faster, and the slot counts as missed: the next pass will tell.
 */
#pragma once

#include "lifetime.h"
#include "memo.h"
#include "session.h"

enum {
	NOTED_ENDS = 256, /* of those in one slice: when more end at once, these tell enough */
};

struct sweep_walk {
	__u32 first;
	__u32 now;
	__u32 patience; /* ticks since the sweep before began */
	__u32 memos;	/* 1: they are ours */
	__u64 until;	/* a meta word taken from it leaves the ticks since that was seen, and TICK_SKEW, as a word's seen */
	__u64 used;
	__u64 freed;
	__u64 stash;
	__u64 missed;
};

/* Of a VIP with several listeners. What a VIP with one has is that listener's: the daemon adds it. */
static __always_inline void count_listener(const struct vip *vip, const struct slot *slot)
{
	struct listener *l;
	struct tally *n;
	__be16 port;
	__u32 id;

	if (vip->family == FAMILY_IPV4) {
		struct listener_key4 key = { .vip = vip->addr[0], .port = *slot->k0, .proto = vip->proto };

		l = bpf_map_lookup_elem(&listeners4, &key);
		key.port = 0; /* the listener of all ports; a mark has id 0 */
		if (!l)
			l = bpf_map_lookup_elem(&listeners4, &key);
	} else {
		port = *slot->k0 >> 32;
		struct listener_key6 key = { .port = port, .proto = vip->proto };

		__builtin_memcpy(key.vip, vip->addr, sizeof(key.vip));
		l = bpf_map_lookup_elem(&listeners6, &key);
		key.port = 0;
		if (!l)
			l = bpf_map_lookup_elem(&listeners6, &key);
	}
	id = l ? l->id : 0;
	n = bpf_map_lookup_elem(&tallies, &id);
	if (n)
		n->of_listener++;
}

/* What the walk knows of a slot that holds an entry. */
struct seen_entry {
	struct slot slot;
	__u64 meta;
	__u32 index;
	bool session;
	struct vip *vip;
	struct backend *be;
	struct service *svc;
};

static __always_inline bool entry_of(const enum family family, struct seen_entry *e)
{
	__u32 id = family == FAMILY_IPV4 ? meta_tag(e->meta) : (__u32)*e->slot.k0, service;

	e->be = backend_of(family, meta_backend(e->meta));
	e->vip = bpf_map_lookup_elem(&vips, &id);
	e->session = e->vip && e->vip->proto == PROTO_SESSION;
	if (!e->be)
		return false;
	service = e->be->service;
	e->svc = bpf_map_lookup_elem(&services, &service);
	return e->svc;
}

static __always_inline void count_vip(const enum family family, const struct seen_entry *e)
{
	__u32 id = family == FAMILY_IPV4 ? meta_tag(e->meta) : (__u32)*e->slot.k0;
	struct tally *n = bpf_map_lookup_elem(&tallies, &id);

	if (n)
		n->of_vip++;
	if (e->vip && !e->vip->listener && !e->session)
		count_listener(e->vip, &e->slot);
}

/* Where a client has a session, its flows are no sessions: they are counted aside. */
static __always_inline void count_entry(const enum family family, const struct seen_entry *e)
{
	__u32 backend = meta_backend(e->meta), state = was_reset(e->meta) ? FLOW_CLOSING : meta_state(e->meta);
	struct sessions *n = bpf_map_lookup_elem(&session_counts, &backend);
	bool counts = e->session || e->svc->affinity == AFFINITY_FLOW;
	__u64 at = state - FLOW_HALF_OPEN;

	asm volatile("" : "+r"(at)); /* 6.1's verifier bounds what is compared with 64 bits */
	if (n && !e->session)
		n->flows++;
	if (n && counts && at < FLOW_STATES - FLOW_HALF_OPEN)
		n->states[at]++;
	count_vip(family, e);
}

/* A session that no flow has renewed since the sweep before began has none left: it lingers. */
static __always_inline void linger(const enum family family, struct sweep_walk *walk, struct seen_entry *e)
{
	__u64 next = meta_with_state(e->meta, FLOW_CLOSING);

	if (meta_state(e->meta) == FLOW_CLOSING || meta_state(e->meta) == FLOW_EVICTING ||
	    meta_silence(e->meta, walk->now) <= walk->patience)
		return;
	if (__sync_val_compare_and_swap(e->slot.meta, e->meta, next) != e->meta)
		return;
	count_never(family, e->meta, true);
	e->meta = next;
	note_end(cold_at(TABLE_CURRENT, family, e->index), walk->now);
}

/* What is to be counted of such a flow depends on no more than its id. */
static __always_inline void learn(const enum family family, struct sweep_walk *walk, const struct seen_entry *e)
{
	struct memos *m = walk->memos ? memos_of() : NULL;
	__u32 id = memo_id(family, e->meta, e->slot.k0);

	if (m && e->vip && e->vip->listener && !e->session && e->svc->affinity == AFFINITY_FLOW)
		memorize(memo_of(m, id), id, e->svc, e->vip->proto);
}

static __always_inline bool lives(const enum family family, struct sweep_walk *walk, struct seen_entry *e)
{
	if (!entry_of(family, e))
		return false;
	learn(family, walk, e);
	return meta_silence(e->meta, walk->now) <= timeout_in(e->svc, e->meta, e->vip ? e->vip->proto : IPPROTO_TCP);
}

static __always_inline void count_living(const enum family family, struct sweep_walk *walk, struct seen_entry *e)
{
	if (e->session)
		linger(family, walk, e);
	count_entry(family, e);
	walk->used++;
	if (e->index >= CONFIG.layouts[TABLE_CURRENT][family].lines * SLOTS)
		walk->stash++;
}

/* Of an entry that is to be freed: its cold record may be another's right after. */
static __always_inline __u32 start_of(const enum family family, __u32 index)
{
	struct cold *cold = cold_at(TABLE_CURRENT, family, index);

	return cold ? *(volatile __u32 *)&cold->start : 0;
}

/* A flow renews its client's session; freed, it may be the first of it to end: silence is all that ends UDP. */
static __always_inline void sweep_slot(const enum family family, struct sweep_walk *walk, __u32 index)
{
	struct seen_entry e = { .index = index };
	__u64 k0, k1 = 0, k2 = 0, freed;
	__u32 start;

	if (!slot_at(TABLE_CURRENT, family, index, &e.slot))
		return;
	e.meta = load_meta(e.slot.meta);
	if (meta_state(e.meta) == FLOW_FREE)
		return;
	if (!meta_published(e.meta)) {
		walk->missed++;
		return;
	}
	k0 = *(volatile __u64 *)e.slot.k0; /* before the slot is freed, and another's */
	if (family == FAMILY_IPV6) {
		k1 = *(volatile __u64 *)e.slot.k1;
		k2 = *(volatile __u64 *)e.slot.k2;
	}
	if (lives(family, walk, &e)) {
		count_living(family, walk, &e);
	} else {
		start = start_of(family, index);
		freed = family == FAMILY_IPV4 ? 0 : e.meta & META_TAG;
		if (__sync_val_compare_and_swap(e.slot.meta, e.meta, freed) != e.meta) {
			walk->missed++;
			return;
		}
		walk->freed++;
		count_never(family, e.meta, e.session);
		if (e.svc && (e.session || e.svc->affinity == AFFINITY_FLOW))
			note_lifetime(e.meta, start, e.be->generation);
		e.meta = FLOW_FREE;
	}
	if (e.svc && !e.session)
		renew_session(family, e.svc, &k0, &k1, &k2, e.meta, e.be->generation, walk->now);
}

/* Global functions, which the verifier looks at once: few slots take them. */
__noinline int sweep_slot4(struct sweep_walk *walk, __u32 index)
{
	if (walk)
		sweep_slot(FAMILY_IPV4, walk, index);
	return 0;
}

__noinline int sweep_slot6(struct sweep_walk *walk, __u32 index)
{
	if (walk)
		sweep_slot(FAMILY_IPV6, walk, index);
	return 0;
}

/* Judges and counts a slot by heart. False: that takes more, as an end does of which is noted how long it had lasted. */
static __always_inline bool sweep_known(const enum family family, struct sweep_walk *walk, struct memos *memos,
					const struct slot *slot)
{
	__u64 meta = load_meta(slot->meta), freed = family == FAMILY_IPV4 ? 0 : meta & META_TAG;
	__u32 id = memo_id(family, meta, slot->k0), state = meta_state(meta);
	struct memo *memo = memo_of(memos, id);
	__s32 lasts, silence = (walk->until - meta) >> META_SEEN_SHIFT;

	asm volatile("" : "+r"(state));
	if (memo->id != id || state >= FLOW_STATES)
		return false;
	lasts = memo->lasts[state];
	if (silence <= lasts) {
		memo->n[state]++;
		return true;
	}
	if (lasts < 0 || state == FLOW_HALF_OPEN || walk->freed < NOTED_ENDS)
		return false;
	if (__sync_val_compare_and_swap(slot->meta, meta, freed) != meta)
		return false;
	walk->freed++;
	return true;
}

static __always_inline void sweep_unknown(const enum family family, struct sweep_walk *walk, __u32 index)
{
	if (family == FAMILY_IPV4)
		sweep_slot4(walk, index);
	else
		sweep_slot6(walk, index);
}

static __always_inline void sweep_line(const enum family family, struct sweep_walk *walk, __u32 index)
{
	void *line = line_at(TABLE_CURRENT, family, index);
	struct memos *memos = memos_of();
	struct slot slot;
	__u32 s;

	if (!walk->memos || index >= CONFIG.layouts[TABLE_CURRENT][family].lines || !line || !memos) {
		for (s = 0; s < SLOTS; s++)
			sweep_unknown(family, walk, index * SLOTS + s);
		return;
	}
#pragma unroll
	for (s = 0; s < SLOTS; s++) {
		slot_in(line, TABLE_CURRENT, family, s, &slot);
		if (!sweep_known(family, walk, memos, &slot))
			sweep_unknown(family, walk, index * SLOTS + s);
	}
}

static long sweep_line4(__u32 i, struct sweep_walk *walk)
{
	sweep_line(FAMILY_IPV4, walk, walk->first + i);
	return 0;
}

static long sweep_line6(__u32 i, struct sweep_walk *walk)
{
	sweep_line(FAMILY_IPV6, walk, walk->first + i);
	return 0;
}

static long settle_one(__u32 i, struct sweep_walk *walk)
{
	struct memos *m = memos_of();

	if (m && m->of[i & (MEMOS - 1)].lasts[FLOW_FREE])
		walk->used += settle_memo(&m->of[i & (MEMOS - 1)]);
	return 0;
}

static __always_inline void open_memos(struct sweep_walk *walk)
{
	struct memos *m = memos_of();

	if (!m || __sync_val_compare_and_swap(&m->held, 0, 1))
		return;
	know_free(memo_of(m, 0));
	walk->memos = 1;
}

static __always_inline void close_memos(struct sweep_walk *walk)
{
	struct memos *m = memos_of();

	if (!m || !walk->memos)
		return;
	bpf_loop(MEMOS, settle_one, walk, 0);
	__sync_lock_test_and_set(&m->held, 0);
}

/* Returns 0, or -1 when the arguments name no table. */
static __always_inline int sweep_slice(struct sweep_args *args)
{
	struct sweep_walk walk = { .first = args->first, .now = tick_now() };

	if (args->table >= FAMILIES)
		return -1;
	walk.patience = (walk.now - args->since) & TICK_MASK;
	walk.until = (__u64)(walk.now + TICK_SKEW) << META_SEEN_SHIFT | ~META_SEEN;
	open_memos(&walk);
	/* One loop a family: the kernel makes a loop of a call only where one function may be called. */
	bpf_loop(args->table == FAMILY_IPV4 ? args->lines : 0, sweep_line4, &walk, 0);
	bpf_loop(args->table == FAMILY_IPV6 ? args->lines : 0, sweep_line6, &walk, 0);
	close_memos(&walk);
	args->now = walk.now;
	args->used = walk.used;
	args->freed = walk.freed;
	args->stash = walk.stash;
	args->missed = walk.missed;
	return 0;
}
