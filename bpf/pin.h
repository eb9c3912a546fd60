//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The miss: under the stripe of the flow, look again; else take a slot, steer, write the key and publish.
 *
 * The order of the steps is the protocol: claim, then read which generation is live, then write the key, then publish.
 * A slot is only ever changed by a compare-and-swap of the meta word that was read, so the sweeper, which takes no
 * stripe, and packets of other flows, which hold other stripes, cannot be overwritten.
 *
 * While an upgrade imports the previous table (docs/architecture.md), a pin may lie in either. As long as links are being
 * moved, new flows are pinned in the previous one, which the old program knows; after that a pin found there is moved to
 * the current one under the same stripe. So a flow never has two.
 *
 * What may make room for a new flow, best first: free or expired, closing, the oldest half-open, the oldest young, in
 * the candidate lines; then the same in the overflow. Established flows never.
 */
#pragma once

#include "count.h"
#include "flowtable.h"
#include "lifecycle.h"
#include "limits.h"
#include "steer.h"
#include "trouble.h"

enum {
	STRIPE_SPINS = 4096, /* a pin with cold caches takes more than 512 */
	PIN_ATTEMPTS = 4,
	LINES_ALL = LINES_MAIN + LINES_STASH,
	NO_SLOT = 0xffffffff,
	RANK_CLASS_SHIFT = 32,
};

enum pin_result {
	PIN_FOUND,  /* the flow has a pin: call.index and call.table say where */
	PIN_PINNED, /* call.backend is its pin now */
	PIN_LOOSE,  /* call.backend, without a pin */
	PIN_DROP,   /* call.backend is the drop reason */
};

/* Whether the limit on new flows was asked for this packet. */
enum admission {
	ADMISSION_OPEN = 0,
	ADMISSION_GIVEN = 1,
	ADMISSION_REFUSED = 2,
};

/* A packet on its way to a backend: what it is, and where its pin was found. */
struct call {
	struct flow_id id;
	struct transport t;
	__u64 last_hop; /* the cold record's mac and iface as one word */
	__u64 ended;	/* meta of the entry that this packet found to be no longer its pin; 0: none */
	__u32 now;
	__u16 service;
	__u8 forwarding;
	__u8 closed;	  /* enum reason, why nothing may begin: the listener takes no new flows; 0: it may */
	__u8 midstream;	  /* it does not open a connection: without a pin it is an orphan */
	__u16 left;	  /* index of the generation that the session is taken from; 0: none */
	__u16 preset;	  /* backend of the client's session, which the flow joins; 0: each flow is a session */
	__u8 pool;	  /* 1: it joins the session's generation, not its backend */
	__u8 admission;	  /* enum admission */
	enum table table; /* out, by a miss */
	__u32 index;
	__u32 backend;
	__u32 import; /* slot of the previous table that holds the pin, or NO_SLOT */
	__u64 import_meta;
};

/* A pass over the candidate lines. */
struct scan {
	__u64 own_meta;
	__u32 own; /* the flow's own slot, expired or not */
	__u32 best;
	__u64 best_meta; /* 0: a free slot, whatever its claims */
	__u64 best_rank;
};

struct slot {
	__u64 *meta;
	__u64 *k0;
	__u64 *k1;
	__u64 *k2;
};

/* A table of this build has the lines of line.h. */
static __always_inline void slot_in_line(void *line, const enum family family, __u32 s, struct slot *slot)
{
	struct line4 *line4 = line;
	struct line6 *line6 = line;

	slot->meta = family == FAMILY_IPV4 ? &line4->meta[s] : &line6->meta[s];
	slot->k0 = family == FAMILY_IPV4 ? &line4->key[s] : &line6->ports[s];
	if (family == FAMILY_IPV6) {
		slot->k1 = &line6->addr[s][0];
		slot->k2 = &line6->addr[s][1];
	}
}

static __always_inline void slot_in(void *line, const enum table table, const enum family family, __u32 s,
				    struct slot *slot)
{
	const volatile struct layout *l = &CONFIG.layouts[table][family];

	if (table == TABLE_CURRENT)
		return slot_in_line(line, family, s, slot);
	slot->meta = line + l->meta_off + s * l->meta_stride;
	slot->k0 = line + l->key_off[0] + s * l->key_stride[0];
	if (family == FAMILY_IPV6) {
		slot->k1 = line + l->key_off[1] + s * l->key_stride[1];
		slot->k2 = line + l->key_off[2] + s * l->key_stride[2];
	}
}

