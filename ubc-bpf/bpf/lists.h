/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Lists of the kernel, which our programs read without their locks.
 */
#ifndef UBC_LISTS_H
#define UBC_LISTS_H

#include "kernel.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct list_head {
	struct list_head *next, *prev;
};

#pragma clang attribute pop

#define UBC_ENTRY(position, type, member) \
	((struct type *)((void *)(position) - bpf_core_field_offset(struct type, member)))

/* What follows in a list; NULL if that cannot be read. */
static __always_inline struct list_head *ubc_next(struct list_head *at)
{
	struct list_head *next = NULL;

	bpf_probe_read_kernel(&next, sizeof(next), at);
	return next;
}

#endif
