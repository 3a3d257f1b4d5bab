/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * lockedpages, counted and not refused: VmLck of every address space, and
 * shared memory that SHM_LOCK keeps.
 *
 * The kernel asks no security module before it locks memory that is mapped
 * already (mm/mlock.c): what it asks, capable(CAP_IPC_LOCK), only adds to what
 * RLIMIT_MEMLOCK allows a process.
 */
#ifndef UBC_LOCKED_H
#define UBC_LOCKED_H

#include "objects.h"
#include "memory.h"

/* An address space's record of this row lies beside that of privvmpages, and a
 * segment's beside other records of its inode. */
#define UBC_LOCKED_SPACE(mm) UBC_KEY(mm, UBC_OBJECT_SECOND)
#define UBC_LOCKED_FILE(inode) UBC_KEY(inode, UBC_OBJECT_THIRD)

static __always_inline void ubc_locked_pay(u32 slot, s64 by)
{
	if (by > 0)
		ubc_charge(slot, UBC_LOCKEDPAGES, by, UBC_FORCE);
	else if (by < 0)
		ubc_uncharge(slot, UBC_LOCKEDPAGES, -by);
}

/* What is charged becomes what an address space has locked. Whoever comes last,
 * of several that changed it, sees what all have done. */
static __noinline int ubc_locked_are(struct mm_struct *mm, struct ubc_holding *space)
{
	u64 key = UBC_LOCKED_SPACE(mm);
	struct ubc_holding *locked;
	s64 by;

	locked = bpf_map_lookup_elem(&ubc_spaces, &key);
	if (!locked) {
		if (!mm->locked_vm)
			return 0;
		ubc_hold(&ubc_spaces, key, space->slot, 0, 0);
		locked = bpf_map_lookup_elem(&ubc_spaces, &key);
		if (!locked)
			return 0;
		space->locked = 1;
	}
	bpf_spin_lock(&locked->lock);
	by = mm->locked_vm - locked->charged;
	locked->charged += by;
	bpf_spin_unlock(&locked->lock);
	ubc_locked_pay(locked->slot, by);
	return 0;
}

/* The same where it may have changed. Hardly anybody locks memory. */
static __always_inline void ubc_locked_settle(struct mm_struct *mm, struct ubc_holding *space)
{
	if (mm->locked_vm || space->locked)
		ubc_locked_are(mm, space);
}

/* The end of an address space. A child has no locked memory, and an exec starts
 * without. */
static __always_inline void ubc_locked_end(u64 mm)
{
	struct ubc_holding *space = bpf_map_lookup_elem(&ubc_spaces, &mm);
	u32 slot;
	s64 pages;

	if (!space || !space->locked)
		return;
	pages = ubc_release(&ubc_spaces, UBC_LOCKED_SPACE(mm), &slot);
	if (slot != UBC_NOBODY)
		ubc_locked_pay(slot, -pages);
}

#endif
