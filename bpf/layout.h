//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * What the kernel and user space agree on: every struct that lives in a map. bpf2go turns them into Go, so that no
 * size or offset is written twice. Addresses and ports are in network byte order, everything else is the host's.
 */
#pragma once

#include <linux/types.h>

#include "slots.h"
#include "line.h"

enum limit {
	SLOTS_PER_LINE = SLOTS,
	PROTOCOL = 1, /* of the slots: raised when meta words or hashes change their meaning, which no upgrade bridges */
	LINES_MAIN = 4,	    /* candidate lines of a flow: two, and the neighbour of each */
	LINES_STASH = 4,    /* lines of the overflow in which a flow may lie */
	MAX_BACKENDS = 65536, /* ids are 16 bits, 0 is never valid */
	MAX_GENERATIONS = 4096,
	MAX_SERVICES = 1024,
	MAX_VIPS = 16384,   /* ids are 14 bits, 0 is never valid */
	MAX_LISTENERS = 16384,
	SOCKETS = 131072,  /* entries of each map of listeners and of replies: each port of a range is one */
	MAX_IFACES = 256,   /* slot of an interface: its index modulo this */
	FILTER_WORDS = 1024, /* 65,536 bits */
	STRIPES = 1024,
	NAME_LEN = 32,
};

enum family {
	FAMILY_IPV4 = 0,
	FAMILY_IPV6 = 1,
	FAMILIES = 2,
};

enum forwarding {
	FORWARDING_DSR = 0,
	FORWARDING_NAT = 1,
};

/* One state of a slot; see meta.h for the word that holds it. */
enum flow_state {
	FLOW_FREE = 0,
	FLOW_CLAIMED = 1, /* being written by the CPU that holds the stripe */
	FLOW_HALF_OPEN = 2,
	FLOW_YOUNG = 3,
	FLOW_ESTABLISHED = 4,
	FLOW_CLOSING = 5,
	FLOW_STATES = 6,
};

/* Which of a service's timeouts counts for a flow: by protocol and state. */
enum timeout {
	TIMEOUT_TCP_HALF_OPEN = 0,
	TIMEOUT_TCP = 1,
	TIMEOUT_TCP_CLOSING = 2,
	TIMEOUT_UDP_NEW = 3,
	TIMEOUT_UDP = 4,
	TIMEOUTS = 5,
};

enum backend_state {
	BACKEND_UNRESOLVED = 0, /* no MAC: nothing may be sent */
	BACKEND_RESOLVED = 1,
};

enum backend_use {
	BACKEND_FREE = 0,
	BACKEND_IN_POOL = 1,
	BACKEND_REMOVED = 2, /* taken out of its pool: keeps its sessions, gets no new ones */
};

/*
 * The life of a generation as the daemon sees it; the data plane never reads it. It is kept in the kernel so that a
 * daemon that starts again finds it there.
 */
enum generation_state {
	GENERATION_UNUSED = 0,
	GENERATION_CANDIDATE = 1,
	GENERATION_LIVE = 2,
	GENERATION_DRAINING = 3,
	GENERATION_DRAINED = 4,
};

enum listener_kind {
	LISTENER_OPEN = 0,
	LISTENER_MARK = 1,   /* no listener, but its VIP and protocol have some */
	LISTENER_CLOSED = 2, /* removed from the configuration: keeps its flows, takes no new ones */
};

enum colour {
	COLOUR_NONE = 0, /* drains outside the two slots */
	COLOUR_BLUE = 1,
	COLOUR_GREEN = 2,
};

/* What a plain hit has no need of, at the same index as the slot. */
struct cold {
	__u32 start;   /* tick at which the flow was pinned */
	__u32 end_seq; /* sequence number after the SYN (half-open) or the last FIN (while meta says FIN), host order */
	__u8 mac[6];   /* nat: the next hop that the client's packets came from */
	__u16 iface;   /* and the slot of its interface in globals.ifaces */
};

/*
 * Where things lie in a flow table. The table in use is built to these values; a previous table that an upgrade left
 * behind is read through them, whatever its lines looked like.
 */
struct layout {
	__u32 lines;	  /* in the main part; a multiple of two */
	__u32 stash;	  /* lines of the overflow behind it; a multiple of LINES_STASH */
	__u32 line_bytes; /* size of a map element */
	__u16 meta_off;	  /* of slot 0's meta word in the line */
	__u16 meta_stride;
	__u16 key_off[3]; /* of slot 0's key words */
	__u16 key_stride[3];
};

struct listener_key4 {
	__be32 vip;
	__be16 port; /* 0: the mark that {vip, proto} has listeners */
	__u8 proto;
	__u8 pad;
};

