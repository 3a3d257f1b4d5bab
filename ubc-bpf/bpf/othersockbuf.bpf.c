/* SPDX-License-Identifier: GPL-2.0 */
/*
 * othersockbuf: what was sent and is not gone yet, and what netlink sockets have
 * to read. Counted, not refused.
 *
 * OpenVZ lets the sender wait for room. Where these sockets send no program is
 * asked that could make the kernel do so: none may sleep, or change the size of
 * a buffer there. A refusal would be an errno that a blocking sender does not
 * expect, and one that does not block would spin, or never be woken.
 */
#include "bytes.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline s64 sent(const struct sock *sk)
{
	/* One is the socket's own. */
	return BPF_CORE_READ(sk, sk_wmem_alloc.refs.counter) - 1;
}

static __always_inline int look_other(struct sock *sk)
{
	struct ubc_object *owner;

	if (ubc_dormant() || ubc_is_tcp(sk))
		return 0;
	owner = ubc_socket_record(sk);
	if (owner)
		ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_SENT), owner->slot, UBC_OTHERSOCKBUF, sent(sk), 0);
	return 0;
}

SEC("fexit/sock_alloc_send_pskb")
int BPF_PROG(ubc_message_made, struct sock *sk)
{
	return look_other(sk);
}

SEC("fexit/sock_wmalloc")
int BPF_PROG(ubc_message_begun, struct sock *sk)
{
	return look_other(sk);
}

/* The socket may be gone with its last message, and then its record is. */
SEC("fexit/sock_wfree")
int BPF_PROG(ubc_message_gone, struct sk_buff *skb)
{
	struct sock *sk = BPF_CORE_READ(skb, sk);

	if (sk && !ubc_dormant() && !ubc_is_tcp(sk))
		ubc_bytes_left(UBC_KEY(sk, UBC_SOCKET_SENT), sent(sk));
	return 0;
}

/* Answers of the kernel, and what others send: in the reader's queue. */
SEC("fentry/sock_def_readable")
int BPF_PROG(ubc_netlink_queued, struct sock *sk)
{
	struct ubc_object *owner;

	if (BPF_CORE_READ(sk, __sk_common.skc_family) != UBC_AF_NETLINK || ubc_dormant())
		return 0;
	owner = ubc_socket_record(sk);
	if (owner)
		ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_SENT), owner->slot, UBC_OTHERSOCKBUF,
			      BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter), 0);
	return 0;
}

SEC("fexit/sock_rfree")
int BPF_PROG(ubc_netlink_read, struct sk_buff *skb)
{
	struct sock *sk = BPF_CORE_READ(skb, sk);

	if (!sk || BPF_CORE_READ(sk, __sk_common.skc_family) != UBC_AF_NETLINK || ubc_dormant())
		return 0;
	return ubc_bytes_left(UBC_KEY(sk, UBC_SOCKET_SENT), BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter));
}

/* What is under way already when a container is taken over. */
SEC("iter/task_file")
int ubc_sent_seed(struct bpf_iter__task_file *context)
{
	struct file *file = context->file;
	struct ubc_object *owner;
	struct sock *sk;
	s64 bytes;

	if (!file || ubc_dormant())
		return 0;
	sk = ubc_socket_of(file);
	owner = ubc_bytes_before(sk);
	if (!owner || ubc_is_tcp(sk))
		return 0;
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == UBC_AF_NETLINK)
		bytes = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
	else
		bytes = sent(sk);
	ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_SENT), owner->slot, UBC_OTHERSOCKBUF, bytes, 0);
	return 0;
}
