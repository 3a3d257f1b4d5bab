/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tcpsndbuf: who sends waits for room.
 *
 * The kernel has all that is needed to wait: a sender sleeps, gets EAGAIN or is
 * not writable to poll(2) while its socket has sk_sndbuf bytes queued, and is
 * woken when enough of them is acknowledged. A program of the type sockops may
 * set sk_sndbuf (bpf_setsockopt), and the kernel runs one where a sender starts
 * and where it goes on after a wait: it asks how long the TCP header will be
 * (tcp_send_mss, BPF_SOCK_OPS_HDR_OPT_LEN_CB), with the socket locked.
 *
 * There what the call can queue at most is charged, HARD. If it does not fit,
 * sk_sndbuf is made what does. When the call ends or waits, what is really
 * queued is charged (tcpsent.h).
 *
 * A socket that has nothing queued may always send one segment: its
 * acknowledgement is what wakes the sender for the next. The segment a sender
 * has begun may be filled. Both are charged by FORCE.
 */
#include "tcpsent.h"
#include "room.h"

char LICENSE[] SEC("license") = "GPL";

/* include/uapi/linux/bpf.h, asm-generic/socket.h, include/net/sock.h, net/tcp.h */
enum {
	ACTIVE_ESTABLISHED = 4,
	PASSIVE_ESTABLISHED = 5,
	HDR_OPT_LEN = 14,
	TCP_CURRENT_MSS = 1,
	SOL_TCP = 6,
	TCP_BPF_SOCK_OPS_CB_FLAGS = 1008,
	WRITE_HDR_OPT_FLAG = 1 << 6,
	SOL_SOCKET = 1,
	SO_SNDBUF = 7,
	SOCK_SNDBUF_LOCK = 1,
	TCP_INIT_CWND = 10,
};

/* More than the kernel takes for a segment besides its bytes (SKB_TRUESIZE of a
 * header's room), and for a packet of a segment (tcp_sndbuf_expand). */
#define SEGMENT 4096
#define PACKET 1024
/* More than any socket may have queued. */
#define MOST (1 << 30)

/* include/uapi/linux/bpf.h; what we read of it. */
struct bpf_sock;

struct bpf_sock_ops {
	u32 op;
	u32 args[4];
	u32 family;
	u32 remote_ip4;
	u32 local_ip4;
	u32 remote_ip6[4];
	u32 local_ip6[4];
	u32 remote_port;
	u32 local_port;
	u32 is_fullsock;
	u32 snd_cwnd;
	u32 srtt_us;
	u32 bpf_sock_ops_cb_flags;
	u32 state;
	u32 rtt_min;
	u32 snd_ssthresh;
	u32 rcv_nxt;
	u32 snd_nxt;
	u32 snd_una;
	u32 mss_cache;
	u32 ecn_flags;
	u32 rate_delivered;
	u32 rate_interval_us;
	u32 packets_out;
	u32 retrans_out;
	u32 total_retrans;
	u32 segs_in;
	u32 data_segs_in;
	u32 segs_out;
	u32 data_segs_out;
	u32 lost_out;
	u32 sacked_out;
	u32 sk_txhash;
	u64 bytes_received;
	u64 bytes_acked;
	struct bpf_sock *sk;
};

/* A socket of a container. Changed under the socket's lock only. */
struct ubc_sender {
	u64 asked; /* bytes that the calls under way want to send */
	u32 calls; /* under way, waiting ones included */
	u32 full; /* 1 + slot of the container without room; 0: there is some */
	s32 own; /* sk_sndbuf as it would be without us */
	s32 set; /* sk_sndbuf as we left it; 0: we never touched it */
	s32 tried; /* what we set it to; the kernel may have made it less */
	u32 fixed; /* the owner of the socket chose sk_sndbuf */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct ubc_sender);
} ubc_senders SEC(".maps");

static __always_inline s64 larger(s64 one, s64 other)
{
	return one > other ? one : other;
}

static __always_inline s64 smaller(s64 one, s64 other)
{
	return one < other ? one : other;
}

/* The largest segment that the socket's sender fills (tcp_xmit_size_goal). It is
 * less while the peer's window is small, which does not last. */
static __always_inline s64 segment_of(struct tcp_sock *tp)
{
	return larger(BPF_CORE_READ((struct sock *)tp, sk_gso_max_size), BPF_CORE_READ(tp, mss_cache));
}

/* How far the segment that was begun last may still grow. */
static __always_inline s64 open_segment(struct sock *sk, s64 segment)
{
	if (!BPF_CORE_READ(sk, sk_write_queue.qlen))
		return 0;
	return larger(segment - BPF_CORE_READ(sk, sk_write_queue.prev, len), 0);
}

