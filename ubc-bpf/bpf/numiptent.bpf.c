/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numiptent: packet filter rules, of nf_tables (nft, iptables-nft) and of
 * x_tables (iptables-legacy).
 *
 * nf_tables takes a batch of messages, and all or none of it. The batch is
 * refused as a whole before anything of it is looked at, by the number of rules
 * it brings less those it takes away. Rules are recorded when it is committed.
 */
#include "nftables.h"
#include "xtables.h"
#include "rules_found.h"
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

struct ubc_batch {
	struct ubc_search search;
	void *data;
	u32 length, at;
	u32 brought;
	bool takes;
};

/* Too large for the stack; nothing is kept in it between two messages. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ubc_batch);
} ubc_batches SEC(".maps");

static u32 ubc_stamps;

/* The next message, in `header`; not 0 at the end. */
static __always_inline long next_message(struct ubc_batch *batch, struct nlmsghdr *header, u32 *at)
{
	*at = batch->at;
	if (*at + sizeof(*header) > batch->length ||
	    bpf_probe_read_kernel(header, sizeof(*header), batch->data + *at) ||
	    header->nlmsg_len < sizeof(*header) || header->nlmsg_len > batch->length - *at)
		return 1;
	batch->at += (header->nlmsg_len + 3) & ~3U;
	/* What comes behind it has no effect. */
	return header->nlmsg_type == NFNL_MSG_BATCH_END;
}

static __always_inline bool takes_rules(struct nlmsghdr *header)
{
	switch (header->nlmsg_type & 0xff) {
	case NFT_MSG_NEWRULE:
		return header->nlmsg_flags & NLM_F_REPLACE;
	case NFT_MSG_DELTABLE:
	case NFT_MSG_DELCHAIN:
	case NFT_MSG_DELRULE:
	case NFT_MSG_DESTROYTABLE:
	case NFT_MSG_DESTROYCHAIN:
	case NFT_MSG_DESTROYRULE:
		return true;
	}
	return false;
}

static long count_message(u32 index, struct ubc_batch **context)
{
	struct ubc_batch *batch = *context;
	struct nlmsghdr header;
	u32 at;

	if (next_message(batch, &header, &at))
		return 1;
	if (!index)
		return header.nlmsg_type != NFNL_MSG_BATCH_BEGIN;
	if (header.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return 0;
	if ((header.nlmsg_type & 0xff) == NFT_MSG_NEWRULE)
		batch->brought++;
	batch->takes |= takes_rules(&header);
	return 0;
}

static __always_inline bool read_name(struct ubc_name *name, void *from, u32 length)
{
	*name = (struct ubc_name){};
	if (!length || length > UBC_NAME)
		return false;
	return !bpf_probe_read_kernel(name, length, from);
}

/* Finds the rules that a message takes away. What is not understood takes
 * none: the batch needs more room then than it should. */
static long search_message(u32 index, struct ubc_batch **context)
{
	struct ubc_batch *batch = *context;
	struct ubc_search *search = &batch->search;
	struct nlmsghdr header;
	struct nlattr attribute;
	u32 at, end, message;
	bool others = false;

	if (next_message(batch, &header, &at))
		return 1;
	if (header.nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES || !takes_rules(&header))
		return 0;
	message = header.nlmsg_type & 0xff;
	search->by_table = search->by_chain = search->by_handle = 0;
	search->family = 0;
	bpf_probe_read_kernel(&search->family, 1, batch->data + at + sizeof(header));
	end = at + header.nlmsg_len;
	at += sizeof(header) + 4;
	/* What tells one rule from another comes first. */
	for (int i = 0; i < 6; i++) {
		u32 type, length;
		void *value;

		if (at + sizeof(attribute) > end ||
		    bpf_probe_read_kernel(&attribute, sizeof(attribute), batch->data + at) ||
		    attribute.nla_len < sizeof(attribute) || attribute.nla_len > end - at)
			break;
		type = attribute.nla_type & 0x3fff;
		length = attribute.nla_len - sizeof(attribute);
		value = batch->data + at + sizeof(attribute);
		at += (attribute.nla_len + 3) & ~3U;
		if (type == 1) {
			/* The table's name in all of these. */
			search->by_table = 1;
			if (!read_name(&search->table, value, length))
				return 0;
		} else if (message == NFT_MSG_DELTABLE || message == NFT_MSG_DESTROYTABLE) {
			others |= type == 4; /* its handle */
		} else if (message == NFT_MSG_DELCHAIN || message == NFT_MSG_DESTROYCHAIN) {
			others |= type == 2 || type == 4; /* its handle, a device of it */
			if (type != 3)
				continue;
			search->by_chain = 1;
			if (!read_name(&search->chain, value, length))
				return 0;
		} else if (type == 2) {
			search->by_chain = 1;
			if (!read_name(&search->chain, value, length))
				return 0;
		} else if (type == 3 && length == 8) {
			search->by_handle = 1;
			bpf_probe_read_kernel(&search->handle, 8, value);
			search->handle = bpf_be64_to_cpu(search->handle);
		} else {
			others |= type == 9 && message != NFT_MSG_NEWRULE; /* the number it has in this batch */
		}
	}
	/* More of them than are looked at, the last of each kind of which counts. */
	others |= message != NFT_MSG_NEWRULE && at + sizeof(attribute) <= end;
	if (others || (message == NFT_MSG_NEWRULE && !search->by_handle) ||
	    (search->by_handle && !search->by_chain) ||
	    ((message == NFT_MSG_DELCHAIN || message == NFT_MSG_DESTROYCHAIN) && !search->by_chain))
		return 0;
	search->at_table = search->tables;
	bpf_loop(1 << 16, ubc_search_table, &search, 0);
	return 0;
}

SEC("fmod_ret/security_netlink_send")
int BPF_PROG(ubc_netlink_send, struct sock *sk, struct sk_buff *skb)
{
	struct nftables_pernet *tables;
	struct ubc_batch *batch;
	u32 slot;

	if (ubc_dormant())
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) != NETLINK_NETFILTER)
		return 0;
	slot = ubc_current();
	if (slot == UBC_NOBODY)
		return 0;
	batch = bpf_task_storage_get(&ubc_batches, bpf_get_current_task_btf(), NULL,
				     BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!batch) {
		ubc_fault(UBC_FAULT_STORAGE);
		return -ENOMEM;
	}
	batch->data = BPF_CORE_READ(skb, data);
	batch->length = BPF_CORE_READ(skb, len);
	batch->at = 0;
	batch->brought = 0;
	batch->takes = false;
	batch->search.found = 0;
	bpf_loop(1 << 20, count_message, &batch, 0);
	tables = ubc_nft_of(BPF_CORE_READ(sk, __sk_common.skc_net.net));
	if (batch->brought && batch->takes && tables) {
		batch->at = 0;
		batch->search.slot = slot;
		batch->search.stamp = (__sync_fetch_and_add(&ubc_stamps, 1) + 1) & (0xffffffff / UBC_ROWS);
		batch->search.tables = (void *)tables + bpf_core_field_offset(struct nftables_pernet, tables);
		bpf_loop(1 << 20, search_message, &batch, 0);
	}
	return ubc_change_begins(slot, (s64)batch->brought - batch->search.found) ? -ENOMEM : 0;
}

