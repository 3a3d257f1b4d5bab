/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Objects that somebody pays for. Whoever ends an object, its recorded owner
 * gets the amount back; the record goes with it, so that it happens once.
 */
#ifndef UBC_OBJECTS_H
#define UBC_OBJECTS_H

#include "charge.h"

/*
 * These functions are static, not global, because the verifier lets a global
 * function take numbers only, and the key of an object is its address.
 *
 * Before Linux 6.4 what changes a map returns an int, whatever the helper is
 * declared as: the upper half of a long says nothing, and -EEXIST is not found.
 */

/* One kernel object may be charged to more than one row. Kernel objects are
 * aligned to 8 bytes at least, which leaves room to tell the charges apart. */
enum ubc_kind {
	UBC_OBJECT = 0,
	UBC_OBJECT_SECOND = 1,
	UBC_OBJECT_THIRD = 2,
	UBC_OBJECT_FOURTH = 3,
};

#define UBC_KEY(pointer, kind) ((u64)(pointer) + (kind))

/* Gives back what is recorded for `key`, if anything is. */
static __noinline __attribute__((unused)) int ubc_give(u64 key)
{
	struct ubc_object *record = bpf_map_lookup_elem(&ubc_objects, &key);
	struct ubc_object was;

	if (!record)
		return 0;
	was = *record;
	/* Of two that come here for one object, one deletes it. */
	if (bpf_map_delete_elem(&ubc_objects, &key))
		return 0;
	ubc_uncharge(was.slot, was.resource, was.amount);
	return 0;
}

/* Charges `amount` for an object and records it; not 0 if that is refused. */
static __noinline __attribute__((unused)) int ubc_take(u64 key, u32 slot, u32 resource, s64 amount, u32 severity)
{
	struct ubc_object record = { .amount = amount, .slot = slot, .resource = resource };
	/* Not long: up to Linux 6.3 only the lower half of what a map answers is set. */
	int error;

	if (ubc_charge(slot, resource, amount, severity))
		return 1;
	error = bpf_map_update_elem(&ubc_objects, &key, &record, BPF_NOEXIST);
	if (error == -EEXIST) {
		/* The object that was here ended unseen. */
		ubc_fault(UBC_FAULT_STALE_OBJECT);
		ubc_give(key);
		error = bpf_map_update_elem(&ubc_objects, &key, &record, BPF_NOEXIST);
	}
	if (!error)
		return 0;
	ubc_fault(UBC_FAULT_OBJECTS_FULL);
	ubc_uncharge(slot, resource, amount);
	/* What cannot be recorded would never be given back. */
	return severity != UBC_FORCE;
}

/* Whether a container is being taken over. */
static __always_inline bool ubc_arrives(u32 slot)
{
	struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);

	return container && !container->rows[UBC_ARRIVING].limit;
}

/* The container of a cgroup if it is being taken over. Of others all is known:
 * what they have from somebody outside is not theirs. */
static __always_inline u32 ubc_arriving(u64 cgroup)
{
	u32 slot = ubc_slot_of(cgroup);

	return ubc_arrives(slot) ? slot : UBC_NOBODY;
}

/* Records an object that existed before we looked, unless it is known. Charged
 * first: once it is recorded it may be given back at any moment. */
static __noinline __attribute__((unused)) int ubc_seed(u64 key, u32 slot, u32 resource, s64 amount)
{
	struct ubc_object record = { .amount = amount, .slot = slot, .resource = resource };
	int error;

	if (bpf_map_lookup_elem(&ubc_objects, &key))
		return 0;
	ubc_charge(slot, resource, amount, UBC_FORCE);
	error = bpf_map_update_elem(&ubc_objects, &key, &record, BPF_NOEXIST);
	if (!error)
		return 0;
	ubc_uncharge(slot, resource, amount);
	if (error != -EEXIST)
		ubc_fault(UBC_FAULT_OBJECTS_FULL);
	return 0;
}

#endif
