/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * The engine: OpenVZ's charge and uncharge on maps. Exact on any number of
 * processors: a charge is one compare-and-swap that either fits or is refused,
 * so nobody ever sees a held value that includes what will be refused.
 */
#ifndef UBC_CHARGE_H
#define UBC_CHARGE_H

#include "maps.h"

/* A lost race means that another processor's charge came through. After this
 * many in a row the charge is added first and looked at afterwards. */
#define UBC_RACES 64

#define UBC_WINDOW_NS 1000000000ULL
#define UBC_EVENTS_IN_WINDOW 32

static __always_inline void ubc_fault(u32 fault)
{
	u64 *count = bpf_map_lookup_elem(&ubc_faults, &fault);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/* Whether another generation of our programs is on duty. */
static __always_inline bool ubc_dormant(void)
{
	u32 zero = 0;
	struct ubc_control *control = bpf_map_lookup_elem(&ubc_control, &zero);

	return !control || control->generation != ubc_generation;
}

/* The container of a cgroup. */
static __always_inline u32 ubc_slot_of(u64 cgroup)
{
	u32 *slot = bpf_map_lookup_elem(&ubc_members, &cgroup);

	return slot ? *slot : UBC_NOBODY;
}

/* The container of the running task. Only for code that runs on its behalf:
 * an interrupt runs on anybody's. */
static __always_inline u32 ubc_current(void)
{
	return ubc_slot_of(bpf_get_current_cgroup_id());
}

static __always_inline u64 ubc_cgroup_of(struct task_struct *task)
{
	return task->cgroups->dfl_cgrp->kn->id;
}

/* What a container has of a row beside what is counted in `held`. */
static __always_inline s64 ubc_before(struct ubc_container *container, u32 resource)
{
	struct ubc_bound *before = &container->rows[UBC_KMEM_BEFORE];

	return resource == UBC_KMEMSIZE && !before->limit ? before->barrier : 0;
}

/* Tells user space of a refusal, unless this container refuses too much. */
__attribute__((noinline)) int ubc_tell(u32 slot, u32 resource, s64 asked, u32 severity)
{
	struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);
	struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);
	struct ubc_event *event;
	void *queue;
	u32 at;
	u64 now = bpf_ktime_get_ns();
	u64 who = bpf_get_current_pid_tgid();

	if (!container || !counts)
		return 0;
	if (now - counts->window > UBC_WINDOW_NS) {
		counts->window = now;
		counts->sent = 0;
	}
	if (__sync_fetch_and_add(&counts->sent, 1) >= UBC_EVENTS_IN_WINDOW) {
		__sync_fetch_and_add(&counts->dropped, 1);
		return 0;
	}
	at = container->rows[UBC_QUEUE].limit ? UBC_QUEUES : container->rows[UBC_QUEUE].barrier;
	queue = bpf_map_lookup_elem(&ubc_queues, &at);
	event = queue ? bpf_ringbuf_reserve(queue, sizeof(*event), 0) : NULL;
	if (!event) {
		__sync_fetch_and_add(&counts->dropped, 1);
		return 0;
	}
	event->time = now;
	event->ctid = container->ctid;
	event->cgroup = bpf_get_current_cgroup_id();
	event->asked = asked;
	event->held = counts->rows[UBC_ROW(resource)].held + ubc_before(container, resource);
	event->barrier = container->rows[UBC_ROW(resource)].barrier;
	event->limit = container->rows[UBC_ROW(resource)].limit;
	event->dropped = counts->dropped;
	event->slot = slot;
	event->resource = resource;
	event->severity = severity;
	event->pid = who >> 32;
	event->tid = who;
	event->padding = 0;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	bpf_ringbuf_submit(event, 0);
	return 0;
}

static __always_inline void ubc_remember(struct ubc_row *row, s64 held)
{
	s64 seen = *(volatile s64 *)&row->maxheld;

	for (int race = 0; race < UBC_RACES && held > seen; race++) {
		s64 was = __sync_val_compare_and_swap(&row->maxheld, seen, held);

		if (was == seen)
			break;
		seen = was;
	}
}

