/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sockets that were there before their container was taken over: those that somebody
 * has open, and TCP connections that nobody has, because nobody has accepted them yet
 * or because they are not done with what was sent.
 */
#ifndef UBC_SOCKETS_FOUND_H
#define UBC_SOCKETS_FOUND_H

#include "net.h"

/* include/net/tcp_states.h */
enum { TCP_ESTABLISHED = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct unix_address;

struct unix_sock {
	struct sock sk;
	struct unix_address *addr;
};

#pragma clang attribute pop

/* Whether accept(2) returned it: it has its listener's name. A client that gave itself
 * one looks the same. */
static __always_inline bool is_accepted_unix(struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_family) == UBC_AF_UNIX &&
	       BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_ESTABLISHED &&
	       BPF_CORE_READ((struct unix_sock *)sk, addr);
}

static __always_inline void found(struct sock *sk, u32 slot)
{
	bool tcp = ubc_is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)) &&
		   BPF_CORE_READ(sk, sk_type) == UBC_SOCK_STREAM;

	if (slot != UBC_NOBODY)
		ubc_seed(UBC_KEY(sk, UBC_SOCKET), slot, tcp ? UBC_NUMTCPSOCK : UBC_NUMOTHERSOCK, 1);
}

/* Sockets remember the cgroup of who made them. One that was accepted from a Unix
 * socket was made by who connected, and is the listener's. */
SEC("iter/task_file")
int ubc_sockets_seed(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;
	struct sock *sk;
	u64 cgroup;

	if (!task || !file || ubc_dormant())
		return 0;
	sk = ubc_socket_of(file);
	if (!sk)
		return 0;
	if (is_accepted_unix(sk))
		cgroup = ubc_cgroup_of(task);
	else
		cgroup = BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
	found(sk, ubc_arriving(cgroup));
	return 0;
}

/* In each network of the container's tasks, with the socket locked. */
SEC("?iter/tcp")
int ubc_sockets_seed_network(struct bpf_iter__tcp *context)
{
	struct tcp_sock *tp = ubc_connection(context);
	struct sock *sk = (struct sock *)tp;

	if (!tp || ubc_dormant())
		return 0;
	/* The kernel's own and parts of an MPTCP socket are nobody's. */
	if (BPF_CORE_READ_BITFIELD_PROBED(sk, sk_kern_sock) ||
	    (bpf_core_field_exists(tp->is_mptcp) && BPF_CORE_READ(tp, is_mptcp)))
		return 0;
	found(sk, ubc_arriving(BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id)));
	return 0;
}

#endif
