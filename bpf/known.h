//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * Listeners, and sockets of nat backends, that a CPU has looked up lately: to ask the HASH is a call of three functions, and
 * each of them has a way back that Spectre made slow. One that was noted counts as long as the stamp is the one that was
 * read before it was looked up: the daemon changes it behind each change of a listener or a socket.
 */
#pragma once

#include "maps.h"

enum {
	KNOWN_BITS = 7,
	KNOWN = 1 << KNOWN_BITS,
};

struct known4 {
	struct listener_key4 key; /* empty: nobody asks for protocol 0 */
	struct listener listener;
	__u64 stamp;
};

struct known6 {
	struct listener_key6 key;
	__u32 pad;
	struct listener listener;
	__u64 stamp;
};

struct known_reply4 {
	struct listener_key4 key;
	struct reply reply;
	__u32 pad;
	__u64 stamp;
};

struct known_reply6 {
	struct listener_key6 key;
	struct reply reply;
	__u64 stamp;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN);
	__type(key, __u32);
	__type(value, struct known4);
} known4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN);
	__type(key, __u32);
	__type(value, struct known6);
} known6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN);
	__type(key, __u32);
	__type(value, struct known_reply4);
} known_replies4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KNOWN);
	__type(key, __u32);
	__type(value, struct known_reply6);
} known_replies6 SEC(".maps");

static __always_inline __u64 listeners_stamp_now(void)
{
	__u32 zero = 0;
	__u64 *stamp = bpf_map_lookup_elem(&listeners_stamp, &zero);

	return stamp ? *(volatile __u64 *)stamp : 0;
}

/* Where what a CPU knows of a key lies. */
static __always_inline __u32 known_at4(const struct listener_key4 *key)
{
	return (*(const __u64 *)key * 0x9e3779b97f4a7c15ULL) >> (64 - KNOWN_BITS);
}

static __always_inline __u32 known_at6(const struct listener_key6 *key)
{
	__u64 mixed = key->vip[0] ^ key->vip[1] * 3 ^ key->vip[2] * 5 ^ key->vip[3] * 7;

	mixed ^= (__u64)key->port << 32 | (__u64)key->proto << 48;
	return (mixed * 0x9e3779b97f4a7c15ULL) >> (64 - KNOWN_BITS);
}

static __always_inline struct known4 *known4_of(const struct listener_key4 *key)
{
	__u32 at = known_at4(key);

	return bpf_map_lookup_elem(&known4, &at);
}

static __always_inline struct known6 *known6_of(const struct listener_key6 *key)
{
	__u32 at = known_at6(key);

	return bpf_map_lookup_elem(&known6, &at);
}

static __always_inline struct known_reply4 *known_reply4_of(const struct listener_key4 *key)
{
	__u32 at = known_at4(key);

	return bpf_map_lookup_elem(&known_replies4, &at);
}

static __always_inline struct known_reply6 *known_reply6_of(const struct listener_key6 *key)
{
	__u32 at = known_at6(key);

	return bpf_map_lookup_elem(&known_replies6, &at);
}

static __always_inline bool is_key6(const struct listener_key6 *a, const struct listener_key6 *b)
{
	return a->vip[0] == b->vip[0] && a->vip[1] == b->vip[1] && a->vip[2] == b->vip[2] && a->vip[3] == b->vip[3] &&
	       a->port == b->port && a->proto == b->proto;
}
