/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numpty: pairs of pseudo-terminals, from the opening of a master on any devpts
 * until both ends are closed.
 *
 * Charged where the pair is made, which nobody may refuse. The kernel asks its
 * security modules a moment later, for the inode of the pair's slave, and there
 * numpty_gate.bpf.c refuses in the name of the charge that did not fit.
 */
#include "terminals.h"

char LICENSE[] SEC("license") = "GPL";

/* The pair is known by its master, whichever end goes last. */
static __always_inline u64 pair(struct tty_struct *tty)
{
	if (BPF_CORE_READ(tty, driver, subtype) != PTY_TYPE_MASTER)
		tty = BPF_CORE_READ(tty, link);
	return UBC_KEY(tty, UBC_OBJECT);
}

SEC("fexit/pty_unix98_install")
int BPF_PROG(ubc_pty_made, struct tty_driver *driver, struct tty_struct *tty, int error)
{
	u32 slot;

	if (ubc_dormant() || error)
		return 0;
	slot = ubc_current();
	if (slot != UBC_NOBODY && ubc_take(pair(tty), slot, UBC_NUMPTY, 1, UBC_HARD))
		ubc_pty_deny(slot);
	return 0;
}

/* Also of a pair that was refused: its opening ends here. */
SEC("fentry/pty_unix98_remove")
int BPF_PROG(ubc_pty_gone, struct tty_driver *driver, struct tty_struct *tty)
{
	if (ubc_dormant())
		return 0;
	ubc_pty_denied();
	ubc_give(pair(tty));
	return 0;
}

/* A master that a container's task has open. */
SEC("iter/task_file")
int ubc_pty_seed(struct bpf_iter__task_file *ctx)
{
	struct file___vfs *file = (struct file___vfs *)ctx->file;
	struct tty_file_private *private;
	struct task_struct *task = ctx->task;
	struct tty_struct *tty;
	u32 slot;

	if (!file || !task || ubc_dormant())
		return 0;
	slot = ubc_arriving(ubc_cgroup_of(task));
	if (slot == UBC_NOBODY || !ubc_is_ptmx(BPF_CORE_READ(file, f_inode)))
		return 0;
	private = BPF_CORE_READ(file, private_data);
	tty = BPF_CORE_READ(private, tty);
	if (tty)
		ubc_seed(pair(tty), slot, UBC_NUMPTY, 1);
	return 0;
}
