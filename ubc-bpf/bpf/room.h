/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Charging in small steps: by those who can do with less than they asked for,
 * and who are not refused by that. For programs that may not ask who runs.
 */
#ifndef UBC_ROOM_H
#define UBC_ROOM_H

#include "objects.h"

#define UBC_ROOM_UNLIMITED 0x7fffffffffffffffLL

/* How much a HARD charge can get now, at least 0; `tightest` is the container
 * that has the least. */
static __noinline __attribute__((unused)) s64 ubc_room(u32 slot, u32 resource, u32 *tightest)
{
	s64 room = UBC_ROOM_UNLIMITED;

	for (int level = 0; level < UBC_DEPTH; level++) {
		struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);
		struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);
		struct ubc_bound *bound;
		s64 most, held;

		if (!container || !counts)
			break;
		bound = &container->rows[UBC_ROW(resource)];
		most = bound->barrier < bound->limit ? bound->barrier : bound->limit;
		held = counts->rows[UBC_ROW(resource)].held;
		if (most != UBC_ROOM_UNLIMITED && most - held < room) {
			room = most - held;
			*tightest = slot;
		}
		slot = container->parent;
	}
	return room > 0 ? room : 0;
}

/* Charges HARD, silently: a container and all around it, or none. */
static __noinline __attribute__((unused)) int ubc_fit(u32 slot, u32 resource, s64 amount)
{
	u32 at = slot;

	for (int level = 0; level < UBC_DEPTH; level++) {
		if (at == UBC_NOBODY)
			break;
		if (ubc_fit_level(at, resource, amount, UBC_HARD)) {
			ubc_uncharge_levels(slot, resource, amount, level);
			return 1;
		}
		at = ubc_parent(at);
	}
	return 0;
}

static __noinline __attribute__((unused)) int ubc_force(u32 slot, u32 resource, s64 amount)
{
	for (int level = 0; level < UBC_DEPTH; level++) {
		if (slot == UBC_NOBODY)
			break;
		ubc_fit_level(slot, resource, amount, UBC_FORCE);
		slot = ubc_parent(slot);
	}
	return 0;
}

/* Records that `amount` is charged for an object, of which `charged` was just
 * now; the rest is charged by FORCE, or given back. */
static __noinline __attribute__((unused)) int ubc_reserve(u64 key, u32 slot, u32 resource, s64 amount, s64 charged)
{
	struct ubc_object record = { .amount = amount, .slot = slot, .resource = resource };
	struct ubc_object *known = bpf_map_lookup_elem(&ubc_objects, &key);
	s64 more = -charged;

	if (known) {
		slot = known->slot;
		more += amount - __sync_lock_test_and_set(&known->amount, amount);
	} else if (!bpf_map_update_elem(&ubc_objects, &key, &record, BPF_NOEXIST)) {
		more += amount;
	}
	if (more > 0)
		ubc_force(slot, resource, more);
	else if (more < 0)
		ubc_uncharge(slot, resource, -more);
	return 0;
}

#endif
