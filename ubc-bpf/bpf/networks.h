/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * The network namespaces that tasks are in, for programs that go through all
 * tasks.
 */
#ifndef UBC_NETWORKS_H
#define UBC_NETWORKS_H

#include "objects.h"

/* include/uapi/linux/bpf.h */
enum { UBC_MAP_LRU_HASH = 9 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net;

struct nsproxy {
	struct net *net_ns;
};

struct task_struct___net {
	struct nsproxy *nsproxy;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* The last pass that looked at a namespace. Tasks of a container share theirs. */
struct {
	__uint(type, UBC_MAP_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, u64);
	__type(value, u64);
} ubc_nets_seen SEC(".maps");

static __always_inline bool ubc_first_look(struct net *net, u64 pass)
{
	u64 key = (u64)net, *last = bpf_map_lookup_elem(&ubc_nets_seen, &key);

	if (last && *last == pass)
		return false;
	bpf_map_update_elem(&ubc_nets_seen, &key, &pass, BPF_ANY);
	return true;
}

/* The network namespace of a task. */
static __always_inline struct net *ubc_network_of(struct task_struct *task)
{
	struct task_struct___net *from = (void *)task;
	struct nsproxy *proxy = BPF_CORE_READ(from, nsproxy);
	struct net *net = BPF_CORE_READ(proxy, net_ns);

	/* It took others, or ends and has none any more. */
	return BPF_CORE_READ(from, nsproxy) == proxy ? net : NULL;
}

#endif
