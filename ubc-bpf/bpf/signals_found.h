/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Signals that were pending, and timers that were there, before their container
 * was taken over.
 */
#ifndef UBC_SIGNALS_FOUND_H
#define UBC_SIGNALS_FOUND_H

#include "signals.h"

/* include/linux/sched.h */
#define PF_EXITING 0x4

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

/*
 * Records a signal that is pending, unless it may be taken already, by somebody
 * who gave its record back before there was one.
 *
 * Who takes one says so first, then gives the record back, then takes the signal
 * off its queue. So if nobody takes any now, either it is off, or its end will
 * be seen. A task that exits empties its queue without saying so.
 *
 * By numbers, as ubc_rule_gone() in numiptent.bpf.c.
 */
__attribute__((noinline)) int ubc_signal_found(u64 record, u64 queue, u64 task, u32 slot)
{
	u64 key = record + UBC_OBJECT;

	if (bpf_map_lookup_elem(&ubc_objects, &key))
		return 0;
	ubc_seed(key, slot, UBC_NUMSIGINFO, 1);
	if (taken_from[place_of(queue) & (TAKEN - 1)] == queue || !is_queued((void *)record) ||
	    BPF_CORE_READ((struct task_struct *)task, flags) & PF_EXITING)
		ubc_give(key);
	return 0;
}

struct search {
	u64 queue, task;
	struct list_head *head;
	struct list_head *at;
	u32 slot;
};

static long search_step(u64 number, struct search *search)
{
	struct list_head *at = search->at, *head = search->head;
	struct sigqueue *record;
	int signal;

	if (!at || at == head)
		return 1;
	record = (void *)at - bpf_core_field_offset(struct sigqueue, list);
	search->at = BPF_CORE_READ(at, next);
	if (search->at == at) {
		/* Taken while we stood on it. */
		search->at = BPF_CORE_READ(head, next);
		return 0;
	}
	signal = BPF_CORE_READ(record, info.si_signo);
	if (signal < 1 || signal > 64 || synchronous(signal) ||
	    BPF_CORE_READ(record, flags) & SIGQUEUE_PREALLOC)
		return 0;
	ubc_signal_found((u64)record, search->queue, search->task, search->slot);
	return 0;
}

static __noinline int each_pending(struct task_struct *task, struct sigpending *queue, u32 slot)
{
	struct list_head *head = head_of(queue);
	struct search search = { .head = head, .slot = slot };

	search.queue = number_of(queue);
	search.task = number_of(task);
	search.at = BPF_CORE_READ(head, next);
	bpf_loop(QUEUE - (bpf_get_prandom_u32() & 1), search_step, &search, 0);
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
	each_pending(task, own(task), slot);
	if (task->pid != task->tgid)
		return 0;
	each_pending(task, shared(task), slot);
	each_timer(task, slot);
	return 0;
}

#endif
