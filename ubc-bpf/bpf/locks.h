/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * What a request for a lock may need, and its refusal. Programs of every
 * mechanism of numflock.
 */
#ifndef UBC_LOCKS_H
#define UBC_LOCKS_H

#include "vfs.h"

/* Locks of one file that are looked at. */
#define UBC_LOCKS 65536

/* What fcntl(2) asks for, kept until the kernel asks about it. */
struct ubc_lock_note {
	u32 splits;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ubc_lock_note);
} ubc_lock_notes SEC(".maps");

struct ubc_lock {
	u64 address;
	void *owner;
	void *file;
	u8 type;
	bool linked;
	s64 start;
	s64 end;
};

/* Reads the lock whose place in a list is `node`. */
static __always_inline void ubc_read_lock(struct ubc_lock *lock, struct list_head *node)
{
	struct file_lock *whole;

	if (bpf_core_type_exists(struct file_lock_core)) {
		struct file_lock_core *core =
			(void *)node - bpf_core_field_offset(struct file_lock_core, flc_list);

		lock->address = (u64)core;
		lock->owner = BPF_CORE_READ(core, flc_owner);
		lock->file = BPF_CORE_READ(core, flc_file);
		lock->type = BPF_CORE_READ(core, flc_type);
		lock->linked = BPF_CORE_READ(core, flc_link.pprev) != NULL;
	} else {
		struct file_lock___old *old =
			(void *)node - bpf_core_field_offset(struct file_lock___old, fl_list);

		lock->address = (u64)old;
		lock->owner = BPF_CORE_READ(old, fl_owner);
		lock->file = BPF_CORE_READ(old, fl_file);
		lock->type = BPF_CORE_READ(old, fl_type);
		lock->linked = BPF_CORE_READ(old, fl_link.pprev) != NULL;
	}
	/* The common part is the first of a lock. */
	whole = (void *)lock->address;
	lock->start = BPF_CORE_READ(whole, fl_start);
	lock->end = BPF_CORE_READ(whole, fl_end);
}

/*
 * The place after `at`; the list's first if `at` has left it meanwhile. Lists are
 * read without their lock, and what leaves one points to itself. Who looks at an
 * entry twice finds it known.
 */
static __always_inline struct list_head *ubc_next_lock(struct list_head *head, struct list_head *at)
{
	struct list_head *next = BPF_CORE_READ(at, next);

	return next == at ? BPF_CORE_READ(head, next) : next;
}

struct ubc_split {
	struct list_head *head;
	struct list_head *at;
	void *owner;
	s64 start;
	s64 end;
	u8 type;
	bool found;
};

static long ubc_look_for_split(u64 step, struct ubc_split *want)
{
	struct list_head *at = want->at;
	struct ubc_lock lock = {};

	if (!at || at == want->head)
		return 1;
	ubc_read_lock(&lock, at);
	if (lock.owner == want->owner && lock.start < want->start && lock.end > want->end &&
	    lock.type != want->type) {
		want->found = true;
		return 1;
	}
	want->at = ubc_next_lock(want->head, at);
	return 0;
}

/* The range a request means (fs/locks.c, flock64_to_posix_lock); false if the
 * kernel will refuse it. */
static __always_inline bool ubc_range(struct ubc_split *want, struct file___vfs *file,
				      struct flock *flock)
{
	s64 length = BPF_CORE_READ(flock, l_len);
	short whence = BPF_CORE_READ(flock, l_whence);
	s64 start = BPF_CORE_READ(flock, l_start);

	if (whence == SEEK_CUR)
		start += BPF_CORE_READ(file, f_pos);
	else if (whence == SEEK_END)
		start += BPF_CORE_READ(file, f_inode, i_size);
	if (length > 0) {
		want->start = start;
		want->end = start + length - 1;
	} else if (length < 0) {
		want->start = start + length;
		want->end = start - 1;
	} else {
		want->start = start;
		want->end = 0x7fffffffffffffffLL;
	}
	return want->start >= 0 && want->end >= want->start;
}

SEC("fentry/fcntl_setlk")
int BPF_PROG(ubc_lock_range, unsigned int fd, struct file___vfs *file, unsigned int cmd,
	     struct flock *flock)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct file_lock_context *context;
	struct ubc_split want = {};
	struct ubc_lock_note *note;
	struct list_head *head;

	if (ubc_dormant() || ubc_current() == UBC_NOBODY)
		return 0;
	/* What an earlier call left has nothing to do with this one. */
	note = bpf_task_storage_get(&ubc_lock_notes, task, NULL, 0);
	if (note)
		note->splits = 0;
	context = BPF_CORE_READ(file, f_inode, i_flctx);
	if (!context || !ubc_range(&want, file, flock))
		return 0;
	head = (void *)context + bpf_core_field_offset(struct file_lock_context, flc_posix);
	want.head = head;
	want.at = BPF_CORE_READ(head, next);
	want.type = BPF_CORE_READ(flock, l_type);
	if (cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW)
		want.owner = file;
	else
		want.owner = BPF_CORE_READ((struct task_struct___vfs *)task, files);
	/* Not from 0: the verifier would follow a known number of steps. */
	bpf_loop(UBC_LOCKS - (bpf_get_prandom_u32() & 1), ubc_look_for_split, &want, 0);
	if (!want.found)
		return 0;
	note = bpf_task_storage_get(&ubc_lock_notes, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (note)
		note->splits = 1;
	else
		ubc_fault(UBC_FAULT_STORAGE);
	return 0;
}