static __always_inline bool slot_at(const enum table table, const enum family family, __u32 index, struct slot *slot)
{
	void *line = line_at(table, family, index / SLOTS);

	if (!line)
		return false;
	slot_in(line, table, family, index % SLOTS, slot);
	return true;
}

static __always_inline bool slot_is(const enum family family, const struct slot *slot, __u64 meta,
				    const struct flow_id *id)
{
	if (*slot->k0 != id->key[0])
		return false;
	if (family == FAMILY_IPV4)
		return !rule(RULE_VIP) || meta_tag(meta) == id->vip;
	return *slot->k1 == id->key[1] && *slot->k2 == id->key[2];
}

static __always_inline __u32 timeout_in(const struct service *svc, __u64 meta, __u8 proto)
{
	__u32 which = timeout_of(meta, proto);

	asm volatile("%0 &= 7" : "+r"(which)); /* what the compiler knows, 6.1's verifier does not */
	return svc->timeouts[which];
}

/* Whether an entry has been silent for longer than its backend's service lets it. */
static __always_inline bool silent(const struct backend *be, __u64 meta, __u8 proto, __u32 now)
{
	__u32 index = be->service;
	struct service *svc = bpf_map_lookup_elem(&services, &index);

	return !svc || meta_silence(meta, now) > timeout_in(svc, meta, proto);
}

static __always_inline bool flow_expired(const enum family family, __u64 meta, __u8 proto, __u32 now)
{
	struct backend *be = backend_of(family, meta_backend(meta));

	return !be || silent(be, meta, proto, now);
}

/* Other flows' protocol is not in their slot: their VIP id tells it. */
static __always_inline __u8 slot_proto(const enum family family, const struct slot *slot, __u64 meta)
{
	__u32 vip = family == FAMILY_IPV4 ? meta_tag(meta) : (__u32)*slot->k0;
	struct vip *v = bpf_map_lookup_elem(&vips, &vip);

	return v ? v->proto : IPPROTO_TCP;
}

static __always_inline bool stripe_take(__u64 *held)
{
	__u32 i;

	if (!rule(RULE_LOCK))
		return true;
	for (i = 0; i < STRIPE_SPINS; i++)
		if (!__sync_val_compare_and_swap(held, 0, 1))
			return true;
	return false;
}

static __always_inline void stripe_release(__u64 *held)
{
	if (rule(RULE_LOCK))
		__sync_lock_test_and_set(held, 0);
}

/*
 * Free slots, best first: the first line while it has two; then the emptier of the two pairs of lines, and in it the
 * emptier line, but the first line to its end while its pair is half full at most. That keeps most flows in their first
 * line and the overflow idle up to max_flows.
 */
static __always_inline __u64 rank_free(__u32 i, __u32 used, __u32 pair)
{
	if (i == 0 && used < SLOTS - 1)
		return 0;
	if (i == 0 && pair <= SLOTS)
		used = 0;
	return 1 + (pair * (SLOTS + 1) + used) * LINES_MAIN + i;
}

/* What a pass found of one line. */
struct room {
	__u32 used;
	__u32 free; /* a free slot, or NO_SLOT */
};

static __always_inline void offer(struct scan *scan, const struct room *room, __u32 i, __u32 pair)
{
	__u64 rank = rank_free(i, room->used, pair);

	if (room->free == NO_SLOT || rank >= scan->best_rank)
		return;
	scan->best_rank = rank;
	scan->best = room->free;
	scan->best_meta = 0;
}

/* Looks for the flow in one line, and for room. Returns true when the flow is there, or the line is not. */
static __always_inline bool scan_line(const enum table table, const enum family family, const struct flow_id *id,
				      __u32 line, struct scan *scan, struct room *room)
{
	void *at = line_at(table, family, line);
	__u32 s;

	room->used = 0;
	room->free = NO_SLOT;
	if (!at)
		return true;
	for (s = 0; s < SLOTS; s++) {
		struct slot slot;
		__u64 meta;

		slot_in(at, table, family, s, &slot);
		meta = load_meta(slot.meta);
		if (meta_state(meta) == FLOW_FREE) {
			room->free = line * SLOTS + s;
			continue;
		}
		room->used++;
		if (!meta_published(meta) || !slot_is(family, &slot, meta, id))
			continue;
		scan->own = line * SLOTS + s;
		scan->own_meta = meta;
		return true;
	}
	return false;
}