/* Whatever became of it. */
SEC("fexit/netlink_sendmsg")
int BPF_PROG(ubc_netlink_sent)
{
	if (!ubc_dormant())
		ubc_change_over();
	return 0;
}

struct ubc_commit {
	struct list_head *head, *at;
	s64 grown;
	u32 slot;
};

static __always_inline struct nft_rule *rule_of(struct nft_trans *transaction)
{
	struct nft_trans_rule *about = (void *)transaction;

	if (!bpf_core_field_exists(struct nft_trans_rule, nft_trans))
		about = (void *)transaction + bpf_core_field_offset(struct nft_trans___behind, data);
	return BPF_CORE_READ(about, rule);
}

/* The next rule of the transaction, that comes or goes; not 0 at the end. */
static __always_inline long next_rule(struct ubc_commit *commit, u64 *key, bool *brings)
{
	struct nft_trans *transaction;
	int type;

	*key = 0;
	commit->at = ubc_next(commit->at);
	if (!commit->at || commit->at == commit->head)
		return 1;
	transaction = UBC_ENTRY(commit->at, nft_trans, list);
	type = BPF_CORE_READ(transaction, msg_type);
	*brings = type == NFT_MSG_NEWRULE;
	if (*brings || type == NFT_MSG_DELRULE || type == NFT_MSG_DESTROYRULE)
		*key = UBC_KEY(rule_of(transaction), UBC_OBJECT);
	return 0;
}

static __always_inline void grow(struct ubc_commit *commit, u32 slot, s64 rules)
{
	if (slot == commit->slot)
		commit->grown += rules;
	else if (rules > 0)
		ubc_charge(slot, UBC_NUMIPTENT, rules, UBC_FORCE);
	else if (rules < 0)
		ubc_uncharge(slot, UBC_NUMIPTENT, -rules);
}

/* A rule that goes keeps its record, which then is worth nothing, until it is
 * destroyed: the commit may still fail. */
static long commit_rule(u32 index, struct ubc_commit *commit)
{
	struct ubc_object record = { .amount = 1, .slot = commit->slot, .resource = UBC_NUMIPTENT };
	struct ubc_object *known;
	bool brings = false;
	u64 key;

	if (next_rule(commit, &key, &brings))
		return 1;
	if (!key)
		return 0;
	known = bpf_map_lookup_elem(&ubc_objects, &key);
	if (known) {
		grow(commit, known->slot, -__sync_lock_test_and_set(&known->amount, 0));
		if (brings)
			ubc_fault(UBC_FAULT_STALE_OBJECT);
	}
	if (brings && commit->slot != UBC_NOBODY) {
		if (bpf_map_update_elem(&ubc_objects, &key, &record, BPF_ANY))
			ubc_fault(UBC_FAULT_OBJECTS_FULL);
		else
			commit->grown++;
	}
	return 0;
}