/* Charges one level if that fits; not 0 if it does not. Nobody is told. */
__attribute__((noinline)) int ubc_fit_level(u32 slot, u32 resource, s64 amount, u32 severity)
{
	struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);
	struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);
	struct ubc_row *row;
	s64 most, held, was;

	if (!container || !counts)
		return 0;
	row = &counts->rows[UBC_ROW(resource)];
	if (severity == UBC_FORCE) {
		held = __sync_fetch_and_add(&row->held, amount) + amount;
		ubc_remember(row, held);
		return 0;
	}
	most = container->rows[UBC_ROW(resource)].limit;
	if (severity == UBC_HARD && container->rows[UBC_ROW(resource)].barrier < most)
		most = container->rows[UBC_ROW(resource)].barrier;
	held = *(volatile s64 *)&row->held;
	for (int race = 0; race < UBC_RACES; race++) {
		/* held + amount > most, without an overflow */
		if (held > most - amount)
			return 1;
		was = __sync_val_compare_and_swap(&row->held, held, held + amount);
		if (was == held) {
			ubc_remember(row, held + amount);
			return 0;
		}
		held = was;
	}
	held = __sync_fetch_and_add(&row->held, amount) + amount;
	if (held <= most) {
		ubc_remember(row, held);
		return 0;
	}
	__sync_fetch_and_add(&row->held, -amount);
	return 1;
}

/* Counts a refusal and tells of it. */
__attribute__((noinline)) int ubc_refused(u32 slot, u32 resource, s64 asked, u32 severity)
{
	struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);

	if (!counts)
		return 0;
	__sync_fetch_and_add(&counts->rows[UBC_ROW(resource)].failcnt, 1);
	return ubc_tell(slot, resource, asked, severity);
}

__attribute__((noinline)) int ubc_uncharge_level(u32 slot, u32 resource, s64 amount)
{
	struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);
	s64 held;

	if (!counts)
		return 0;
	held = __sync_fetch_and_add(&counts->rows[UBC_ROW(resource)].held, -amount) - amount;
	if (held < 0) {
		/* OpenVZ clamps and reports. */
		__sync_fetch_and_add(&counts->rows[UBC_ROW(resource)].held, -held);
		ubc_fault(UBC_FAULT_UNDERFLOW);
	}
	return 0;
}

/* The container around a container. */
static __always_inline u32 ubc_parent(u32 slot)
{
	struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);

	return container ? container->parent : UBC_NOBODY;
}

/* Gives back at `slot` and the levels above, `levels` in all. */
static __always_inline void ubc_uncharge_levels(u32 slot, u32 resource, s64 amount, int levels)
{
	for (int level = 0; level < UBC_DEPTH && level < levels; level++) {
		if (slot == UBC_NOBODY)
			break;
		ubc_uncharge_level(slot, resource, amount);
		slot = ubc_parent(slot);
	}
}

__attribute__((noinline)) int ubc_uncharge(u32 slot, u32 resource, s64 amount)
{
	ubc_uncharge_levels(slot, resource, amount, UBC_DEPTH);
	return 0;
}

/* Charges a container and all around it, or none. Not 0 if that is refused:
 * failcnt has risen at the level that refused. `amount` is not negative. */
__attribute__((noinline)) int ubc_charge(u32 slot, u32 resource, s64 amount, u32 severity)
{
	u32 at = slot;

	for (int level = 0; level < UBC_DEPTH; level++) {
		if (at == UBC_NOBODY)
			break;
		if (ubc_fit_level(at, resource, amount, severity)) {
			ubc_refused(at, resource, amount, severity);
			ubc_uncharge_levels(slot, resource, amount, level);
			return 1;
		}
		at = ubc_parent(at);
	}
	return 0;
}

#endif
