//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Choosing a backend for a packet that has no pin: the live generation, or for a packet in mid-stream the previous one
 * while it drains; then its Maglev table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI 2016, section 3.4). Sees no packet and writes nothing.
 */
#pragma once

#include "maps.h"
#include "rules.h"

/*
 * The steer word of a service. One aligned 8-byte store by the daemon is a flip.
 *   bits  0..15  index of the live generation; 0: none
 *   bits 16..31  index of the generation that takes orphans: the one live before, until it is sealed; 0: none
 *   bit  32      a generation of this service drains
 */
enum {
	STEER_PREVIOUS_SHIFT = 16,
	STEER_DRAINING_SHIFT = 32,
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

static __always_inline struct choice steer(__u32 service, enum family family, const __u64 key[3], bool midstream)
{
	struct service *svc = bpf_map_lookup_elem(&services, &service);
	struct choice c = {};
	__u32 previous;
	__u64 word;

	if (!svc)
		return c;
	word = *(volatile __u64 *)&svc->steer;
	previous = (word >> STEER_PREVIOUS_SHIFT) & 0xffff;
	c.generation = word & 0xffff;
	c.draining = (word >> STEER_DRAINING_SHIFT) & 1;
	c.orphan = midstream;
	if (midstream && previous && rule(RULE_ORPHAN))
		c.generation = previous;
	c.backend = maglev_pick(c.generation, family, steering_hash(family, key));
	if (!c.backend && c.generation != (word & 0xffff)) { /* the previous generation has nobody left who takes it */
		c.generation = word & 0xffff;
		c.backend = maglev_pick(c.generation, family, steering_hash(family, key));
	}
	return c;
}
