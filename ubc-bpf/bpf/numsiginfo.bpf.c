/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numsiginfo: records of pending signals, from allocation to the signal's
 * delivery or discard. Charged to the container of the task that is to get it:
 * many are made by interrupts, which run on nobody's behalf.
 *
 * A queued real-time signal is refused with EAGAIN, as the kernel does at
 * RLIMIT_SIGPENDING. Other signals are always delivered. OpenVZ delivers them
 * without a record at the limit; here they keep it, are counted as refused, and
 * are not held. They are few: one for each signal number and task.
 *
 * Faults (SIGSEGV and its like) are left out: the task takes them before it runs
 * on, and no function that frees their records can be looked at.
 */
#include "vfs.h"

char LICENSE[] SEC("license") = "GPL";

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

SEC("fmod_ret/security_task_kill")
int BPF_PROG(ubc_signal_ask, struct task_struct *task, struct kernel_siginfo *info, int signal)
{
	u32 slot;

	/* Without a record the number arrives all the same. */
	if (ubc_dormant() || signal < SIGRTMIN || (u64)info <= 1 ||
	    BPF_CORE_READ(info, si_code) == SI_USER)
		return 0;
	slot = ubc_slot_of(ubc_cgroup_of(task));
	if (slot == UBC_NOBODY)
		return 0;
	return ubc_reserve(UBC_RESERVED_SIGNAL, slot, UBC_NUMSIGINFO, 1, UBC_HARD) ? -EAGAIN : 0;
}

SEC("fexit/security_task_kill")
int BPF_PROG(ubc_signal_denied, struct task_struct *task, struct kernel_siginfo *info, int signal,
	     const void *cred, int error)
{
	if (error && signal >= SIGRTMIN)
		ubc_give(ubc_reservation(UBC_RESERVED_SIGNAL));
	return 0;
}

SEC("fexit/__sigqueue_alloc")
int BPF_PROG(ubc_signal_made, int signal, struct task_struct *task, u32 gfp, int override,
	     unsigned int flags, struct sigqueue *record)
{
	u64 key = UBC_KEY(record, UBC_OBJECT);
	u32 slot;

	if (!record || ubc_dormant() || synchronous(signal))
		return 0;
	slot = ubc_slot_of(ubc_cgroup_of(task));
	if (slot == UBC_NOBODY)
		return 0;
	if (signal >= SIGRTMIN && ubc_turn(ubc_reservation(UBC_RESERVED_SIGNAL), key))
		return 0;
	ubc_take(key, slot, UBC_NUMSIGINFO, 1, UBC_HARD);
	return 0;
}