/* Looks for the flow itself and for the best free slot. */
static __always_inline void scan_free(const enum table table, const enum family family, const struct flow_id *id,
				      struct scan *scan)
{
	const volatile struct layout *l = &CONFIG.layouts[table][family];
	struct room first, second;
	__u32 i;

	scan->own = scan->best = NO_SLOT;
	scan->best_rank = ~0ULL;
	for (i = 0; i < LINES_ALL; i += 2) {
		if (scan_line(table, family, id, candidate(l, id->hash, i), scan, &first) ||
		    scan_line(table, family, id, candidate(l, id->hash, i + 1), scan, &second))
			return;
		if (i >= LINES_MAIN)
			continue;
		offer(scan, &first, i, first.used + second.used);
		offer(scan, &second, i + 1, first.used + second.used);
	}
}

/* How well a taken slot can make room: class, then age. ~0: not at all. */
static __always_inline __u64 rank_victim(const enum family family, const struct slot *slot, __u64 meta, __u32 now)
{
	__u32 newness = TICK_MASK - meta_silence(meta, now);

	switch (meta_state(meta)) {
	case FLOW_FREE:
		return 0;
	case FLOW_CLAIMED:
		return ~0ULL;
	}
	if (flow_expired(family, meta, slot_proto(family, slot, meta), now))
		return 1;
	switch (meta_state(meta)) {
	case FLOW_CLOSING:
		return 1ULL << RANK_CLASS_SHIFT | newness;
	case FLOW_HALF_OPEN:
		return 2ULL << RANK_CLASS_SHIFT | newness;
	case FLOW_YOUNG:
		return 3ULL << RANK_CLASS_SHIFT | newness;
	}
	return rule(RULE_KEEP) ? ~0ULL : 2ULL << RANK_CLASS_SHIFT | newness;
}

/* No free slot in the candidate lines: the best one that can be replaced there, or in the overflow. */
static __always_inline void scan_victim(const enum table table, const enum family family, const struct flow_id *id,
					__u32 now, struct scan *scan)
{
	__u32 i, s;

	for (i = 0; i < LINES_ALL; i++) {
		__u32 line = candidate(&CONFIG.layouts[table][family], id->hash, i);
		void *at = line_at(table, family, line);

		if (!at || (i == LINES_MAIN && scan->best != NO_SLOT))
			return;
		for (s = 0; s < SLOTS; s++) {
			struct slot slot;
			__u64 meta, rank;

			slot_in(at, table, family, s, &slot);
			meta = load_meta(slot.meta);
			rank = rank_victim(family, &slot, meta, now);
			if (rank >= scan->best_rank)
				continue;
			scan->best_rank = rank;
			scan->best = line * SLOTS + s;
			scan->best_meta = meta;
		}
	}
}

/* True while this build has a previous table and the call works on it; constant when there is none. */
static __always_inline bool on_previous(const struct call *call)
{
	return CONFIG.previous && call->table == TABLE_PREVIOUS;
}

static __always_inline int scan_free_of(const enum family family, struct call *call, struct scan *scan)
{
	if (on_previous(call))
		scan_free(TABLE_PREVIOUS, family, &call->id, scan);
	else
		scan_free(TABLE_CURRENT, family, &call->id, scan);
	return 0;
}

static __always_inline int scan_victim_of(const enum family family, struct call *call, struct scan *scan)
{
	if (on_previous(call))
		scan_victim(TABLE_PREVIOUS, family, &call->id, call->now, scan);
	else
		scan_victim(TABLE_CURRENT, family, &call->id, call->now, scan);
	return 0;
}

/* Global functions, here and below: verified once each, however many paths lead to them. They return 0. */
__noinline int scan_free4(struct call *call, struct scan *scan)
{
	return call && scan ? scan_free_of(FAMILY_IPV4, call, scan) : 0;
}

__noinline int scan_free6(struct call *call, struct scan *scan)
{
	return call && scan ? scan_free_of(FAMILY_IPV6, call, scan) : 0;
}

__noinline int scan_victim4(struct call *call, struct scan *scan)
{
	return call && scan ? scan_victim_of(FAMILY_IPV4, call, scan) : 0;
}

__noinline int scan_victim6(struct call *call, struct scan *scan)
{
	return call && scan ? scan_victim_of(FAMILY_IPV6, call, scan) : 0;
}

static __always_inline void count_replaced(__u64 meta, bool expired)
{
	if (expired)
		return;
	switch (meta_state(meta)) {
	case FLOW_CLOSING:
		count(EVENT_REPLACED_CLOSING);
		break;
	case FLOW_HALF_OPEN:
		count(EVENT_REPLACED_HALF_OPEN);
		break;
	case FLOW_YOUNG:
		count(EVENT_REPLACED_YOUNG);
		break;
	}
}

