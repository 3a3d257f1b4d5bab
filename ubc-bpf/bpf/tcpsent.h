/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * tcpsndbuf as the kernel counts it: what TCP sockets have queued that is not
 * acknowledged, looked at wherever it changes.
 */
#ifndef UBC_TCPSENT_H
#define UBC_TCPSENT_H

#include "bytes.h"

static __always_inline int look_tcp(struct sock *sk)
{
	struct ubc_object *owner;

	if (ubc_dormant())
		return 0;
	owner = ubc_socket_owner(sk);
	if (owner)
		ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_SENT), owner->slot, UBC_TCPSNDBUF,
			      sk->sk_wmem_queued, 0);
	return 0;
}

/* An acknowledgement was worked on. If somebody uses the socket he looks. */
SEC("fexit/tcp_rcv_established")
int BPF_PROG(ubc_segment_acknowledged, struct sock *sk)
{
	return ubc_is_in_use(sk) ? 0 : look_tcp(sk);
}

SEC("fexit/tcp_rcv_state_process")
int BPF_PROG(ubc_sender_changed, struct sock *sk)
{
	return ubc_is_in_use(sk) ? 0 : look_tcp(sk);
}

SEC("fentry/tcp_release_cb")
int BPF_PROG(ubc_sender_released, struct sock *sk)
{
	return look_tcp(sk);
}

/* What is queued already when a container is taken over: in each network of its
 * tasks, with the socket locked. */
SEC("?iter/tcp")
int ubc_sent_seed_network(struct bpf_iter__tcp *context)
{
	struct tcp_sock *tp = ubc_connection(context);

	return tp ? look_tcp((struct sock *)tp) : 0;
}

#endif