/* sk_sndbuf without us: as it was, and grown as the kernel would have grown it,
 * which it does not for a size that was set (tcp_sndbuf_expand). */
static __always_inline s64 own_size(struct ubc_sender *sender, struct tcp_sock *tp, s64 now)
{
	s64 packets, grown;

	if (!sender->set || sender->set != now) {
		sender->set = 0;
		sender->own = now;
		sender->fixed = BPF_CORE_READ_BITFIELD_PROBED((struct sock *)tp, sk_userlocks) & SOCK_SNDBUF_LOCK;
		return now;
	}
	if (sender->fixed)
		return sender->own;
	packets = larger(BPF_CORE_READ(tp, snd_cwnd), BPF_CORE_READ(tp, reordering) + 1);
	packets = larger(packets, TCP_INIT_CWND);
	grown = 2 * packets * (BPF_CORE_READ(tp, mss_cache) + PACKET);
	return larger(sender->own, smaller(grown, MOST));
}

static __always_inline void set_size(struct bpf_sock_ops *context, struct ubc_sender *sender,
				     struct sock *sk, s64 size)
{
	int half = (u64)size >> 1;

	if (sender->set && sender->tried == (s32)size)
		return;
	/* The kernel doubles it, and wakes senders if it has grown. */
	if (bpf_setsockopt(context, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half)))
		return;
	sender->tried = size;
	sender->set = BPF_CORE_READ(sk, sk_sndbuf);
}

/* What a call can have queued when it ends or waits: `most` is sk_sndbuf. Where it
 * begins a segment there must be room for all of it: who sends next fills it. */
static __always_inline s64 reach(s64 most, s64 queued, s64 segment, s64 begun, s64 asked)
{
	s64 full = queued + begun;

	if (asked <= begun)
		return queued + asked;
	if (most > queued)
		full = larger(full, most + segment + SEGMENT);
	return smaller(full, queued + asked + segment + ((u64)asked / ((u64)segment / 2 + 1) + 2) * SEGMENT);
}

static __always_inline void steer(struct bpf_sock_ops *context, struct ubc_sender *sender,
				  struct tcp_sock *tp)
{
	struct sock *sk = (struct sock *)tp;
	u64 key = UBC_KEY(tp, UBC_SOCKET_SENT);
	struct ubc_object *owner = ubc_socket_record(tp);
	s64 queued, own, size, segment, begun, asked, charged, wanted, room;
	struct ubc_object *known;
	u32 slot, tightest = 0;

	sender->full = 0;
	if (!owner)
		return;
	slot = owner->slot;
	room = ubc_room(slot, UBC_TCPSNDBUF, &tightest);
	if (room == UBC_ROOM_UNLIMITED && !sender->set)
		return;
	own = own_size(sender, tp, BPF_CORE_READ(sk, sk_sndbuf));
	if (room == UBC_ROOM_UNLIMITED) {
		if (sender->set)
			set_size(context, sender, sk, own);
		return;
	}
	known = bpf_map_lookup_elem(&ubc_objects, &key);
	charged = known ? known->amount : 0;
	queued = BPF_CORE_READ(sk, sk_wmem_queued);
	segment = segment_of(tp);
	begun = open_segment(sk, segment);
	asked = smaller(sender->asked & 0x7fffffffffffffffULL, MOST);
	wanted = reach(own, queued, segment, begun, asked);
	if (wanted <= charged)
		wanted = charged;
	else if (ubc_fit(slot, UBC_TCPSNDBUF, wanted - charged))
		goto refused;
	ubc_reserve(key, slot, UBC_TCPSNDBUF, wanted, wanted - charged);
	if (sender->set)
		set_size(context, sender, sk, own);
	return;

refused:
	sender->full = tightest + 1;
	size = smaller(charged + room - segment - SEGMENT, own);
	if (size > queued) {
		wanted = larger(reach(size, queued, segment, begun, asked), charged);
		if (!ubc_fit(slot, UBC_TCPSNDBUF, wanted - charged)) {
			ubc_reserve(key, slot, UBC_TCPSNDBUF, wanted, wanted - charged);
			set_size(context, sender, sk, size);
			return;
		}
	}
	/* No room, or another socket was faster. */
	set_size(context, sender, sk, queued);
	wanted = reach(BPF_CORE_READ(sk, sk_sndbuf), queued, segment, begun, asked);
	/* The kernel's least is above what is queued: one segment. */
	wanted = smaller(wanted, queued + larger(begun, segment + SEGMENT));
	if (wanted > charged)
		ubc_reserve(key, slot, UBC_TCPSNDBUF, wanted, 0);
}

