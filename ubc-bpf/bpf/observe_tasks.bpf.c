/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One pass over the machine's tasks that counts what the containers asked for
 * hold. Nothing runs between two passes.
 *
 * The tables of descriptors are read directly and not by iter/task_file: that
 * one goes through every file of every process of the machine and cannot leave
 * one out, so that a container's reading would cost what its neighbours hold.
 *
 * A task may end, and its memory be used again, while it is looked at. What is
 * read then is void, which the task tells: it lets go of its pointer before it
 * lets go of what it points to. So a pointer is read again afterwards.
 */
#include "observe.h"

char LICENSE[] SEC("license") = "GPL";

/* include/uapi/linux/stat.h, magic.h, major.h; drivers/tty/pty.c */
#define S_IFMT 0170000
#define S_IFCHR 0020000
#define S_IFSOCK 0140000
#define SOCKFS_MAGIC 0x534F434B
#define PTMX (5 << 20 | 2)
/* include/linux/socket.h, net.h; include/uapi/linux/in.h */
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262

#define BITS 64

static __always_inline struct ubc_sight *sight_of(u32 slot)
{
	return bpf_map_lookup_elem(&ubc_sights, &slot);
}

static __always_inline struct ubc_place *place(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&ubc_place, &zero);
}

static __always_inline u64 bits(u64 word)
{
	word = word - ((word >> 1) & 0x5555555555555555ULL);
	word = (word & 0x3333333333333333ULL) + ((word >> 2) & 0x3333333333333333ULL);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (word * 0x0101010101010101ULL) >> 56;
}

/* Whether this is the first time in this pass that the container gets to an
 * object with several names. */
static __noinline int first_time(u64 object, u32 slot)
{
	struct ubc_shared key = { .object = object, .slot = slot };
	struct ubc_sight *sight = sight_of(slot);
	struct ubc_place *at = place();
	struct ubc_shared *listed;
	u8 here = 1;
	u32 last;
	int error; /* as in objects.h */

	if (!sight || !at)
		return 0;
	last = at->seen;
	listed = bpf_map_lookup_elem(&ubc_list, &last);
	if (!listed || sight->shared >= UBC_CONTAINER_SHARED) {
		sight->flags |= UBC_TOO_MANY;
		return 0;
	}
	error = bpf_map_update_elem(&ubc_seen, &key, &here, BPF_NOEXIST);
	if (error == -EEXIST)
		return 0;
	if (error) {
		sight->flags |= UBC_TOO_MANY;
		return 0;
	}
	*listed = key;
	at->seen = last + 1;
	sight->shared++;
	return 1;
}

/* Whether nothing but one descriptor of one table leads to a file. */
static __always_inline bool single(u64 file)
{
	struct file___referred *referred = (void *)file;
	struct file___counted *counted = (void *)file;

	if (bpf_core_field_exists(referred->f_ref.refcnt.counter))
		return BPF_CORE_READ(referred, f_ref.refcnt.counter) == 0;
	if (bpf_core_field_exists(counted->f_count.counter))
		return BPF_CORE_READ(counted, f_count.counter) == 1;
	return false;
}

static __always_inline void count_socket(struct ubc_sight *sight, struct file___seen *file)
{
	struct socket___seen *socket = BPF_CORE_READ(file, private_data);
	struct sock___seen *sk = BPF_CORE_READ(socket, sk);
	u16 family, type, protocol;
	s32 sent, received;

	if (!sk) {
		sight->other_sockets++;
		return;
	}
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	type = BPF_CORE_READ(sk, sk_type);
	protocol = BPF_CORE_READ(sk, sk_protocol);
	received = BPF_CORE_READ(sk, sk_backlog.rmem_alloc.counter);
	if (received < 0)
		received = 0;
	if ((family == AF_INET || family == AF_INET6) && type == SOCK_STREAM &&
	    (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP)) {
		sent = BPF_CORE_READ(sk, sk_wmem_queued);
		if (sent < 0)
			sent = 0;
		sight->tcp_sockets++;
		sight->tcp_send += sent;
		sight->tcp_receive += received;
	} else {
		/* The socket itself holds one. */
		sent = BPF_CORE_READ(sk, sk_wmem_alloc.refs.counter) - 1;
		if (sent < 0)
			sent = 0;
		sight->other_sockets++;
		sight->other_send += sent;
		sight->other_receive += received;
	}
}

