/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numproc: tasks, from fork until they are reaped.
 *
 * Charged where the kernel asks its security modules, before the task gets a
 * pid (kernel/fork.c, copy_process). OpenVZ answers ENOMEM there; pids.max, which
 * limits the same, answers EAGAIN.
 */
#include "vfs.h"

char LICENSE[] SEC("license") = "GPL";

SEC("fmod_ret/security_task_alloc")
int BPF_PROG(ubc_task_alloc, struct task_struct *task)
{
	u32 slot;

	if (ubc_dormant())
		return 0;
	slot = ubc_current();
	if (slot == UBC_NOBODY)
		return 0;
	return ubc_take(UBC_KEY(task, UBC_OBJECT), slot, UBC_NUMPROC, 1, UBC_HARD) ? -ENOMEM : 0;
}

/* The owner of a task that is in another cgroup now. */
static __always_inline void moved(struct task_struct *task, u64 cgroup)
{
	u64 key = UBC_KEY(task, UBC_OBJECT);
	struct ubc_object *record = bpf_map_lookup_elem(&ubc_objects, &key);
	u32 slot = ubc_slot_of(cgroup);

	if (record ? record->slot == slot : slot == UBC_NOBODY)
		return;
	ubc_give(key);
	if (slot != UBC_NOBODY)
		ubc_take(key, slot, UBC_NUMPROC, 1, UBC_FORCE);
}

/* CLONE_INTO_CGROUP: the child's cgroup is known only now. It runs nowhere yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(ubc_task_forked, struct task_struct *parent, struct task_struct *child)
{
	if (!ubc_dormant())
		moved(child, ubc_cgroup_of(child));
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(ubc_task_moved, struct cgroup *to, const char *path, struct task_struct *task)
{
	if (ubc_dormant() || BPF_CORE_READ(to, root, hierarchy_id) != 0)
		return 0;
	moved(task, BPF_CORE_READ(to, kn, id));
	return 0;
}

SEC("fentry/release_task")
int BPF_PROG(ubc_task_reaped, struct task_struct *task)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(task, UBC_OBJECT));
	return 0;
}

/* A fork that failed later on. */
SEC("fentry/security_task_free")
int BPF_PROG(ubc_task_free, struct task_struct *task)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(task, UBC_OBJECT));
	return 0;
}

/* Tasks that were there before us, those that wait to be reaped too. One that is
 * reaped between our look at it and this record ends once more, in the above. */
SEC("iter/task")
int ubc_task_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u32 slot;

	if (!task || ubc_dormant())
		return 0;
	slot = ubc_slot_of(ubc_cgroup_of(task));
	if (slot != UBC_NOBODY)
		ubc_seed(UBC_KEY(task, UBC_OBJECT), slot, UBC_NUMPROC, 1);
	return 0;
}
