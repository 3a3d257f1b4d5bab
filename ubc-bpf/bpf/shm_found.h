/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared memory files that were there before their container was taken over, and
 * that nobody needs to have open: those that lie on a tmpfs, and segments.
 *
 * Who made one is not written anywhere. Whose memory it is, is: each page is
 * charged to a cgroup. So the files of every tmpfs of the machine are looked at, and
 * a file whose first page in memory is charged to the container that is taken over
 * is the container's. It may lie on a tmpfs that the host or others use as well.
 *
 * The lists are read without their locks. File systems, inodes, the nodes of their
 * pages and cgroups are freed a grace period of RCU after they left what leads to
 * them, and this program runs inside of one.
 */
#ifndef UBC_SHM_FOUND_H
#define UBC_SHM_FOUND_H

#include "shm.h"

/* lib/xarray.c, include/linux/xarray.h: what a slot holds. */
#define XA_KIND 3UL
#define XA_INTERNAL 2UL
#define XA_LAST_MARK 4096UL
/* include/linux/memcontrol.h: of these it is memory of the kernel. */
#define MEMCG_DATA_FLAGS 7UL
/* The deepest nesting of cgroups followed. */
#define UBC_MEMORY_DEPTH 64
/* Steps in all, and in one file. Each goes to another file, or looks at a slot. */
#define UBC_STEPS (1 << 22)
#define UBC_STEPS_IN_FILE (1 << 16)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct vfsmount {
	struct super_block *mnt_sb;
};

struct path {
	struct vfsmount *mnt;
};

struct fs_struct {
	struct path root;
};

struct task_struct___fs {
	struct fs_struct *fs;
};

struct xa_node {
	unsigned char offset;
	unsigned char count;
	unsigned char nr_values;
	struct xa_node *parent;
	void *slots[64];
};

struct folio {
	unsigned long memcg_data;
};

struct mem_cgroup {
	struct cgroup_subsys_state css;
};

#pragma clang attribute pop

struct ubc_lying {
	/* The machine's file systems are a ring; which of them is its head does
	 * not matter: it is no tmpfs. */
	struct list_head *first, *system;
	/* The files of one: its head, where we are, and where we were before. */
	struct list_head *files, *file, *before;
	/* The pages of one: a node, and the address of the next of its slots. */
	struct xa_node *node;
	u64 place;
	u64 inode;
	u32 until; /* the last step in this file */
};

static __always_inline bool can_look(void)
{
	return bpf_core_field_exists(struct super_block, s_list) &&
	       bpf_core_field_exists(struct super_block, s_inodes) &&
	       bpf_core_field_exists(struct inode, i_sb_list) &&
	       bpf_core_field_exists(struct inode, i_mapping) &&
	       bpf_core_field_exists(struct address_space, i_pages) &&
	       bpf_core_field_exists(struct address_space, nrpages) &&
	       bpf_core_field_exists(struct xarray, xa_head) &&
	       bpf_core_field_exists(struct xa_node, offset) &&
	       bpf_core_field_exists(struct xa_node, count) &&
	       bpf_core_field_exists(struct xa_node, nr_values) &&
	       bpf_core_field_exists(struct xa_node, parent) &&
	       bpf_core_field_exists(struct xa_node, slots) &&
	       bpf_core_field_exists(struct task_struct___fs, fs) &&
	       bpf_core_field_exists(struct fs_struct, root) &&
	       bpf_core_field_exists(struct path, mnt) &&
	       bpf_core_field_exists(struct vfsmount, mnt_sb);
}

/* Kernels without a memory controller have nothing to find anything by. */
static __always_inline bool has_owners(void)
{
	return bpf_core_field_exists(struct folio, memcg_data) &&
	       bpf_core_field_exists(struct mem_cgroup, css);
}

/* The container that a cgroup of the memory controller is in, if it is being taken
 * over. The cgroup of who wrote may be gone: the nearest one that is there. */
static __always_inline u32 payer_of(void *memory)
{
	struct cgroup_subsys_state *css = memory + bpf_core_field_offset(struct mem_cgroup, css);
	struct cgroup *cgroup;
	u64 id;

	for (int depth = 0; depth < UBC_MEMORY_DEPTH && css; depth++) {
		cgroup = BPF_CORE_READ(css, cgroup);
		/* With cgroup v1 ids are others, which would be mistaken. */
		if (!cgroup || BPF_CORE_READ(cgroup, root, hierarchy_id))
			break;
		id = BPF_CORE_READ(cgroup, kn, id);
		if (ubc_slot_of(id) != UBC_NOBODY)
			return ubc_arriving(id);
		css = BPF_CORE_READ(css, parent);
	}
	return UBC_NOBODY;
}

static __always_inline u64 entry_at(u64 place)
{
	u64 entry = 0;

	bpf_probe_read_kernel(&entry, sizeof(entry), (void *)place);
	return entry;
}

static __always_inline bool is_page(u64 entry)
{
	return entry && !(entry & XA_KIND);
}

static __always_inline bool is_node(u64 entry)
{
	return (entry & XA_KIND) == XA_INTERNAL && entry > XA_LAST_MARK;
}

/* Looks at a page of a file, if there is one at `place`; not 0 if it says whose
 * the file is. By numbers, as ubc_shm_found(). */
