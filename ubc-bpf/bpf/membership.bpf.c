/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which container a cgroup belongs to. A cgroup that is made below a container's
 * belongs to it from the start, whoever makes it; user space adds those that were
 * there before.
 */
#include "networks.h"

char LICENSE[] SEC("license") = "GPL";

/* The deepest nesting followed. */
#define UBC_CGROUP_DEPTH 64

/* Hierarchies of cgroup v1 have ids of their own, which would be mistaken. */
static __always_inline bool unified(struct cgroup *cgroup)
{
	return BPF_CORE_READ(cgroup, root, hierarchy_id) == 0;
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(ubc_cgroup_mkdir, struct cgroup *cgroup)
{
	struct cgroup_subsys_state *css;
	u32 slot = UBC_NOBODY;
	u64 id;

	if (ubc_dormant() || !unified(cgroup))
		return 0;
	css = BPF_CORE_READ(cgroup, self.parent);
	/* The nearest known one: user space may not have come to the parent yet. */
	for (int depth = 0; depth < UBC_CGROUP_DEPTH && css; depth++) {
		slot = ubc_slot_of(BPF_CORE_READ(css, cgroup, kn, id));
		if (slot != UBC_NOBODY)
			break;
		css = BPF_CORE_READ(css, parent);
	}
	if (slot == UBC_NOBODY)
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	if (bpf_map_update_elem(&ubc_members, &id, &slot, BPF_ANY))
		ubc_fault(UBC_FAULT_MEMBERS_FULL);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(ubc_cgroup_rmdir, struct cgroup *cgroup)
{
	u64 id;

	if (ubc_dormant() || !unified(cgroup))
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	bpf_map_delete_elem(&ubc_members, &id);
	return 0;
}

/* One task, by its number, of each network that tasks of containers are in that are
 * being taken over. */
SEC("iter/task")
int ubc_networks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct net *net;
	int number;

	if (!task || ubc_dormant() || ubc_arriving(ubc_cgroup_of(task)) == UBC_NOBODY)
		return 0;
	net = ubc_network_of(task);
	if (!net || !ubc_first_look(net, ctx->meta->session_id))
		return 0;
	number = task->pid;
	bpf_seq_write(ctx->meta->seq, &number, sizeof(number));
	return 0;
}
