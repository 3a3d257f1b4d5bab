/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs of memory.bpf.c: where shared memory files are made, filled and
 * emptied.
 */
#ifndef UBC_SHM_HOOKS_H
#define UBC_SHM_HOOKS_H

#include "shm.h"

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
	if (ubc_dormant())
		return 0;
	ubc_shm_gone((u64)inode);
	ubc_give(UBC_LOCKED_FILE(inode));
	return 0;
}

/* SHM_LOCK and SHM_UNLOCK */
SEC("fexit/shmem_lock")
int BPF_PROG(ubc_shm_lock, struct file *file, int lock, void *ucounts, int error)
{
	u64 key = UBC_LOCKED_FILE(file->f_inode);
	u32 slot;

	if (ubc_dormant() || error)
		return 0;
	if (!lock) {
		ubc_give(key);
		return 0;
	}
	slot = ubc_current();
	if (slot != UBC_NOBODY && !bpf_map_lookup_elem(&ubc_objects, &key))
		ubc_take(key, slot, UBC_LOCKEDPAGES, UBC_PAGES(file->f_inode->i_size), UBC_FORCE);
	return 0;
}

/* What a container has open that has no name. A file that lies on a tmpfs may be
 * anybody's: shm_found.h. */
static __always_inline void found(struct task_struct *task, struct file *file)
{
	u32 slot = ubc_arriving(ubc_cgroup_of(task));
	/* Read, not followed: a number to the verifier. */
	struct inode *inode = BPF_CORE_READ(file, f_inode);

	if (slot != UBC_NOBODY && BPF_CORE_READ(inode, i_sb, s_flags) & SB_KERNMOUNT)
		ubc_shm_found((u64)inode, slot);
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

#endif
