/* SPDX-License-Identifier: GPL-2.0 */
/*
 * numtcpsock and numothersock: sockets that users made, from socket(2), or
 * from the packet that made a connection's, until nothing of them is left.
 *
 * A TCP connection's socket is made in an interrupt, by cloning the listener.
 * It is charged to whom the listener is charged to, before it is allocated: the
 * one place where the kernel lets us refuse. The peer believes in its
 * connection by then, so a full container drops the first packet (SYN) too.
 * Nothing is held for a half-open connection, so that a flood of them takes
 * nothing from the container.
 *
 * The kernel skips a program that interrupted itself. Whatever may not be
 * missed is therefore looked at in two places by two programs.
 */
#include "net.h"
#include "sockets_found.h"

char LICENSE[] SEC("license") = "GPL";

/* The listener whose clone is being made on this processor; interrupts of this
 * kind do not interrupt each other. */
struct {
	__uint(type, UBC_MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u64);
} ubc_cloning SEC(".maps");

/* socket(2), socketpair(2). */
SEC("fmod_ret/security_socket_post_create")
int BPF_PROG(ubc_socket_made, struct socket *socket, int family, int type, int protocol, int kern)
{
	u32 slot, resource;
	struct sock *sk;

	if (kern || ubc_dormant())
		return 0;
	slot = ubc_current();
	sk = socket->sk;
	if (slot == UBC_NOBODY || !sk)
		return 0;
	resource = ubc_is_inet(family) && type == UBC_SOCK_STREAM ? UBC_NUMTCPSOCK : UBC_NUMOTHERSOCK;
	if (!ubc_take(UBC_KEY(sk, UBC_SOCKET), slot, resource, 1, UBC_HARD))
		return 0;
	return ubc_is_inet(family) ? -ENOBUFS : -ENOMEM;
}

/* connect(2) to a Unix socket makes the socket that accept(2) will return. */
SEC("fmod_ret/security_unix_stream_connect")
int BPF_PROG(ubc_unix_connect, struct sock *sk, struct sock *listener, struct sock *child)
{
	struct ubc_object *owner;

	if (ubc_dormant())
		return 0;
	owner = ubc_socket_record(listener);
	if (!owner)
		return 0;
	return ubc_take(UBC_KEY(child, UBC_SOCKET), owner->slot, UBC_NUMOTHERSOCK, 1, UBC_HARD) ? -ENOMEM : 0;
}

/* A SYN, or the answer to a SYN cookie. */
SEC("fmod_ret/security_inet_conn_request")
int BPF_PROG(ubc_connection_asked, const struct sock *listener)
{
	struct ubc_object *owner;

	if (ubc_dormant())
		return 0;
	owner = ubc_socket_owner(listener);
	if (!owner || owner->resource != UBC_NUMTCPSOCK)
		return 0;
	return ubc_refuses(owner->slot, UBC_NUMTCPSOCK, 1) ? -ENOBUFS : 0;
}

SEC("fentry/inet_csk_clone_lock")
int BPF_PROG(ubc_socket_cloning, const struct sock *listener)
{
	u64 address = (u64)listener;
	u32 zero = 0;

	if (!ubc_dormant())
		bpf_map_update_elem(&ubc_cloning, &zero, &address, BPF_ANY);
	return 0;
}

/* Every socket: before it is anything. Only clones are charged here. */
SEC("fmod_ret/security_sk_alloc")
int BPF_PROG(ubc_socket_alloc, struct sock *sk)
{
	struct ubc_object *owner;
	u32 zero = 0;
	u64 *listener;

	if (ubc_dormant())
		return 0;
	listener = bpf_map_lookup_elem(&ubc_cloning, &zero);
	if (!listener || !*listener)
		return 0;
	owner = ubc_socket_owner((void *)*listener);
	if (!owner)
		return 0;
	return ubc_take(UBC_KEY(sk, UBC_SOCKET), owner->slot, owner->resource, 1, UBC_HARD) ? -ENOMEM : 0;
}

SEC("fexit/inet_csk_clone_lock")
int BPF_PROG(ubc_socket_cloned, const struct sock *listener, const struct request_sock *request,
	     unsigned int priority, struct sock *sk)
{
	struct ubc_object *owner;
	u64 nobody = 0;
	u32 zero = 0;

	bpf_map_update_elem(&ubc_cloning, &zero, &nobody, BPF_ANY);
	if (!sk || ubc_dormant() || ubc_socket_record(sk))
		return 0;
	/* The program above was skipped: it had interrupted itself. */
	owner = ubc_socket_owner(listener);
	if (owner)
		ubc_take(UBC_KEY(sk, UBC_SOCKET), owner->slot, owner->resource, 1, UBC_FORCE);
	return 0;
}

/* accept(2) of families that make the socket only there, without asking
 * anybody: counted, so that the next socket(2) is refused. */
SEC("fentry/security_sock_graft")
int BPF_PROG(ubc_socket_accepted, struct sock *sk, struct socket *socket)
{
	int family, protocol;
	u32 slot, resource;

	if (ubc_dormant() || !sk)
		return 0;
	family = sk->__sk_common.skc_family;
	protocol = sk->sk_protocol;
	if (family == UBC_AF_UNIX ||
	    (ubc_is_inet(family) && (protocol == UBC_PROTO_TCP || protocol == UBC_PROTO_MPTCP)))
		return 0;
	slot = ubc_current();
	if (slot == UBC_NOBODY || ubc_socket_record(sk))
		return 0;
	resource = ubc_is_inet(family) && sk->sk_type == UBC_SOCK_STREAM ? UBC_NUMTCPSOCK :
											  UBC_NUMOTHERSOCK;
	ubc_take(UBC_KEY(sk, UBC_SOCKET), slot, resource, 1, UBC_FORCE);
	return 0;
}

/* The last reference. What is left to do waits for readers of other
 * processors, which is no longer the owner's. */
SEC("?fentry/sk_destruct")
int BPF_PROG(ubc_socket_unused, struct sock *sk)
{
	if (!ubc_dormant())
		ubc_give(UBC_KEY(sk, UBC_SOCKET));
	return 0;
}

/* Its buffers have nothing any more, whatever was not seen to leave them. One
 * program for all that is recorded of a socket: every socket of the machine ends
 * here. */
static __always_inline int ended(struct sock *sk)
{
	if (ubc_dormant())
		return 0;
	ubc_give(UBC_KEY(sk, UBC_SOCKET));
	ubc_give(UBC_KEY(sk, UBC_SOCKET_RECEIVED));
	ubc_give(UBC_KEY(sk, UBC_SOCKET_SENT));
	return 0;
}

SEC("fentry/bpf_sk_storage_free") int BPF_PROG(ubc_socket_destroyed, struct sock *sk) { return ended(sk); }
SEC("fentry/security_sk_free") int BPF_PROG(ubc_socket_freed, struct sock *sk) { return ended(sk); }