static __always_inline bool is_empty(struct list_head___seen *list)
{
	return BPF_CORE_READ(list, next) == list;
}

static __noinline int count_file(u64 address, u32 slot)
{
	struct file___seen *file = (void *)address;
	struct ubc_sight *sight = sight_of(slot);
	struct file_lock_context___seen *locks;
	struct inode___seen *inode;
	u16 mode;

	if (!sight)
		return 0;
	if (!single(address) && !first_time(address, slot))
		return 0;
	sight->files++;
	inode = BPF_CORE_READ(file, f_inode);
	mode = BPF_CORE_READ(inode, i_mode) & S_IFMT;
	if (mode == S_IFCHR) {
		if (BPF_CORE_READ(inode, i_rdev) == PTMX)
			sight->ptys++;
	} else if (mode == S_IFSOCK) {
		/* A unix socket's name in a file system is no socket. */
		if (BPF_CORE_READ(inode, i_sb, s_magic) == SOCKFS_MAGIC)
			count_socket(sight, file);
	}
	locks = BPF_CORE_READ(inode, i_flctx);
	if (locks && !(is_empty(&locks->flc_flock) && is_empty(&locks->flc_posix)))
		sight->locked_files++;
	return 0;
}

/* The next open descriptor of the word. */
static long look_at_descriptor(u32 index, void *nothing)
{
	struct ubc_place *at = place();
	u64 word, bit, file = 0;

	if (!at || !at->word || !at->left)
		return 1;
	at->left--;
	word = at->word;
	at->word = word & (word - 1);
	/* The lowest bit's number: the bits below it, counted. */
	bit = bits((word & -word) - 1);
	bpf_probe_read_kernel(&file, sizeof(file), (void *)(at->array + (at->at + bit) * sizeof(file)));
	/* A number that is reserved for a file that is being opened has none. */
	if (file)
		count_file(file, at->slot);
	return 0;
}

/* The next 64 descriptors. */
static long look_at_word(u32 index, void *nothing)
{
	struct ubc_place *at = place();
	u64 word = 0;

	if (!at || !at->left)
		return 1;
	bpf_probe_read_kernel(&word, sizeof(word), (void *)(at->bitmap + (u64)index * sizeof(word)));
	if (!word)
		return 0;
	at->word = word;
	at->at = index * BITS;
	bpf_loop(BITS, look_at_descriptor, NULL, 0);
	return 0;
}

/* Every file of a table of descriptors. */
static __noinline int count_table(u64 address, u32 slot)
{
	struct files_struct___seen *files = (void *)address;
	struct fdtable___seen *table = BPF_CORE_READ(files, fdt);
	struct ubc_sight *sight = sight_of(slot);
	struct ubc_place *at = place();
	u32 size, most;

	if (!sight || !at)
		return 0;
	size = BPF_CORE_READ(table, max_fds);
	if (size > UBC_TABLE || sight->descriptors >= UBC_CONTAINER_DESCRIPTORS) {
		sight->flags |= UBC_TOO_MANY;
		return 0;
	}
	most = UBC_CONTAINER_DESCRIPTORS - sight->descriptors;
	if (most > UBC_TASK_DESCRIPTORS)
		most = UBC_TASK_DESCRIPTORS;
	at->left = most;
	at->slot = slot;
	at->array = (u64)BPF_CORE_READ(table, fd);
	at->bitmap = (u64)BPF_CORE_READ(table, open_fds);
	bpf_loop(size / BITS, look_at_word, NULL, 0);
	if (!at->left)
		sight->flags |= UBC_TOO_MANY;
	sight->descriptors += most - at->left;
	return 0;
}

/* The numbers of files as they were, for a walk that was void. */
struct ubc_counted {
	u64 files, ptys, tcp_sockets, other_sockets;
	u64 tcp_send, tcp_receive, other_send, other_receive;
	u64 locked_files;
};