static __always_inline __u32 next_claim(const enum family family, __u64 meta)
{
	if (family == FAMILY_IPV4 || !rule(RULE_CLAIMS))
		return 0;
	return meta_tag(meta) + 1;
}

static __always_inline void count_moved(__u16 generation)
{
	struct counters *n = counters_of(generation);

	if (n)
		n->moved++;
}

/* A flow that joins its client's session begins none. One that is steered anew was taken from another generation. */
static __always_inline void count_pin(struct call *call, const struct choice *c)
{
	struct counters *n = counters_of(c->generation);

	if (call->preset)
		return;
	if (call->left)
		count_moved(call->left);
	if (!n)
		return;
	if (c->orphan)
		n->orphans++;
	else
		n->new_sessions++;
}

/* The session's backend, or one of its generation; where there is no session, or nobody left in it, as steer() says. */
static __always_inline struct choice choose(const enum family family, struct call *call)
{
	struct choice c = steer(call->service, family, call->id.key, call->midstream);
	struct backend *be = call->preset ? backend_of(family, call->preset) : NULL;
	__u32 id = call->preset;

	if (!be)
		return c;
	if (call->pool)
		id = maglev_pick(be->generation, family, steering_hash(family, call->id.key));
	if (id) {
		c.backend = id;
		c.generation = be->generation;
	}
	return c;
}

/*
 * No slot. The live generation serves it unpinned; but while one drains a SYN must not begin what can't be kept, and in
 * nat nothing can be served whose replies no pin leads back.
 */
static __always_inline int go_loose(const enum family family, struct call *call)
{
	struct choice c = choose(family, call);
	struct counters *n = counters_of(c.generation);

	if (!c.backend || !n) {
		call->backend = DROP_NO_GENERATION;
		return PIN_DROP;
	}
	if (rule(RULE_PIN) && (call->forwarding == FORWARDING_NAT || (c.draining && is_open(&call->t)))) {
		call->backend = DROP_TABLE_FULL;
		return PIN_DROP;
	}
	n->unpinned++;
	n->last_unpinned = call->now;
	count(EVENT_UNPINNED);
	call->backend = c.backend;
	return PIN_LOOSE;
}

__noinline int loose4(struct call *call)
{
	return call ? go_loose(FAMILY_IPV4, call) : PIN_DROP;
}

__noinline int loose6(struct call *call)
{
	return call ? go_loose(FAMILY_IPV6, call) : PIN_DROP;
}

static __always_inline void write_key(const enum family family, const struct slot *slot, const struct flow_id *id)
{
	*(volatile __u64 *)slot->k0 = id->key[0];
	if (family == FAMILY_IPV6) {
		*(volatile __u64 *)slot->k1 = id->key[1];
		*(volatile __u64 *)slot->k2 = id->key[2];
	}
}

static __always_inline void publish(const struct slot *slot, __u64 claimed, __u64 meta)
{
	if (__sync_val_compare_and_swap(slot->meta, claimed, meta) != claimed)
		count(EVENT_PUBLISH_LOST);
}

static __always_inline __u32 tag_of(const enum family family, const struct call *call, __u64 claimed)
{
	return family == FAMILY_IPV4 ? call->id.vip : meta_tag(claimed);
}

/* The slot is claimed: nobody else changes it. */
static __always_inline int write_pin(const enum table table, const enum family family, struct call *call, __u32 index,
				     __u64 claimed)
{
	struct choice c = choose(family, call);
	struct cold *cold = cold_at(table, family, index);
	struct slot slot;
	__u64 pinned;

	stall(STALL_PUBLISH);
	if (!slot_at(table, family, index, &slot)) {
		call->backend = DROP_BAD_MAP;
		return PIN_DROP;
	}
	if (!c.backend || !cold) {
		publish(&slot, claimed, claimed & META_TAG);
		call->backend = DROP_NO_GENERATION;
		return PIN_DROP;
	}
	write_key(family, &slot, &call->id);
	cold->start = call->now;
	cold->end_seq = call->t.proto == PROTO_SESSION ? 0 : end_of(&call->t);
	*(__u64 *)cold->mac = call->last_hop;
	pinned = meta_make(first_state(&call->t), tag_of(family, call, claimed), c.backend, call->now);
	if (call->t.flags & TCP_FIN)
		pinned |= META_FIN;
	publish(&slot, claimed, pinned);
	count_pin(call, &c);
	if (index >= CONFIG.layouts[table][family].lines * SLOTS)
		count(EVENT_OVERFLOW);
	call->backend = c.backend;
	return PIN_PINNED;
}

