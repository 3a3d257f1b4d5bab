/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numflock where a lock's way into its list cannot be looked at: compilers put
 * locks_insert_lock_ctx into its callers, and some kernels tell nothing of it.
 *
 * Requests reserve as in numflock.bpf.c. At the end of one, records of the same
 * owner that are in the list and not known yet are what it made.
 */
#include "locks.h"

char LICENSE[] SEC("license") = "GPL";

struct ubc_fresh {
	struct list_head *head;
	struct list_head *at;
	void *owner;
	u64 reservation;
	u32 slot;
};

static long look_for_fresh(u64 step, struct ubc_fresh *want)
{
	struct list_head *at = want->at;
	struct ubc_lock lock = {};
	u64 key;

	if (!at || at == want->head)
		return 1;
	want->at = ubc_next_lock(want->head, at);
	ubc_read_lock(&lock, at);
	if (lock.owner != want->owner)
		return 0;
	if (!lock.linked)
		return 0;
	key = UBC_KEY(lock.address, UBC_OBJECT);
	if (bpf_map_lookup_elem(&ubc_objects, &key))
		return 0;
	if (!ubc_turn(want->reservation, key))
		ubc_seed(key, want->slot, UBC_NUMFLOCK, 1);
	/* Another thread may have unlocked it meanwhile. */
	ubc_read_lock(&lock, at);
	if (!lock.linked)
		ubc_give(key);
	return 0;
}

static __always_inline int made(struct inode___vfs *inode, void *owner, u32 list)
{
	struct ubc_fresh want = { .owner = owner };
	void *context;
	struct list_head *head;

	if (ubc_dormant())
		return 0;
	want.slot = ubc_current();
	if (want.slot == UBC_NOBODY)
		return 0;
	context = BPF_CORE_READ(inode, i_flctx);
	if (!context)
		return 0;
	head = context + list;
	want.head = head;
	want.at = BPF_CORE_READ(head, next);
	want.reservation = ubc_reservation(UBC_RESERVED_LOCK);
	bpf_loop(UBC_LOCKS - (bpf_get_prandom_u32() & 1), look_for_fresh, &want, 0);
	return 0;
}

static __always_inline void *owner_of(void *request)
{
	/* The common part is the first of a lock. */
	if (bpf_core_type_exists(struct file_lock_core))
		return BPF_CORE_READ((struct file_lock_core *)request, flc_owner);
	return BPF_CORE_READ((struct file_lock___old *)request, fl_owner);
}

SEC("fexit/posix_lock_inode")
int BPF_PROG(ubc_lock_posix, struct inode___vfs *inode, void *request)
{
	return made(inode, owner_of(request),
		    bpf_core_field_offset(struct file_lock_context, flc_posix));
}

SEC("fexit/flock_lock_inode")
int BPF_PROG(ubc_lock_flock, struct inode___vfs *inode, void *request)
{
	return made(inode, owner_of(request),
		    bpf_core_field_offset(struct file_lock_context, flc_flock));
}

/* A lease belongs to the open file. */
SEC("fexit/generic_setlease")
int BPF_PROG(ubc_lock_lease, struct file___vfs *file)
{
	return made(BPF_CORE_READ(file, f_inode), file,
		    bpf_core_field_offset(struct file_lock_context, flc_lease));
}

/* Behind it: who finds the lock linked records it before its end is seen here. */
SEC("fexit/locks_unlink_lock_ctx")
int BPF_PROG(ubc_lock_unlink, void *lock)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(lock, UBC_OBJECT));
	return 0;
}

SEC("iter/task_file")
int ubc_lock_seed(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;

	return task && file ? ubc_seed_locks(task, file) : 0;
}
