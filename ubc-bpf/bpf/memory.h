/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * What the memory programs know of the kernel, and the records of address
 * spaces and of shared memory files.
 */
#ifndef UBC_MEMORY_H
#define UBC_MEMORY_H

#include "charge.h"
#include "lists.h"

/* The page of every x86, riscv and s390; kernels of other architectures with
 * larger pages are not served. */
#define UBC_PAGE_SHIFT 12
#define UBC_PAGES(bytes) (((u64)(bytes) + (1ULL << UBC_PAGE_SHIFT) - 1) >> UBC_PAGE_SHIFT)
/* inode->i_blocks counts 512 bytes */
#define UBC_BLOCK_SHIFT (UBC_PAGE_SHIFT - 9)

/* include/linux/mm.h, include/uapi/asm-generic/mman*.h, magic.h */
#define VM_WRITE 0x2UL
#define VM_SHARED 0x8UL
#define VM_GROWSDOWN 0x100UL
#define VM_LOCKED 0x2000UL
#define VM_ACCOUNT 0x100000UL
#define VM_NORESERVE 0x200000UL
#define PROT_WRITE 0x2
#define MAP_TYPE 0xf
#define MAP_PRIVATE 0x2
#define MAP_DROPPABLE 0x8
#define MAP_GROWSDOWN 0x100
#define MAP_NORESERVE 0x4000
#define TMPFS_MAGIC 0x01021994
#define HUGETLBFS_MAGIC 0x958458f6
#define SB_KERNMOUNT (1UL << 22)
#define S_IFMT 0170000
#define S_IFREG 0100000
#define MAX_ERRNO 4095UL
#define PF_KTHREAD 0x200000
#define TASK_NEW 0x800

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct mm_struct {
	unsigned long data_vm;
	unsigned long stack_vm;
	unsigned long locked_vm;
	unsigned long def_flags;
};

struct vm_area_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	unsigned long vm_flags;
	struct mm_struct *vm_mm;
	struct file *vm_file;
};

struct vm_fault {
	struct vm_area_struct *vma;
};

struct super_block {
	struct list_head s_list;
	unsigned long s_flags;
	unsigned long s_magic;
	struct list_head s_inodes;
};

struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	struct address_space *i_mapping;
	long long i_size;
	u64 i_blocks;
	struct list_head i_sb_list;
};

struct xarray {
	void *xa_head;
};

struct address_space {
	struct inode *host;
	struct xarray i_pages;
	unsigned long nrpages;
};

struct dentry {
	struct inode *d_inode;
};

struct shmem_inode_info {
	unsigned long flags;
	struct inode vfs_inode;
};

struct bpf_iter_meta {
	u64 seq_num;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct task_struct *task;
	struct file *file;
};

struct bpf_iter__task_vma {
	struct task_struct *task;
	struct vm_area_struct *vma;
};

struct task_struct___exec {
	unsigned int in_execve : 1;
};

struct task_struct___state {
	unsigned int __state;
};

#pragma clang attribute pop

/* include/uapi/linux/bpf.h */
struct bpf_spin_lock {
	u32 val;
};

/*
 * An address space or a shared memory file, and what it is charged.
 *
 * The kernel's own count (mm->data_vm, inode->i_blocks) changes some time after
 * the charge that allows it. Meanwhile the pages are `reserved`, so that who
 * compares the two counts from another processor takes nothing back that is
 * only on its way.
 */
struct ubc_holding {
	struct bpf_spin_lock lock;
	u32 slot;
	s64 charged;
	s64 reserved;
	u64 holder; /* task that reserved in an address space */
	u32 whole; /* file: charged for its size when it was made */
	u32 locked; /* address space: it has a record of locked pages */
};

/* Address of the mm_struct -> its record. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576);
	__type(key, u64);
	__type(value, struct ubc_holding);
} ubc_spaces SEC(".maps");

/* Makes a record of something that `pages` are charged for already. Not 0 if
 * there is one, or no room. */
static __always_inline int ubc_hold(void *map, u64 key, u32 slot, s64 pages, u32 whole)
{
	struct ubc_holding holding = { .slot = slot, .charged = pages, .whole = whole };
	/* As in ubc_take(). */
	int error = bpf_map_update_elem(map, &key, &holding, BPF_NOEXIST);

	if (error && error != -EEXIST)
		ubc_fault(UBC_FAULT_OBJECTS_FULL);
	return error;
}

/* Ends a record. What it was charged, and who for; slot UBC_NOBODY: none. Of two
 * that come here one finds the pages, and the other none: which of them deletes the
 * record says nothing. */
static __always_inline s64 ubc_release(void *map, u64 key, u32 *slot)
{
	struct ubc_holding *holding = bpf_map_lookup_elem(map, &key);
	s64 pages;
	u32 payer;

	*slot = UBC_NOBODY;
	if (!holding)
		return 0;
	bpf_spin_lock(&holding->lock);
	pages = holding->charged;
	holding->charged = 0;
	/* Who has it in hand counts no page to it any more. */
	holding->whole = 1;
	payer = holding->slot;
	bpf_spin_unlock(&holding->lock);
	*slot = payer;
	bpf_map_delete_elem(map, &key);
	return pages;
}

#endif