static __always_inline int write_in(const enum family family, struct call *call, __u32 index, __u64 claimed)
{
	if (on_previous(call))
		return write_pin(TABLE_PREVIOUS, family, call, index, claimed);
	return write_pin(TABLE_CURRENT, family, call, index, claimed);
}

__noinline int write4(struct call *call, __u32 index, __u64 claimed)
{
	return call ? write_in(FAMILY_IPV4, call, index, claimed) : PIN_DROP;
}

__noinline int write6(struct call *call, __u32 index, __u64 claimed)
{
	return call ? write_in(FAMILY_IPV6, call, index, claimed) : PIN_DROP;
}

/*
 * Moves a pin from the previous table into the claimed slot. The old slot is freed first, by a compare-and-swap of the word
 * that was judged: packets that found the pin there may still touch it, and one that is only now coming from the time
 * before may replace it. Returns -1 when one did.
 */
static __always_inline int move_pin(const enum family family, struct call *call, __u32 index, __u64 claimed)
{
	struct cold *from = cold_at(TABLE_PREVIOUS, family, call->import);
	struct cold *to = cold_at(TABLE_CURRENT, family, index);
	__u64 meta = call->import_meta;
	bool freed = false;
	struct slot slot;

	if (from && to && slot_at(TABLE_PREVIOUS, family, call->import, &slot)) {
		*to = *from;
		freed = __sync_val_compare_and_swap(slot.meta, meta, meta & META_TAG) == meta;
	}
	if (!slot_at(TABLE_CURRENT, family, index, &slot)) {
		call->backend = DROP_BAD_MAP;
		return PIN_DROP;
	}
	if (!freed) {
		count(EVENT_CAS_LOST);
		publish(&slot, claimed, claimed & META_TAG);
		return -1;
	}
	write_key(family, &slot, &call->id);
	publish(&slot, claimed, (meta & ~META_TAG) | (__u64)tag_of(family, call, claimed) << META_TAG_SHIFT);
	count(EVENT_IMPORTED);
	call->index = index;
	return PIN_FOUND;
}

__noinline int move4(struct call *call, __u32 index, __u64 claimed)
{
	return call ? move_pin(FAMILY_IPV4, call, index, claimed) : PIN_DROP;
}

__noinline int move6(struct call *call, __u32 index, __u64 claimed)
{
	return call ? move_pin(FAMILY_IPV6, call, index, claimed) : PIN_DROP;
}

/* Claims the slot that scan chose. Returns the claimed word, or 0 when another CPU was faster. */
static __always_inline __u64 claim(const enum table table, const enum family family, __u32 index, __u64 meta)
{
	struct slot slot;
	__u64 claimed;

	if (!slot_at(table, family, index, &slot))
		return 0;
	if (!meta) {
		meta = load_meta(slot.meta);
		if (meta_state(meta) != FLOW_FREE)
			return 0;
	}
	claimed = meta_make(FLOW_CLAIMED, next_claim(family, meta), 0, 0);
	if (__sync_val_compare_and_swap(slot.meta, meta, claimed) == meta)
		return claimed;
	count(EVENT_CAS_LOST);
	return 0;
}

/* A slot was claimed whose entry was half-open. Global functions, which return 0. */
static __always_inline int never_of(const enum table table, const enum family family, __u32 index, __u64 meta)
{
	struct slot slot;

	if (slot_at(table, family, index, &slot))
		count_never(family, meta, slot_proto(family, &slot, meta) == PROTO_SESSION);
	return 0;
}

__noinline int never4(struct call *call, __u32 index, __u64 meta)
{
	if (!call)
		return 0;
	return on_previous(call) ? never_of(TABLE_PREVIOUS, FAMILY_IPV4, index, meta) :
				   never_of(TABLE_CURRENT, FAMILY_IPV4, index, meta);
}

__noinline int never6(struct call *call, __u32 index, __u64 meta)
{
	if (!call)
		return 0;
	return on_previous(call) ? never_of(TABLE_PREVIOUS, FAMILY_IPV6, index, meta) :
				   never_of(TABLE_CURRENT, FAMILY_IPV6, index, meta);
}

