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
#include "signals.h"
#include "signals_found.h"

char LICENSE[] SEC("license") = "GPL";

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

/* A delivery takes the first of its number. */
SEC("fentry/collect_signal")
int BPF_PROG(ubc_signal_taken, int signal, struct sigpending *queue)
{
	taking(queue);
	if (signal >= 1 && signal <= 64)
		each(queue, 1ULL << (signal - 1), 0, true);
	return 0;
}

SEC("fexit/collect_signal")
int BPF_PROG(ubc_signal_off, int signal, struct sigpending *queue)
{
	taken(queue);
	return 0;
}

SEC("fentry/flush_sigqueue")
int BPF_PROG(ubc_signal_flush, struct sigpending *queue)
{
	return each(queue, ~0ULL, 0, false);
}

SEC("?fentry/flush_signals")
int BPF_PROG(ubc_signal_flush_task, struct task_struct *task)
{
	each(own(task), ~0ULL, 0, false);
	each(shared(task), ~0ULL, 0, false);
	return 0;
}

/* SIGSTOP and SIGCONT discard each other, and nobody waits for what is ignored. */
SEC("fentry/flush_sigqueue_mask")
int BPF_PROG(ubc_signal_discard, struct sigset *mask, struct sigpending *queue)
{
	u64 bits = 0;

	taking(queue);
	bpf_probe_read_kernel(&bits, sizeof(bits), mask);
	return each(queue, bits, 0, false);
}

SEC("fexit/flush_sigqueue_mask")
int BPF_PROG(ubc_signal_discarded, struct sigset *mask, struct sigpending *queue)
{
	taken(queue);
	return 0;
}

/* A program that is replaced by exec gets no timer signals of the old one. */
SEC("?fentry/flush_itimer_signals")
int BPF_PROG(ubc_signal_exec)
{
	struct task_struct *task = bpf_get_current_task_btf();

	each(own(task), ~0ULL, SI_TIMER, false);
	each(shared(task), ~0ULL, SI_TIMER, false);
	return 0;
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
