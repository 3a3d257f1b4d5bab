/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Shared memory files: tmpfs, memfd, SysV segments, MAP_SHARED | MAP_ANONYMOUS.
 * The container that makes one pays for it until it is gone, whoever uses it.
 *
 * One that the kernel reserves memory for as a whole (a SysV segment, a shared
 * anonymous map) is charged as a whole. All others are charged by the page; a
 * page that was swapped out is still one (inode->i_blocks says how many).
 */
#ifndef UBC_SHM_H
#define UBC_SHM_H

#include "space.h"

/* Address of the inode -> its record. Apart from address spaces, so that who
 * makes a great many files keeps nobody from running programs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576);
	__type(key, u64);
	__type(value, struct ubc_holding);
} ubc_files SEC(".maps");

/* Both rows, as in OpenVZ: shared memory is private memory of its container. */
static __always_inline int ubc_shm_charge(u32 slot, s64 pages, u32 severity)
{
	if (ubc_charge(slot, UBC_SHMPAGES, pages, severity))
		return 1;
	if (ubc_charge(slot, UBC_PRIVVMPAGES, pages, severity)) {
		ubc_uncharge(slot, UBC_SHMPAGES, pages);
		return 1;
	}
	return 0;
}

static __always_inline void ubc_shm_uncharge(u32 slot, s64 pages)
{
	ubc_uncharge(slot, UBC_SHMPAGES, pages);
	ubc_uncharge(slot, UBC_PRIVVMPAGES, pages);
}

/* A file is being made that memory is reserved for. Shown as ENOMEM. */
static __always_inline int ubc_shm_make(struct ubc_note *note, s64 pages)
{
	u32 slot = ubc_current();

	if (slot == UBC_NOBODY || pages <= 0)
		return 0;
	if (ubc_shm_charge(slot, pages, UBC_HARD))
		return -ENOMEM;
	note->payer = slot;
	note->made += pages;
	return 0;
}

/* The file is there; or it is not, if `file` is an error. */
static __always_inline void ubc_shm_made(struct ubc_note *note, u64 file)
{
	s64 pages = note->made;
	struct ubc_holding *holding;
	u64 key = 0;

	note->made = 0;
	if (file < -MAX_ERRNO)
		key = (u64)BPF_CORE_READ((struct file *)file, f_inode);
	holding = bpf_map_lookup_elem(&ubc_files, &key);
	if (holding) {
		bpf_spin_lock(&holding->lock);
		holding->charged += pages;
		holding->whole = 1;
		bpf_spin_unlock(&holding->lock);
	} else if (pages) {
		ubc_shm_uncharge(note->payer, pages);
	}
}

