/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numpty: where the opening of a pair is refused. There only while a container
 * has a limit of this row, because every new inode passes here.
 */
#include "terminals.h"

char LICENSE[] SEC("license") = "GPL";

#define DEVPTS_SUPER_MAGIC 0x1cd1

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct super_block {
	unsigned long s_magic;
};

struct inode {
	struct super_block *i_sb;
};

#pragma clang attribute pop

/* ptmx_open makes the pair and then its slave's inode (drivers/tty/pty.c). */
SEC("fmod_ret/security_inode_alloc")
int BPF_PROG(ubc_pty_inode, struct inode *inode)
{
	if (inode->i_sb->s_magic != DEVPTS_SUPER_MAGIC || ubc_dormant())
		return 0;
	return ubc_pty_denied() ? -ENOMEM : 0;
}
