/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * What our programs know of nf_tables, and the search for the rules that a
 * batch of messages takes away.
 */
#ifndef UBC_NFTABLES_H
#define UBC_NFTABLES_H

#include "lists.h"
#include "rules.h"

/* include/uapi/linux/netlink.h, netfilter/nfnetlink.h, netfilter/nf_tables.h */
enum {
	NETLINK_NETFILTER = 12,
	NLM_F_REPLACE = 0x100,
	NFNL_SUBSYS_NFTABLES = 10,
	NFNL_MSG_BATCH_BEGIN = 0x10,
	NFNL_MSG_BATCH_END = 0x11,
	NFT_MSG_DELTABLE = 2,
	NFT_MSG_DELCHAIN = 5,
	NFT_MSG_NEWRULE = 6,
	NFT_MSG_DELRULE = 8,
	NFT_MSG_DESTROYTABLE = 26,
	NFT_MSG_DESTROYCHAIN = 27,
	NFT_MSG_DESTROYRULE = 28,
	NFT_TABLE_F_OWNER = 2,
	NFT_CHAIN_BINDING = 4,
};

struct nlmsghdr {
	u32 nlmsg_len;
	u16 nlmsg_type;
	u16 nlmsg_flags;
	u32 nlmsg_seq;
	u32 nlmsg_pid;
};

struct nlattr {
	u16 nla_len;
	u16 nla_type;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net_generic {
	void *ptr[0];
};

struct netns_nft {
	u8 gencursor;
};

struct net {
	struct net_generic *gen;
	struct netns_nft nft;
};

struct nftables_pernet {
	struct list_head tables;
	struct list_head commit_list;
};

struct nft_table {
	struct list_head list;
	struct list_head chains;
	u16 family : 6;
	u16 flags : 8;
	char *name;
};

struct nft_chain {
	struct list_head rules;
	struct list_head list;
	u8 flags : 5;
	char *name;
};

struct nft_ctx {
	struct nft_chain *chain;
};

struct nft_rule {
	struct list_head list;
	u64 handle : 42;
	u64 genmask : 2;
};

struct nft_trans {
	struct list_head list;
	int msg_type;
};

/* Linux 6.1: what a message is about follows the common part. */
struct nft_trans___behind {
	char data[0];
};

/* Since 6.12 the common part is its first member. */
struct nft_trans_rule {
	struct nft_trans nft_trans;
	struct nft_rule *rule;
};

#pragma clang attribute pop

/* Where nf_tables keeps what belongs to one network namespace. */
extern const void nf_tables_net_id __ksym;

/* A module's part of a network namespace, by where the module has its number. */
static __always_inline void *ubc_part_of(struct net *net, const void *where)
{
	struct net_generic *generic = BPF_CORE_READ(net, gen);
	void *found = NULL;
	u32 id = 0;

	if (bpf_probe_read_kernel(&id, sizeof(id), where) || !id || id > 4096)
		return NULL;
	if (bpf_probe_read_kernel(&found, sizeof(found), (void *)generic + id * sizeof(void *)))
		return NULL;
	return found;
}

static __always_inline struct nftables_pernet *ubc_nft_of(struct net *net)
{
	return ubc_part_of(net, &nf_tables_net_id);
}

/* Longer names are not looked for; nft and iptables use at most 30 characters. */
#define UBC_NAME 64

struct ubc_name {
	u64 word[UBC_NAME / 8];
};

/* Which rules a message takes away, and which of them are known to go. Too
 * large for the stack, where bpf_loop() wants what it passes on: so the functions
 * get a pointer to a pointer. */
struct ubc_search {
	struct ubc_name table;
	struct ubc_name chain;
	u64 handle;
	struct list_head *tables, *chains, *rules; /* the lists' heads */
	struct list_head *at_table, *at_chain, *at_rule;
	u32 family; /* 0: any */
	u32 slot; /* whose */
	u32 stamp; /* of this batch */
	u32 found;
	u32 by_table, by_chain, by_handle;
};

static __always_inline bool ubc_is_name(const char *name, const struct ubc_name *wanted)
{
	struct ubc_name is = {};

	if (bpf_probe_read_kernel_str(&is, sizeof(is), name) < 0)
		return false;
	for (int i = 0; i < UBC_NAME / 8; i++)
		if (is.word[i] != wanted->word[i])
			return false;
	return true;
}

/* A record's row is a number below UBC_ROWS. The bits above are free: they
 * name the last batch that counted the rule as gone, so that one which deletes
 * it twice does not get room for two. */
#define UBC_STAMPED(stamp) (UBC_NUMIPTENT | (stamp) * UBC_ROWS)

static long ubc_search_rule(u32 index, struct ubc_search **context)
{
	struct ubc_search *search = *context;
	struct nft_rule *rule;
	struct ubc_object *record;
	u64 key;

	search->at_rule = ubc_next(search->at_rule);
	if (!search->at_rule || search->at_rule == search->rules)
		return 1;
	rule = UBC_ENTRY(search->at_rule, nft_rule, list);
	if (search->by_handle && BPF_CORE_READ_BITFIELD_PROBED(rule, handle) != search->handle)
		return 0;
	key = UBC_KEY(rule, UBC_OBJECT);
	record = bpf_map_lookup_elem(&ubc_objects, &key);
	if (record && record->slot == search->slot && record->amount == 1 &&
	    record->resource != UBC_STAMPED(search->stamp)) {
		record->resource = UBC_STAMPED(search->stamp);
		search->found++;
	}
	return search->by_handle != 0;
}

static long ubc_search_chain(u32 index, struct ubc_search **context)
{
	struct ubc_search *search = *context;
	struct nft_chain *chain;

	search->at_chain = ubc_next(search->at_chain);
	if (!search->at_chain || search->at_chain == search->chains)
		return 1;
	chain = UBC_ENTRY(search->at_chain, nft_chain, list);
	if (search->by_chain && !ubc_is_name(BPF_CORE_READ(chain, name), &search->chain))
		return 0;
	/* Chains without a name go with the rule that jumps to them. */
	if (BPF_CORE_READ_BITFIELD_PROBED(chain, flags) & NFT_CHAIN_BINDING)
		return 0;
	search->rules = search->at_rule = (void *)chain + bpf_core_field_offset(struct nft_chain, rules);
	bpf_loop(1 << 20, ubc_search_rule, context, 0);
	return search->by_chain != 0;
}

static long ubc_search_table(u32 index, struct ubc_search **context)
{
	struct ubc_search *search = *context;
	struct nft_table *table;

	search->at_table = ubc_next(search->at_table);
	if (!search->at_table || search->at_table == search->tables)
		return 1;
	table = UBC_ENTRY(search->at_table, nft_table, list);
	if (search->family && BPF_CORE_READ_BITFIELD_PROBED(table, family) != search->family)
		return 0;
	if (search->by_table && !ubc_is_name(BPF_CORE_READ(table, name), &search->table))
		return 0;
	/* Another's table may be left alone. */
	if (BPF_CORE_READ_BITFIELD_PROBED(table, flags) & NFT_TABLE_F_OWNER)
		return 0;
	search->chains = search->at_chain = (void *)table + bpf_core_field_offset(struct nft_table, chains);
	bpf_loop(1 << 20, ubc_search_chain, context, 0);
	return 0;
}

#endif
