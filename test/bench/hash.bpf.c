//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * The data plane with a kernel HASH in place of its IPv4 table: find(), find_any() and seek(), the ways to look a flow
 * up, are others; all else is the same source. The key is two aligned words, the value is the meta word.
 */
#include <stdbool.h>
#include <stddef.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define find find_in_table
#include "flowtable.h"
#undef find
#define seek seek_in_table
#include "seek.h"
#undef seek
#define find_any find

struct hash_key {
	__u64 key;
	__u64 vip;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct hash_key);
	__type(value, __u64);
} hash4 SEC(".maps");

static __always_inline bool find_in_hash(const struct flow_id *id, struct hit *hit)
{
	struct hash_key key = { .key = id->key[0], .vip = id->vip };

	hit->meta = bpf_map_lookup_elem(&hash4, &key);
	if (!hit->meta)
		return false;
	hit->word = load_meta(hit->meta);
	hit->index = 0;
	return meta_published(hit->word);
}

static __always_inline bool find(const enum family family, const struct flow_id *id, struct hit *hit)
{
	return family == FAMILY_IPV4 ? find_in_hash(id, hit) : find_in_table(family, id, hit);
}

static __always_inline bool seek(const enum family family, struct call *call, struct hit *hit)
{
	return family == FAMILY_IPV4 ? find_in_hash(&call->id, hit) : seek_in_table(family, call, hit);
}

#include "wrapper.h"

const volatile __u32 VIP;
const volatile __u32 FIRST; /* id */
const volatile __u32 BACKENDS;

/* Puts the next flow of the counter in, established. */
SEC("xdp.frags")
int fill(struct xdp_md *ctx)
{
	struct hash_key key = {};
	struct flow_id id;
	struct view v;
	__u64 meta;

	if (!view_of(ctx, &v))
		return XDP_ABORTED;
	meta = meta_make(FLOW_ESTABLISHED, VIP, FIRST + next_flow % BACKENDS, tick_now());
	set_client(&v, next_flow++);
	flow_id4(&id, v.ip->saddr, v.tcp->source, v.tcp->dest, VIP);
	key.key = id.key[0];
	key.vip = id.vip;
	return bpf_map_update_elem(&hash4, &key, &meta, BPF_ANY) ? XDP_ABORTED : XDP_TX;
}