SEC("fmod_ret/security_file_lock")
int BPF_PROG(ubc_lock_ask, struct file *file, unsigned int cmd)
{
	struct ubc_lock_note *note;
	u32 slot, need;

	if (ubc_dormant())
		return 0;
	slot = ubc_current();
	if (slot == UBC_NOBODY)
		return 0;
	note = bpf_task_storage_get(&ubc_lock_notes, bpf_get_current_task_btf(), NULL, 0);
	need = (cmd != F_UNLCK) + (note ? note->splits : 0);
	if (note)
		note->splits = 0;
	if (!need)
		return 0;
	return ubc_reserve(UBC_RESERVED_LOCK, slot, UBC_NUMFLOCK, need,
			   cmd == F_UNLCK ? UBC_SOFT : UBC_HARD) ?
		       -ENOLCK :
		       0;
}

/* The ends of the calls: whatever they did not need. Programs of a generation
 * that sleeps do it too, for calls that began while it was on duty. */
static __always_inline int ubc_lock_settle(void)
{
	ubc_give(ubc_reservation(UBC_RESERVED_LOCK));
	return 0;
}

SEC("fexit/fcntl_setlk")
int BPF_PROG(ubc_lock_fcntl_end)
{
	return ubc_lock_settle();
}

SEC("fexit/fcntl_setlease")
int BPF_PROG(ubc_lock_lease_end)
{
	return ubc_lock_settle();
}

/* flock(2) is one function for each form of system call. */
SEC("?fexit/__x64_sys_flock")
int BPF_PROG(ubc_lock_flock_end_x64)
{
	return ubc_lock_settle();
}

SEC("?fexit/__ia32_sys_flock")
int BPF_PROG(ubc_lock_flock_end_ia32)
{
	return ubc_lock_settle();
}

SEC("?fexit/__arm64_sys_flock")
int BPF_PROG(ubc_lock_flock_end_arm64)
{
	return ubc_lock_settle();
}

SEC("?fexit/__riscv_sys_flock")
int BPF_PROG(ubc_lock_flock_end_riscv)
{
	return ubc_lock_settle();
}

SEC("?fexit/__s390x_sys_flock")
int BPF_PROG(ubc_lock_flock_end_s390x)
{
	return ubc_lock_settle();
}

struct ubc_lock_owner {
	struct list_head *head;
	struct list_head *at;
	void *file;
	void *files;
	u32 slot;
};

static long ubc_seed_lock(u64 step, struct ubc_lock_owner *owner)
{
	struct ubc_lock lock = {};
	struct list_head *at = owner->at;

	if (!at || at == owner->head)
		return 1;
	owner->at = ubc_next_lock(owner->head, at);
	ubc_read_lock(&lock, at);
	if (lock.owner != owner->file && lock.owner != owner->files && lock.file != owner->file)
		return 0;
	if (!lock.linked)
		return 0;
	ubc_seed(UBC_KEY(lock.address, UBC_OBJECT), owner->slot, UBC_NUMFLOCK, 1);
	/* Its end gives it back once it is linked no more. That may have been before
	 * we recorded it. */
	ubc_read_lock(&lock, at);
	if (!lock.linked)
		ubc_give(UBC_KEY(lock.address, UBC_OBJECT));
	return 0;
}

static __always_inline void ubc_seed_list(struct ubc_lock_owner *owner, void *context, u32 offset)
{
	struct list_head *head = context + offset;

	owner->head = head;
	owner->at = BPF_CORE_READ(head, next);
	bpf_loop(UBC_LOCKS - (bpf_get_prandom_u32() & 1), ubc_seed_lock, owner, 0);
}

/* Records the locks that a task has through an open file. */
static __always_inline int ubc_seed_locks(struct task_struct *task, struct file *file)
{
	struct ubc_lock_owner owner = { .file = file };
	void *context;

	if (ubc_dormant())
		return 0;
	owner.slot = ubc_arriving(ubc_cgroup_of(task));
	if (owner.slot == UBC_NOBODY)
		return 0;
	context = BPF_CORE_READ((struct file___vfs *)file, f_inode, i_flctx);
	if (!context)
		return 0;
	owner.files = BPF_CORE_READ((struct task_struct___vfs *)task, files);
	ubc_seed_list(&owner, context, bpf_core_field_offset(struct file_lock_context, flc_flock));
	ubc_seed_list(&owner, context, bpf_core_field_offset(struct file_lock_context, flc_posix));
	ubc_seed_list(&owner, context, bpf_core_field_offset(struct file_lock_context, flc_lease));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(ubc_lock_task_end, struct task_struct *task)
{
	ubc_give(UBC_KEY(task, UBC_RESERVED_LOCK));
	return 0;
}

#endif
