/* SPDX-License-Identifier: GPL-2.0 */
/*
 * privvmpages and shmpages.
 *
 * They are one mechanism because the kernel asks security_vm_enough_memory_mm
 * for both, and because shared memory counts to privvmpages too.
 */
#include "space.h"
#include "shm.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline int forking(struct ubc_note *note, s64 pages)
{
	struct mm_struct *child = (void *)note->child;
	s64 left;

	if (!child || note->payer == UBC_NOBODY)
		return 0;
	/* The kernel asks for areas that are not writable any more as well. */
	left = BPF_CORE_READ(child, data_vm) + BPF_CORE_READ(child, stack_vm) - note->forked;
	pages += note->unasked;
	note->unasked = 0;
	if (pages > left)
		pages = left;
	if (pages <= 0)
		return 0;
	if (ubc_charge(note->payer, UBC_PRIVVMPAGES, pages, UBC_HARD))
		return -ENOMEM;
	note->forked += pages;
	return 0;
}

SEC("fmod_ret/security_vm_enough_memory_mm")
int BPF_PROG(ubc_enough_memory, struct mm_struct *mm, long pages)
{
	struct task_struct *task;
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->file)
		return ubc_shm_grow(note, pages);
	if (note && note->making)
		return ubc_shm_make(note, pages);
	if (!mm)
		return 0;
	task = bpf_get_current_task_btf();
	/* The stack of an exec, or of another process that is written to. */
	if (mm != task->mm)
		return ubc_reserve(mm, pages, UBC_SOFT);
	if (!note)
		return 0;
	switch (note->site) {
	case UBC_SITE_MMAP:
	case UBC_SITE_BRK:
	case UBC_SITE_MREMAP:
		return note->taken ? 0 : ubc_reserve(mm, pages, ubc_severity_of_call());
	case UBC_SITE_STACK:
		return ubc_reserve(mm, pages, UBC_SOFT);
	case UBC_SITE_FORK:
		return forking(note, pages);
	default:
		/* mprotect was asked before; anything else is no area of memory. */
		return 0;
	}
}

/* mmap */

SEC("fentry/vm_mmap_pgoff")
int BPF_PROG(ubc_mmap, struct file *file, unsigned long addr, unsigned long len,
	     unsigned long prot, unsigned long flag)
{
	struct ubc_note *note;
	bool asked;

	if (ubc_dormant() ||
	    ((flag & MAP_TYPE) != MAP_PRIVATE && (flag & MAP_TYPE) != MAP_DROPPABLE) ||
	    !(prot & PROT_WRITE || flag & MAP_GROWSDOWN))
		return 0;
	note = ubc_begin(UBC_SITE_MMAP);
	if (!note)
		return 0;
	asked = prot & PROT_WRITE && !(flag & MAP_NORESERVE) && (flag & MAP_TYPE) == MAP_PRIVATE;
	if (file && BPF_CORE_READ(file, f_inode, i_sb, s_magic) == HUGETLBFS_MAGIC)
		asked = false;
	if (!asked)
		note->want = UBC_PAGES(len);
	return 0;
}

SEC("fexit/vm_mmap_pgoff")
int BPF_PROG(ubc_mmap_end)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_MMAP)
		note->site = UBC_SITE_NONE;
	/* Even a map of something else may have replaced memory. */
	ubc_settle(bpf_get_current_task_btf()->mm);
	return 0;
}

/* Asked for every address, with the mmap lock held: the place to refuse what
 * the kernel does not reserve memory for (MAP_NORESERVE, huge pages). */
SEC("fmod_ret/security_mmap_addr")
int BPF_PROG(ubc_mmap_addr)
{
	struct ubc_note *note;
	struct mm_struct *mm;
	int refused;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (!note || (note->site != UBC_SITE_MMAP && note->site != UBC_SITE_MREMAP))
		return 0;
	/* mremap tries another address after a refusal: that is one refusal. */
	if (note->refused)
		return -ENOMEM;
	if (note->taken || note->want <= 0)
		return 0;
	mm = bpf_get_current_task_btf()->mm;
	if (!mm)
		return 0;
	refused = ubc_reserve(mm, note->want, ubc_severity_of_call());
	note->taken = !refused;
	note->refused = !!refused;
	return refused;
}

/* brk */

SEC("fentry/do_brk_flags")
int BPF_PROG(ubc_brk)
{
	if (!ubc_dormant())
		ubc_begin(UBC_SITE_BRK);
	return 0;
}