static __always_inline bool ubc_shm_is_file(struct inode *inode)
{
	return (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFREG &&
	       BPF_CORE_READ(inode, i_sb, s_magic) == TMPFS_MAGIC;
}

static __always_inline void ubc_shm_gone(u64 inode)
{
	u32 slot;
	s64 pages = ubc_release(&ubc_files, inode, &slot);

	if (slot != UBC_NOBODY && pages)
		ubc_shm_uncharge(slot, pages);
}

/* `inode` is the kernel's answer to the wish for one. */
static __always_inline void ubc_shm_created(u64 inode)
{
	u32 slot = ubc_current();

	if (!inode || inode >= -MAX_ERRNO || !ubc_shm_is_file((void *)inode))
		return;
	if (ubc_hold(&ubc_files, inode, slot, 0, 0) == -EEXIST) {
		ubc_fault(UBC_FAULT_STALE_OBJECT);
		ubc_shm_gone(inode);
		ubc_hold(&ubc_files, inode, slot, 0, 0);
	}
}

static __always_inline void ubc_shm_correct(u32 slot, s64 by)
{
	if (by > 0)
		ubc_shm_charge(slot, by, UBC_FORCE);
	else if (by < 0)
		ubc_shm_uncharge(slot, -by);
}

static __always_inline s64 ubc_shm_pages(struct inode *file)
{
	return BPF_CORE_READ(file, i_blocks) >> UBC_BLOCK_SHIFT;
}

/* A file that changed while it was being recorded. Whoever changes it once more
 * does the same, or is seen here in the next round. */
static __always_inline void ubc_shm_recount(u64 inode, s64 pages)
{
	struct ubc_holding *holding = bpf_map_lookup_elem(&ubc_files, &inode);
	s64 by;

	if (!holding)
		return;
	bpf_spin_lock(&holding->lock);
	by = pages + holding->reserved - holding->charged;
	if (holding->whole || (by > 0 && holding->reserved))
		by = 0;
	holding->charged += by;
	bpf_spin_unlock(&holding->lock);
	ubc_shm_correct(holding->slot, by);
}

/* Whether a file is in the list of its file system's. What leaves it leads to itself. */
static __always_inline bool ubc_shm_is_listed(struct inode *file)
{
	struct list_head *listed;

	if (!bpf_core_field_exists(struct inode, i_sb_list))
		return true;
	listed = (void *)file + bpf_core_field_offset(struct inode, i_sb_list);
	return ubc_next(listed) != listed;
}

/*
 * Records a file that was there before, unless it is known. Charged first: once
 * it is recorded it may be given back at any moment.
 *
 * A file that ends leaves the list of its file system, and then ubc_shm_evicted
 * runs. So one that is in the list after it was recorded is given back there.
 *
 * By number: the verifier lets a global function take nothing else.
 */
__attribute__((noinline)) int ubc_shm_found(u64 inode, u32 slot)
{
	struct inode *file = (void *)inode;
	struct shmem_inode_info *info;
	s64 pages, now;
	u32 whole;

	if (!ubc_shm_is_file(file) || bpf_map_lookup_elem(&ubc_files, &inode))
		return 0;
	info = (void *)(inode - bpf_core_field_offset(struct shmem_inode_info, vfs_inode));
	whole = !(BPF_CORE_READ(info, flags) & VM_NORESERVE);
	pages = whole ? UBC_PAGES(BPF_CORE_READ(file, i_size)) : ubc_shm_pages(file);
	ubc_shm_charge(slot, pages, UBC_FORCE);
	if (ubc_hold(&ubc_files, inode, slot, pages, whole)) {
		ubc_shm_uncharge(slot, pages);
		return 0;
	}
	for (int race = 0; race < UBC_RACES && !whole; race++) {
		now = ubc_shm_pages(file);
		if (now == pages)
			break;
		ubc_shm_recount(inode, now);
		pages = now;
	}
	if (!ubc_shm_is_listed(file))
		ubc_shm_gone(inode);
	return 0;
}

/* Pages are about to be added to a file. */
static __always_inline void ubc_shm_begin(u64 inode)
{
	struct ubc_holding *holding = bpf_map_lookup_elem(&ubc_files, &inode);
	struct task_struct *task = bpf_get_current_task_btf();
	struct ubc_note *note;
	u32 maker;

	if (holding) {
		if (holding->whole)
			return;
		/* Whoever writes, the file's container pays. */
		maker = holding->slot;
	} else {
		/* It was made outside; as long as it is empty, that says little. */
		maker = ubc_current();
		if (maker == UBC_NOBODY)
			return;
		/* Nor does anybody pay for this one, unless it is found meanwhile. */
		if (BPF_CORE_READ((struct inode *)inode, i_blocks))
			maker = UBC_NOBODY;
	}
	note = bpf_task_storage_get(&ubc_notes, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!note) {
		ubc_fault(UBC_FAULT_STORAGE);
		return;
	}
	note->file = inode;
	note->maker = maker;
	note->pages = 0;
	note->denied = 0;
}

static __always_inline int ubc_shm_grow(struct ubc_note *note, s64 pages)
{
	u64 key = note->file;
	struct ubc_holding *holding = bpf_map_lookup_elem(&ubc_files, &key);

	if (!holding) {
		if (note->maker == UBC_NOBODY)
			return 0;
		ubc_hold(&ubc_files, key, note->maker, 0, 0);
		holding = bpf_map_lookup_elem(&ubc_files, &key);
		/* What cannot be recorded would never be given back. */
		if (!holding)
			return -ENOMEM;
	}
	/* The kernel looks for something to free and asks once more, which is
	 * one refusal; for less than a huge page it may ask anew. */
	if (note->denied && pages >= note->denied)
		return -ENOMEM;
	if (ubc_shm_charge(holding->slot, pages, UBC_HARD)) {
		note->denied = pages;
		return -ENOMEM;
	}
	note->pages += pages;
	bpf_spin_lock(&holding->lock);
	holding->charged += pages;
	holding->reserved += pages;
	bpf_spin_unlock(&holding->lock);
	return 0;
}

/* What is charged becomes what the file has, or is about to get; `done` pages
 * are no longer about to. */
static __always_inline void ubc_shm_settle(struct inode *file, s64 done)
{
	u64 key = (u64)file;
	struct ubc_holding *holding = bpf_map_lookup_elem(&ubc_files, &key);
	s64 by;

	if (!holding || holding->whole)
		return;
	bpf_spin_lock(&holding->lock);
	holding->reserved -= done;
	by = (s64)(file->i_blocks >> UBC_BLOCK_SHIFT) + holding->reserved - holding->charged;
	/* While others are at work the kernel may have counted their pages. */
	if (by > 0 && holding->reserved)
		by = 0;
	holding->charged += by;
	bpf_spin_unlock(&holding->lock);
	ubc_shm_correct(holding->slot, by);
}

/* The end of what ubc_shm_begin began. */
static __always_inline void ubc_shm_end(struct inode *file)
{
	struct ubc_note *note = ubc_note();

	if (!note || !note->file)
		return;
	/* A fault may have let its area go; it asked for no page then. */
	if (note->file == (u64)file)
		ubc_shm_settle(file, note->pages);
	note->file = 0;
}

#endif
