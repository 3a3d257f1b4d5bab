/* SPDX-License-Identifier: GPL-2.0 */
/*
 * privvmpages, shmpages and lockedpages.
 *
 * They are one mechanism because the kernel asks security_vm_enough_memory_mm
 * for the first two, because shared memory counts to privvmpages too, and because
 * locked memory comes and goes with the address space that it is in.
 */
#include "shm_hooks.h"
#include "shm_found.h"
#include "space_life.h"

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

	if (flags & VM_ACCOUNT || !ubc_is_counted(flags) || ubc_dormant())
		return 0;
	note = ubc_note();
	if (note && note->site == UBC_SITE_MREMAP)
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

/* mlock, which only counts. Others change what is locked on their way. */

SEC("fexit/mlock_fixup")
int BPF_PROG(ubc_mlock)
{
	struct mm_struct *mm = bpf_get_current_task_btf()->mm;
	struct ubc_holding *holding;
	u64 key = (u64)mm;

	if (ubc_dormant() || !mm)
		return 0;
	holding = bpf_map_lookup_elem(&ubc_spaces, &key);
	if (!holding) {
		u32 slot = ubc_current();

		if (slot == UBC_NOBODY || !mm->locked_vm)
			return 0;
		ubc_adopt(mm, slot);
		holding = bpf_map_lookup_elem(&ubc_spaces, &key);
		if (!holding)
			return 0;
	}
	ubc_locked_settle(mm, holding);
	return 0;
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
