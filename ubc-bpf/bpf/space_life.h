/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs of memory.bpf.c: how an address space begins, moves and ends.
 */
#ifndef UBC_SPACE_LIFE_H
#define UBC_SPACE_LIFE_H

#include "space.h"

/* fork */

SEC("fentry/kernel_clone")
int BPF_PROG(ubc_fork)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_begin(UBC_SITE_FORK);
	if (note) {
		note->child = 0;
		note->forked = 0;
		note->unasked = 0;
		note->payer = ubc_current();
	}
	return 0;
}

SEC("fentry/uprobe_dup_mmap")
int BPF_PROG(ubc_fork_child, struct mm_struct *from, struct mm_struct *to)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_FORK)
		note->child = (u64)to;
	return 0;
}

SEC("fentry/vm_area_dup")
int BPF_PROG(ubc_fork_area, struct vm_area_struct *area)
{
	struct ubc_note *note;

	/* For most areas the kernel will ask. */
	if (area->vm_flags & VM_ACCOUNT || !ubc_is_counted(area->vm_flags) || ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_FORK && note->child)
		note->unasked += (area->vm_end - area->vm_start) >> UBC_PAGE_SHIFT;
	return 0;
}

/* The child runs nowhere yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(ubc_forked, struct task_struct *parent, struct task_struct *child)
{
	struct mm_struct *mm = child->mm;
	u32 slot = UBC_NOBODY;
	struct ubc_note *note;
	s64 pages, paid = 0;
	u64 key = (u64)mm;
	int error;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_FORK)
		note->site = UBC_SITE_NONE;
	if (!mm || mm == parent->mm)
		return 0;
	slot = ubc_slot_of(ubc_cgroup_of(child));
	if (note && note->forked) {
		paid = note->forked;
		note->forked = 0;
		/* CLONE_INTO_CGROUP */
		if (note->payer != slot) {
			ubc_uncharge(note->payer, UBC_PRIVVMPAGES, paid);
			paid = 0;
		}
	}
	if (slot == UBC_NOBODY)
		return 0;
	pages = ubc_size(mm);
	ubc_correct(slot, pages - paid);
	error = ubc_hold(&ubc_spaces, key, slot, pages, 0);
	if (error == -EEXIST) {
		ubc_fault(UBC_FAULT_STALE_OBJECT);
		ubc_disown(key);
		error = ubc_hold(&ubc_spaces, key, slot, pages, 0);
	}
	if (error)
		ubc_uncharge(slot, UBC_PRIVVMPAGES, pages);
	return 0;
}

SEC("fexit/kernel_clone")
int BPF_PROG(ubc_fork_end)
{
	struct ubc_note *note = ubc_note();

	/* Even off duty: nobody else knows of these pages. */
	if (!note)
		return 0;
	if (note->forked)
		ubc_uncharge(note->payer, UBC_PRIVVMPAGES, note->forked);
	note->forked = 0;
	if (note->site == UBC_SITE_FORK)
		note->site = UBC_SITE_NONE;
	return 0;
}

/* exec: the new address space was charged from its first stack page on. */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(ubc_exec)
{
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;
	struct ubc_holding *holding;
	u64 key = (u64)mm;

	if (ubc_dormant() || !mm)
		return 0;
	holding = bpf_map_lookup_elem(&ubc_spaces, &key);
	/* Nobody else knows it yet. */
	if (holding)
		ubc_exact(holding, mm);
	return 0;
}

SEC("fentry/exit_mmap")
int BPF_PROG(ubc_exit_mmap, struct mm_struct *mm)
{
	if (!ubc_dormant())
		ubc_disown((u64)mm);
	return 0;
}

/* An address space that came from outside. One that has a payer keeps it. */

static __always_inline void entered(struct task_struct *task, u64 cgroup)
{
	u32 slot = ubc_slot_of(cgroup);
	struct mm_struct *mm = task->mm;
	struct ubc_holding *holding;
	u64 key = (u64)mm;

	/* Found before its birth was over: its record is made at the end of that. */
	if (BPF_CORE_READ((struct task_struct___state *)task, __state) & TASK_NEW)
		return;
	if (slot == UBC_NOBODY || !mm || task->flags & PF_KTHREAD ||
	    bpf_map_lookup_elem(&ubc_spaces, &key))
		return;
	ubc_adopt(mm, slot);
	holding = bpf_map_lookup_elem(&ubc_spaces, &key);
	if (holding)
		ubc_locked_settle(mm, holding);
	/* It may have ended before it was recorded. */
	if (*(struct mm_struct *volatile *)&task->mm != mm)
		ubc_disown(key);
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(ubc_memory_moved, struct cgroup *to, const char *path, struct task_struct *task)
{
	if (!ubc_dormant() && BPF_CORE_READ(to, root, hierarchy_id) == 0)
		entered(task, BPF_CORE_READ(to, kn, id));
	return 0;
}

SEC("iter/task")
int ubc_memory_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task && !ubc_dormant() && ubc_arriving(ubc_cgroup_of(task)) != UBC_NOBODY)
		entered(task, ubc_cgroup_of(task));
	return 0;
}

#endif
