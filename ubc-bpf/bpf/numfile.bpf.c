/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numfile: open files, that is open file descriptions, from allocation to the
 * last release. dup(2) makes none; each end of a pipe and each socket is one.
 */
#include "objects.h"

char LICENSE[] SEC("license") = "GPL";

SEC("fmod_ret/security_file_alloc")
int BPF_PROG(ubc_file_alloc, struct file *file)
{
	u32 slot;

	if (ubc_dormant())
		return 0;
	slot = ubc_current();
	if (slot == UBC_NOBODY)
		return 0;
	return ubc_take(UBC_KEY(file, UBC_OBJECT), slot, UBC_NUMFILE, 1, UBC_HARD) ? -ENFILE : 0;
}

SEC("fentry/security_file_free")
int BPF_PROG(ubc_file_free, struct file *file)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(file, UBC_OBJECT));
	return 0;
}
