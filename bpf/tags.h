//go:build ignore
// SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0)
/*
 * VLAN tags: a frame leaves with those that its way out has, whatever it came with. Priority bits (IEEE 802.1Q, PCP and
 * DEI) are the frame's own: a tag that takes the place of another has that one's.
 */
#pragma once

#include "rewrite.h"

enum {
	L2_MAX = ETH_HLEN + VLAN_DEPTH * sizeof(struct vlan_tag),
	TAG_BYTES = 12, /* the bits that the length of tags can have, which bounds it for the verifier */
};

#define TAG_PRIORITY bpf_htonl(0xf000)

/* What stands between a frame's addresses and its last type, l2 bytes from its beginning. */
static __always_inline struct tags read_tags(const void *eth, __u32 l2)
{
	const __be32 *at = eth + 2 * ETH_ALEN;
	struct tags tags = { .bytes = l2 - ETH_HLEN };

	if (l2 > ETH_HLEN)
		tags.words[0] = at[0];
	if (l2 == L2_MAX)
		tags.words[1] = at[1];
	return tags;
}

/* A frame needs room for L2_MAX bytes, whatever its tags: the verifier loses sight of what lies at no fixed offset. */
static __always_inline void write_tags(void *eth, const struct tags *tags, __be16 type)
{
	__be32 *at = eth + 2 * ETH_ALEN;

	if (!tags->bytes) {
		*(__be16 *)at = type;
		return;
	}
	at[0] = tags->words[0];
	if (tags->bytes == sizeof(*at)) {
		*(__be16 *)(at + 1) = type;
		return;
	}
	at[1] = tags->words[1];
	*(__be16 *)(at + 2) = type;
}

/* Those that are wanted, with the priority of those that the frame has in their place. */
static __always_inline struct tags tags_for(const struct packet *p, const struct tags *want)
{
	struct tags tags = read_tags(p->eth, p->l2);

	tags.words[0] = want->words[0] | (tags.words[0] & TAG_PRIORITY);
	tags.words[1] = want->words[1] | (tags.words[1] & TAG_PRIORITY);
	tags.bytes = want->bytes & TAG_BYTES;
	return tags;
}

static __always_inline bool tagged_as(const struct packet *p, const struct tags *want)
{
	const __be32 *at = (void *)p->eth + 2 * ETH_ALEN;

	if (p->l2 - ETH_HLEN != want->bytes)
		return false;
	if (p->l2 == ETH_HLEN)
		return true;
	return !((at[0] ^ want->words[0]) & ~TAG_PRIORITY) &&
	       (p->l2 < L2_MAX || !((at[1] ^ want->words[1]) & ~TAG_PRIORITY));
}

/* Puts the tags of the way out in the place of the frame's. Nothing but p->eth points into the frame afterwards. */
static __always_inline bool retag(struct packet *p, const struct tags *want, __be16 type)
{
	struct tags tags = tags_for(p, want);

	if (bpf_xdp_adjust_head(p->ctx, (int)p->l2 - (int)(ETH_HLEN + tags.bytes)))
		return false;
	p->eth = (void *)(long)p->ctx->data;
	if ((void *)p->eth + L2_MAX + sizeof(struct iphdr) > (void *)(long)p->ctx->data_end)
		return false;
	write_tags(p->eth, &tags, type);
	return true;
}

/* The last of a packet that is as its receiver shall have it. */
static __always_inline int leave(struct packet *p, __be16 type, __u64 hop, const __u8 *source, const struct tags *tags,
				 __u32 ifindex)
{
	if (__builtin_expect(!tagged_as(p, tags), 0) && !retag(p, tags, type))
		return drop(DROP_HEADROOM);
	set_macs(p->eth, hop, source);
	return transmit(p->ctx, ifindex);
}
