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
	PROTOCOL = 1,	      /* of the slots: raised when meta words or hashes change their meaning, which no upgrade bridges */
	LINES_MAIN = 4,	      /* candidate lines of a flow: two, and the neighbour of each */
	LINES_STASH = 4,      /* lines of the overflow in which a flow may lie */
	MAX_BACKENDS = 65536, /* ids are 16 bits, 0 is never valid */
	OWN_COUNTERS = 4096,  /* backends with an id below have a counter of their own */
	MAX_GENERATIONS = 4096,
	MAX_SERVICES = 1024,
	MAX_VIPS = 16384, /* ids are 14 bits, 0 is never valid */
	MAX_LISTENERS = 16384,
	SOCKETS = 131072,      /* entries of each map of listeners and of replies: each port of a range is one */
	MAX_TESTERS = 65536,   /* prefixes of a family */
	FRAGMENT_LINES = 2048, /* of four datagrams each */
	PREFIX_LINES = 1024,
	PREFIXES_PER_LINE = 8,
	MAX_IFACES = 256,    /* slot of an interface: its index modulo this */
	FILTER_WORDS = 1024, /* 65,536 bits */
	STRIPES = 1024,
	MAX_TROUBLES = 512,    /* generations whose troubles are counted */
	LIFETIME_BUCKETS = 96, /* lifetime.h */
	LIFETIMES_PAST = MAX_GENERATIONS,
	MAX_LIFETIMES = 128, /* generations and services whose sessions' lengths are kept */
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
	FORWARDING_IPIP = 2,
};

/* One state of a slot; see meta.h for the word that holds it. */
enum flow_state {
	FLOW_FREE = 0,
	FLOW_CLAIMED = 1, /* being written by the CPU that holds the stripe */
	FLOW_HALF_OPEN = 2,
	FLOW_YOUNG = 3,
	FLOW_ESTABLISHED = 4,
	FLOW_CLOSING = 5,
	FLOW_EVICTING = 6, /* to be moved to the live generation with its next packets, by an operator's word */
	FLOW_STATES = 7,
};

/* Which of a service's timeouts counts for a flow: by protocol and state. */
enum timeout {
	TIMEOUT_TCP_HALF_OPEN = 0,
	TIMEOUT_TCP = 1,
	TIMEOUT_TCP_CLOSING = 2,
	TIMEOUT_UDP_NEW = 3,
	TIMEOUT_UDP = 4,
	TIMEOUT_LINGER = 5, /* of a client's session, after its last flow */
	TIMEOUTS = 6,
};

enum backend_state {
	BACKEND_UNRESOLVED = 0, /* no MAC: nothing may be sent */
	BACKEND_RESOLVED = 1,
	BACKEND_LOST = 2, /* gone, and its service says that its sessions move (on_backend_loss) */
};

