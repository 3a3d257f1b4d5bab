/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * numiptent: what the programs of nf_tables and of x_tables share.
 *
 * A rule is charged to whom its maker is (OpenVZ: the context that runs), in
 * whatever network namespace he puts it, before the change is made. What a change
 * takes away pays for what it brings: only the rest must fit.
 */
#ifndef UBC_RULES_H
#define UBC_RULES_H

#include "net.h"

/* Room charged before a change, until it is known what became of it. */
struct ubc_change {
	s64 reserved;
	u32 slot;
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ubc_change);
} ubc_changes SEC(".maps");

/* Gives back what a change reserved and did not use. */
static __noinline __attribute__((unused)) int ubc_change_over(void)
{
	struct ubc_change *change = bpf_task_storage_get(&ubc_changes, bpf_get_current_task_btf(), NULL, 0);
	s64 rest;

	if (!change)
		return 0;
	rest = change->reserved;
	change->reserved = 0;
	if (rest > 0)
		ubc_uncharge(change->slot, UBC_NUMIPTENT, rest);
	return 0;
}

/* Charges room for a change of the running task; not 0 if that is refused. */
static __always_inline int ubc_change_begins(u32 slot, s64 rules)
{
	struct ubc_change *change;

	ubc_change_over();
	if (rules <= 0)
		return 0;
	change = bpf_task_storage_get(&ubc_changes, bpf_get_current_task_btf(), NULL,
				      BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!change) {
		ubc_fault(UBC_FAULT_STORAGE);
		return 1;
	}
	if (ubc_charge(slot, UBC_NUMIPTENT, rules, UBC_SOFT))
		return 1;
	change->slot = slot;
	change->reserved = rules;
	return 0;
}

/* The room reserved for `slot`, which becomes the caller's. */
static __always_inline s64 ubc_change_room(u32 slot)
{
	struct ubc_change *change = bpf_task_storage_get(&ubc_changes, bpf_get_current_task_btf(), NULL, 0);
	s64 room;

	if (!change || change->slot != slot)
		return 0;
	room = change->reserved;
	change->reserved = 0;
	return room;
}

/* What a change came to, `grown` rules, in one step: nobody sees rules counted
 * that are gone already, nor the room beside the rules it was for. */
static __always_inline void ubc_change_made(u32 slot, s64 grown)
{
	grown -= ubc_change_room(slot);
	if (grown > 0)
		ubc_charge(slot, UBC_NUMIPTENT, grown, UBC_FORCE);
	else if (grown < 0)
		ubc_uncharge(slot, UBC_NUMIPTENT, -grown);
}

#endif
