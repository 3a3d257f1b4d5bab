/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Rules of x_tables. setsockopt(2) replaces a table as a whole; what it grows
 * by is charged, as in OpenVZ. The entries a table has from the start are free.
 *
 * The hook that can refuse does not know the table, which is still in the
 * caller's memory. So it reads how many entries there will be, and how many the
 * caller says there are: the kernel refuses if he is wrong about that.
 */
#ifndef UBC_XTABLES_H
#define UBC_XTABLES_H

#include "nftables.h"

enum {
	SOL_IP = 0,
	SOL_IPV6 = 41,
	IPT_SO_SET_REPLACE = 64,
	ARPT_SO_SET_REPLACE = 96,
	AT_ENTRIES = 36, /* struct ipt_replace, ip6t_replace, arpt_replace */
	AT_COUNTERS = 84,
	AT_COUNTERS_ARP = 68,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct xt_table_info {
	unsigned int number;
	unsigned int initial_entries;
};

struct xt_table {
	struct list_head list;
	struct xt_table_info *private;
};

/* The fourth argument of a system call, and which call it is. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10;
	unsigned long orig_ax;
};
#define UBC_CALL(regs) BPF_CORE_READ(regs, orig_ax)
#define UBC_ARGUMENT(regs) BPF_CORE_READ(regs, r10)
#define UBC_SETSOCKOPT 54
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	u64 regs[31];
	int syscallno;
};
#define UBC_CALL(regs) BPF_CORE_READ(regs, syscallno)
#define UBC_ARGUMENT(regs) BPF_CORE_READ(regs, regs[3])
#define UBC_SETSOCKOPT 208
#else
/* Not known here: every replacement is one that cannot be looked at. */
struct pt_regs;
#define UBC_CALL(regs) 0
#define UBC_ARGUMENT(regs) 0
#define UBC_SETSOCKOPT 1
#endif

#pragma clang attribute pop

/* A table's rules, without the entries it has from the start. */
static __always_inline s64 ubc_rules_of(struct xt_table_info *info)
{
	return (s64)BPF_CORE_READ(info, number) - BPF_CORE_READ(info, initial_entries);
}

SEC("fmod_ret/security_socket_setsockopt")
int BPF_PROG(ubc_table_replace, struct socket *socket, int level, int option)
{
	struct pt_regs *regs;
	u32 entries = 0, counters = 0, slot;
	bool arp = option == ARPT_SO_SET_REPLACE;
	void *table;

	if ((level != SOL_IP && level != SOL_IPV6) || (option != IPT_SO_SET_REPLACE && !arp) || ubc_dormant())
		return 0;
	slot = ubc_current();
	if (slot == UBC_NOBODY)
		return 0;
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	table = (void *)UBC_ARGUMENT(regs);
	/* Another way in (io_uring, a 32-bit caller), or memory that is not there
	 * yet: as much as can be, which only a container without limit may. */
	if (UBC_CALL(regs) != UBC_SETSOCKOPT || bpf_probe_read_user(&entries, sizeof(entries), table + AT_ENTRIES) ||
	    bpf_probe_read_user(&counters, sizeof(counters), table + (arp ? AT_COUNTERS_ARP : AT_COUNTERS)))
		return ubc_refuses(slot, UBC_NUMIPTENT, 0x7fffffff) ? -ENOMEM : 0;
	return ubc_change_begins(slot, (s64)entries - counters) ? -ENOMEM : 0;
}

/* The end of setsockopt(2). */
#if defined(__TARGET_ARCH_arm64)
SEC("fexit/__arm64_sys_setsockopt")
#elif defined(__TARGET_ARCH_x86)
SEC("fexit/__x64_sys_setsockopt")
#else
SEC("?fexit/__sys_setsockopt")
#endif
int BPF_PROG(ubc_setsockopt_over)
{
	if (!ubc_dormant())
		ubc_change_over();
	return 0;
}

/* Done, and it cannot fail any more. */
SEC("?fexit/xt_replace_table")
int BPF_PROG(ubc_table_replaced, void *table, unsigned int counters, struct xt_table_info *made, int *error,
	     struct xt_table_info *replaced)
{
	u64 key = UBC_KEY(table, UBC_OBJECT);
	u32 slot = ubc_current();
	struct ubc_object record = { .amount = 0, .slot = slot, .resource = UBC_NUMIPTENT };
	struct ubc_object *known;
	s64 grown, had, room;

	if (!replaced || ubc_dormant())
		return 0;
	had = BPF_CORE_READ(replaced, number);
	grown = (s64)BPF_CORE_READ(made, number) - had;
	known = bpf_map_lookup_elem(&ubc_objects, &key);
	/* A table is registered by replacing nothing. */
	if (!had || (!known && (slot == UBC_NOBODY || grown <= 0)))
		return 0;
	if (!known) {
		if (bpf_map_update_elem(&ubc_objects, &key, &record, BPF_NOEXIST)) {
			ubc_fault(UBC_FAULT_OBJECTS_FULL);
			return 0;
		}
		known = bpf_map_lookup_elem(&ubc_objects, &key);
		if (!known)
			return 0;
	}
	/* One pays for a table's rules: who brought the first. Another's are his
	 * own matter. */
	if (!known->amount && slot != UBC_NOBODY)
		known->slot = slot;
	if (grown > 0 && known->slot != slot)
		return 0;
	if (grown < -known->amount)
		grown = -known->amount;
	/* Taken over between the replacement and this: recorded with its growth. */
	room = ubc_rules_of(made) - known->amount;
	if (grown > room)
		grown = room;
	__sync_fetch_and_add(&known->amount, grown);
	if (known->slot == slot)
		ubc_change_made(slot, grown);
	else
		ubc_uncharge(known->slot, UBC_NUMIPTENT, -grown);
	return 0;
}

SEC("?fentry/xt_unregister_table")
int BPF_PROG(ubc_table_gone, void *table)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(table, UBC_OBJECT));
	return 0;
}

#endif