/* Claims a slot and fills it: with the pin to be imported, or with a new one. Returns -1 when another CPU was faster. */
static __always_inline int take(const enum family family, struct call *call, __u32 index, __u64 meta)
{
	__u64 claimed = on_previous(call) ? claim(TABLE_PREVIOUS, family, index, meta) :
					    claim(TABLE_CURRENT, family, index, meta);

	if (!claimed)
		return -1;
	if (meta_state(meta) == FLOW_HALF_OPEN) {
		if (family == FAMILY_IPV4)
			never4(call, index, meta);
		else
			never6(call, index, meta);
	}
	if (CONFIG.previous && !on_previous(call) && call->import != NO_SLOT)
		return family == FAMILY_IPV4 ? move4(call, index, claimed) : move6(call, index, claimed);
	return family == FAMILY_IPV4 ? write4(call, index, claimed) : write6(call, index, claimed);
}

static __always_inline void look(const enum family family, struct call *call, struct scan *scan)
{
	if (family == FAMILY_IPV4)
		scan_free4(call, scan);
	else
		scan_free6(call, scan);
}

/*
 * The flow's entry in the scanned table is its pin. One that a SYN was to replace is, when it is another by now: a copy of
 * the SYN was faster on another CPU, and both belong to that session.
 */
static __always_inline bool holds(const enum family family, const struct call *call, const struct scan *scan)
{
	return scan->own != NO_SLOT && rule(RULE_OWN_SLOT) && scan->own_meta != call->ended &&
	       !flow_expired(family, scan->own_meta, call->t.proto, call->now);
}

/* Frees an entry of the previous table that is no pin any more, so that nothing can revive it there. */
static __always_inline bool forget(const enum family family, const struct scan *scan)
{
	struct slot slot;

	return slot_at(TABLE_PREVIOUS, family, scan->own, &slot) &&
	       __sync_val_compare_and_swap(slot.meta, scan->own_meta, scan->own_meta & META_TAG) == scan->own_meta;
}

enum aside {
	ASIDE_NOTHING,
	ASIDE_FOUND, /* a pin in the current table: call.index says where */
	ASIDE_AGAIN, /* another CPU changed the entry */
};

/*
 * An upgrade is under way: looks in the table that new flows do not go to. A pin in the current table is found; one in
 * the previous table is to be imported.
 */
static __always_inline enum aside look_aside(const enum family family, struct call *call, struct scan *scan)
{
	enum table home = call->table;

	call->table = home == TABLE_PREVIOUS ? TABLE_CURRENT : TABLE_PREVIOUS;
	look(family, call, scan);
	if (holds(family, call, scan)) {
		if (home == TABLE_PREVIOUS) {
			call->index = scan->own;
			return ASIDE_FOUND;
		}
		call->import = scan->own;
		call->import_meta = scan->own_meta;
	} else if (home == TABLE_CURRENT && scan->own != NO_SLOT && !forget(family, scan)) {
		return ASIDE_AGAIN;
	}
	call->table = home;
	return ASIDE_NOTHING;
}

/* No slot for the flow. A pin that is to be imported stays where it is, and is used there. */
static __always_inline int no_slot(const enum family family, struct call *call)
{
	if (CONFIG.previous && call->import != NO_SLOT) {
		call->table = TABLE_PREVIOUS;
		call->index = call->import;
		return PIN_FOUND;
	}
	return family == FAMILY_IPV4 ? loose4(call) : loose6(call);
}

__noinline int admit4(struct call *call)
{
	__u32 index = call ? call->service : 0;
	struct service *svc = bpf_map_lookup_elem(&services, &index);

	return !call || !svc ||
	       take_new_flow(svc, prefix_hash(FAMILY_IPV4, svc, index, call->id.key), call->now);
}

__noinline int admit6(struct call *call)
{
	__u32 index = call ? call->service : 0;
	struct service *svc = bpf_map_lookup_elem(&services, &index);

	return !call || !svc ||
	       take_new_flow(svc, prefix_hash(FAMILY_IPV6, svc, index, call->id.key), call->now);
}

/* Global functions that say whether whoever begins a session now gets the busy answer of its service. */
__noinline int told_busy4(struct call *call)
{
	__u32 index = call ? call->service : 0;
	struct service *svc = bpf_map_lookup_elem(&services, &index);

	return call && svc && is_busy(svc) && !is_tester(index, FAMILY_IPV4, call->id.key);
}

__noinline int told_busy6(struct call *call)
{
	__u32 index = call ? call->service : 0;
	struct service *svc = bpf_map_lookup_elem(&services, &index);

	return call && svc && is_busy(svc) && !is_tester(index, FAMILY_IPV6, call->id.key);
}

