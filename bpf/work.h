//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* What one packet needs room for, and the next on this CPU finds as it was left: no packet interrupts another. */
#pragma once

#include "pin.h"

struct work {
	struct call call;
	struct call session;	   /* of the client, where flows of one belong together */
	struct listener_key6 from; /* source of a nat backend's packet; IPv4 in the first word */
	struct reply reply;	   /* whose socket a packet for a client comes from */
	__u64 last_hop;		   /* of that client */
	__u32 backend;		   /* to send to; 0: back to the client */
	__u32 spread;		   /* the same for all packets of a flow */
	__u32 outward;		   /* 1: an error is a nat backend's own, for a client */
	__u32 ports;		   /* 1: the packet has a TCP or UDP header: no later fragment, no ICMP */
	__u32 room;		   /* of the way that a packet was too big for */
	__u32 tick[LIMITS];	   /* in which left counts */
	__u32 left[LIMITS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} work SEC(".maps");

static __always_inline struct work *working(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&work, &zero);
}

/* A bucket of so many answers a tick and CPU: no clock but jiffies, no atomics. */
static __always_inline bool within_limit(struct work *w, const enum limited which)
{
	__u32 now = tick_now() + 1; /* 0 is before the first */

	if (w->tick[which] != now || w->left[which] > globals.limits[which]) {
		w->tick[which] = now;
		w->left[which] = globals.limits[which];
	}
	if (!w->left[which])
		return false;
	w->left[which]--;
	return true;
}
