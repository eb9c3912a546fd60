//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Why a packet got no further, why it was passed, and what is worth a count beside. docs/architecture.md explains each. */
#pragma once

enum reason {
	/* Passed to the kernel's stack. */
	PASS_NOT_IP,
	PASS_OTHER_MAC,	    /* flooded: not for this interface */
	PASS_MALFORMED,	    /* the IP header itself is broken: the kernel judges it */
	PASS_NOT_OURS,
	PASS_NO_FLOW,	    /* from a nat backend's socket, but of no flow */
	/* Dropped: for a listener, and not to be served. */
	DROP_MALFORMED,	    /* transport header broken or cut off */
	DROP_FRAGMENT,	    /* fragments can't be steered */
	DROP_LISTENER_CLOSED, /* a new flow to a listener that the configuration no longer has */
	DROP_NO_GENERATION, /* no live generation, or it has no backend */
	DROP_UNRESOLVED,    /* the next hop's MAC is not known */
	DROP_TABLE_FULL,    /* a SYN that can't be pinned while a generation drains */
	DROP_STRIPE_BUSY,   /* the stripe was held too long */
	DROP_TTL,	    /* nat: TTL or hop limit used up */
	DROP_BAD_MAP,	    /* must stay 0 in production: a map element was missing */
	/* Events. */
	EVENT_UNPINNED,		/* a new flow that found no slot, forwarded all the same */
	EVENT_REPLACED_CLOSING, /* entries that made room for another flow */
	EVENT_REPLACED_HALF_OPEN,
	EVENT_REPLACED_YOUNG,
	EVENT_OVERFLOW,		/* pinned in the overflow */
	EVENT_CAS_LOST,		/* a compare-and-swap that another CPU won */
	EVENT_PUBLISH_LOST,	/* must stay 0 in production: a claimed slot changed under its owner */
	EVENT_IMPORTED,		/* flows taken over from the previous table */
	REASONS,
};
