/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numflock: records of file locks and leases (flock(2), fcntl(2) with and without
 * F_OFD_, F_SETLEASE), from their place in the inode's list until they leave it.
 *
 * A request reserves the records it may need when the kernel asks its security
 * modules, and keeps them while it waits for somebody else's lock, as OpenVZ's
 * request is a charged record while it waits. An unlock needs none, unless it
 * breaks a lock in two.
 */
#include "locks.h"

char LICENSE[] SEC("license") = "GPL";

SEC("fentry/locks_insert_lock_ctx")
int BPF_PROG(ubc_lock_insert, void *lock)
{
	u64 key = UBC_KEY(lock, UBC_OBJECT);
	u32 slot;

	if (ubc_dormant() || ubc_turn(ubc_reservation(UBC_RESERVED_LOCK), key))
		return 0;
	slot = ubc_current();
	if (slot != UBC_NOBODY)
		ubc_take(key, slot, UBC_NUMFLOCK, 1, UBC_FORCE);
	return 0;
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
