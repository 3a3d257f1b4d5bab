/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Kernel memory of a container as the memory controller has it, and whether
 * there is room for more.
 */
#ifndef UBC_KMEM_H
#define UBC_KMEM_H

#include "charge.h"

#define UBC_PAGE_SIZE 4096
#define UBC_NO_BOUND 0x7fffffffffffffffLL
/* Levels of cgroups between a task's and its container's. */
#define UBC_CSS_DEPTH 64

enum memcg_stat_item {
	MEMCG_KMEM,
};

enum node_stat_item {
	NR_INACTIVE_ANON,
	NR_SLAB_RECLAIMABLE_B,
};

enum cgroup_subsys_id {
	memory_cgrp_id,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* What has been added up for a cgroup and all below, every two seconds. */
struct memcg_vmstats {
	long state[1];
};

/* What this processor has counted of the cgroup alone, and how much of it has
 * been added up. */
struct memcg_vmstats_percpu {
	long state[1];
	long state_prev[1];
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
	struct memcg_vmstats *vmstats;
	struct memcg_vmstats_percpu *vmstats_percpu;
};

struct css_set___kmem {
	struct cgroup_subsys_state *subsys[1];
};

#pragma clang attribute pop

extern const void __per_cpu_offset __ksym;
extern const void nr_cpu_ids __ksym;
/* Since Linux 6.10 the arrays above have no entries that nobody uses. */
extern const void mem_cgroup_stats_index __ksym __weak;

/* Where `state` has the reclaimable slab. */
static __always_inline u64 ubc_kmem_item(void)
{
	u64 item = bpf_core_enum_value(enum node_stat_item, NR_SLAB_RECLAIMABLE_B);
	u64 first = bpf_core_enum_value(enum node_stat_item, NR_INACTIVE_ANON);
	u8 at = 0, zero = 0;

	if (!&mem_cgroup_stats_index)
		return item;
	/* The first one is numbered 0 or 1. */
	bpf_probe_read_kernel(&at, 1, &mem_cgroup_stats_index + item);
	bpf_probe_read_kernel(&zero, 1, &mem_cgroup_stats_index + first);
	return (u8)(at - zero);
}

struct ubc_kmem_sum {
	u64 percpu; /* the cgroup's memcg_vmstats_percpu */
	u64 at; /* of the item in it */
	s64 bytes;
	u32 processors;
};

static long ubc_kmem_processor(u64 cpu, struct ubc_kmem_sum *sum)
{
	struct memcg_vmstats_percpu *stats;
	long state = 0, added = 0;
	u64 offset = 0;

	if (cpu >= sum->processors)
		return 1;
	bpf_probe_read_kernel(&offset, sizeof(offset), &__per_cpu_offset + cpu * sizeof(offset));
	stats = (void *)(sum->percpu + offset);
	bpf_probe_read_kernel(&state, sizeof(state), (void *)&stats->state + sum->at);
	bpf_probe_read_kernel(&added, sizeof(added), (void *)&stats->state_prev + sum->at);
	sum->bytes += state - added;
	return 0;
}

/* What the processors have counted of a cgroup and is not added up yet. */
static __always_inline s64 ubc_kmem_pending(struct mem_cgroup *memcg, u64 at)
{
	struct ubc_kmem_sum sum = { .percpu = (u64)BPF_CORE_READ(memcg, vmstats_percpu), .at = at };

	bpf_probe_read_kernel(&sum.processors, sizeof(sum.processors), &nr_cpu_ids);
	bpf_loop(4096 - (bpf_get_prandom_u32() & 1), ubc_kmem_processor, &sum, 0);
	return sum.bytes;
}

/*
 * Caches of names and inodes that the kernel gives up when memory is short.
 * OpenVZ did not count them (nor did it when they filled up by themselves, as
 * here), so they are in nobody's way. Fresh for the container's own cgroup and
 * the running task's, up to two seconds old for others.
 */
static __noinline s64 ubc_kmem_reclaimable(u64 cgroup)
{
	u64 at = ubc_kmem_item() * sizeof(long);
	struct css_set___kmem *set = (void *)BPF_CORE_READ(bpf_get_current_task_btf(), cgroups);
	struct cgroup_subsys_state *own = NULL, *css;
	struct memcg_vmstats *stats;
	long added = 0;
	s64 bytes;

	bpf_probe_read_kernel(&own, sizeof(own),
			      (void *)&set->subsys + bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id) *
						     sizeof(own));
	css = own;
	for (int depth = 0; depth < UBC_CSS_DEPTH && css; depth++) {
		if (BPF_CORE_READ(css, cgroup, kn, id) == cgroup)
			break;
		css = BPF_CORE_READ(css, parent);
	}
	if (!css)
		return 0;
	/* css is the first thing of a mem_cgroup. */
	stats = BPF_CORE_READ((struct mem_cgroup *)css, vmstats);
	bpf_probe_read_kernel(&added, sizeof(added), (void *)&stats->state + at);
	bytes = added + ubc_kmem_pending((struct mem_cgroup *)css, at);
	if (own != css)
		bytes += ubc_kmem_pending((struct mem_cgroup *)own, at);
	return bytes > 0 ? bytes : 0;
}

/* Not 0 if a container, or one around it, has no page of kernel memory left:
 * that is counted there as a refusal. */
static __noinline __attribute__((unused)) int ubc_kmem_full(u32 slot, u32 severity)
{
	for (int level = 0; level < UBC_DEPTH; level++) {
		struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);
		struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);
		struct ubc_bound *bound;
		s64 most, over;

		if (!container || !counts)
			break;
		bound = &container->rows[UBC_KMEMSIZE];
		most = bound->limit;
		if (severity == UBC_HARD && bound->barrier < most)
			most = bound->barrier;
		if (most != UBC_NO_BOUND && !container->rows[UBC_KMEM_BEFORE].limit) {
			over = counts->rows[UBC_KMEMSIZE].held + ubc_before(container, UBC_KMEMSIZE) +
			       UBC_PAGE_SIZE - most;
			if (over > 0 && over > ubc_kmem_reclaimable(container->cgroup)) {
				ubc_refused(slot, UBC_KMEMSIZE, UBC_PAGE_SIZE, severity);
				return 1;
			}
		}
		slot = container->parent;
	}
	return 0;
}

/* Kernel memory came or went, at a container and all around it. */
static __noinline __attribute__((unused)) int ubc_kmem_add(u32 slot, s64 bytes)
{
	for (int level = 0; level < UBC_DEPTH; level++) {
		struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);
		struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);
		struct ubc_row *row;
		s64 held;

		if (!container || !counts)
			break;
		row = &counts->rows[UBC_KMEMSIZE];
		held = __sync_fetch_and_add(&row->held, bytes) + bytes;
		if (bytes > 0)
			ubc_remember(row, held + ubc_before(container, UBC_KMEMSIZE));
		slot = container->parent;
	}
	return 0;
}

#endif
