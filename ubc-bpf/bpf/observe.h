/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * What a pass over the tasks reads of the kernel, and the maps it works with.
 * These maps belong to the process that loaded the program: nothing is pinned.
 * src/observer/sight.rs says the same in Rust.
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
	UBC_WANT_SURROUNDINGS = 8,
	UBC_SURROUNDINGS_UNSEEN = 16, /* more than are listed, or this kernel hides them */
};

/* What can be listed of a task's surroundings. src/observer/surroundings.rs
 * says the same in Rust. */
enum ubc_met_kind {
	UBC_MET_NET,
	UBC_MET_IPC,
	UBC_MET_MNT,
	UBC_MET_USER,
};

/* Namespaces and users of one container, and of all in a pass. */
#define UBC_CONTAINER_MET 512
#define UBC_MET (1U << 15)

/* A namespace that tasks of a container are in, or a user of one of its user
 * namespaces. */
struct ubc_met {
	u32 slot;
	u32 kind;
	u32 number; /* inode of the namespace's file */
	u32 tgid; /* a process that is in it */
	u64 signals; /* queued for the user, who is of one user namespace */
};

/* The pass under way. */
struct ubc_order {
	u64 pass;
	/* Inodes of the user namespaces that are no container's. */
	u32 home[2];
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
	u64 met;
	/* Tasks in a user namespace that is no container's, and the signals that
	 * are pending for them: a bit each, however many are queued. */
	u64 at_home;
	u64 pending;
	/* Addresses of what the task before this one was in. */
	u64 proxy;
	u64 user;
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
	/* Of the whole pass: how many are in ubc_mets. */
	u32 met;
	u32 padding;
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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ubc_order);
} ubc_pass SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UBC_MET);
	__type(key, u32);
	__type(value, struct ubc_met);
} ubc_mets SEC(".maps");

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

struct ns_common___seen {
	unsigned int inum;
};

struct net___seen {
	struct ns_common___seen ns;
};

struct ipc_namespace___seen {
	struct ns_common___seen ns;
};

struct mnt_namespace___seen {
	struct ns_common___seen ns;
};

struct user_namespace___seen {
	struct ns_common___seen ns;
};

struct nsproxy___seen {
	struct ipc_namespace___seen *ipc_ns;
	struct mnt_namespace___seen *mnt_ns;
	struct net___seen *net_ns;
};

enum rlimit_type___seen {
	UCOUNT_RLIMIT_SIGPENDING___seen = 2,
};

/* Until Linux 5.18 all counts were in one array. */
struct ucounts___seen {
	struct {
		s64 counter;
	} rlimit[4];
};

struct cred___seen {
	struct ucounts___seen *ucounts;
	struct user_namespace___seen *user_ns;
};

/* On every machine the signals are bits of longs. */
struct sigpending___seen {
	struct {
		u64 sig[1];
	} signal;
};

struct signal_struct___seen {
	ubc_atomic live;
	struct sigpending___seen shared_pending;
};

struct task_struct___seen {
	int tgid;
	struct task_struct___seen *group_leader;
	struct mm_struct___seen *mm;
	struct files_struct___seen *files;
	struct nsproxy___seen *nsproxy;
	struct cred___seen *real_cred;
	struct signal_struct___seen *signal;
	struct sigpending___seen pending;
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
