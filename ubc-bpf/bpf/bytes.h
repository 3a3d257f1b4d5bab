/* SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0 */
/*
 * Bytes in the buffers of sockets. The kernel counts them itself, for every
 * socket (SO_MEMINFO shows it): what we hold is what it counted when we looked
 * last, and we look wherever it changes. One look that is missed is made up for
 * by the next.
 */
#ifndef UBC_BYTES_H
#define UBC_BYTES_H

#include "net.h"

/* A buffer holds `now` bytes, of which `reserved` were charged beforehand: for
 * where bytes come. In one step, so that nothing is counted twice meanwhile. */
static __noinline __attribute__((unused)) int ubc_bytes_are(u64 key, u32 slot, u32 resource, s64 now, s64 reserved)
{
	struct ubc_object record = { .amount = now, .slot = slot, .resource = resource };
	struct ubc_object *known = bpf_map_lookup_elem(&ubc_objects, &key);
	s64 grown = 0;

	if (known) {
		slot = known->slot;
		grown = now - __sync_lock_test_and_set(&known->amount, now);
	} else if (now) {
		/* Another processor that was faster has counted the same bytes. */
		if (!bpf_map_update_elem(&ubc_objects, &key, &record, BPF_NOEXIST))
			grown = now;
	}
	grown -= reserved;
	if (grown > 0)
		ubc_charge(slot, resource, grown, UBC_FORCE);
	else if (grown < 0)
		ubc_uncharge(slot, resource, -grown);
	return 0;
}

/* The same for where bytes go: a number that is larger counts bytes that just
 * come, and is for those who bring them. */
static __noinline __attribute__((unused)) int ubc_bytes_left(u64 key, s64 now)
{
	struct ubc_object *known = bpf_map_lookup_elem(&ubc_objects, &key);
	s64 was;

	if (!known)
		return 0;
	was = *(volatile s64 *)&known->amount;
	for (int race = 0; race < UBC_RACES && now < was; race++) {
		s64 seen = __sync_val_compare_and_swap(&known->amount, was, now);

		if (seen == was) {
			ubc_uncharge(known->slot, known->resource, was - now);
			break;
		}
		was = seen;
	}
	return 0;
}

static __always_inline bool ubc_is_tcp(const struct sock *sk)
{
	return ubc_is_inet(BPF_CORE_READ(sk, __sk_common.skc_family)) &&
	       BPF_CORE_READ(sk, sk_protocol) == UBC_PROTO_TCP;
}

/* The container of a socket that somebody has open, if it is being taken over: what
 * is in its buffers came before we looked. */
static __always_inline struct ubc_object *ubc_bytes_before(struct sock *sk)
{
	struct ubc_object *owner = sk ? ubc_socket_record(sk) : NULL;

	return owner && ubc_arrives(owner->slot) ? owner : NULL;
}

/* Whether a program that has the socket will look once more before it leaves. */
static __always_inline bool ubc_is_in_use(const struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_lock.owned);
}

#endif