static __noinline int count_files(struct task_struct___seen *task, u32 slot)
{
	struct files_struct___seen *files = BPF_CORE_READ(task, files);
	struct task_struct___seen *leader = BPF_CORE_READ(task, group_leader);
	struct ubc_sight *sight = sight_of(slot);
	struct ubc_counted was;

	if (!files || !sight)
		return 0;
	/* Threads share their leader's table; others may, too. */
	if (leader != task && BPF_CORE_READ(leader, files) == files)
		return 0;
	if (BPF_CORE_READ(files, count.counter) != 1 && !first_time((u64)files, slot))
		return 0;
	was.files = sight->files;
	was.ptys = sight->ptys;
	was.tcp_sockets = sight->tcp_sockets;
	was.other_sockets = sight->other_sockets;
	was.tcp_send = sight->tcp_send;
	was.tcp_receive = sight->tcp_receive;
	was.other_send = sight->other_send;
	was.other_receive = sight->other_receive;
	was.locked_files = sight->locked_files;
	count_table((u64)files, slot);
	if (BPF_CORE_READ(task, files) == files)
		return 0;
	sight = sight_of(slot);
	if (!sight)
		return 0;
	sight->files = was.files;
	sight->ptys = was.ptys;
	sight->tcp_sockets = was.tcp_sockets;
	sight->other_sockets = was.other_sockets;
	sight->tcp_send = was.tcp_send;
	sight->tcp_receive = was.tcp_receive;
	sight->other_send = was.other_send;
	sight->other_receive = was.other_receive;
	sight->locked_files = was.locked_files;
	/* It took another table; what a task that ends held is gone. */
	files = BPF_CORE_READ(task, files);
	if (files)
		count_table((u64)files, slot);
	return 0;
}

static __noinline int count_memory(struct task_struct___seen *task, u32 slot)
{
	struct mm_struct___seen *mm = BPF_CORE_READ(task, mm);
	struct task_struct___seen *leader = BPF_CORE_READ(task, group_leader);
	struct ubc_sight *sight = sight_of(slot);
	u64 private, locked;

	if (!mm || !sight)
		return 0;
	if (leader != task && BPF_CORE_READ(leader, mm) == mm)
		return 0;
	private = BPF_CORE_READ(mm, data_vm) + BPF_CORE_READ(mm, stack_vm);
	locked = BPF_CORE_READ(mm, locked_vm);
	if (BPF_CORE_READ(mm, mm_users.counter) != 1 && !first_time((u64)mm, slot))
		return 0;
	if (BPF_CORE_READ(task, mm) != mm)
		return 0;
	sight->private_pages += private;
	sight->locked_pages += locked;
	return 0;
}

/* Lists what lies at an address, once. */
static __noinline int meet(struct ubc_met *met, u64 address)
{
	struct ubc_sight *sight = sight_of(met->slot);
	struct ubc_place *at = place();
	struct ubc_met *listed;
	u32 last;

	if (!sight || !at)
		return 0;
	last = at->met;
	listed = bpf_map_lookup_elem(&ubc_mets, &last);
	if (!listed || sight->met >= UBC_CONTAINER_MET) {
		sight->flags |= UBC_SURROUNDINGS_UNSEEN;
		return 0;
	}
	if (!first_time(address, met->slot))
		return 0;
	*listed = *met;
	at->met = last + 1;
	sight->met++;
	return 0;
}

static __noinline int meet_namespaces(struct task_struct___seen *task, u32 slot)
{
	struct nsproxy___seen *proxy = BPF_CORE_READ(task, nsproxy);
	struct ubc_met met = { .slot = slot, .tgid = BPF_CORE_READ(task, tgid) };
	u64 net = (u64)BPF_CORE_READ(proxy, net_ns);
	u64 ipc = (u64)BPF_CORE_READ(proxy, ipc_ns);
	u64 mnt = (u64)BPF_CORE_READ(proxy, mnt_ns);
	u32 net_number = BPF_CORE_READ((struct net___seen *)net, ns.inum);
	u32 ipc_number = BPF_CORE_READ((struct ipc_namespace___seen *)ipc, ns.inum);
	u32 mnt_number = BPF_CORE_READ((struct mnt_namespace___seen *)mnt, ns.inum);

	/* It took others, or ends and has none any more. */
	if (BPF_CORE_READ(task, nsproxy) != proxy)
		return 0;
	met.kind = UBC_MET_NET;
	met.number = net_number;
	meet(&met, net);
	met.kind = UBC_MET_IPC;
	met.number = ipc_number;
	meet(&met, ipc);
	met.kind = UBC_MET_MNT;
	met.number = mnt_number;
	meet(&met, mnt);
	return 1;
}

