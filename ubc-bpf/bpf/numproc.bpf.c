/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numproc: tasks, from fork until they are reaped.
 *
 * Charged where the kernel asks its security modules, before the task gets a
 * pid (kernel/fork.c, copy_process). OpenVZ answers ENOMEM there; pids.max, which
 * limits the same, answers EAGAIN.
 */
#include "vfs.h"

char LICENSE[] SEC("license") = "GPL";

/* include/uapi/linux/sched.h */
#define CLONE_INTO_CGROUP 0x200000000ULL
/* include/linux/sched.h */
#define PF_EXITING 0x4
/* PID_MAX_LIMIT: no process has more threads. */
#define THREADS (4 * 1024 * 1024)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernel_clone_args {
	u64 flags;
	int cgroup;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct signal_struct___group {
	struct list_head thread_head;
};

struct task_struct___group {
	struct signal_struct___group *signal;
	struct list_head thread_node;
};

/* What a file of a kernfs points to. */
struct inode___kernfs {
	struct kernfs_node *i_private;
};

struct file___kernfs {
	struct inode___kernfs *f_inode;
};

#pragma clang attribute pop

struct ubc_clone_note {
	/* The cgroup that this task's next child is born in, or 0. */
	u64 cgroup;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ubc_clone_note);
} ubc_clone_notes SEC(".maps");

/* Whether there ever was a note: hardly anybody clones into a cgroup. */
static volatile bool noted;

/* The cgroup a descriptor of the running task is open on. */
static __always_inline u64 cgroup_of_fd(struct task_struct *task, u32 fd)
{
	struct fdtable *table = BPF_CORE_READ((struct task_struct___vfs *)task, files, fdt);
	struct file___kernfs *file = NULL;
	struct file **files;

	if (!table || fd >= BPF_CORE_READ(table, max_fds))
		return 0;
	files = BPF_CORE_READ(table, fd);
	bpf_probe_read_kernel(&file, sizeof(file), files + fd);
	return file ? BPF_CORE_READ(file, f_inode, i_private, id) : 0;
}

/* A child that is born in another cgroup is that cgroup's from the start. */
SEC("?fentry/kernel_clone")
int BPF_PROG(ubc_task_clone, struct kernel_clone_args *args)
{
	struct task_struct *task = bpf_get_current_task_btf();
	bool elsewhere = args->flags & CLONE_INTO_CGROUP;
	struct ubc_clone_note *note;

	if (ubc_dormant() || !(elsewhere || noted))
		return 0;
	note = bpf_task_storage_get(&ubc_clone_notes, task, NULL,
				    elsewhere ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	if (note)
		note->cgroup = elsewhere ? cgroup_of_fd(task, args->cgroup) : 0;
	else if (elsewhere)
		ubc_fault(UBC_FAULT_STORAGE);
	if (elsewhere)
		noted = true;
	return 0;
}

/* The container of the task that is being made. */
static __always_inline u32 newborn(void)
{
	struct ubc_clone_note *note;
	u64 cgroup;

	if (!noted)
		return ubc_current();
	note = bpf_task_storage_get(&ubc_clone_notes, bpf_get_current_task_btf(), NULL, 0);
	cgroup = note ? note->cgroup : 0;
	if (!cgroup)
		return ubc_current();
	/* Threads that the kernel makes for a task do not come by kernel_clone. */
	note->cgroup = 0;
	return ubc_slot_of(cgroup);
}

SEC("fmod_ret/security_task_alloc")
int BPF_PROG(ubc_task_alloc, struct task_struct *task)
{
	u32 slot;

	if (ubc_dormant())
		return 0;
	slot = newborn();
	if (slot == UBC_NOBODY)
		return 0;
	return ubc_take(UBC_KEY(task, UBC_OBJECT), slot, UBC_NUMPROC, 1, UBC_HARD) ? -ENOMEM : 0;
}

/* The owner of a task that is in another cgroup now. */
static __always_inline void moved(struct task_struct *task, u64 cgroup)
{
	u64 key = UBC_KEY(task, UBC_OBJECT);
	struct ubc_object *record = bpf_map_lookup_elem(&ubc_objects, &key);
	u32 slot = ubc_slot_of(cgroup);

	if (record ? record->slot == slot : slot == UBC_NOBODY)
		return;
	ubc_give(key);
	if (slot != UBC_NOBODY)
		ubc_take(key, slot, UBC_NUMPROC, 1, UBC_FORCE);
}

/* The child's cgroup is certain only now: it may have been moved, or be another
 * than the one that its parent's descriptor was open on. It runs nowhere yet. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(ubc_task_forked, struct task_struct *parent, struct task_struct *child)
{
	if (!ubc_dormant())
		moved(child, ubc_cgroup_of(child));
	return 0;
}

struct ubc_group {
	struct list_head *head;
	struct list_head *at;
	u64 cgroup;
};

/* Nobody is born in a group of threads that moves, nobody begins to exit, and
 * who exits already stays where it was (kernel/cgroup/cgroup.c,
 * cgroup_migrate_add_task). */
static long move_thread(u64 number, struct ubc_group *group)
{
	struct list_head *at = group->at;
	struct task_struct *task;

	if (!at || at == group->head)
		return 1;
	task = (void *)at - bpf_core_field_offset(struct task_struct___group, thread_node);
	group->at = BPF_CORE_READ(at, next);
	if (!(BPF_CORE_READ(task, flags) & PF_EXITING))
		moved(task, group->cgroup);
	return 0;
}

SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(ubc_task_moved, struct cgroup *to, const char *path, struct task_struct___group *leader,
	     bool whole)
{
	struct ubc_group group = {};
	struct signal_struct___group *signal;
	struct list_head *head;

	if (ubc_dormant() || BPF_CORE_READ(to, root, hierarchy_id) != 0)
		return 0;
	group.cgroup = BPF_CORE_READ(to, kn, id);
	if (!whole) {
		if (!(BPF_CORE_READ((struct task_struct *)leader, flags) & PF_EXITING))
			moved((struct task_struct *)leader, group.cgroup);
		return 0;
	}
	signal = BPF_CORE_READ(leader, signal);
	head = (void *)signal + bpf_core_field_offset(struct signal_struct___group, thread_head);
	group.head = head;
	group.at = BPF_CORE_READ(head, next);
	/* Not a known number of steps, which the verifier would follow. */
	bpf_loop(THREADS - (bpf_get_prandom_u32() & 1), move_thread, &group, 0);
	return 0;
}

SEC("fentry/release_task")
int BPF_PROG(ubc_task_reaped, struct task_struct *task)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(task, UBC_OBJECT));
	return 0;
}

/* A fork that failed later on. */
SEC("fentry/security_task_free")
int BPF_PROG(ubc_task_free, struct task_struct *task)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(task, UBC_OBJECT));
	return 0;
}

/* Tasks that were there before us, those that wait to be reaped too. One that is
 * reaped between our look at it and this record ends once more, in the above. */
SEC("iter/task")
int ubc_task_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u32 slot;

	if (!task || ubc_dormant())
		return 0;
	slot = ubc_arriving(ubc_cgroup_of(task));
	if (slot != UBC_NOBODY)
		ubc_seed(UBC_KEY(task, UBC_OBJECT), slot, UBC_NUMPROC, 1);
	return 0;
}
