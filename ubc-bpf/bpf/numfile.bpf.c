/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numfile: open files, that is open file descriptions, from allocation to the
 * last release. dup(2) makes none; each end of a pipe and each socket is one.
 *
 * A file that overlayfs opens below the one a program opened is not the
 * program's: the kernel counts neither in file-nr.
 */
#include "vfs.h"

char LICENSE[] SEC("license") = "GPL";

struct ubc_file_note {
	/* The next file of this task is the kernel's own. */
	u32 inner;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ubc_file_note);
} ubc_file_notes SEC(".maps");

/* Whether there ever was a note; most machines and most files need no look. */
static volatile bool noted;

static __always_inline int inner_begins(void)
{
	struct ubc_file_note *note;

	if (ubc_dormant() || ubc_current() == UBC_NOBODY)
		return 0;
	note = bpf_task_storage_get(&ubc_file_notes, bpf_get_current_task_btf(), NULL,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!note) {
		ubc_fault(UBC_FAULT_STORAGE);
		return 0;
	}
	note->inner = 1;
	noted = true;
	return 0;
}

/* Whether this file is the one announced; one note is good for one file. */
static __always_inline bool inner_came(void)
{
	struct ubc_file_note *note;
	bool inner;

	if (!noted)
		return false;
	note = bpf_task_storage_get(&ubc_file_notes, bpf_get_current_task_btf(), NULL, 0);
	inner = note && note->inner;
	if (inner)
		note->inner = 0;
	return inner;
}

/* From 6.5 on */
SEC("?fentry/alloc_empty_backing_file")
int BPF_PROG(ubc_file_backing)
{
	return inner_begins();
}

SEC("?fexit/alloc_empty_backing_file")
int BPF_PROG(ubc_file_backing_end)
{
	inner_came();
	return 0;
}

SEC("?fentry/alloc_empty_file_noaccount")
int BPF_PROG(ubc_file_noaccount)
{
	return inner_begins();
}

SEC("?fexit/alloc_empty_file_noaccount")
int BPF_PROG(ubc_file_noaccount_end)
{
	inner_came();
	return 0;
}

SEC("fmod_ret/security_file_alloc")
int BPF_PROG(ubc_file_alloc, struct file *file)
{
	u32 slot;

	if (ubc_dormant())
		return 0;
	slot = ubc_current();
	if (slot == UBC_NOBODY || inner_came())
		return 0;
	return ubc_take(UBC_KEY(file, UBC_OBJECT), slot, UBC_NUMFILE, 1, UBC_HARD) ? -ENFILE : 0;
}

SEC("fentry/security_file_free")
int BPF_PROG(ubc_file_free, struct file *file)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(file, UBC_OBJECT));
	return 0;
}

static __always_inline int held_by(struct task_struct *task, struct file *file)
{
	u32 slot;

	if (ubc_dormant())
		return 0;
	slot = ubc_arriving(ubc_cgroup_of(task));
	if (slot == UBC_NOBODY ||
	    BPF_CORE_READ((struct file___vfs *)file, f_mode) & FMODE_NOACCOUNT)
		return 0;
	return ubc_seed(UBC_KEY(file, UBC_OBJECT), slot, UBC_NUMFILE, 1);
}

SEC("iter/task_file")
int ubc_file_seed(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	return task && file ? held_by(task, file) : 0;
}

/* Programs and libraries, and what is mapped and closed. */
SEC("iter/task_vma")
int ubc_file_seed_mapped(struct bpf_iter__task_vma *ctx)
{
	struct vm_area_struct *area = ctx->vma;
	struct task_struct *task = ctx->task;
	struct file *file;

	if (!area || !task)
		return 0;
	file = BPF_CORE_READ(area, vm_file);
	return file ? held_by(task, file) : 0;
}