/* What joins a session, or goes on in mid-stream, begins none. One that is being moved does: nobody else takes it. */
static __always_inline bool told_busy(const enum family family, struct call *call)
{
	if (call->preset || call->midstream)
		return false;
	return family == FAMILY_IPV4 ? told_busy4(call) : told_busy6(call);
}

/* Whether the client's prefix may begin another flow. It is asked once a packet, and not when a session is moved. */
static __always_inline bool admitted(const enum family family, struct call *call, const struct service *svc)
{
	if (!svc->new_flows || call->left || call->admission == ADMISSION_GIVEN)
		return true;
	if (call->admission == ADMISSION_OPEN) {
		bool given = family == FAMILY_IPV4 ? admit4(call) : admit6(call);

		call->admission = given ? ADMISSION_GIVEN : ADMISSION_REFUSED;
	}
	return call->admission == ADMISSION_GIVEN;
}

/* How long a slot's flow has been silent, if it is a half-open one of this service; else -1. */
static __always_inline int half_open_for(const enum table table, const enum family family, struct call *call, __u32 index)
{
	struct backend *be;
	struct slot slot;
	__u64 meta;

	if (!slot_at(table, family, index, &slot))
		return -1;
	meta = load_meta(slot.meta);
	if (meta_state(meta) != FLOW_HALF_OPEN)
		return -1;
	be = backend_of(family, meta_backend(meta));
	if (!be || be->service != call->service || silent(be, meta, slot_proto(family, &slot, meta), call->now))
		return -1;
	return meta_silence(meta, call->now);
}

__noinline int half_open4(struct call *call, __u32 index)
{
	if (!call)
		return -1;
	return on_previous(call) ? half_open_for(TABLE_PREVIOUS, FAMILY_IPV4, call, index) :
				   half_open_for(TABLE_CURRENT, FAMILY_IPV4, call, index);
}

__noinline int half_open6(struct call *call, __u32 index)
{
	if (!call)
		return -1;
	return on_previous(call) ? half_open_for(TABLE_PREVIOUS, FAMILY_IPV6, call, index) :
				   half_open_for(TABLE_CURRENT, FAMILY_IPV6, call, index);
}

/*
 * The service's half-open flows among the places that this one may take. Where they are as many as their share lets them
 * be, the oldest makes room, free places or not: a flood competes with itself, and leaves the others theirs.
 */
static __always_inline bool scan_share(const enum table table, const enum family family, struct call *call, __u32 most,
				       struct scan *scan)
{
	__u32 i, n = 0;
	int oldest = -1;

	scan->best = NO_SLOT;
	for (i = 0; i < LINES_MAIN * SLOTS; i++) {
		__u32 index = candidate(&CONFIG.layouts[table][family], call->id.hash, i / SLOTS) * SLOTS + i % SLOTS;
		int silence = family == FAMILY_IPV4 ? half_open4(call, index) : half_open6(call, index);

		if (silence < 0)
			continue;
		n++;
		if (silence > oldest) {
			oldest = silence;
			scan->best = index;
		}
	}
	return n >= most;
}

static __always_inline int scan_share_of(const enum family family, struct call *call, struct scan *scan)
{
	__u32 index = call->service;
	struct service *svc = bpf_map_lookup_elem(&services, &index);

	if (!svc)
		return 0;
	if (on_previous(call))
		return scan_share(TABLE_PREVIOUS, family, call, svc->half_open, scan);
	return scan_share(TABLE_CURRENT, family, call, svc->half_open, scan);
}

/* Global functions that say whether the share is used up: then scan has the flow that makes room. */
__noinline int scan_share4(struct call *call, struct scan *scan)
{
	return call && scan ? scan_share_of(FAMILY_IPV4, call, scan) : 0;
}

__noinline int scan_share6(struct call *call, struct scan *scan)
{
	return call && scan ? scan_share_of(FAMILY_IPV6, call, scan) : 0;
}

/* Whether a half-open flow of the service makes room: then scan has it. One that has got further meanwhile does not. */
static __always_inline bool share_used(const enum family family, struct call *call, const struct service *svc,
				       struct scan *scan)
{
	struct scan share = {};
	struct slot slot;

