//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The importer of an upgrade: moves the pins of the previous table, one line a run. It runs as an XDP program on frames
 * of the loader's own (BPF_PROG_TEST_RUN with live frames), because that runs with soft interrupts off: a packet on the
 * same CPU can't come in between and wait for a stripe that its own CPU holds.
 */
#pragma once

#include "pin.h"

static __always_inline void import_slot(const enum family family, __u32 index)
{
	struct call call = { .closed = DROP_LISTENER_CLOSED, .t.flags = TCP_ACK, .now = tick_now() };
	struct slot slot;
	__u64 meta;

	if (!slot_at(TABLE_PREVIOUS, family, index, &slot))
		return;
	meta = load_meta(slot.meta);
	if (!meta_published(meta))
		return;
	call.t.proto = slot_proto(family, &slot, meta);
	if (family == FAMILY_IPV4)
		flow_id4_of(&call.id, *slot.k0, meta_tag(meta));
	else
		flow_id6_of(&call.id, *slot.k0, *slot.k1, *slot.k2);
	if (family == FAMILY_IPV4)
		pin4(&call);
	else
		pin6(&call);
	if (meta_published(load_meta(slot.meta)))
		__sync_fetch_and_add(&globals.import_left, 1);
}

static __always_inline void import_line(const enum family family, __u32 line)
{
	__u32 s;

	for (s = 0; s < SLOTS; s++)
		import_slot(family, line * SLOTS + s);
}

static __always_inline void import_next(void)
{
	const volatile struct layout *four = &CONFIG.layouts[TABLE_PREVIOUS][FAMILY_IPV4];
	const volatile struct layout *six = &CONFIG.layouts[TABLE_PREVIOUS][FAMILY_IPV6];
	__u32 line = __sync_fetch_and_add(&globals.import_cursor, 1);

	if (line < four->lines + four->stash)
		import_line(FAMILY_IPV4, line);
	else if (line - four->lines - four->stash < six->lines + six->stash)
		import_line(FAMILY_IPV6, line - four->lines - four->stash);
}