/* The end of every attempt to send one, also of one that nobody wants. */
SEC("tp_btf/signal_generate")
int BPF_PROG(ubc_signal_sent, int signal)
{
	if (signal >= SIGRTMIN)
		ubc_give(ubc_reservation(UBC_RESERVED_SIGNAL));
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(ubc_signal_task_end, struct task_struct *task)
{
	ubc_give(UBC_KEY(task, UBC_RESERVED_SIGNAL));
	return 0;
}

struct walk {
	struct list_head *head;
	struct list_head *at;
	/* Which records are meant: of the signals in `mask`, or of one. */
	u64 mask;
	int code; /* if not 0, only with this si_code */
	u32 slot; /* not UBC_NOBODY: they are recorded instead of given back */
	bool first; /* only one */
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
		return walk->first;
	if (walk->slot == UBC_NOBODY)
		ubc_give(UBC_KEY(record, UBC_OBJECT));
	else if (!synchronous(signal))
		ubc_seed(UBC_KEY(record, UBC_OBJECT), walk->slot, UBC_NUMSIGINFO, 1);
	return walk->first;
}

static __noinline int each(struct sigpending *queue, u64 mask, int code, u32 slot, bool first)
{
	struct list_head *head = (void *)queue + bpf_core_field_offset(struct sigpending, list);
	struct walk walk = { .mask = mask, .code = code, .slot = slot, .first = first };

	walk.head = head;
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

/* A delivery takes the first of its number. */
SEC("fentry/collect_signal")
int BPF_PROG(ubc_signal_taken, int signal, struct sigpending *queue)
{
	if (signal >= 1 && signal <= 64)
		each(queue, 1ULL << (signal - 1), 0, UBC_NOBODY, true);
	return 0;
}

SEC("fentry/flush_sigqueue")
int BPF_PROG(ubc_signal_flush, struct sigpending *queue)
{
	return each(queue, ~0ULL, 0, UBC_NOBODY, false);
}

SEC("?fentry/flush_signals")
int BPF_PROG(ubc_signal_flush_task, struct task_struct *task)
{
	each(own(task), ~0ULL, 0, UBC_NOBODY, false);
	each(shared(task), ~0ULL, 0, UBC_NOBODY, false);
	return 0;
}

/* SIGSTOP and SIGCONT discard each other, and nobody waits for what is ignored. */
SEC("fentry/flush_sigqueue_mask")
int BPF_PROG(ubc_signal_discard, struct sigset *mask, struct sigpending *queue)
{
	u64 bits = 0;

	bpf_probe_read_kernel(&bits, sizeof(bits), mask);
	return each(queue, bits, 0, UBC_NOBODY, false);
}

/* A program that is replaced by exec gets no timer signals of the old one. */
SEC("?fentry/flush_itimer_signals")
int BPF_PROG(ubc_signal_exec)
{
	struct task_struct *task = bpf_get_current_task_btf();

	each(own(task), ~0ULL, SI_TIMER, UBC_NOBODY, false);
	each(shared(task), ~0ULL, SI_TIMER, UBC_NOBODY, false);
	return 0;
}

static __always_inline bool is_queued(struct sigqueue *record)
{
	struct list_head *next = BPF_CORE_READ(record, list.next);

	return next && (void *)next !=
			       (void *)record + bpf_core_field_offset(struct sigqueue, list);
}

/* A timer is deleted. A record that waits for delivery goes with that. */
SEC("?fentry/sigqueue_free")
int BPF_PROG(ubc_signal_timer_end, struct sigqueue *record)
{
	if (!is_queued(record))
		ubc_give(UBC_KEY(record, UBC_OBJECT));
	return 0;
}

/* It may have been delivered between our look at it and the kernel's. */
SEC("?fexit/sigqueue_free")
int BPF_PROG(ubc_signal_timer_ended, struct sigqueue *record)
{
	if (!is_queued(record))
		ubc_give(UBC_KEY(record, UBC_OBJECT));
	return 0;
}

struct timers {
	struct list_head *head;
	struct list_head *at;
	u32 slot;
};

static long step_timer(u64 number, struct timers *timers)
{
	struct list_head *at = timers->at;
	struct k_itimer *timer;
	struct sigqueue *record;
	u64 before;

	if (!at || at == timers->head)
		return 1;
	timer = (void *)at - bpf_core_field_offset(struct k_itimer, list);
	timers->at = BPF_CORE_READ(at, next);
	record = BPF_CORE_READ(timer, sigq);
	/* The head of another list, to which a process that ends moves its timers. */
	if (!(BPF_CORE_READ(record, flags) & SIGQUEUE_PREALLOC))
		return 1;
	ubc_seed(UBC_KEY(record, UBC_OBJECT), timers->slot, UBC_NUMSIGINFO, 1);
	/* Deleted while we looked: perhaps its end was seen before it was recorded.
	 * What left a list points to no memory. */
	if (bpf_probe_read_kernel(&before, sizeof(before), BPF_CORE_READ(at, prev)))
		ubc_give(UBC_KEY(record, UBC_OBJECT));
	return 0;
}

/* The records that timers of a process keep. Where a record is part of its timer
 * (Linux 6.13) none is made for it, nor counted. */
static __noinline int each_timer(struct task_struct *task, u32 slot)
{
	void *signal = BPF_CORE_READ((struct task_struct___signal *)task, signal);
	struct timers timers = { .slot = slot };
	struct list_head *head;

	if (!signal || !bpf_core_field_exists(struct signal_struct, posix_timers) ||
	    !bpf_core_field_exists(struct k_itimer, sigq))
		return 0;
	head = signal + bpf_core_field_offset(struct signal_struct, posix_timers);
	timers.head = head;
	timers.at = BPF_CORE_READ(head, next);
	bpf_loop(QUEUE - (bpf_get_prandom_u32() & 1), step_timer, &timers, 0);
	return 0;
}

SEC("iter/task")
int ubc_signal_seed(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	u32 slot;

	if (!task || ubc_dormant())
		return 0;
	slot = ubc_arriving(ubc_cgroup_of(task));
	if (slot == UBC_NOBODY)
		return 0;
	each(own(task), ~0ULL, 0, slot, false);
	if (task->pid != task->tgid)
		return 0;
	each(shared(task), ~0ULL, 0, slot, false);
	each_timer(task, slot);
	return 0;
}
