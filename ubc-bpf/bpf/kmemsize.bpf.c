/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kmemsize: the memory controller's count of kernel memory, and a gate where
 * kernel objects are born.
 *
 * The controller adds its count up only now and then. Each change of it comes
 * by one function, before it is spread over processors, and there it is counted
 * once more: at once, and in the same pages.
 *
 * Nothing can be refused where kernel memory is charged, because the kernel asks
 * nobody there. It asks before or just after the objects that it is made of
 * exist, so a container that is full gets no more of those.
 */
#include "kmem.h"

char LICENSE[] SEC("license") = "GPL";

#define TMPFS_MAGIC 0x01021994
#define CGROUP2_SUPER_MAGIC 0x63677270
#define SIGKILL 9
/* include/linux/sched/signal.h: all its threads are on their way out; the first
 * process of a container. */
#define SIGNAL_GROUP_EXIT 0x04
#define SIGNAL_UNKILLABLE 0x40
/* include/linux/cgroup-defs.h */
#define CSS_DYING (1 << 4)
#define UBC_ROOT_DEPTH 64

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct rw_semaphore___kmem {
	struct {
		long counter;
	} owner;
};

struct mm_struct___kmem {
	struct rw_semaphore___kmem mmap_lock;
};

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
};

struct signal_struct {
	unsigned int flags;
};

struct task_struct___kmem {
	unsigned int in_execve : 1;
	struct signal_struct *signal;
};

struct cgroup_subsys_state___kmem {
	unsigned int flags;
};

#pragma clang attribute pop

/* A cgroup that is removed is forgotten at once, and its memory becomes its
 * parent's a moment later: until then it is counted for whom that will be. */
static __noinline int ubc_kmem_heir(struct mem_cgroup *memcg)
{
	struct cgroup_subsys_state *css = (void *)memcg;

	if (!(BPF_CORE_READ((struct cgroup_subsys_state___kmem *)css, flags) & CSS_DYING))
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
	slot = ubc_slot_of(BPF_CORE_READ(memcg, css.cgroup, kn, id));
	if (slot == UBC_NOBODY)
		slot = ubc_kmem_heir(memcg);
	if (slot != UBC_NOBODY)
		ubc_kmem_add(slot, (s64)pages * UBC_PAGE_SIZE);
	return 0;
}

static __always_inline int gate(u32 severity)
{
	u32 slot;

	if (ubc_dormant())
		return 0;
	slot = ubc_current();
	return slot != UBC_NOBODY && ubc_kmem_full(slot, severity) ? -ENOMEM : 0;
}

/* A task: its structures and its stack exist, its memory is not copied yet. */
SEC("fmod_ret/security_task_alloc") int BPF_PROG(ubc_kmem_task) { return gate(UBC_HARD); }
/* An open file of any kind. */
SEC("fmod_ret/security_file_alloc") int BPF_PROG(ubc_kmem_file) { return gate(UBC_HARD); }
SEC("fmod_ret/security_msg_queue_alloc") int BPF_PROG(ubc_kmem_queue) { return gate(UBC_HARD); }
SEC("fmod_ret/security_msg_msg_alloc") int BPF_PROG(ubc_kmem_message) { return gate(UBC_HARD); }
SEC("fmod_ret/security_sem_alloc") int BPF_PROG(ubc_kmem_semaphores) { return gate(UBC_HARD); }
SEC("fmod_ret/security_shm_alloc") int BPF_PROG(ubc_kmem_segment) { return gate(UBC_HARD); }

SEC("fmod_ret/security_socket_create")
int BPF_PROG(ubc_kmem_socket, int family, int type, int protocol, int kern)
{
	return kern ? 0 : gate(UBC_HARD);
}

/* Inodes that stay in memory. Others are cached, and given up. */
SEC("fmod_ret/security_inode_alloc")
int BPF_PROG(ubc_kmem_inode, struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_magic) == TMPFS_MAGIC ? gate(UBC_HARD) : 0;
}

/* A cgroup has structures for each processor. */
SEC("fmod_ret/security_inode_mkdir")
int BPF_PROG(ubc_kmem_cgroup, struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_magic) == CGROUP2_SUPER_MAGIC ? gate(UBC_HARD) : 0;
}

/* An exec that has thrown the old program away can only die of a refusal. */
static __always_inline bool is_exec(struct task_struct *task)
{
	return BPF_CORE_READ_BITFIELD_PROBED((struct task_struct___kmem *)task, in_execve);
}

SEC("fmod_ret/security_mmap_file")
int BPF_PROG(ubc_kmem_mmap)
{
	return is_exec(bpf_get_current_task_btf()) ? 0 : gate(UBC_HARD);
}

/* Whether the running task is changing its address space: it has the lock. The
 * low bits of the owner say that readers have it, or how others wait. */
static __always_inline bool is_changing(struct task_struct *task, struct mm_struct *mm)
{
	long owner;

	if (!mm || mm != task->mm)
		return false;
	owner = BPF_CORE_READ((struct mm_struct___kmem *)mm, mmap_lock.owner.counter);
	return !(owner & 1) && (owner & ~7L) == (long)task;
}

/* brk, and each area that a fork copies; asked without the lock for a page of
 * tmpfs, which is no kernel memory. */
SEC("fmod_ret/security_vm_enough_memory_mm")
int BPF_PROG(ubc_kmem_area, struct mm_struct *mm)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return is_changing(task, mm) && !is_exec(task) ? gate(UBC_SOFT) : 0;
}

/*
 * A table for 2 MiB of addresses, asked for by a fault. Nobody may refuse it,
 * and a fault has no way to fail but the one it had in OpenVZ: the process is
 * killed. Only beyond the limit, which a process comes to that was refused
 * nothing else: it maps once, and touches on. The first process of a container
 * is spared, because the whole container would end with it.
 */
static __always_inline int table(struct mm_struct *mm)
{
	struct task_struct *task = bpf_get_current_task_btf();
	unsigned int flags;

	if (mm != task->mm || is_changing(task, mm) || is_exec(task))
		return 0;
	flags = BPF_CORE_READ((struct task_struct___kmem *)task, signal, flags);
	if (!(flags & (SIGNAL_GROUP_EXIT | SIGNAL_UNKILLABLE)) && gate(UBC_SOFT))
		bpf_send_signal(SIGKILL);
	return 0;
}

/* Every table, also one that is laid by for a huge page. */
SEC("?fentry/pte_alloc_one") int BPF_PROG(ubc_kmem_table, struct mm_struct *mm) { return table(mm); }
/* Where the compiler has put the former inside others. */
SEC("?fentry/__pte_alloc") int BPF_PROG(ubc_kmem_fault, struct mm_struct *mm) { return table(mm); }
