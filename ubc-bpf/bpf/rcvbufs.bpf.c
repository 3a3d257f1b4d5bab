/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tcprcvbuf and dgramrcvbuf: what waits in sockets for its reader.
 *
 * Refused as in OpenVZ: the packet is dropped where it reaches the socket. A
 * datagram is lost; a segment comes again until there is room for it. Both are
 * charged before that (sk_buff.truesize), and counted as the kernel counts them
 * (sk_rmem_alloc) afterwards.
 */
#include "bytes.h"
#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

enum {
	SOCK_DGRAM = 2,
	SOCK_RAW = 3,
	TCP_LISTEN = 10,
	/* A segment as large as they get, and what it takes to hold it. */
	LARGEST_SEGMENT = 131072,
};

/* The datagram that this processor is about to queue. */
struct ubc_arrival {
	u64 sk;
	s64 bytes;
	u32 slot;
	u32 padding;
};

struct {
	__uint(type, UBC_MAP_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ubc_arrival);
} ubc_arrivals SEC(".maps");

static __always_inline s64 received(const struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
}

/* What a datagram that did not get into its queue was charged. */
static __always_inline void forget(struct ubc_arrival *arrival)
{
	s64 bytes = arrival->bytes;

	arrival->bytes = 0;
	if (bytes)
		ubc_uncharge(arrival->slot, UBC_DGRAMRCVBUF, bytes);
}

static __always_inline int datagram(struct sock *sk, struct sk_buff *skb, u32 slot)
{
	s64 bytes = BPF_CORE_READ(skb, truesize);
	struct ubc_arrival *arrival;
	u32 zero = 0;

	arrival = bpf_map_lookup_elem(&ubc_arrivals, &zero);
	if (!arrival)
		return 0;
	forget(arrival);
	if (ubc_charge(slot, UBC_DGRAMRCVBUF, bytes, UBC_HARD))
		return -ENOMEM;
	arrival->sk = (u64)sk;
	arrival->slot = slot;
	arrival->bytes = bytes;
	return 0;
}

/*
 * Up to the limit for a socket whose reader has nothing to read, up to the
 * barrier for others, so that the room between the two keeps everybody going. A
 * segment behind a gap must leave room for one that fills it: else it would wait
 * for room that it takes itself.
 */
static __always_inline int segment(struct sock *sk, struct sk_buff *skb, u32 slot)
{
	struct ubc_object record = { .slot = slot, .resource = UBC_TCPRCVBUF };
	u8 *header = BPF_CORE_READ(skb, data);
	struct ubc_object *known;
	u32 words[4] = {}, severity = UBC_HARD, ahead, length;
	u64 key = UBC_KEY(sk, UBC_SOCKET_RECEIVED);
	s64 bytes;

	/* Ports, sequence number, acknowledged number, offset and flags. */
	if (bpf_probe_read_kernel(words, sizeof(words), header))
		return 0;
	length = BPF_CORE_READ(skb, len) - (((u8 *)words)[12] >> 4) * 4;
	if ((s32)length <= 0)
		return 0;
	ahead = bpf_ntohl(words[1]) - BPF_CORE_READ((struct tcp_sock *)sk, rcv_nxt);
	bytes = BPF_CORE_READ(skb, truesize);
	if ((s32)ahead > 0) {
		if (ubc_refuses(slot, UBC_TCPRCVBUF, bytes + LARGEST_SEGMENT))
			return -ENOMEM;
	} else if (!BPF_CORE_READ(sk, sk_receive_queue.qlen)) {
		severity = UBC_SOFT;
	}
	if (ubc_charge(slot, UBC_TCPRCVBUF, bytes, severity))
		return -ENOMEM;
	/* It may wait for the socket's user to leave. Until somebody looks again
	 * it is taken to be in the queue. */
	record.amount = 0;
	bpf_map_update_elem(&ubc_objects, &key, &record, BPF_NOEXIST);
	known = bpf_map_lookup_elem(&ubc_objects, &key);
	if (known)
		__sync_fetch_and_add(&known->amount, bytes);
	else
		ubc_uncharge(slot, UBC_TCPRCVBUF, bytes);
	return 0;
}

SEC("fmod_ret/security_sock_rcv_skb")
int BPF_PROG(ubc_packet_arrives, struct sock *sk, struct sk_buff *skb)
{
	struct ubc_object *owner;
	u32 type;

	if (!ubc_is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)) || ubc_dormant())
		return 0;
	owner = ubc_socket_owner(sk);
	if (!owner)
		return 0;
	if (BPF_CORE_READ(sk, sk_protocol) == UBC_PROTO_TCP) {
		if (BPF_CORE_READ(sk, __sk_common.skc_state) == TCP_LISTEN)
			return 0;
		return segment(sk, skb, owner->slot);
	}
	type = BPF_CORE_READ(sk, sk_type);
	if (type != SOCK_DGRAM && type != SOCK_RAW)
		return 0;
	return datagram(sk, skb, owner->slot);
}