__attribute__((noinline)) int ubc_shm_page(u64 inode, u64 place)
{
	u64 page = entry_at(place), memory;
	u32 slot;

	if (!has_owners() || !is_page(page))
		return 0;
	memory = BPF_CORE_READ((struct folio *)page, memcg_data);
	/* Else it left the file, and may be of another by now. */
	if (entry_at(place) != page)
		return 0;
	if (!memory || memory & MEMCG_DATA_FLAGS)
		return 1;
	slot = payer_of((void *)memory);
	if (slot != UBC_NOBODY)
		ubc_shm_found(inode, slot);
	return 1;
}

static __always_inline u64 slot_of(struct xa_node *node, u32 slot)
{
	return (u64)node + bpf_core_field_offset(struct xa_node, slots) + slot * sizeof(void *);
}

static __always_inline void enter_node(struct ubc_lying *lying, u64 entry)
{
	lying->node = (void *)(entry - XA_INTERNAL);
	lying->place = slot_of(lying->node, 0);
}

/* The next slot of a node: a page, or a node below; after the last one, the node
 * above. All others are pages that were swapped out, or parts of a large page. */
static __always_inline void next_slot(struct ubc_lying *lying, u32 step)
{
	struct xa_node *node = lying->node;
	u64 place = lying->place, entry;

	if (step == lying->until) {
		lying->node = NULL;
		return;
	}
	if (place >= slot_of(node, 0) + bpf_core_field_size(struct xa_node, slots) ||
	    /* All of it was swapped out. */
	    BPF_CORE_READ(node, nr_values) == BPF_CORE_READ(node, count)) {
		lying->node = BPF_CORE_READ(node, parent);
		lying->place = slot_of(lying->node, BPF_CORE_READ(node, offset) + 1);
		return;
	}
	lying->place = place + sizeof(void *);
	entry = entry_at(place);
	if (is_node(entry))
		enter_node(lying, entry);
	else if (ubc_shm_page(lying->inode, place))
		lying->node = NULL;
}

static __always_inline void next_file(struct ubc_lying *lying, u32 step)
{
	struct list_head *next = ubc_next(lying->file);
	struct address_space *pages;
	struct inode *inode;
	u64 place, entry;

	if (!next || next == lying->files) {
		lying->files = NULL;
		return;
	}
	/* The file that we stand on is gone: back to the one before, or else to
	 * the head. What was looked at already is known. */
	if (next == lying->file) {
		lying->file = lying->before;
		lying->before = lying->files;
		return;
	}
	lying->before = lying->file;
	lying->file = next;
	inode = UBC_ENTRY(next, inode, i_sb_list);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFREG)
		return;
	pages = BPF_CORE_READ(inode, i_mapping);
	/* None of them is in memory. */
	if (!BPF_CORE_READ(pages, nrpages))
		return;
	place = (u64)pages + bpf_core_field_offset(struct address_space, i_pages) +
		bpf_core_field_offset(struct xarray, xa_head);
	entry = entry_at(place);
	if (is_node(entry)) {
		enter_node(lying, entry);
		lying->inode = (u64)inode;
		lying->until = step + UBC_STEPS_IN_FILE;
	} else {
		ubc_shm_page((u64)inode, place);
	}
}

static __always_inline void enter_system(struct ubc_lying *lying, struct list_head *at)
{
	struct super_block *system = UBC_ENTRY(at, super_block, s_list);

	lying->system = at;
	if (BPF_CORE_READ(system, s_magic) == TMPFS_MAGIC)
		lying->files = lying->file = lying->before =
			(void *)system + bpf_core_field_offset(struct super_block, s_inodes);
}

/* Not 0 after the last file system. */
static __always_inline long next_system(struct ubc_lying *lying)
{
	struct list_head *next = ubc_next(lying->system);

	if (!next || next == lying->first)
		return 1;
	/* If it leads to itself: unmounted under our eyes. */
	enter_system(lying, next == lying->system ? lying->first : next);
	return 0;
}

static long look_on(u32 step, struct ubc_lying *lying)
{
	if (lying->node)
		next_slot(lying, step);
	else if (lying->files)
		next_file(lying, step);
	else
		return next_system(lying);
	return 0;
}

/* Once in a pass. Any file system leads to all. */
SEC("iter/task")
int ubc_shm_seed_lying(struct bpf_iter__task *ctx)
{
	struct task_struct___fs *task = (void *)ctx->task;
	struct ubc_lying lying = {};
	struct super_block *system;

	if (!task || ctx->meta->seq_num || !has_owners() || ubc_dormant())
		return 0;
	system = can_look() ? BPF_CORE_READ(task, fs, root.mnt, mnt_sb) : NULL;
	if (!system) {
		ubc_fault(UBC_FAULT_UNSEEN);
		return 0;
	}
	/* Nothing yet: NULL, but the verifier must not know. It would take what is
	 * done in other rounds for code that never runs. */
	lying.files = lying.file = lying.before = ubc_next(NULL);
	lying.node = (void *)ubc_next(NULL);
	lying.place = lying.inode = entry_at(0);
	lying.until = entry_at(0);
	lying.first = (void *)system + bpf_core_field_offset(struct super_block, s_list);
	enter_system(&lying, lying.first);
	if (bpf_loop(UBC_STEPS, look_on, &lying, 0) >= UBC_STEPS)
		ubc_fault(UBC_FAULT_UNSEEN);
	return 0;
}

#endif
