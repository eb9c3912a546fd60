//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Fixed for the program's life: set by the loader before load, so that the verifier removes what is not used. */
#pragma once

#include "layout.h"

/* Which table of a family: the one in use, or the one that an upgrade is importing from. */
enum table {
	TABLE_CURRENT = 0,
	TABLE_PREVIOUS = 1,
	TABLES = 2,
};

struct config {
	struct layout layouts[TABLES][FAMILIES];
	__u64 seed;	  /* of the bucket hash: random per host, kept as long as the table */
	__u32 protocol;	  /* PROTOCOL; for the loader */
	__u32 epoch;	  /* counts the programs that took these tables over; for the loader */
	__u8 build[8];	  /* digest of the program; for the loader */
	__u32 max_flows;  /* that the tables were sized for; for the loader */
	__u32 tick_shift; /* tick = jiffies >> tick_shift: about a second */
	__u8 weak_order;  /* 1: loads may pass loads on this CPU */
	__u8 previous;	  /* 1: there is a previous table */
	__u8 pad[6];
};

/* In a map of its own, so that a loader of another build finds it. */
const volatile struct config CONFIG SEC(".rodata.config");