struct listener_key6 {
	__be32 vip[4];
	__be16 port;
	__u8 proto;
	__u8 pad;
};

struct listener {
	__u16 vip;     /* VIP id: index into vips */
	__u16 service; /* index into services */
	__u16 id;      /* of the listener, for counting sessions */
	__u8 forwarding;
	__u8 kind; /* enum listener_kind */
};

/* A backend socket of a nat service, found by {address, port, protocol} of a reply. */
struct reply {
	__be32 vip[4]; /* an IPv4 address lies in the first word */
	__be16 port;   /* the listener's */
	__u16 vip_id;
};

struct vip {
	__be32 addr[4];
	__u16 listener; /* the only listener of this VIP and protocol, or 0 when there are several */
	__u8 proto;
	__u8 family;
	__u32 pad;
};

struct service {
	__u64 steer; /* steer.h: read and written whole */
	__u32 reuse_after; /* ticks */
	__u16 used;
	__u8 forwarding;
	__u8 pad[17];
	__u8 name[NAME_LEN];
};

/* All that the rewrite needs: one cache line. The daemon changes words of it in place, each by one aligned store. */
struct backend {
	__u8 dst_mac[6];
	__u16 state; /* enum backend_state; changes in one store with dst_mac */
	__u8 src_mac[6];
	__u16 weight; /* the daemon's note: no program reads it */
	__u32 ifindex;
	__u16 generation; /* index into generations */
	__u16 service;
	__be32 addr[4]; /* an IPv4 address lies in the first word */
	__be16 port;	/* nat: 0 keeps the packet's */
	__u8 forwarding;
	__u8 used; /* the daemon's note: enum backend_use */
	__u32 timeouts[TIMEOUTS]; /* ticks, by enum timeout */
};

struct generation {
	__u32 number; /* grows only, counted per service */
	enum colour colour;
	enum generation_state state;
	__u16 service;
	__u16 pad;
	__u64 since;	 /* UNIX seconds at which state was entered */
	__u64 new_at_flip; /* new_sessions when the flip away from it had returned */
	__u64 reopened_at_flip;
	__u64 maglev[FAMILIES]; /* digest of each Maglev table; 0: none, 2: being replaced */
	__u8 version[NAME_LEN];
};

/* Per generation and CPU. */
struct counters {
	__u64 packets;
	__u64 bytes;
	__u64 new_sessions;
	__u64 orphans;
	__u64 reopened;
	__u64 unpinned;
	__u64 last_unpinned; /* tick */
};

/* What one sweep found, per backend. */
struct sessions {
	__u32 states[FLOW_STATES];
};

struct iface {
	__u8 mac[6];
	__u16 used;
	__u32 ifindex;
	__u32 pad;
};

/* What changes while the program runs and is read for every packet. The daemon writes it through mmap. */
struct shared {
	/* Interfaces that the program is attached to, by index modulo MAX_IFACES. */
	struct iface ifaces[MAX_IFACES];
	/*
	 * One bit for each address that a packet of ours may be sent to (VIPs) or come from (backends of nat services). A
	 * packet that hits no bit is not ours: a load instead of a hash lookup.
	 */
	__u64 address_filter[FILTER_WORDS];
	/* 1 while an upgrade moves links: new flows are pinned in the previous table, which both programs know. */
	__u32 pin_previous;
	/* Next line to import, IPv4 first, then IPv6; set to 0 by the loader before a pass. */
	__u32 import_cursor;
	/* Pins that a pass could not move. */
	__u32 import_left;
	__u32 pad;
};

struct stripe {
	__u64 held;
	__u64 pad[7]; /* a cache line each, so that two stripes never wait for each other */
};

struct sweep_args {
	enum family table;
	__u32 first;  /* line */
	__u32 lines;  /* how many */
	__u32 now;    /* out: the tick of this slice */
	__u64 used;   /* out: slots that hold a flow, expired ones left out */
	__u64 freed;  /* out: expired slots freed */
	__u64 stash;  /* out: used slots of the overflow */
	__u64 missed; /* out: claimed slots, whose flow will be counted by the next sweep */
};

struct tick_sample {
	__u64 jiffies;
	__u64 boot_ns; /* CLOCK_MONOTONIC */
};

_Static_assert(sizeof(struct cold) == 16, "cold record");
_Static_assert(sizeof(struct listener_key4) == 8, "no padding in a hashed key");
_Static_assert(sizeof(struct listener_key6) == 20, "no padding in a hashed key");
_Static_assert(sizeof(struct service) == 64, "a service is one cache line");
_Static_assert(sizeof(struct backend) == 64, "a backend is one cache line");
_Static_assert(sizeof(struct stripe) == 64, "a stripe is one cache line");
