/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * What our programs know of sockets, and who pays for one.
 */
#ifndef UBC_NET_H
#define UBC_NET_H

#include "objects.h"

/* include/linux/socket.h, include/linux/net.h, include/uapi/linux/in.h */
enum {
	UBC_AF_UNIX = 1,
	UBC_AF_INET = 2,
	UBC_AF_INET6 = 10,
	UBC_AF_NETLINK = 16,
	UBC_AF_PACKET = 17,
	UBC_SOCK_STREAM = 1,
	UBC_PROTO_TCP = 6,
	UBC_PROTO_MPTCP = 262,
};

/* include/uapi/linux/bpf.h */
enum { UBC_MAP_PERCPU_ARRAY = 6 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct request_sock;

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	atomic_t refs;
} refcount_t;

struct net;

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	possible_net_t skc_net;
	unsigned short skc_family;
	volatile unsigned char skc_state;
};

struct sk_buff;

struct sk_buff_head {
	struct sk_buff *next;
	struct sk_buff *prev;
	u32 qlen;
};

typedef struct {
	int owned;
} socket_lock_t;

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct sk_buff_head sk_receive_queue;
	struct {
		atomic_t rmem_alloc;
	} sk_backlog;
	int sk_wmem_queued;
	int sk_sndbuf;
	struct sk_buff_head sk_write_queue;
	refcount_t sk_wmem_alloc;
	u32 sk_gso_max_size;
	u8 sk_userlocks : 4;
	u8 sk_kern_sock : 1;
	u16 sk_type;
	u16 sk_protocol;
	struct sock_cgroup_data sk_cgrp_data;
};

struct socket {
	short type;
	struct sock *sk;
};

struct inet_connection_sock {
	void *icsk_ulp_data;
};

struct tcp_sock {
	u32 rcv_nxt;
	u32 mss_cache;
	u32 snd_cwnd;
	u32 reordering;
	u8 bpf_sock_ops_cb_flags;
	bool is_mptcp;
};

struct mptcp_subflow_context {
	struct sock *conn;
};

struct sk_buff {
	struct sock *sk;
	unsigned int len;
	u16 transport_header;
	unsigned char *head;
	unsigned char *data;
	unsigned int truesize;
};

struct bpf_iter_meta;

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	u32 fd;
	struct file *file;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

#pragma clang attribute pop

/*
 * What is recorded for a socket: itself, by UBC_OBJECT (numtcpsock or
 * numothersock), and its buffers' bytes as they were looked at last.
 */
enum {
	UBC_SOCKET = UBC_OBJECT,
	UBC_SOCKET_RECEIVED = UBC_OBJECT_SECOND,
	UBC_SOCKET_SENT = UBC_OBJECT_THIRD,
};

/* The socket behind an open file, or NULL. */
static __always_inline struct sock *ubc_socket_of(struct file *file)
{
	struct socket *socket = (struct socket *)bpf_sock_from_file(file);

	return socket ? BPF_CORE_READ(socket, sk) : NULL;
}

/* The socket that an iterator over TCP shows. What is left of one that has ended, and
 * what is none yet, is not. */
static __always_inline struct tcp_sock *ubc_connection(struct bpf_iter__tcp *context)
{
	struct sock_common *common = context->sk_common;

	return common ? bpf_skc_to_tcp_sock(common) : NULL;
}

static __always_inline bool ubc_is_inet(int family)
{
	return family == UBC_AF_INET || family == UBC_AF_INET6;
}

static __always_inline struct ubc_object *ubc_socket_record(const void *sk)
{
	u64 key = UBC_KEY(sk, UBC_SOCKET);

	return bpf_map_lookup_elem(&ubc_objects, &key);
}

/*
 * Who pays for what a socket brings forth. The TCP socket below a listening
 * MPTCP socket is the kernel's own and nobody's; the one above it counts.
 */
static __always_inline struct ubc_object *ubc_socket_owner(const void *socket)
{
	const struct sock *sk = socket;
	struct ubc_object *record = ubc_socket_record(sk);
	struct mptcp_subflow_context *subflow;

	if (record || !bpf_core_field_exists(struct tcp_sock, is_mptcp))
		return record;
	if (BPF_CORE_READ(sk, sk_protocol) != UBC_PROTO_TCP ||
	    !BPF_CORE_READ((const struct tcp_sock *)sk, is_mptcp))
		return NULL;
	subflow = BPF_CORE_READ((const struct inet_connection_sock *)sk, icsk_ulp_data);
	if (!subflow)
		return NULL;
	return ubc_socket_record(BPF_CORE_READ(subflow, conn));
}

/*
 * Whether a HARD charge of `amount` would be refused now; counted as a refusal
 * then. For gates in front of the place that charges: nothing is held by them.
 */
__attribute__((noinline)) int ubc_refuses(u32 slot, u32 resource, s64 amount)
{
	for (int level = 0; level < UBC_DEPTH; level++) {
		struct ubc_container *container = bpf_map_lookup_elem(&ubc_containers, &slot);
		struct ubc_counts *counts = bpf_map_lookup_elem(&ubc_counts, &slot);
		struct ubc_bound *bound;
		s64 most;

		if (!container || !counts)
			return 0;
		bound = &container->rows[UBC_ROW(resource)];
		most = bound->barrier < bound->limit ? bound->barrier : bound->limit;
		if (counts->rows[UBC_ROW(resource)].held > most - amount) {
			ubc_refused(slot, resource, amount, UBC_HARD);
			return 1;
		}
		slot = container->parent;
	}
	return 0;
}

#endif
