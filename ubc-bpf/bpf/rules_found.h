/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rules that were there before their container was taken over: those of the
 * network namespaces that its tasks are in, but the host's, that nobody pays for.
 *
 * The lists are read without their locks. A rule of nf_tables is destroyed a grace
 * period of RCU after it left its list, and the end of a namespace waits for one,
 * too; this program runs inside of one. So what is found is recorded before its end
 * is seen.
 */
#ifndef UBC_RULES_FOUND_H
#define UBC_RULES_FOUND_H

#include "networks.h"
#include "xtables.h"

/* include/uapi/linux/netfilter.h */
enum {
	NFPROTO_IPV4 = 2,
	NFPROTO_ARP = 3,
	NFPROTO_IPV6 = 10,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct xt_pernet {
	struct list_head tables[0];
};

#pragma clang attribute pop

extern const void init_net __ksym __weak;
extern const void xt_pernet_id __ksym __weak;

/* The network namespace of a task, if it is not the host's. */
static __always_inline struct net *network_of(struct task_struct *task)
{
	struct net *net = ubc_network_of(task);

	return !&init_net || (void *)net == &init_net ? NULL : net;
}

struct ubc_found {
	struct list_head *tables, *chains, *rules; /* the lists' heads */
	struct list_head *at_table, *at_chain, *at_rule;
	struct net *net;
	u32 slot;
};

/* These two by number, as ubc_rule_gone(). */
__attribute__((noinline)) int ubc_rule_found(u64 rule, u32 slot)
{
	return ubc_seed(rule + UBC_OBJECT, slot, UBC_NUMIPTENT, 1);
}

/* A table's record is worth all of its rules afterwards, but another's. */
__attribute__((noinline)) int ubc_table_found(u64 at, u32 slot)
{
	struct xt_table *table = (void *)at;
	struct xt_table_info *info;
	struct ubc_object *known;
	u64 key = at + UBC_OBJECT;
	s64 rules;

	if (!bpf_core_type_exists(struct xt_table) || !bpf_core_type_exists(struct xt_table_info))
		return 0;
	info = BPF_CORE_READ(table, private);
	rules = ubc_rules_of(info);
	/* Replaced under our eyes: once more, with what it is now. */
	if (BPF_CORE_READ(table, private) != info) {
		info = BPF_CORE_READ(table, private);
		rules = ubc_rules_of(info);
	}
	if (rules <= 0)
		return 0;
	known = bpf_map_lookup_elem(&ubc_objects, &key);
	if (!known)
		return ubc_seed(key, slot, UBC_NUMIPTENT, rules);
	if (!known->amount)
		known->slot = slot;
	rules -= known->amount;
	if (known->slot != slot || rules <= 0)
		return 0;
	ubc_charge(slot, UBC_NUMIPTENT, rules, UBC_FORCE);
	__sync_fetch_and_add(&known->amount, rules);
	return 0;
}

/*
 * Whether a rule is in force. Those that a batch under way brings are not:
 * they are recorded when it is committed, before they are.
 *
 * A new rule bears the mark of the generation in which it is not there. The mark
 * first: if the rule is there in the generation that is read after it, that one
 * came with the rule's own commit, whose programs have run then.
 */
static __always_inline bool in_force(struct net *net, struct nft_rule *rule)
{
	u32 absent = BPF_CORE_READ_BITFIELD_PROBED(rule, genmask);
	u32 generation = BPF_CORE_READ(net, nft.gencursor);

	return !(absent >> (generation & 1) & 1);
}

/* The next rule, or else the next chain's list, or else the next table's. */
static long look_on(u32 index, struct ubc_found *found)
{
	struct list_head *next = ubc_next(found->at_rule);
	struct nft_rule *rule;

	if (next && next != found->rules) {
		found->at_rule = next;
		rule = UBC_ENTRY(next, nft_rule, list);
		if (in_force(found->net, rule))
			ubc_rule_found((u64)rule, found->slot);
		return 0;
	}
	next = ubc_next(found->at_chain);
	if (next && next != found->chains) {
		found->at_chain = next;
		found->rules = found->at_rule = (void *)UBC_ENTRY(next, nft_chain, list) +
						bpf_core_field_offset(struct nft_chain, rules);
		return 0;
	}
	next = ubc_next(found->at_table);
	if (!next || next == found->tables)
		return 1;
	found->at_table = next;
	found->chains = found->at_chain = (void *)UBC_ENTRY(next, nft_table, list) +
					  bpf_core_field_offset(struct nft_table, chains);
	return 0;
}

static __always_inline void look_at_nftables(struct ubc_found *found)
{
	struct nftables_pernet *tables = ubc_nft_of(found->net);

	if (!tables) {
		ubc_fault(UBC_FAULT_UNSEEN);
		return;
	}
	found->tables = found->at_table = (void *)tables + bpf_core_field_offset(struct nftables_pernet, tables);
	/* No list yet: NULL, but the verifier must not know. It would take what
	 * is done in other rounds for code that never runs. */
	found->chains = found->at_chain = found->rules = found->at_rule = ubc_next(NULL);
	bpf_loop(1 << 22, look_on, found, 0);
}

static long look_at_table(u32 index, struct ubc_found *found)
{
	struct list_head *next = ubc_next(found->at_table);

	if (!next || next == found->tables)
		return 1;
	found->at_table = next;
	ubc_table_found((u64)UBC_ENTRY(next, xt_table, list), found->slot);
	return 0;
}

static __always_inline void look_at_family(struct ubc_found *found, void *tables, u32 family)
{
	found->tables = found->at_table = tables + family * bpf_core_type_size(struct list_head);
	bpf_loop(64, look_at_table, found, 0);
}

static __always_inline void look_at_xtables(struct ubc_found *found)
{
	void *tables = ubc_part_of(found->net, &xt_pernet_id);

	/* A machine without them. */
	if (!tables || !bpf_core_type_exists(struct xt_table) || !bpf_core_type_exists(struct xt_pernet))
		return;
	tables += bpf_core_field_offset(struct xt_pernet, tables);
	look_at_family(found, tables, NFPROTO_IPV4);
	look_at_family(found, tables, NFPROTO_ARP);
	look_at_family(found, tables, NFPROTO_IPV6);
}

SEC("iter/task")
int ubc_rules_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct ubc_found found = {};

	if (!task || ubc_dormant())
		return 0;
	found.slot = ubc_arriving(ubc_cgroup_of(task));
	if (found.slot == UBC_NOBODY)
		return 0;
	found.net = network_of(task);
	if (!found.net || !ubc_first_look(found.net, ctx->meta->session_id))
		return 0;
	look_at_nftables(&found);
	look_at_xtables(&found);
	return 0;
}

#endif