SEC("fexit/do_brk_flags")
int BPF_PROG(ubc_brk_end)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_BRK)
		note->site = UBC_SITE_NONE;
	ubc_settle(bpf_get_current_task_btf()->mm);
	return 0;
}

/* mremap */

/* How much, and of what, is only known inside. */
SEC("fentry/may_expand_vm")
int BPF_PROG(ubc_expand, struct mm_struct *mm, unsigned long flags, unsigned long pages)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_MREMAP && ubc_is_counted(flags) && !(flags & VM_ACCOUNT))
		note->want = pages;
	return 0;
}

static __always_inline int mremap_begins(void)
{
	if (!ubc_dormant())
		ubc_begin(UBC_SITE_MREMAP);
	return 0;
}

static __always_inline int call_ends(void)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note)
		note->site = UBC_SITE_NONE;
	ubc_settle(bpf_get_current_task_btf()->mm);
	return 0;
}

/* System calls carry the architecture in their name, and a process may make
 * them in the way of another one. */
SEC("?fentry/__x64_sys_mremap") int BPF_PROG(ubc_mremap_x64) { return mremap_begins(); }
SEC("?fexit/__x64_sys_mremap") int BPF_PROG(ubc_mremap_x64_end) { return call_ends(); }
SEC("?fentry/__ia32_sys_mremap") int BPF_PROG(ubc_mremap_ia32) { return mremap_begins(); }
SEC("?fexit/__ia32_sys_mremap") int BPF_PROG(ubc_mremap_ia32_end) { return call_ends(); }
SEC("?fentry/__arm64_sys_mremap") int BPF_PROG(ubc_mremap_arm64) { return mremap_begins(); }
SEC("?fexit/__arm64_sys_mremap") int BPF_PROG(ubc_mremap_arm64_end) { return call_ends(); }
SEC("?fexit/__x64_sys_brk") int BPF_PROG(ubc_brk_x64_end) { return call_ends(); }
SEC("?fexit/__ia32_sys_brk") int BPF_PROG(ubc_brk_ia32_end) { return call_ends(); }
SEC("?fexit/__arm64_sys_brk") int BPF_PROG(ubc_brk_arm64_end) { return call_ends(); }

SEC("fexit/__vm_munmap")
int BPF_PROG(ubc_munmap_end)
{
	if (!ubc_dormant())
		ubc_settle(bpf_get_current_task_btf()->mm);
	return 0;
}

/* mprotect */

SEC("fentry/do_mprotect_pkey")
int BPF_PROG(ubc_mprotect, unsigned long start, unsigned long len)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_begin(UBC_SITE_MPROTECT);
	if (note) {
		note->start = start;
		note->end = start + (UBC_PAGES(len) << UBC_PAGE_SHIFT);
	}
	return 0;
}

/* Asked for each area of the range, with the mmap lock held. */
SEC("fmod_ret/security_file_mprotect")
int BPF_PROG(ubc_mprotect_area, struct vm_area_struct *vma, unsigned long asked, unsigned long prot)
{
	struct ubc_note *note;
	u64 start, end;

	if (ubc_dormant() || !(prot & PROT_WRITE))
		return 0;
	note = ubc_note();
	if (!note || note->site != UBC_SITE_MPROTECT)
		return 0;
	if (vma->vm_flags & (VM_WRITE | VM_SHARED | VM_GROWSDOWN))
		return 0;
	start = vma->vm_start > note->start ? vma->vm_start : note->start;
	end = vma->vm_end < note->end ? vma->vm_end : note->end;
	if (start >= end)
		return 0;
	return ubc_reserve(vma->vm_mm, (end - start) >> UBC_PAGE_SHIFT, UBC_SOFT);
}

SEC("fexit/do_mprotect_pkey")
int BPF_PROG(ubc_mprotect_end)
{
	return call_ends();
}

/* The stack */

SEC("fentry/expand_downwards")
int BPF_PROG(ubc_stack)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note_new();
	if (note) {
		note->interrupted = note->site;
		note->site = UBC_SITE_STACK;
	}
	return 0;
}

