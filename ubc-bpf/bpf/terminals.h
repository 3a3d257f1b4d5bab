/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * A pair of terminals that was denied to the running task, until its opening is
 * refused for that: a record like those of objects, of nothing.
 */
#ifndef UBC_TERMINALS_H
#define UBC_TERMINALS_H

#include "vfs.h"

static __always_inline void ubc_pty_deny(u32 slot)
{
	struct ubc_object nothing = { .slot = slot, .resource = UBC_NUMPTY };
	u64 key = UBC_KEY(bpf_get_current_task(), UBC_DENIED_PTY);

	/* Without room for it, the pair is there and nobody's. */
	if (bpf_map_update_elem(&ubc_objects, &key, &nothing, BPF_ANY))
		ubc_fault(UBC_FAULT_OBJECTS_FULL);
}

/* Whether one was; that is told once. */
static __always_inline bool ubc_pty_denied(void)
{
	u64 key = UBC_KEY(bpf_get_current_task(), UBC_DENIED_PTY);

	return !bpf_map_delete_elem(&ubc_objects, &key);
}

#endif
