/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kmemsize: gates where kernel objects are born.
 *
 * Nothing can be refused where kernel memory is charged, because the kernel asks
 * nobody there. It asks before or just after the objects that it is made of
 * exist, so a container that is full gets no more of those.
 *
 * They stand on ways that every process of the machine takes, so they are there
 * only while a container has a limit of this row.
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

#pragma clang attribute pop

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