SEC("fexit/expand_downwards")
int BPF_PROG(ubc_stack_end, struct vm_area_struct *vma)
{
	struct ubc_note *note;

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_STACK)
		note->site = note->interrupted;
	ubc_settle(vma->vm_mm);
	return 0;
}

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

	if (ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_FORK && note->child && ubc_is_counted(area->vm_flags) &&
	    !(area->vm_flags & VM_ACCOUNT))
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
	long error;

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
	u64 key = (u64)mm;

	if (slot == UBC_NOBODY || !mm || task->flags & PF_KTHREAD ||
	    bpf_map_lookup_elem(&ubc_spaces, &key))
		return;
	ubc_adopt(mm, slot);
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

	if (task && !ubc_dormant())
		entered(task, ubc_cgroup_of(task));
	return 0;
}

/* Shared memory */

SEC("fentry/__shmem_file_setup")
int BPF_PROG(ubc_shm_setup, void *mount, const char *name, s64 size, unsigned long flags)
{
	struct ubc_note *note;

	if (ubc_dormant() || ubc_current() == UBC_NOBODY)
		return 0;
	note = ubc_note_new();
	if (note) {
		note->making = !(flags & VM_NORESERVE);
		note->made = 0;
	}
	return 0;
}

SEC("fexit/__shmem_file_setup")
int BPF_PROG(ubc_shm_setup_end)
{
	struct ubc_note *note = ubc_note();
	u64 file = 0;

	if (!note || !note->making)
		return 0;
	note->making = 0;
	bpf_get_func_ret(ctx, &file);
	ubc_shm_made(note, file);
	return 0;
}

static __always_inline int created(void *ctx)
{
	u64 inode = 0;

	if (ubc_dormant() || ubc_current() == UBC_NOBODY)
		return 0;
	bpf_get_func_ret(ctx, &inode);
	ubc_shm_created(inode);
	return 0;
}

SEC("?fexit/shmem_get_inode") int BPF_PROG(ubc_shm_inode) { return created(ctx); }
SEC("?fexit/__shmem_get_inode") int BPF_PROG(ubc_shm_inode_6_6) { return created(ctx); }

SEC("fentry/shmem_fault")
int BPF_PROG(ubc_shm_fault, struct vm_fault *fault)
{
	if (!ubc_dormant())
		ubc_shm_begin((u64)fault->vma->vm_file->f_inode);
	return 0;
}

SEC("fexit/shmem_fault")
int BPF_PROG(ubc_shm_fault_end, struct vm_fault *fault)
{
	ubc_shm_end(fault->vma->vm_file->f_inode);
	return 0;
}

SEC("fentry/shmem_write_begin")
int BPF_PROG(ubc_shm_write, struct file *file, struct address_space *mapping)
{
	if (!ubc_dormant())
		ubc_shm_begin((u64)mapping->host);
	return 0;
}

SEC("fexit/shmem_write_begin")
int BPF_PROG(ubc_shm_write_end, struct file *file, struct address_space *mapping)
{
	ubc_shm_end(mapping->host);
	return 0;
}

SEC("fentry/shmem_fallocate")
int BPF_PROG(ubc_shm_allocate, struct file *file)
{
	if (!ubc_dormant())
		ubc_shm_begin((u64)file->f_inode);
	return 0;
}

SEC("fexit/shmem_fallocate")
int BPF_PROG(ubc_shm_allocate_end, struct file *file)
{
	struct ubc_note *note = ubc_note();

	if (note && note->file)
		ubc_shm_end(file->f_inode);
	else if (!ubc_dormant())
		/* Somebody without notes made a hole. */
		ubc_shm_settle(file->f_inode, 0);
	return 0;
}

SEC("fexit/shmem_setattr")
int BPF_PROG(ubc_shm_truncated, void *idmap, struct dentry *dentry)
{
	if (!ubc_dormant())
		ubc_shm_settle(dentry->d_inode, 0);
	return 0;
}

SEC("fexit/shmem_evict_inode")
int BPF_PROG(ubc_shm_evicted, struct inode *inode)
{
	if (!ubc_dormant())
		ubc_shm_gone((u64)inode);
	return 0;
}

static __always_inline void found(struct task_struct *task, struct file *file)
{
	u32 slot = ubc_slot_of(ubc_cgroup_of(task));

	if (slot != UBC_NOBODY)
		ubc_shm_found((u64)file->f_inode, slot);
}

SEC("iter/task_file")
int ubc_shm_seed_open(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	if (task && file && !ubc_dormant())
		found(task, file);
	return 0;
}

SEC("iter/task_vma")
int ubc_shm_seed_mapped(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *area = ctx->vma;
	struct file *file;

	if (!task || !area || ubc_dormant())
		return 0;
	file = area->vm_file;
	if (file)
		found(task, file);
	return 0;
}
