// SPDX-License-Identifier: GPL-2.0
/*
 * An empty /proc/user_beancounters, for something to be mounted onto.
 *
 * procfs has no way to gain a name from user space. With this module it has
 * the one that OpenVZ's kernel had, in every instance of procfs of every pid
 * namespace, and `ubc` mounts each container's own file onto the container's
 * own entry. Read without such a mount, the entry is empty.
 */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/stat.h>

#define NAME "user_beancounters"

static int nothing(struct seq_file *file, void *unused)
{
	return 0;
}

static int __init ubc_entry_init(void)
{
	/* Mode and owner are those of OpenVZ. NULL: the kernel has said why. */
	return proc_create_single(NAME, S_IRUSR, NULL, nothing) ? 0 : -EEXIST;
}

static void __exit ubc_entry_exit(void)
{
	/* Also takes away what is mounted onto it, wherever that is. */
	remove_proc_entry(NAME, NULL);
}

module_init(ubc_entry_init);
module_exit(ubc_entry_exit);

MODULE_DESCRIPTION("An empty /proc/" NAME " to mount containers' own onto");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
