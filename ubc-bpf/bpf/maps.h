/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * The maps that all programs share. The loader pins them once, and every object
 * is loaded on top of the same ones. src/layout.rs says the same in Rust; a test
 * compares the two.
 */
#ifndef UBC_MAPS_H
#define UBC_MAPS_H

#include "kernel.h"

/* A change of any structure below asks for another number. */
#define UBC_ABI 1
/* OpenVZ's slots, 0 (kmemsize) to 24 (swappages), and on to a power of two, so
 * that a mask keeps every number inside. */
#define UBC_ROWS 32
#define UBC_ROW(resource) ((resource) & (UBC_ROWS - 1))
/* Containers below containers, counted to all of them. */
#define UBC_DEPTH 8
/* The owner of what no container is charged for. */
#define UBC_NOBODY 0xffffffffU

/* OpenVZ's slot numbers (include/bc/beancounter.h). */
enum ubc_resource {
	UBC_KMEMSIZE = 0,
	UBC_LOCKEDPAGES = 1,
	UBC_PRIVVMPAGES = 2,
	UBC_SHMPAGES = 3,
	UBC_NUMPROC = 5,
	UBC_NUMTCPSOCK = 9,
	UBC_NUMFLOCK = 10,
	UBC_NUMPTY = 11,
	UBC_NUMSIGINFO = 12,
	UBC_TCPSNDBUF = 13,
	UBC_TCPRCVBUF = 14,
	UBC_OTHERSOCKBUF = 15,
	UBC_DGRAMRCVBUF = 16,
	UBC_NUMOTHERSOCK = 17,
	UBC_NUMFILE = 19,
	UBC_NUMIPTENT = 23,
};

/* No row. Of `rows` of a container, its barrier is the kernel memory that the
 * container had when counting it began, which held does not have; its limit is
 * 0 if kernel memory is counted for this container at all. */
#define UBC_KMEM_BEFORE 31
/* No row either: its limit is 0 while the container is taken over. */
#define UBC_ARRIVING 30
/* Nor this: its barrier is the queue that the container's refusals are told in. Where its
 * limit is not 0 there is no such queue. */
#define UBC_QUEUE 29
/* Processes that are told of refusals. */
#define UBC_QUEUES 1024

enum ubc_severity {
	UBC_HARD = 0, /* refused beyond the barrier, and beyond the limit */
	UBC_SOFT = 1, /* refused beyond the limit */
	UBC_FORCE = 2, /* never refused */
};

/* What went wrong inside, which is never silent: counted, and told by doctor. */
enum ubc_fault {
	UBC_FAULT_OBJECTS_FULL, /* an object could not be recorded */
	UBC_FAULT_STALE_OBJECT, /* a record outlived its object */
	UBC_FAULT_UNDERFLOW, /* more given back than was held */
	UBC_FAULT_MEMBERS_FULL, /* a cgroup could not be recorded */
	UBC_FAULT_STORAGE, /* no memory for a task's notes */
	UBC_FAULT_UNSEEN, /* something happened that we could not look at */
	UBC_FAULTS = 8,
};

/* Written by user space only. */
struct ubc_control {
	/* Programs of another generation do nothing: one store changes over
	 * from a version of all programs to the next. */
	u32 generation;
	u32 abi;
	/* Bit by slot number: rows whose refusal was seen since these programs
	 * went on duty. User space's own note. */
	u64 proven;
};

struct ubc_bound {
	s64 barrier;
	s64 limit;
};

/* A container as user space describes it. Slots are numbers in these arrays. */
struct ubc_container {
	u64 cgroup; /* its cgroup's id; 0: the slot is free */
	u64 ctid;
	u32 parent; /* slot of the container it is in, or UBC_NOBODY */
	u32 leaving; /* only waits for its objects to go */
	struct ubc_bound rows[UBC_ROWS];
};

struct ubc_row {
	s64 held;
	s64 maxheld;
	u64 failcnt;
};

/* What the programs count. Apart from the limits, which are hardly ever written. */
struct ubc_counts {
	struct ubc_row rows[UBC_ROWS];
	/* Events: how many were sent in this window of time, how many were not. */
	u64 window;
	u64 sent;
	u64 dropped;
};

/* Who pays for an object, and how much. */
struct ubc_object {
	s64 amount;
	u32 slot;
	u32 resource;
};

/* A refusal, as it goes through the ring buffer. */
struct ubc_event {
	u64 time; /* ns of CLOCK_MONOTONIC */
	u64 ctid;
	u64 cgroup; /* of the task that asked */
	s64 asked;
	s64 held;
	s64 barrier;
	s64 limit;
	u64 dropped; /* events of this container lost before this one */
	u32 slot;
	u32 resource;
	u32 severity;
	u32 pid; /* thread group */
	u32 tid;
	char comm[16];
	u32 padding;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ubc_control);
} ubc_control SEC(".maps");

/* How often each fault happened. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, UBC_FAULTS);
	__type(key, u32);
	__type(value, u64);
} ubc_faults SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct ubc_container);
} ubc_containers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, struct ubc_counts);
} ubc_counts SEC(".maps");

/* cgroup id -> slot, for every cgroup of every container: one lookup finds
 * the container of a task, and tells that it has none. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, u64);
	__type(value, u32);
} ubc_members SEC(".maps");

/* Address of a kernel object, with its kind in the low bits -> who pays. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1048576);
	__type(key, u64);
	__type(value, struct ubc_object);
} ubc_objects SEC(".maps");

/* Ring buffers of refusals. src/queues.rs makes them, of the size it likes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, UBC_QUEUES);
	__type(key, u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_RINGBUF);
		__uint(max_entries, 4096);
	});
} ubc_queues SEC(".maps");

/* The generation this object was loaded as; alone in its section, so that the
 * loader need not search for it. */
SEC(".rodata.ubc") const volatile u32 ubc_generation = 0;

#endif