enum backend_use {
	BACKEND_FREE = 0,
	BACKEND_IN_POOL = 1,
	BACKEND_REMOVED = 2, /* taken out of its pool: keeps its sessions, gets no new ones */
	BACKEND_RESTING = 3, /* in its pool, and gets no new ones for a time: it is sick, full, or its turn to be updated has come */
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

/* Whether the flows of one client belong together. */
enum affinity {
	AFFINITY_FLOW = 0,	  /* each flow is a session */
	AFFINITY_CLIENT = 1,	  /* one session, on one backend */
	AFFINITY_CLIENT_POOL = 2, /* one session, on one generation */
};

/* What whoever begins a session with a busy service is told. */
enum busy {
	BUSY_RESET = 0, /* as by a host that has no such port: TCP by a RST, UDP by ICMP "port unreachable" */
	BUSY_ICMP = 1,	/* ICMP "administratively prohibited" */
};

/* What is answered or built here is limited, each kind by itself. */
enum limited {
	LIMITED_ECHO = 0,
	LIMITED_TOO_BIG = 1,
	LIMITED_RESET = 2,
	LIMITED_BUSY = 3,
	LIMITS = 4,
};

/* What a plain hit has no need of, at the same index as the slot. */
struct cold {
	__u32 start;   /* tick at which the flow was pinned */
	__u32 end_seq; /* sequence number after the SYN (half-open) or the last FIN (while meta says FIN), host order; of a client's session: tick of its first flow's end, or 0 */
	__u8 mac[6];   /* nat: the next hop that the client's packets came from */
	__u16 iface;   /* and the slot of its interface, or VLAN, in globals.ifaces */
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

/* VLAN tags of a frame, as they stand in it: TPID and TCI each. */
struct tags {
	__be32 words[2];
	__u32 bytes; /* 0, 4 or 8 */
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
	__u64 steer;	   /* steer.h: read and written whole */
	__u32 reuse_after; /* ticks */
	__u16 used;
	__u8 forwarding;
	__u8 affinity;		     /* enum affinity */
	__u32 timeouts[TIMEOUTS];    /* ticks, by enum timeout */
	__u32 no_timeouts[2];	     /* so that there are eight to index */
	__u64 salt;		     /* of the hash that shares clients out: the same on every host and for a whole release */
	__u32 flipped;		     /* tick at which a generation last began to drain: a flip, most often */
	__u32 linger_cap;	     /* ticks after a session's first end, or after its place began to drain, in which it may be joined again */
	__u16 session_vip[FAMILIES]; /* VIP ids under which its clients' sessions are kept; 0: none */
	__u8 clamp_mss;		     /* 1: the MSS of SYNs is lowered to what the backend's way has room for */
	__u8 half_open;		     /* flows that may be half-open among the places that one may take; 0: any number */
	__u8 prefix_bits[FAMILIES];  /* of a client's address that new flows are limited by: 1 to 32, 1 to 64 */
	__u32 new_flows;	     /* of a prefix in a tick; 0: any number */
	__u32 new_flows_burst;	     /* at most so many at once */
	__u8 busy;		     /* enum busy: what new sessions are told while the steer word says busy */
	__u8 pad[15];
	__u8 name[NAME_LEN];
};

/*
 * All that the rewrite needs: one cache line. The daemon changes words of it in place, each by one aligned store. room
 * is the largest packet, IP header included, that its way takes: the MTU, less what ipip puts before it.
 */
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
	__u8 used;	  /* the daemon's note: enum backend_use */
	__u16 room;	  /* bytes */
	__u8 outer;	  /* ipip: family of the header that goes before, and of addr */
	__u8 counted;	  /* 1: it has an element of backend_counters; 0: its packets are counted with its generation */
	__u32 retired;	  /* tick since which it takes no new sessions, or 0: it does */
	struct tags tags; /* that a frame leaves with; changes while state is BACKEND_UNRESOLVED */
};

/* From clients to backends. */
struct sent {
	__u64 packets;
	__u64 bytes;
};

struct generation {
	__u32 number; /* grows only, counted per service */
	enum colour colour;
	enum generation_state state;
	__u16 service;
	__u16 pad;
	__u64 since;	   /* UNIX seconds at which state was entered */
	__u64 new_at_flip; /* new_sessions when the flip away from it had returned */
	__u64 reopened_at_flip;
	__u64 maglev[FAMILIES]; /* digest of each Maglev table; 0: none, 2: being replaced */
	struct sent past;	/* what its former backends counted */
	__u8 version[NAME_LEN];
};

/* Per generation and CPU. */
struct counters {
	struct sent sent; /* to its backends without a counter of their own */
	__u64 new_sessions;
	__u64 orphans;
	__u64 reopened;
	__u64 rejoined; /* flows that joined a session whose last flow had ended */
	__u64 moved;	/* sessions that were taken from this generation: evicted, or their backend was lost */
	__u64 unpinned;
	__u64 last_unpinned; /* tick */
};

/* What went wrong with sessions, per generation and CPU: what a release is judged by. */
struct troubles {
	__u64 never_established; /* sessions that ended half-open */
	__u64 resets;		 /* flows that a RST ended */
	__u64 syn_retransmits;	 /* SYNs sent again while half-open */
	__u64 before;		 /* sessions that had begun when the daemon made the element */
};

/*
 * What one sweep found, per backend: sessions by state, from half-open on, and flows. Where the service's affinity is
 * client, a session is a client's entry, and one that is closing has no flow left: it lingers.
 */
struct sessions {
	__u32 states[FLOW_STATES - FLOW_HALF_OPEN];
	__u32 flows;
};

/*
 * What one sweep found of the VIP and of the listener with this id: two counts that have no more in common. A VIP's only
 * listener is not counted here, but by its VIP.
 */
struct tally {
	__u32 of_vip;
	__u32 of_listener;
};

/*
 * How long sessions lasted, in ticks from the packet that pinned them to the last one. Where the service's affinity is
 * client they are clients' sessions, which last as long as one of their flows has its entry.
 */
struct lifetimes {
	__u64 ended[LIFETIME_BUCKETS];
};

/* An interface that the program is attached to, the member of a bond that it is, or a VLAN on one. */
struct iface {
	__u8 mac[6];
	__u16 used;
	__u32 ifindex; /* that frames leave by: of a VLAN, the interface that it is on; of a member, its bond */
	__u32 mtu;     /* the largest IP packet that it sends */
	struct tags tags;
	__u32 index; /* its own; for the daemon */
};

/* A VLAN that this host has an interface in. Priority bits are 0. */
struct vlan_key {
	__u32 ifindex;
	struct tags tags;
};

/* What changes while the program runs and is read for every packet. The daemon writes it through mmap. */
struct shared {
	/* Interfaces that the program is attached to, by index modulo MAX_IFACES; behind them VLANs, by theirs. */
	struct iface ifaces[2 * MAX_IFACES];
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
	/* Answers of each kind that one CPU may build a tick. */
	__u32 limits[LIMITS];
	__u32 echo_off; /* 1: echo requests to VIPs are dropped */
	/* ipip: the outer source, and the bits of its last word that differ by flow. */
	__be32 source4;
	__be32 spread4;
	__be32 source6[4];
	__be32 spread6;
	__u32 pad;
};

/* A prefix of clients that go to the candidate of a service (LPM trie). */
struct tester_key4 {
	__u32 prefixlen; /* of service and address: 32 and the address's own */
	__u32 service;
	__be32 addr;
};

struct tester_key6 {
	__u32 prefixlen;
	__u32 service;
	__be32 addr[4];
};

/*
 * What a fragment without ports is told by, and where its first one went: two words, told apart by a keyed hash of
 * {source, destination, identification, protocol}. value: fragments.h.
 */
struct fragment {
	__u64 key;
	__u64 value;
};

struct fragment_line {
	struct fragment of[4];
};

/* Prefixes of clients and the new flows that each has left: one word each. limits.h */
struct prefix_line {
	__u64 of[PREFIXES_PER_LINE];
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
	__u32 since;  /* tick at which the sweep before began: a client's session not seen since then has no flow */
	__u32 pad;
};

/* Marks sessions for eviction: a slice of a flow table, at most so many of them. */
struct evict_args {
	enum family table;
	__u32 first;	  /* line */
	__u32 lines;	  /* how many */
	__u16 generation; /* index; 0: any of service */
	__u16 service;	  /* index */
	__u8 bits;	  /* of client that have to agree; 0: any client */
	__u8 pad[3];
	__be32 client[4];
	__u32 most;
	__u32 marked; /* out */
};

struct tick_sample {
	__u64 jiffies;
	__u64 boot_ns; /* CLOCK_MONOTONIC */
};

_Static_assert(sizeof(struct cold) == 16, "cold record");
_Static_assert(sizeof(struct listener_key4) == 8, "no padding in a hashed key");
_Static_assert(sizeof(struct listener_key6) == 20, "no padding in a hashed key");
_Static_assert(MAX_LISTENERS <= MAX_VIPS, "each listener id has a tally");
_Static_assert(sizeof(struct service) == 128, "a service is two cache lines");
_Static_assert(sizeof(struct backend) == 64, "a backend is one cache line");
_Static_assert(sizeof(struct vlan_key) == 16, "no padding in a hashed key");
_Static_assert(sizeof(struct iface) == 32, "an interface lies in one cache line");
_Static_assert(sizeof(struct prefix_line) == 64, "a line of prefixes is one cache line");
_Static_assert(sizeof(struct stripe) == 64, "a stripe is one cache line");
