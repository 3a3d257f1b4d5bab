/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Address spaces: privvmpages of an mm_struct is VmData + VmStk of its
 * processes, that is data_vm + stack_vm.
 *
 * Both are written with the mmap lock held for writing, so one change of an
 * address space is under way at a time.
 */
#ifndef UBC_SPACE_H
#define UBC_SPACE_H

#include "locked.h"

/* What a task is doing to its address space. */
enum ubc_site {
	UBC_SITE_NONE,
	UBC_SITE_MMAP,
	UBC_SITE_BRK,
	UBC_SITE_MREMAP,
	UBC_SITE_MPROTECT,
	UBC_SITE_STACK,
	UBC_SITE_FORK,
};

/* Notes about a task inside a system call or a fault, from hook to hook. */
struct ubc_note {
	u32 site;
	u32 interrupted; /* the site in which the stack grew */
	u32 taken; /* the call has its pages already */
	u32 refused; /* the call was refused already */
	s64 want; /* pages that security_vm_enough_memory_mm is not asked for */
	u64 start, end; /* mprotect: the range */
	u64 child; /* fork: the new address space */
	s64 forked; /* fork: charged for it so far */
	s64 unasked; /* fork: copied, but not charged yet */
	u32 payer; /* fork */
	u32 making; /* a shared memory file is being made: */
	s64 made; /* and this was charged for it */
	u64 file; /* inode that gets pages: */
	u32 maker; /* who pays for them; */
	u32 padding;
	s64 pages; /* these are charged for it; */
	s64 denied; /* these were not */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ubc_note);
} ubc_notes SEC(".maps");

/* The notes of the running task, if there are any. */
static __always_inline struct ubc_note *ubc_note(void)
{
	return bpf_task_storage_get(&ubc_notes, bpf_get_current_task_btf(), NULL, 0);
}

/* The notes of the running task; NULL if it is no business of ours. */
static __always_inline struct ubc_note *ubc_note_new(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	u64 mm = (u64)task->mm;
	struct ubc_note *note;

	if (ubc_current() == UBC_NOBODY && !bpf_map_lookup_elem(&ubc_spaces, &mm))
		return NULL;
	note = bpf_task_storage_get(&ubc_notes, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!note)
		ubc_fault(UBC_FAULT_STORAGE);
	return note;
}

/* The running task's notes at the start of a call. */
static __always_inline struct ubc_note *ubc_begin(u32 site)
{
	struct ubc_note *note = ubc_note_new();

	if (note) {
		note->site = site;
		note->taken = 0;
		note->refused = 0;
		note->want = 0;
	}
	return note;
}

static __always_inline bool ubc_is_counted(u64 flags)
{
	return flags & VM_GROWSDOWN || (flags & (VM_WRITE | VM_SHARED)) == VM_WRITE;
}

static __always_inline s64 ubc_size(struct mm_struct *mm)
{
	return mm->data_vm + mm->stack_vm;
}

static __always_inline void ubc_correct(u32 slot, s64 by)
{
	if (by > 0)
		ubc_charge(slot, UBC_PRIVVMPAGES, by, UBC_FORCE);
	else if (by < 0)
		ubc_uncharge(slot, UBC_PRIVVMPAGES, -by);
}

/* With the mmap lock held for writing, between two changes: what is charged
 * becomes what the address space has. */
static __always_inline void ubc_exact(struct ubc_holding *holding, struct mm_struct *mm)
{
	s64 by;

	bpf_spin_lock(&holding->lock);
	by = ubc_size(mm) - holding->charged;
	holding->charged += by;
	holding->reserved = 0;
	bpf_spin_unlock(&holding->lock);
	ubc_correct(holding->slot, by);
}

/* At the end of a call, when the lock is free and others may be at work: gives
 * back what the address space neither has nor is about to get. */
static __always_inline void ubc_settle(struct mm_struct *mm)
{
	u64 key = (u64)mm, me = bpf_get_current_pid_tgid();
	struct ubc_holding *holding;
	s64 by;

	if (!mm)
		return;
	holding = bpf_map_lookup_elem(&ubc_spaces, &key);
	if (!holding)
		return;
	bpf_spin_lock(&holding->lock);
	if (holding->holder == me)
		holding->reserved = 0;
	by = ubc_size(mm) + holding->reserved - holding->charged;
	if (by < 0)
		holding->charged += by;
	bpf_spin_unlock(&holding->lock);
	if (by < 0)
		ubc_correct(holding->slot, by);
	ubc_locked_settle(mm, holding);
}

/* Lets a container pay for an address space that nobody pays for. */
static __always_inline void ubc_adopt(struct mm_struct *mm, u32 slot)
{
	u64 key = (u64)mm;
	s64 pages = ubc_size(mm);

	if (!ubc_hold(&ubc_spaces, key, slot, pages, 0))
		ubc_charge(slot, UBC_PRIVVMPAGES, pages, UBC_FORCE);
}

static __always_inline void ubc_disown(u64 mm)
{
	u32 slot;
	s64 pages;

	ubc_locked_end(mm);
	pages = ubc_release(&ubc_spaces, mm, &slot);
	if (slot != UBC_NOBODY)
		ubc_uncharge(slot, UBC_PRIVVMPAGES, pages);
}

/* Charges for pages that an address space is about to get. With the mmap lock
 * held for writing. An errno, negative, if that is refused. */
static __always_inline int ubc_reserve(struct mm_struct *mm, s64 pages, u32 severity)
{
	u64 key = (u64)mm, me = bpf_get_current_pid_tgid();
	struct ubc_holding *holding = bpf_map_lookup_elem(&ubc_spaces, &key);

	if (!holding) {
		u32 slot = ubc_current();

		if (slot == UBC_NOBODY)
			return 0;
		ubc_adopt(mm, slot);
		holding = bpf_map_lookup_elem(&ubc_spaces, &key);
		/* What cannot be recorded would never be given back. */
		if (!holding)
			return -ENOMEM;
	}
	ubc_exact(holding, mm);
	if (ubc_charge(holding->slot, UBC_PRIVVMPAGES, pages, severity))
		return -ENOMEM;
	bpf_spin_lock(&holding->lock);
	holding->charged += pages;
	holding->reserved = pages;
	holding->holder = me;
	bpf_spin_unlock(&holding->lock);
	return 0;
}

/* The severity of a call that refuses beyond the barrier, unless an exec makes
 * it: that one can no longer report a failure. */
static __always_inline u32 ubc_severity_of_call(void)
{
	struct task_struct___exec *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ_BITFIELD_PROBED(task, in_execve) ? UBC_SOFT : UBC_HARD;
}

#endif
