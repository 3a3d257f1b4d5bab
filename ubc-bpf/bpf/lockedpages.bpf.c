/* SPDX-License-Identifier: GPL-2.0 */
/*
 * lockedpages, counted and not refused: VmLck of every address space, and
 * shared memory that SHM_LOCK keeps.
 *
 * The kernel asks no security module before it locks memory that is mapped
 * already (mm/mlock.c): what it asks, capable(CAP_IPC_LOCK), only adds to what
 * RLIMIT_MEMLOCK allows a process.
 */
#include "objects.h"
#include "memory.h"

char LICENSE[] SEC("license") = "GPL";

/* The address space's record of this row lies beside that of privvmpages. */
#define KEY(mm) UBC_KEY(mm, UBC_OBJECT_SECOND)

static __always_inline void pay(u32 slot, s64 by)
{
	if (by > 0)
		ubc_charge(slot, UBC_LOCKEDPAGES, by, UBC_FORCE);
	else if (by < 0)
		ubc_uncharge(slot, UBC_LOCKEDPAGES, -by);
}

/* Whoever comes last, of several that changed it, sees what all have done. */
static __always_inline void count(struct mm_struct *mm, u32 payer)
{
	u64 key = KEY(mm);
	struct ubc_holding *holding;
	s64 by;

	if (!mm)
		return;
	holding = bpf_map_lookup_elem(&ubc_spaces, &key);
	if (!holding) {
		/* Hardly anybody locks memory. */
		if (!mm->locked_vm || payer == UBC_NOBODY)
			return;
		ubc_hold(&ubc_spaces, key, payer, 0, 0);
		holding = bpf_map_lookup_elem(&ubc_spaces, &key);
		if (!holding)
			return;
	}
	bpf_spin_lock(&holding->lock);
	by = mm->locked_vm - holding->charged;
	holding->charged += by;
	bpf_spin_unlock(&holding->lock);
	pay(holding->slot, by);
}

static __always_inline void ended(u64 key)
{
	u32 slot;
	s64 pages = ubc_release(&ubc_spaces, key, &slot);

	if (slot != UBC_NOBODY)
		pay(slot, -pages);
}

static __always_inline int changed(void)
{
	if (!ubc_dormant())
		count(bpf_get_current_task_btf()->mm, ubc_current());
	return 0;
}

SEC("fexit/mlock_fixup") int BPF_PROG(ubc_mlock) { return changed(); }
SEC("fexit/vm_mmap_pgoff") int BPF_PROG(ubc_locked_mmap) { return changed(); }
SEC("fexit/__vm_munmap") int BPF_PROG(ubc_locked_munmap) { return changed(); }
SEC("fexit/do_brk_flags") int BPF_PROG(ubc_locked_brk) { return changed(); }
SEC("fexit/expand_downwards") int BPF_PROG(ubc_locked_stack) { return changed(); }
SEC("?fexit/__x64_sys_brk") int BPF_PROG(ubc_locked_brk_x64) { return changed(); }
SEC("?fexit/__ia32_sys_brk") int BPF_PROG(ubc_locked_brk_ia32) { return changed(); }
SEC("?fexit/__arm64_sys_brk") int BPF_PROG(ubc_locked_brk_arm64) { return changed(); }
SEC("?fexit/__x64_sys_mremap") int BPF_PROG(ubc_locked_mremap_x64) { return changed(); }
SEC("?fexit/__ia32_sys_mremap") int BPF_PROG(ubc_locked_mremap_ia32) { return changed(); }
SEC("?fexit/__arm64_sys_mremap") int BPF_PROG(ubc_locked_mremap_arm64) { return changed(); }

/* A child has no locked memory, and an exec starts without. */
SEC("fentry/exit_mmap")
int BPF_PROG(ubc_locked_exit, struct mm_struct *mm)
{
	if (!ubc_dormant())
		ended(KEY(mm));
	return 0;
}

SEC("fexit/shmem_lock")
int BPF_PROG(ubc_shm_lock, struct file *file, int lock, void *ucounts, int error)
{
	u64 key = UBC_KEY(file->f_inode, UBC_OBJECT_THIRD);
	u32 slot = ubc_current();

	if (ubc_dormant() || error)
		return 0;
	if (!lock)
		ubc_give(key);
	else if (slot != UBC_NOBODY && !bpf_map_lookup_elem(&ubc_objects, &key))
		ubc_take(key, slot, UBC_LOCKEDPAGES,
			 UBC_PAGES(BPF_CORE_READ(file, f_inode, i_size)), UBC_FORCE);
	return 0;
}

SEC("fentry/shmem_evict_inode")
int BPF_PROG(ubc_shm_locked_gone, struct inode *inode)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(inode, UBC_OBJECT_THIRD));
	return 0;
}

SEC("iter/task")
int ubc_locked_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct mm_struct *mm;

	if (!task || ubc_dormant())
		return 0;
	mm = task->mm;
	if (!mm || task->flags & PF_KTHREAD)
		return 0;
	count(mm, ubc_slot_of(ubc_cgroup_of(task)));
	/* It may have ended before it was recorded. */
	if (*(struct mm_struct *volatile *)&task->mm != mm)
		ended(KEY(mm));
	return 0;
}