/* The commit failed: rules that should have come are destroyed, others stay. */
static long undo_rule(u32 index, struct ubc_commit *commit)
{
	struct ubc_object *known;
	bool brings = false;
	u32 slot;
	s64 was;
	u64 key;

	if (next_rule(commit, &key, &brings))
		return 1;
	if (!key)
		return 0;
	known = bpf_map_lookup_elem(&ubc_objects, &key);
	if (!known)
		return 0;
	slot = known->slot;
	if (!brings) {
		grow(commit, slot, 1 - __sync_lock_test_and_set(&known->amount, 1));
		return 0;
	}
	was = known->amount;
	if (!bpf_map_delete_elem(&ubc_objects, &key))
		grow(commit, slot, -was);
	return 0;
}

/* Where the transaction of a namespace begins. */
static __always_inline bool look_at(struct ubc_commit *commit, struct net *net)
{
	struct nftables_pernet *tables = ubc_nft_of(net);

	commit->slot = ubc_current();
	if (!tables) {
		ubc_fault(UBC_FAULT_UNSEEN);
		return false;
	}
	commit->head = commit->at = (void *)tables + bpf_core_field_offset(struct nftables_pernet, commit_list);
	return true;
}

SEC("fentry/nf_tables_commit")
int BPF_PROG(ubc_rules_commit, struct net *net)
{
	struct ubc_commit commit = {};

	if (ubc_dormant() || !look_at(&commit, net))
		return 0;
	bpf_loop(1 << 22, commit_rule, &commit, 0);
	if (commit.slot != UBC_NOBODY)
		ubc_change_made(commit.slot, commit.grown);
	return 0;
}

SEC("fexit/nf_tables_commit")
int BPF_PROG(ubc_rules_committed, struct net *net, struct sk_buff *skb, int error)
{
	struct ubc_commit commit = {};

	if (!error || ubc_dormant() || !look_at(&commit, net))
		return 0;
	bpf_loop(1 << 22, undo_rule, &commit, 0);
	if (commit.slot != UBC_NOBODY)
		ubc_change_made(commit.slot, commit.grown);
	return 0;
}

/* A moment after the commit. */
SEC("fentry/nf_tables_rule_destroy")
int BPF_PROG(ubc_rule_destroyed, const void *context, struct nft_rule *rule)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(rule, UBC_OBJECT));
	return 0;
}

/* By number, so that the verifier takes it for a function of its own: 6.12's
 * fails with EFAULT on static functions that are called from a loop's body. */
__attribute__((noinline)) int ubc_rule_gone(u64 rule)
{
	return ubc_give(rule + UBC_OBJECT);
}

/* Lists whose rules are about to be destroyed where the function above is part
 * of its caller. */
struct ubc_release {
	struct list_head *chains, *at_chain, *rules, *at_rule;
};

static long release_rule(u32 index, struct ubc_release *release)
{
	release->at_rule = ubc_next(release->at_rule);
	if (!release->at_rule || release->at_rule == release->rules)
		return 1;
	ubc_rule_gone((u64)UBC_ENTRY(release->at_rule, nft_rule, list));
	return 0;
}

static __always_inline void release_rules(struct ubc_release *release, struct nft_chain *chain)
{
	release->rules = release->at_rule = (void *)chain + bpf_core_field_offset(struct nft_chain, rules);
	bpf_loop(1 << 22, release_rule, release, 0);
}

static long release_chain(u32 index, struct ubc_release *release)
{
	release->at_chain = ubc_next(release->at_chain);
	if (!release->at_chain || release->at_chain == release->chains)
		return 1;
	release_rules(release, UBC_ENTRY(release->at_chain, nft_chain, list));
	return 0;
}

/* The end of a network namespace, or of the socket that owns the table. */
SEC("fentry/__nft_release_table")
int BPF_PROG(ubc_table_released, struct net *net, struct nft_table *table)
{
	struct ubc_release release = {};

	if (ubc_dormant())
		return 0;
	release.chains = release.at_chain = (void *)table + bpf_core_field_offset(struct nft_table, chains);
	bpf_loop(1 << 20, release_chain, &release, 0);
	return 0;
}

/* The end of the device that a chain belongs to. */
SEC("?fentry/__nft_release_basechain")
int BPF_PROG(ubc_chain_released, struct nft_ctx *context)
{
	struct ubc_release release = {};

	if (!ubc_dormant())
		release_rules(&release, BPF_CORE_READ(context, chain));
	return 0;
}
