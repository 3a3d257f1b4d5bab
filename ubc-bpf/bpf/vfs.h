/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Files, locks, terminals and signals as far as we look into them, and
 * reservations: what is charged when the kernel asks, before the object exists.
 */
#ifndef UBC_VFS_H
#define UBC_VFS_H

#include "lists.h"
#include "objects.h"

/* include/uapi/asm-generic/fcntl.h */
enum { F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2 };
enum { F_OFD_SETLK = 37, F_OFD_SETLKW = 38 };
enum { SEEK_SET = 0, SEEK_CUR = 1, SEEK_END = 2 };
/* include/linux/fs.h: a file that the kernel keeps for itself */
#define FMODE_NOACCOUNT 0x20000000U
/* include/uapi/linux/stat.h */
#define S_IFMT 0170000
#define S_IFCHR 0020000
/* Documentation/admin-guide/devices.txt: /dev/ptmx, as include/linux/kdev_t.h
 * packs major 5 and minor 2. */
#define PTMX_DEVICE ((5 << 20) | 2)
/* include/linux/tty_driver.h */
#define PTY_TYPE_MASTER 1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct file_lock_context {
	struct list_head flc_flock;
	struct list_head flc_posix;
	struct list_head flc_lease;
};

struct inode___vfs {
	unsigned short i_mode;
	unsigned int i_rdev;
	s64 i_size;
	struct file_lock_context *i_flctx;
};

struct file___vfs {
	unsigned int f_mode;
	s64 f_pos;
	struct inode___vfs *f_inode;
	void *private_data;
};

struct dentry {
	struct inode___vfs *d_inode;
};

struct path {
	struct dentry *dentry;
};

struct files_struct;

struct task_struct___vfs {
	struct files_struct *files;
	struct task_struct *group_leader;
};

/* The kernel's own form of what fcntl(2) was given. */
struct flock {
	short l_type;
	short l_whence;
	long l_start;
	long l_len;
};

/* Up to 6.8 */
struct file_lock___old {
	struct list_head fl_list;
	struct hlist_node fl_link;
	void *fl_owner;
	unsigned char fl_type;
	void *fl_file;
};

/* From 6.9 on the common part of a lock and a lease. */
struct file_lock_core {
	struct list_head flc_list;
	struct hlist_node flc_link;
	void *flc_owner;
	unsigned char flc_type;
	void *flc_file;
};

struct file_lock {
	s64 fl_start;
	s64 fl_end;
};

struct tty_driver {
	short subtype;
};

struct tty_struct {
	struct tty_driver *driver;
	struct tty_struct *link;
};

struct tty_file_private {
	struct tty_struct *tty;
};

struct vm_area_struct {
	struct file *vm_file;
};

/* include/linux/bpf.h and kernel/bpf/task_iter.c: what an iterator shows */
struct bpf_iter_meta;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

struct bpf_iter__task_vma {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct vm_area_struct *vma;
};

#pragma clang attribute pop

static __always_inline bool ubc_is_ptmx(struct inode___vfs *inode)
{
	return BPF_CORE_READ(inode, i_rdev) == PTMX_DEVICE &&
	       (BPF_CORE_READ(inode, i_mode) & S_IFMT) == S_IFCHR;
}

/*
 * A reservation is an object like others, whose key is the task that asked: no
 * program can refuse where the object is made, so it is charged where the kernel
 * asks whether it may be. It is turned into the object's own record there, or
 * given back at the end of the call. Should that end go unseen, because the
 * kernel skips it for calls that sleep while programs come and go, the task's
 * next request or its end gives it back.
 */
#define UBC_RESERVED_LOCK UBC_OBJECT_SECOND
#define UBC_DENIED_PTY UBC_OBJECT_THIRD
#define UBC_RESERVED_SIGNAL UBC_OBJECT_FOURTH

static __always_inline u64 ubc_reservation(u32 kind)
{
	return UBC_KEY(bpf_get_current_task(), kind);
}

/* Charges what the running task asks for; not 0 if that is refused. */
static __always_inline int ubc_reserve(u32 kind, u32 slot, u32 resource, s64 amount, u32 severity)
{
	u64 key = ubc_reservation(kind);

	ubc_give(key);
	return ubc_take(key, slot, resource, amount, severity);
}

/* Makes one of what is reserved under `from` the charge of `to`; 0 if nothing is. */
static __noinline __attribute__((unused)) int ubc_turn(u64 from, u64 to)
{
	struct ubc_object *record = bpf_map_lookup_elem(&ubc_objects, &from);
	struct ubc_object one;
	int error; /* as in ubc_take */

	if (!record)
		return 0;
	one = *record;
	/* Only the task itself comes here: nobody else changes its reservation. */
	if (one.amount > 1) {
		record->amount -= 1;
		one.amount = 1;
	} else if (bpf_map_delete_elem(&ubc_objects, &from)) {
		return 0;
	}
	error = bpf_map_update_elem(&ubc_objects, &to, &one, BPF_NOEXIST);
	if (error == -EEXIST) {
		ubc_fault(UBC_FAULT_STALE_OBJECT);
		ubc_give(to);
		error = bpf_map_update_elem(&ubc_objects, &to, &one, BPF_NOEXIST);
	}
	if (error) {
		ubc_fault(UBC_FAULT_OBJECTS_FULL);
		ubc_uncharge(one.slot, one.resource, one.amount);
	}
	return 1;
}

#endif