/* MPTCP has a buffer of its own above this one. */
static __always_inline bool has_own_buffer(struct tcp_sock *tp)
{
	return bpf_core_field_exists(tp->is_mptcp) && BPF_CORE_READ(tp, is_mptcp);
}

SEC("sockops")
int ubc_sender_steered(struct bpf_sock_ops *context)
{
	struct bpf_sock *socket = context->sk;
	struct ubc_sender *sender;
	struct tcp_sock *tp;
	u32 op = context->op;

	if (op == HDR_OPT_LEN) {
		/* Not for a packet that is sent, but for a sender. */
		if (context->args[0] != TCP_CURRENT_MSS)
			return 1;
	} else if (op != ACTIVE_ESTABLISHED && op != PASSIVE_ESTABLISHED) {
		return 1;
	}
	if (!socket || ubc_dormant())
		return 1;
	tp = bpf_skc_to_tcp_sock(socket);
	if (!tp)
		return 1;
	if (op == HDR_OPT_LEN) {
		sender = bpf_sk_storage_get(&ubc_senders, socket, 0, 0);
		if (sender && sender->calls && ubc_is_in_use((struct sock *)tp))
			steer(context, sender, tp);
		return 1;
	}
	if (has_own_buffer(tp) || !ubc_socket_record(tp))
		return 1;
	if (bpf_sk_storage_get(&ubc_senders, socket, 0, BPF_LOCAL_STORAGE_GET_F_CREATE))
		bpf_sock_ops_cb_flags_set(context, context->bpf_sock_ops_cb_flags | WRITE_HDR_OPT_FLAG);
	else
		ubc_fault(UBC_FAULT_STORAGE);
	return 1;
}

static __always_inline int begins(struct sock *sk, u64 size)
{
	struct ubc_sender *sender = bpf_sk_storage_get(&ubc_senders, sk, 0, 0);

	if (!sender || ubc_dormant())
		return 0;
	if (!sender->calls)
		sender->full = 0;
	if (!sender->calls || sender->asked < size)
		sender->asked = size;
	sender->calls++;
	return 0;
}

static __always_inline int ends(struct sock *sk)
{
	struct ubc_sender *sender = bpf_sk_storage_get(&ubc_senders, sk, 0, 0);

	if (sender && sender->calls && !ubc_dormant())
		sender->calls--;
	return 0;
}

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(ubc_send_begins, struct sock *sk, void *message, u64 size)
{
	return begins(sk, size);
}

SEC("fexit/tcp_sendmsg_locked")
int BPF_PROG(ubc_send_ends, struct sock *sk)
{
	return ends(sk);
}

/* Until Linux 6.4: sendfile(2) and splice(2). */
SEC("?fentry/do_tcp_sendpages")
int BPF_PROG(ubc_splice_begins, struct sock *sk, void *page, int offset, u64 size)
{
	return begins(sk, size);
}

SEC("?fexit/do_tcp_sendpages")
int BPF_PROG(ubc_splice_ends, struct sock *sk)
{
	return ends(sk);
}

/* A sender has to wait, or is told EAGAIN. */
SEC("fentry/sk_stream_wait_memory")
int BPF_PROG(ubc_sender_waits, struct sock *sk)
{
	struct ubc_sender *sender = bpf_sk_storage_get(&ubc_senders, sk, 0, 0);

	if (sender && sender->calls && sender->full && !ubc_dormant())
		ubc_refused(sender->full - 1, UBC_TCPSNDBUF, sender->asked, UBC_HARD);
	return 0;
}

/*
 * Connections from before their container was taken over, in each network of its
 * tasks, with the socket locked. Whoever waits already is woken by the kernel as it
 * would have been, and steered at the next call.
 *
 * Before Linux 6.12 only programs of the type sockops may ask to be run for a socket,
 * and none is run for one that is connected: these sockets are counted then, and not
 * held up.
 */
SEC("?iter/tcp")
int ubc_senders_seed_network(struct bpf_iter__tcp *context)
{
	struct tcp_sock *tp = ubc_connection(context);
	struct ubc_object *owner;
	int flags;

	if (!tp || ubc_dormant() || has_own_buffer(tp))
		return 0;
	owner = ubc_socket_record(tp);
	if (!owner || !ubc_arrives(owner->slot))
		return 0;
	flags = BPF_CORE_READ(tp, bpf_sock_ops_cb_flags) | WRITE_HDR_OPT_FLAG;
	if (bpf_setsockopt(tp, SOL_TCP, TCP_BPF_SOCK_OPS_CB_FLAGS, &flags, sizeof(flags)))
		return 0;
	if (!bpf_sk_storage_get(&ubc_senders, tp, 0, BPF_LOCAL_STORAGE_GET_F_CREATE))
		ubc_fault(UBC_FAULT_STORAGE);
	return 0;
}
