//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Lines of another shape, for the tests of an upgrade: wider slots, and the words in another order. */
#ifndef EBBTIDE_LINE_H
#define EBBTIDE_LINE_H

#include <linux/types.h>

#include "../slots.h"

struct line4 {
	__u64 meta[SLOTS];
	__u64 key[SLOTS];
	__u64 spare[2 * SLOTS];
};

struct line6 {
	__u64 spare[SLOTS];
	__u64 addr[SLOTS][2];
	__u64 ports[SLOTS];
	__u64 meta[SLOTS];
};

#endif
