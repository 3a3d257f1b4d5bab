/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kmemsize: the memory controller's count of kernel memory.
 *
 * The controller adds its count up only now and then. Each change of it comes
 * by one function, before it is spread over processors, and there it is counted
 * once more: at once, and in the same pages. What refuses is kmemsize_gates.bpf.c.
 */
#include "kmem.h"

char LICENSE[] SEC("license") = "GPL";

/* include/linux/cgroup-defs.h */
#define CSS_DYING (1 << 4)
#define UBC_ROOT_DEPTH 64

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct cgroup_subsys_state___kmem {
	unsigned int flags;
};

struct mem_cgroup___kmem {
	struct cgroup_subsys_state___kmem css;
};

#pragma clang attribute pop

/* A cgroup that is removed is forgotten at once, and its memory becomes its
 * parent's a moment later: until then it is counted for whom that will be. */
static __noinline int ubc_kmem_heir(struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css = (void *)memcg;

	if (!(((struct mem_cgroup___kmem *)memcg)->css.flags & CSS_DYING))
		return UBC_NOBODY;
	for (int depth = 0; depth < UBC_ROOT_DEPTH; depth++) {
		u32 slot;

		css = BPF_CORE_READ(css, parent);
		if (!css)
			break;
		slot = ubc_slot_of(BPF_CORE_READ(css, cgroup, kn, id));
		if (slot != UBC_NOBODY)
			return slot;
	}
	return UBC_NOBODY;
}

SEC("fentry/__mod_memcg_state")
int BPF_PROG(ubc_kmem_changed, struct mem_cgroup *memcg, int item, int pages)
{
	u32 slot;

	if (item != bpf_core_enum_value(enum memcg_stat_item, MEMCG_KMEM) || ubc_dormant())
		return 0;
	slot = ubc_slot_of(memcg->css.cgroup->kn->id);
	if (slot == UBC_NOBODY)
		slot = ubc_kmem_heir(memcg);
	if (slot != UBC_NOBODY)
		ubc_kmem_add(slot, (s64)pages * UBC_PAGE_SIZE);
	return 0;
}