/* The datagram is in the queue, or not. */
static __always_inline void queued(struct sock *sk)
{
	struct ubc_object *owner;
	struct ubc_arrival *arrival;
	u32 zero = 0;
	s64 reserved = 0;

	if (ubc_dormant() || !ubc_is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)))
		return;
	owner = ubc_socket_record(sk);
	if (!owner)
		return;
	arrival = bpf_map_lookup_elem(&ubc_arrivals, &zero);
	if (arrival && arrival->bytes && arrival->sk == (u64)sk) {
		reserved = arrival->bytes;
		arrival->bytes = 0;
	}
	ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_RECEIVED), owner->slot, UBC_DGRAMRCVBUF, received(sk), reserved);
}

SEC("fexit/__udp_enqueue_schedule_skb")
int BPF_PROG(ubc_udp_queued, struct sock *sk)
{
	queued(sk);
	return 0;
}

SEC("fexit/sock_queue_rcv_skb_reason")
int BPF_PROG(ubc_raw_queued, struct sock *sk)
{
	queued(sk);
	return 0;
}

/* The end of a packet's way up: what was not queued was dropped. */
static __always_inline void over(void)
{
	struct ubc_arrival *arrival;
	u32 zero = 0;

	if (ubc_dormant())
		return;
	arrival = bpf_map_lookup_elem(&ubc_arrivals, &zero);
	if (arrival && arrival->bytes)
		forget(arrival);
}

SEC("fexit/udp_rcv")
int BPF_PROG(ubc_udp_over)
{
	over();
	return 0;
}

SEC("?fexit/udpv6_rcv")
int BPF_PROG(ubc_udpv6_over)
{
	over();
	return 0;
}

/* Readers. UDP gives back many datagrams at once, others each. */
static __always_inline int read_by_user(struct sock *sk)
{
	if (!ubc_dormant())
		ubc_bytes_left(UBC_KEY(sk, UBC_SOCKET_RECEIVED), received(sk));
	return 0;
}

SEC("fexit/udp_recvmsg")
int BPF_PROG(ubc_udp_read, struct sock *sk)
{
	return read_by_user(sk);
}

SEC("?fexit/udpv6_recvmsg")
int BPF_PROG(ubc_udpv6_read, struct sock *sk)
{
	return read_by_user(sk);
}

/* Datagrams with a wrong checksum, found by poll(2) or FIONREAD. */
SEC("?fexit/first_packet_length")
int BPF_PROG(ubc_udp_looked, struct sock *sk)
{
	return read_by_user(sk);
}

SEC("fexit/sock_rfree")
int BPF_PROG(ubc_packet_read, struct sk_buff *skb)
{
	struct sock *sk = skb->sk;

	if (!sk || ubc_is_tcp(sk) || BPF_CORE_READ(sk, __sk_common.skc_family) == UBC_AF_NETLINK)
		return 0;
	return read_by_user(sk);
}

/* Packet sockets ask nobody: counted, not refused. */
SEC("fentry/sock_def_readable")
int BPF_PROG(ubc_frame_queued, struct sock *sk)
{
	struct ubc_object *owner;

	if (BPF_CORE_READ(sk, __sk_common.skc_family) != UBC_AF_PACKET || ubc_dormant())
		return 0;
	owner = ubc_socket_record(sk);
	if (owner)
		ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_RECEIVED), owner->slot, UBC_DGRAMRCVBUF, received(sk), 0);
	return 0;
}

static __always_inline int look(struct sock *sk)
{
	struct ubc_object *owner;

	if (ubc_dormant())
		return 0;
	owner = ubc_socket_owner(sk);
	if (owner)
		ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_RECEIVED), owner->slot, UBC_TCPRCVBUF, received(sk), 0);
	return 0;
}

/* A segment was worked on. If somebody uses the socket he looks. */
SEC("fexit/tcp_rcv_established")
int BPF_PROG(ubc_segment_over, struct sock *sk)
{
	return ubc_is_in_use(sk) ? 0 : look(sk);
}

SEC("fexit/tcp_rcv_state_process")
int BPF_PROG(ubc_segment_changed, struct sock *sk)
{
	return ubc_is_in_use(sk) ? 0 : look(sk);
}

/* Somebody has used a TCP socket, and what came meanwhile is worked on. */
SEC("fentry/tcp_release_cb")
int BPF_PROG(ubc_tcp_released, struct sock *sk)
{
	return look(sk);
}

/* What waits already when a container is taken over. */
SEC("iter/task_file")
int ubc_received_seed(struct bpf_iter__task_file *context)
{
	struct file *file = context->file;
	struct ubc_object *owner;
	struct sock *sk;
	u16 family;

	if (!file || ubc_dormant())
		return 0;
	sk = ubc_socket_of(file);
	owner = ubc_bytes_before(sk);
	if (!owner || ubc_is_tcp(sk))
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	if (ubc_is_inet(family) || family == UBC_AF_PACKET)
		ubc_bytes_are(UBC_KEY(sk, UBC_SOCKET_RECEIVED), owner->slot, UBC_DGRAMRCVBUF, received(sk), 0);
	return 0;
}

/* The same in each network of the container's tasks, with the socket locked. */
SEC("?iter/tcp")
int ubc_received_seed_network(struct bpf_iter__tcp *context)
{
	struct tcp_sock *tp = ubc_connection(context);

	return tp ? look((struct sock *)tp) : 0;
}
