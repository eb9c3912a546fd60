//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Every map. max_entries of the flow tables are set by the loader from max_flows. What the daemon configures is read-only
 * to the program, but for what the daemon maps to write: the kernel refuses a writable mapping of such a map.
 */
#pragma once

#include "layout.h"
#include "reasons.h"

/* Listeners by VIP, port and protocol. Written by the daemon, read for every packet that the filter lets through. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(max_entries, SOCKETS);
	__type(key, struct listener_key4);
	__type(value, struct listener);
} listeners4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(max_entries, SOCKETS);
	__type(key, struct listener_key6);
	__type(value, struct listener);
} listeners6 SEC(".maps");

/*
 * Another value behind each change of a listener or of a nat backend's socket, so that what CPUs know of it counts no more
 * (known.h). Written by the daemon, read for every packet that the filter lets through.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} listeners_stamp SEC(".maps");

/* Backend sockets of nat services, by the source of a reply. Written by the daemon. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(max_entries, SOCKETS);
	__type(key, struct listener_key4);
	__type(value, struct reply);
} replies4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(max_entries, SOCKETS);
	__type(key, struct listener_key6);
	__type(value, struct reply);
} replies6 SEC(".maps");

/* VLANs by interface and tags: the slot in globals.ifaces. Written by the daemon, read for tagged packets that may pin. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(max_entries, MAX_IFACES);
	__type(key, struct vlan_key);
	__type(value, __u32);
} vlans SEC(".maps");

/* {VIP, protocol} by VIP id. Written by the daemon, read by the sweeper, which counts sessions of listeners. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__uint(max_entries, MAX_VIPS);
	__type(key, __u32);
	__type(value, struct vip);
} vips SEC(".maps");

/* Services by index. The daemon flips one by a store to its steer word; read once a flow. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_SERVICES);
	__type(key, __u32);
	__type(value, struct service);
} services SEC(".maps");

/* Generations by index. The daemon's notebook: no program reads it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_GENERATIONS);
	__type(key, __u32);
	__type(value, struct generation);
} generations SEC(".maps");

/* Backends by id, one array a family: a backend with two addresses has one id and a line in each. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct backend);
} backends6 SEC(".maps");

/* The inner map of maglev: element 0 is the table's size, each later one holds four backend ids. */
struct maglev_table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};

/* Maglev tables by generation index * FAMILIES + family. Replaced whole by the daemon, read once a flow. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, (MAX_GENERATIONS * FAMILIES));
	__type(key, __u32);
	__array(values, struct maglev_table);
} maglev SEC(".maps");

/* Testers by service and prefix. Written by the daemon, read once a flow while a service has a candidate. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(max_entries, MAX_TESTERS);
	__type(key, struct tester_key4);
	__type(value, __u32);
} testers4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__uint(max_entries, MAX_TESTERS);
	__type(key, struct tester_key6);
	__type(value, __u32);
} testers6 SEC(".maps");

/* Datagrams in fragments. Written and read by fragments only. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FRAGMENT_LINES);
	__type(key, __u32);
	__type(value, struct fragment_line);
} fragments SEC(".maps");

/* The flow tables and their cold records. Written by the program only; mapped by the daemon to read. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line4);
} flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line6);
} flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cold);
} cold4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cold);
} cold6 SEC(".maps");

/*
 * The tables that an upgrade imports from; one line each while there is none, without the pages that what can be mapped
 * takes. The loader sets their sizes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line4);
} previous_flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct line6);
} previous_flows6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cold);
} previous_cold4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cold);
} previous_cold6 SEC(".maps");

/* Striped locks by the hash of a flow. Only packets on a miss take them; the sweeper never does. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, STRIPES);
	__type(key, __u32);
	__type(value, struct stripe);
} stripes SEC(".maps");

/* New flows left to prefixes of clients, by a hash of both. Packets on a miss write it, where a service has a limit. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PREFIX_LINES);
	__type(key, __u32);
	__type(value, struct prefix_line);
} prefixes SEC(".maps");

/* Packets by reason: every verdict that is not a plain forward, and events that are worth a count. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, enum reason);
	__type(value, __u64);
} reasons SEC(".maps");

/* Per generation index: packets forwarded, sessions begun. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_GENERATIONS);
	__type(key, __u32);
	__type(value, struct counters);
} generation_counters SEC(".maps");

/*
 * Per generation index: what went wrong with its sessions. The daemon makes an element for each generation that is to be
 * judged, since few are; packets and the sweeper add to it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_TROUBLES);
	__type(key, __u32);
	__type(value, struct troubles);
} generation_troubles SEC(".maps");

/* Per backend: packets forwarded. Element 0 is nobody's. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OWN_COUNTERS);
	__type(key, __u32);
	__type(value, struct sent);
} backend_counters SEC(".maps");

/* Sessions by backend id, as the sweep that runs finds them. Zeroed by the daemon before one, as tallies are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct sessions);
} session_counts SEC(".maps");

/*
 * Lifetimes by generation index; behind those, by LIFETIMES_PAST + service index, of generations that are gone. The daemon
 * makes an element for each generation, since few of the indexes are in use; the sweeper adds to it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_LIFETIMES);
	__type(key, __u32);
	__type(value, struct lifetimes);
} lifetimes SEC(".maps");

/* Entries by VIP id and by listener id. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_VIPS);
	__type(key, __u32);
	__type(value, struct tally);
} tallies SEC(".maps");

/* The program's variables: one struct, so that a loader of another build finds them where they are. */
struct shared globals;
