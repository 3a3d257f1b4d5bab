/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Queues of pending signals, as the kernel keeps them: one for each task and one
 * for each process. Whoever changes one holds its lock.
 */
#ifndef UBC_SIGNALS_H
#define UBC_SIGNALS_H

#include "vfs.h"

#define SIGRTMIN 32
/* kernel/signal.c, SYNCHRONOUS_MASK: SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS */
#define SYNCHRONOUS (1ULL << 4 | 1ULL << 5 | 1ULL << 7 | 1ULL << 8 | 1ULL << 11 | 1ULL << 31)
/* include/uapi/asm-generic/siginfo.h */
#define SI_USER 0
#define SI_TIMER -2
/* include/linux/signal_types.h: kept by a timer, not freed by a delivery */
#define SIGQUEUE_PREALLOC 1
/* A queue that is longer is not looked at to its end. */
#define QUEUE 65536

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernel_siginfo {
	int si_signo;
	int si_errno;
	int si_code;
};

struct sigqueue {
	struct list_head list;
	int flags;
	struct kernel_siginfo info;
};

/* On every machine the signals are bits of longs. */
struct sigset {
	u64 bits;
};

struct sigpending {
	struct list_head list;
};

/* Newer kernels have these timers in a list of the other kind, laid out alike. */
struct signal_struct {
	struct sigpending shared_pending;
	struct list_head posix_timers;
};

struct k_itimer {
	struct list_head list;
	struct sigqueue *sigq;
};

struct task_struct___signal {
	struct signal_struct *signal;
	struct sigpending pending;
};

#pragma clang attribute pop

static __always_inline bool synchronous(int signal)
{
	return signal > 0 && signal < SIGRTMIN && (SYNCHRONOUS >> signal & 1);
}

/* Not in a list: the kernel lets what it takes out of one lead to itself. */
static __always_inline bool is_queued(struct sigqueue *record)
{
	struct list_head *next = BPF_CORE_READ(record, list.next);

	return next && (void *)next !=
			       (void *)record + bpf_core_field_offset(struct sigqueue, list);
}

static __always_inline struct list_head *head_of(struct sigpending *queue)
{
	return (void *)queue + bpf_core_field_offset(struct sigpending, list);
}

struct walk {
	struct list_head *head;
	struct list_head *at;
	/* Which records are meant: of the signals in `mask`, or of one. */
	u64 mask;
	int code; /* if not 0, only with this si_code */
	u32 first; /* not 0: only one */
};

static long step(u64 number, struct walk *walk)
{
	struct list_head *at = walk->at;
	struct sigqueue *record;
	int signal;

	if (!at || at == walk->head)
		return 1;
	record = (void *)at - bpf_core_field_offset(struct sigqueue, list);
	walk->at = BPF_CORE_READ(at, next);
	signal = BPF_CORE_READ(record, info.si_signo);
	if (signal < 1 || signal > 64 || !(walk->mask >> (signal - 1) & 1))
		return 0;
	if (walk->code && BPF_CORE_READ(record, info.si_code) != walk->code)
		return 0;
	/* A timer keeps its own, to use it again. */
	if (BPF_CORE_READ(record, flags) & SIGQUEUE_PREALLOC)
		return walk->first != 0;
	ubc_give(UBC_KEY(record, UBC_OBJECT));
	return walk->first != 0;
}

/* Gives back what a queue is about to lose. */
static __noinline int each(struct sigpending *queue, u64 mask, int code, bool first)
{
	struct list_head *head = head_of(queue);
	struct walk walk = { .head = head, .mask = mask, .code = code, .first = first };

	walk.at = BPF_CORE_READ(head, next);
	bpf_loop(QUEUE - (bpf_get_prandom_u32() & 1), step, &walk, 0);
	return 0;
}

static __always_inline struct sigpending *shared(struct task_struct *task)
{
	void *signal = BPF_CORE_READ((struct task_struct___signal *)task, signal);

	return signal ? signal + bpf_core_field_offset(struct signal_struct, shared_pending) : NULL;
}

static __always_inline struct sigpending *own(struct task_struct *task)
{
	return (void *)task + bpf_core_field_offset(struct task_struct___signal, pending);
}

/* Queues that signals are taken from now, by a part of their address. Of two
 * that share a place the later one is there. */
#define TAKEN 1024

static volatile u64 taken_from[TAKEN];

static __always_inline u32 place_of(u64 queue)
{
	return queue * 0x9e3779b97f4a7c15ULL >> 54;
}

/* A pointer as a number: the verifier tells the two apart. */
static __always_inline u64 number_of(void *pointer)
{
	u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

static __always_inline void taking(struct sigpending *queue)
{
	u64 number = number_of(queue);

	taken_from[place_of(number) & (TAKEN - 1)] = number;
}

static __always_inline void taken(struct sigpending *queue)
{
	u64 number = number_of(queue);
	u32 place = place_of(number) & (TAKEN - 1);

	if (taken_from[place] == number)
		taken_from[place] = 0;
}

#endif
