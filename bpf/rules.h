//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The rules of the slot protocol and of the release that a test can leave out, to see its promise broken. In the
 * program that ships, every rule is compiled in: LEAVE_OUT is the constant 0.
 */
#pragma once

#include <linux/types.h>

enum rule {
	RULE_LOCK = 1 << 0,	 /* a miss takes the stripe */
	RULE_RECHECK = 1 << 1,	 /* a reader loads meta again after the key */
	RULE_CLAIMS = 1 << 2,	 /* claims are counted (IPv6) */
	RULE_CAS_SEEN = 1 << 3,	 /* seen is changed by compare-and-swap */
	RULE_OWN_SLOT = 1 << 4,	 /* an expired entry is revived in its own slot */
	RULE_PIN = 1 << 5,	 /* flows are pinned at all */
	RULE_ORPHAN = 1 << 6,	 /* a packet in mid-stream goes to the previous generation */
	RULE_VIP = 1 << 7,	 /* a hit needs the VIP id to agree */
	RULE_KEEP = 1 << 8,	 /* an established flow makes no room */
	STALL_PUBLISH = 1 << 16, /* not a rule: wait between reading live and publishing */
	STALL_READ = 1 << 17,	 /* not a rule: wait between meta and key */
	STALL_RECHECK = 1 << 18, /* not a rule: wait between key and meta again */
};

#ifdef EBBTIDE_TEST
const volatile enum rule LEAVE_OUT;
#else
enum { LEAVE_OUT = 0 };
#endif

static __always_inline bool rule(enum rule r)
{
	return !(LEAVE_OUT & r);
}
