//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Choosing a backend for a packet that has no pin: for one in mid-stream the previous generation while it drains; the
 * candidate for testers and for the share of clients that it has; else the live one. Then its Maglev table (Eisenbud et
 * al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4). Sees no packet and writes
 * nothing.
 */
#pragma once

#include "maps.h"
#include "rules.h"

/*
 * The steer word of a service. One aligned 8-byte store by the daemon is a flip.
 *   bits  0..15  index of the live generation; 0: none
 *   bits 16..31  index of the generation that takes orphans: the one live before, until it is sealed; 0: none
 *   bits 32..47  index of the candidate, which testers and its share of clients go to; 0: none
 *   bits 48..61  its share of clients, in ten-thousandths
 *   bit  62      the service is busy: new sessions get its busy answer, testers' excepted
 *   bit  63      a generation of this service drains
 */
enum {
	STEER_PREVIOUS_SHIFT = 16,
	STEER_CANDIDATE_SHIFT = 32,
	STEER_SHARE_SHIFT = 48,
	STEER_SHARE_MASK = 0x3fff,
	STEER_BUSY_SHIFT = 62,
	STEER_DRAINING_SHIFT = 63,
	SHARE_WHOLE = 10000,
};

struct choice {
	__u32 backend; /* 0: none */
	__u16 generation;
	bool orphan;
	bool draining;
};

/* The same on every host: only the flow decides. The VIP id, which each host counts for itself, stays out. */
static __always_inline __u32 steering_hash(enum family family, const __u64 key[3])
{
	__u64 h = (family == FAMILY_IPV6 ? key[0] >> 32 : key[0]) * 0x9e3779b97f4a7c15ULL;

	h = ((h ^ h >> 32) + key[1]) * 0xbf58476d1ce4e5b9ULL;
	h = ((h ^ h >> 29) + key[2]) * 0x94d049bb133111ebULL;
	return h >> 32;
}

static __always_inline __u32 maglev_pick(__u32 generation, enum family family, __u32 hash)
{
	__u32 slot = generation * FAMILIES + family, zero = 0, at, index;
	__u64 *size, *four;
	void *table;

	table = bpf_map_lookup_elem(&maglev, &slot);
	if (!table)
		return 0;
	size = bpf_map_lookup_elem(table, &zero);
	if (!size)
		return 0;
	at = (hash * (*size & 0xffffffff)) >> 32;
	index = 1 + at / 4;
	four = bpf_map_lookup_elem(table, &index);
	return four ? (*four >> (at % 4 * 16)) & 0xffff : 0;
}

/* A key that is looked up: kernels before 6.9 have no room for it on the stack that is left here. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tester_key6);
} tester_key SEC(".maps");

static __always_inline bool is_tester(__u32 service, enum family family, const __u64 key[3])
{
	__u32 zero = 0;
	struct tester_key6 *k = bpf_map_lookup_elem(&tester_key, &zero);

	if (!k)
		return false;
	k->service = service;
	if (family == FAMILY_IPV4) {
		k->prefixlen = 64;
		k->addr[0] = key[0] >> 32;
		return bpf_map_lookup_elem(&testers4, k);
	}
	k->prefixlen = 160;
	__builtin_memcpy(k->addr, &key[1], sizeof(k->addr));
	return bpf_map_lookup_elem(&testers6, k);
}

/* Whether a service has its busy answer for whoever begins a session now. */
static __always_inline bool is_busy(const struct service *svc)
{
	return (*(volatile __u64 *)&svc->steer >> STEER_BUSY_SHIFT) & 1;
}

/*
 * Which clients have how much of the candidate: of the client alone, the same on every host and for a whole release, so
 * that a larger share takes all clients of a smaller one.
 */
static __always_inline bool in_share(__u64 salt, enum family family, const __u64 key[3], __u32 share)
{
	__u64 h = (salt ^ (family == FAMILY_IPV6 ? key[1] : key[0] >> 32)) * 0x9e3779b97f4a7c15ULL;

	if (family == FAMILY_IPV6)
		h = ((h ^ h >> 32) + key[2]) * 0xbf58476d1ce4e5b9ULL;
	h = (h ^ h >> 29) * 0x94d049bb133111ebULL;
	return ((h >> 32) * SHARE_WHOLE >> 32) < share;
}

static __always_inline struct choice steer(__u32 service, enum family family, const __u64 key[3], bool midstream)
{
	struct service *svc = bpf_map_lookup_elem(&services, &service);
	struct choice c = {};
	__u32 previous, candidate, share;
	__u64 word;

	if (!svc)
		return c;
	word = *(volatile __u64 *)&svc->steer;
	previous = (word >> STEER_PREVIOUS_SHIFT) & 0xffff;
	c.generation = word & 0xffff;
	c.draining = (word >> STEER_DRAINING_SHIFT) & 1;
	c.orphan = midstream;
	candidate = (word >> STEER_CANDIDATE_SHIFT) & 0xffff;
	share = (word >> STEER_SHARE_SHIFT) & STEER_SHARE_MASK;
	if (midstream && previous && rule(RULE_ORPHAN))
		c.generation = previous;
	else if (candidate && (in_share(svc->salt, family, key, share) || is_tester(service, family, key)))
		c.generation = candidate;
	c.backend = maglev_pick(c.generation, family, steering_hash(family, key));
	if (!c.backend && c.generation != (word & 0xffff)) { /* the previous generation has nobody left who takes it */
		c.generation = word & 0xffff;
		c.backend = maglev_pick(c.generation, family, steering_hash(family, key));
	}
	return c;
}