	if (!svc->half_open || !(family == FAMILY_IPV4 ? scan_share4(call, &share) : scan_share6(call, &share)))
		return false;
	if (!(on_previous(call) ? slot_at(TABLE_PREVIOUS, family, share.best, &slot) :
				  slot_at(TABLE_CURRENT, family, share.best, &slot)))
		return false;
	share.best_meta = load_meta(slot.meta);
	if (meta_state(share.best_meta) != FLOW_HALF_OPEN)
		return false;
	scan->best = share.best;
	scan->best_meta = share.best_meta;
	return true;
}

/*
 * A session that leaves its backend, and nobody takes it: it has ended. Where sessions are of clients they are counted, and
 * not their flows.
 */
static __always_inline void end_left(const enum family family, struct call *call, const struct service *svc,
				     const struct scan *scan)
{
	bool counts = call->t.proto == PROTO_SESSION || svc->affinity == AFFINITY_FLOW || !svc->session_vip[family];
	struct slot slot;

	if (!(on_previous(call) ? slot_at(TABLE_PREVIOUS, family, scan->own, &slot) :
				  slot_at(TABLE_CURRENT, family, scan->own, &slot)))
		return;
	if (!swap_word(slot.meta, scan->own_meta, scan->own_meta & META_TAG) || !counts)
		return;
	count_moved(call->left);
}

/* Under the stripe, once. Returns -1 to try again. */
static __always_inline int pin_once(const enum family family, struct call *call)
{
	__u32 service = call->service;
	struct service *svc = bpf_map_lookup_elem(&services, &service);
	struct scan scan = {};

	if (!svc) {
		call->backend = DROP_NO_GENERATION;
		return PIN_DROP;
	}
	call->import = NO_SLOT;
	call->table = TABLE_CURRENT;
	if (CONFIG.previous) {
		if (*(volatile __u32 *)&globals.pin_previous)
			call->table = TABLE_PREVIOUS;
		switch (look_aside(family, call, &scan)) {
		case ASIDE_FOUND:
			return PIN_FOUND;
		case ASIDE_AGAIN:
			return -1;
		case ASIDE_NOTHING:
			break;
		}
	}
	look(family, call, &scan);
	if (call->import == NO_SLOT && holds(family, call, &scan)) {
		call->index = scan.own;
		return PIN_FOUND;
	}
	if (call->closed && call->import == NO_SLOT) {
		call->backend = call->closed;
		return PIN_DROP;
	}
	if (call->import == NO_SLOT && told_busy(family, call)) {
		if (call->left)
			end_left(family, call, svc, &scan);
		call->backend = DROP_BUSY;
		return PIN_DROP;
	}
	if (call->import == NO_SLOT && !admitted(family, call, svc)) {
		call->backend = DROP_NEW_FLOWS;
		return PIN_DROP;
	}
	if (scan.own != NO_SLOT && rule(RULE_OWN_SLOT))
		return take(family, call, scan.own, scan.own_meta);
	if (call->import == NO_SLOT && first_state(&call->t) == FLOW_HALF_OPEN && share_used(family, call, svc, &scan)) {
		count(EVENT_REPLACED_SHARE);
		return take(family, call, scan.best, scan.best_meta);
	}
	if (scan.best == NO_SLOT) {
		if (family == FAMILY_IPV4)
			scan_victim4(call, &scan);
		else
			scan_victim6(call, &scan);
		if (scan.best == NO_SLOT)
			return no_slot(family, call);
		count_replaced(scan.best_meta, scan.best_rank <= 1);
	}
	return take(family, call, scan.best, scan.best_meta);
}

static __always_inline int pin(const enum family family, struct call *call)
{
	__u32 which = (__u32)(call->id.hash >> 16) % STRIPES, i;
	struct stripe *stripe = bpf_map_lookup_elem(&stripes, &which);
	int result = -1;

	if (!rule(RULE_PIN))
		return family == FAMILY_IPV4 ? loose4(call) : loose6(call);
	if (!stripe || !stripe_take(&stripe->held)) {
		call->backend = DROP_STRIPE_BUSY;
		return PIN_DROP;
	}
	call->now = tick_now(); /* whoever held the stripe may have pinned or expired something since */
	for (i = 0; i < PIN_ATTEMPTS && result < 0; i++)
		result = pin_once(family, call);
	stripe_release(&stripe->held);
	if (result >= 0)
		return result;
	call->backend = DROP_STRIPE_BUSY;
	return PIN_DROP;
}

__noinline int pin4(struct call *call)
{
	return call ? pin(FAMILY_IPV4, call) : PIN_DROP;
}

__noinline int pin6(struct call *call)
{
	return call ? pin(FAMILY_IPV6, call) : PIN_DROP;
}