/* The namespaces of a task, and the signals that wait for it. */
static __noinline int count_surroundings(struct task_struct___seen *task, u32 slot)
{
	struct ubc_met met = { .slot = slot, .kind = UBC_MET_USER };
	struct nsproxy___seen *proxy = BPF_CORE_READ(task, nsproxy);
	struct signal_struct___seen *signal = BPF_CORE_READ(task, signal);
	struct cred___seen *cred = BPF_CORE_READ(task, real_cred);
	struct ucounts___seen *user = BPF_CORE_READ(cred, ucounts);
	struct ubc_sight *sight = sight_of(slot);
	struct ubc_order *order;
	u32 zero = 0;

	order = bpf_map_lookup_elem(&ubc_pass, &zero);
	/* One that ends has left its namespaces. */
	if (!proxy || !sight || !order)
		return 0;
	if ((u64)proxy != sight->proxy && meet_namespaces(task, slot))
		sight->proxy = (u64)proxy;
	met.number = BPF_CORE_READ(cred, user_ns, ns.inum);
	if ((u64)user != sight->user) {
		sight->user = (u64)user;
		met.tgid = BPF_CORE_READ(task, tgid);
		if (bpf_core_field_exists(user->rlimit) &&
		    bpf_core_enum_value_exists(enum rlimit_type___seen,
					       UCOUNT_RLIMIT_SIGPENDING___seen))
			bpf_probe_read_kernel(
				&met.signals, sizeof(met.signals),
				&user->rlimit[bpf_core_enum_value(enum rlimit_type___seen,
								  UCOUNT_RLIMIT_SIGPENDING___seen) & 3]);
		else
			sight->flags |= UBC_SURROUNDINGS_UNSEEN;
		meet(&met, (u64)user);
	}
	if (met.number != order->home[0] && met.number != order->home[1])
		return 0;
	sight->at_home++;
	sight->pending += bits(BPF_CORE_READ(task, pending.signal.sig[0]));
	if (BPF_CORE_READ(task, group_leader) == task && BPF_CORE_READ(signal, live.counter) > 0)
		sight->pending += bits(BPF_CORE_READ(signal, shared_pending.signal.sig[0]));
	return 0;
}

/* Takes the last one out. */
static long forget(u32 index, void *nothing)
{
	struct ubc_place *at = place();
	struct ubc_shared *listed;
	u32 last;

	if (!at || !at->seen)
		return 1;
	last = at->seen - 1;
	listed = bpf_map_lookup_elem(&ubc_list, &last);
	if (listed)
		bpf_map_delete_elem(&ubc_seen, listed);
	at->seen = last;
	return 0;
}

SEC("iter/task")
int ubc_observe(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct ubc_sight *sight;
	struct ubc_order *order;
	struct ubc_place *at;
	u32 zero = 0, slot;

	if (!task) {
		bpf_loop(UBC_SHARED, forget, NULL, 0);
		at = place();
		if (at)
			at->met = 0;
		return 0;
	}
	order = bpf_map_lookup_elem(&ubc_pass, &zero);
	if (!order)
		return 0;
	slot = ubc_slot_of(task->cgroups->dfl_cgrp->kn->id);
	for (int level = 0; level < UBC_DEPTH && slot != UBC_NOBODY; level++) {
		sight = sight_of(slot);
		if (!sight)
			break;
		if (sight->pass == order->pass) {
			sight->tasks++;
			if (sight->flags & UBC_WANT_MEMORY)
				count_memory((void *)task, slot);
			if (sight->flags & UBC_WANT_FILES)
				count_files((void *)task, slot);
			if (sight->flags & UBC_WANT_SURROUNDINGS)
				count_surroundings((void *)task, slot);
		}
		slot = ubc_parent(slot);
	}
	return 0;
}
