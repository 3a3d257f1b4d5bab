/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * What a pass over the tasks reads of the kernel, and the maps it works with.
 * These maps belong to the process that loaded the program: nothing is pinned.
 * src/observer/layout.rs says the same in Rust.
 */
#ifndef UBC_OBSERVE_H
#define UBC_OBSERVE_H

#include "charge.h"

/* The largest table looked at, empty places included: fs.nr_open's default. */
#define UBC_TABLE (1U << 20)
/* Open descriptors looked at of one task: one run of the program, which nothing
 * interrupts where the kernel is not preemptible. Beyond it the task's
 * container is not said to have been counted. */
#define UBC_TASK_DESCRIPTORS (1U << 17)
/* Of one container. */
#define UBC_CONTAINER_DESCRIPTORS (1U << 20)
/* Objects that more than one name leads to; of one container, a quarter of
 * them, so that it cannot take the room from the others. */
#define UBC_SHARED (1U << 17)
#define UBC_CONTAINER_SHARED (1U << 15)

/* What is asked of a container, and what was not seen of it. */
enum ubc_sight_flags {
	UBC_WANT_MEMORY = 1,
	UBC_WANT_FILES = 2,
	UBC_TOO_MANY = 4, /* descriptors, or objects that are shared */
};

/* A container in a pass. User space zeroes it and asks, the pass counts. */
struct ubc_sight {
	u64 pass; /* the pass it is asked for */
	u64 flags;
	u64 tasks;
	u64 private_pages; /* data_vm + stack_vm */
	u64 locked_pages;
	u64 files;
	u64 ptys;
	u64 tcp_sockets;
	u64 other_sockets;
	u64 tcp_send;
	u64 tcp_receive;
	u64 other_send;
	u64 other_receive;
	u64 locked_files; /* whose inode has locks, of whomever */
	/* Its budgets. */
	u64 descriptors;
	u64 shared;
};

/* A name's object, as one container knows it. */
struct ubc_shared {
	u64 object;
	u32 slot;
	u32 padding;
};

/* What the walk over the descriptors of one task keeps between two of them.
 * In a map, not on the stack: the verifier follows the stack's values through
 * every round of a loop and gives up, a map's it takes as they come. */
struct ubc_place {
	u64 word; /* open ones of these 64 not looked at yet */
	u64 array; /* address of the first file pointer of the table */
	u64 bitmap; /* address of the table's bitmap of open descriptors */
	u32 at; /* descriptor of the word's first bit */
	u32 slot;
	/* Of the whole pass: how many objects are in ubc_seen. */
	u32 seen;
	/* How many more descriptors of this table are looked at. */
	u32 left;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct ubc_sight);
} ubc_sights SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ubc_place);
} ubc_place SEC(".maps");

/* The number of the pass under way. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} ubc_pass SEC(".maps");

/* Objects with more than one name that were counted in this pass. At its end
 * they are taken out one by one, by the list: going through all the places of a
 * table takes longer than most passes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, UBC_SHARED);
	__type(key, struct ubc_shared);
	__type(value, u8);
} ubc_seen SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UBC_SHARED);
	__type(key, u32);
	__type(value, struct ubc_shared);
} ubc_list SEC(".maps");

/* The suffix after ___ is not part of a kernel structure's name. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct bpf_iter_meta;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

typedef struct {
	int counter;
} ubc_atomic;

struct refcount_struct___seen {
	ubc_atomic refs;
};

struct fdtable___seen {
	unsigned int max_fds;
	struct file **fd;
	unsigned long *open_fds;
};

struct files_struct___seen {
	ubc_atomic count;
	struct fdtable___seen *fdt;
};

struct mm_struct___seen {
	ubc_atomic mm_users;
	unsigned long locked_vm;
	unsigned long data_vm;
	unsigned long stack_vm;
};

struct task_struct___seen {
	struct task_struct___seen *group_leader;
	struct mm_struct___seen *mm;
	struct files_struct___seen *files;
};

struct super_block___seen {
	unsigned long s_magic;
};

struct list_head___seen {
	struct list_head___seen *next;
};

struct file_lock_context___seen {
	struct list_head___seen flc_flock;
	struct list_head___seen flc_posix;
};

struct inode___seen {
	u16 i_mode;
	u32 i_rdev;
	struct file_lock_context___seen *i_flctx;
	struct super_block___seen *i_sb;
};

struct file___seen {
	struct inode___seen *f_inode;
	void *private_data;
};

/* Until Linux 6.12. */
struct file___counted {
	struct {
		s64 counter;
	} f_count;
};

/* Since 6.13; counts from 0. */
struct file___referred {
	struct {
		struct {
			s64 counter;
		} refcnt;
	} f_ref;
};

struct sock___seen {
	struct {
		u16 skc_family;
	} __sk_common;
	u16 sk_type;
	u16 sk_protocol;
	int sk_wmem_queued;
	struct refcount_struct___seen sk_wmem_alloc;
	struct {
		ubc_atomic rmem_alloc;
	} sk_backlog;
};

struct socket___seen {
	struct sock___seen *sk;
};

#pragma clang attribute pop

#endif
