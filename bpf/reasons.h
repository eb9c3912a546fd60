//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/* Why a packet got no further, why it was passed, and what is worth a count beside. docs/architecture.md explains each. */
#pragma once

enum reason {
	/* Passed to the kernel's stack. */
	PASS_NOT_IP,
	PASS_OTHER_MAC, /* flooded: not for this interface */
	PASS_MALFORMED, /* the IP header itself is broken: the kernel judges it */
	PASS_NOT_OURS,
	PASS_NO_FLOW, /* from a nat backend's socket, but of no flow */
	/* Dropped: for a listener, and not to be served. */
	DROP_MALFORMED,	      /* transport header broken or cut off */
	DROP_FRAGMENT,	      /* a fragment whose first one is not known */
	DROP_LISTENER_CLOSED, /* a new flow to a listener that the configuration no longer has */
	DROP_NO_GENERATION,   /* no live generation, or it has no backend */
	DROP_UNRESOLVED,      /* the next hop's MAC is not known */
	DROP_TABLE_FULL,      /* a SYN that can't be pinned while a generation drains */
	DROP_STRIPE_BUSY,     /* the stripe was held too long */
	DROP_TTL,	      /* TTL or hop limit used up */
	DROP_MARTIAN,	      /* a source address that no packet may have */
	DROP_OTHER_VLAN,      /* nat: in a VLAN that this host has no interface in, so there is no way back */
	DROP_TOO_BIG,	      /* larger than its way takes, and not answered */
	DROP_ICMP_NO_FLOW,    /* an ICMP error about a flow that nobody has */
	DROP_ECHO,	      /* an echo request above the limit, or echo is off */
	DROP_RESET,	      /* a packet of a session that is being moved, above the limit of answers */
	DROP_NEW_FLOWS,	      /* a new flow of a prefix that has begun as many as its service lets it */
	DROP_BUSY,	      /* a new session of a service that is busy, above the limit of answers */
	DROP_HEADROOM,	      /* the driver leaves no room for another header */
	DROP_BAD_MAP,	      /* must stay 0 in production: a map element was missing */
	/* Events. */
	EVENT_UNPINNED,		/* a new flow that found no slot, forwarded all the same */
	EVENT_REPLACED_CLOSING, /* entries that made room for another flow */
	EVENT_REPLACED_HALF_OPEN,
	EVENT_REPLACED_YOUNG,
	EVENT_REPLACED_SHARE, /* half-open ones that made room for another of their service, which had its share */
	EVENT_OVERFLOW,	      /* pinned in the overflow */
	EVENT_CAS_LOST,	      /* a compare-and-swap that another CPU won */
	EVENT_PUBLISH_LOST,   /* must stay 0 in production: a claimed slot changed under its owner */
	EVENT_IMPORTED,	      /* flows taken over from the previous table */
	EVENT_TOO_BIG,	      /* answered with ICMP: larger than its way takes */
	EVENT_ECHO,	      /* an echo request answered */
	EVENT_ICMP_ERROR,     /* an ICMP error sent on to the backend of its flow */
	EVENT_FRAGMENT,	      /* a fragment sent where its first one went */
	EVENT_RESET_CLIENT,   /* a packet of a session that is being moved, answered with a RST */
	EVENT_RESET_BACKEND,  /* turned into a RST towards the backend that the session leaves */
	EVENT_BUSY,	      /* a new session of a service that is busy, told so */
	EVENT_MSS,	      /* a SYN whose MSS was lowered */
	REASONS,
};
