//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The lines of the flow tables. The guard is a macro, so that a test can build the program with lines of another shape
 * (bpf/bpfwide) and upgrade to it.
 */
#ifndef EBBTIDE_LINE_H
#define EBBTIDE_LINE_H

#include <linux/types.h>

#include "slots.h"

/* One line of the IPv4 flow table: one cache line. */
struct line4 {
	__u64 key[SLOTS];  /* client address, client port, destination port: flow_key4() */
	__u64 meta[SLOTS]; /* meta.h; its tag is the VIP id */
};

/* One line of the IPv6 flow table: the words that tell most flows apart share its first cache line. */
struct line6 {
	__u64 meta[SLOTS];  /* meta.h; its tag counts claims */
	__u64 ports[SLOTS]; /* client port, destination port, VIP id: flow_key6() */
	__u64 addr[SLOTS][2];
};

_Static_assert(sizeof(struct line4) == 64, "an IPv4 line is one cache line");
_Static_assert(sizeof(struct line6) == 128, "an IPv6 line is two cache lines");

#endif
