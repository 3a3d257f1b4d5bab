//! What provokes the row of packet filter rules: a table in a network namespace
//! of its own, and rules without any effect in it.

use rustix::io::Errno;
use rustix::net::netlink::NETFILTER;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use ubc_core::Resource;

use super::{Probe, repeat};
use crate::sys::Answer;

pub(super) const NUMIPTENT: Probe =
    Probe { resource: Resource::NumIptEnt, room: 3, amount: 1, attempt };

// include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 10 << 8;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const NEW_RULE: u16 = 10 << 8 | 6;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE_LAST: u16 = 0x400 | 0x800;
const INET: u8 = 1;

fn attempt() -> Answer {
    match prepare() {
        Ok(()) => repeat(|| change(&[(NEW_RULE, &[(1, b"t\0"), (2, b"c\0")])])),
        // No rule was refused: the attempt says that it got none, by no errno.
        Err(_) => Answer { allowed: 0, errno: 0 },
    }
}

fn prepare() -> Result<(), Errno> {
    leave_network()?;
    change(&[(NEW_TABLE, &[(1, b"t\0")]), (NEW_CHAIN, &[(1, b"t\0"), (3, b"c\0")])])
}

#[allow(unsafe_code)]
fn leave_network() -> Result<(), Errno> {
    // SAFETY: only the network namespace changes, of a process that made no
    // socket and has one thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
}

type Message<'a> = (u16, &'a [(u16, &'a [u8])]);

/// Sends a batch and waits for its answer.
fn change(messages: &[Message<'_>]) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC;
    let netlink = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(NETFILTER))?;
    let mut batch = Batch { bytes: [0; 512], length: 0 };
    batch.message(BATCH_BEGIN, REQUEST, 0, 10, &[]);
    for (at, (kind, attributes)) in messages.iter().enumerate() {
        let ack = if at + 1 == messages.len() { ACK } else { 0 };
        batch.message(*kind, REQUEST | CREATE_LAST | ack, INET, 0, attributes);
    }
    batch.message(BATCH_END, REQUEST, 0, 10, &[]);
    send(&netlink, &batch.bytes[..batch.length], SendFlags::empty())?;
    let mut answer = [0; 512];
    let (got, _) = recv(&netlink, &mut answer[..], RecvFlags::empty())?;
    // An nlmsghdr of 16 bytes and an error of 4, negative or 0.
    match answer[..got].get(16..20) {
        Some(&[a, b, c, d]) => match i32::from_ne_bytes([a, b, c, d]) {
            0 => Ok(()),
            error => Err(Errno::from_raw_os_error(error.saturating_neg())),
        },
        _ => Err(Errno::PROTO),
    }
}

/// Messages one behind the other; what does not fit is left out and the
/// kernel refuses the rest.
struct Batch {
    bytes: [u8; 512],
    length: usize,
}

impl Batch {
    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    fn message(&mut self, kind: u16, flags: u16, family: u8, id: u16, attributes: &[(u16, &[u8])]) {
        let length: usize = 20
            + attributes
                .iter()
                .map(|(_, value)| (4 + value.len()).next_multiple_of(4))
                .sum::<usize>();
        self.put(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        self.put(&kind.to_ne_bytes());
        self.put(&flags.to_ne_bytes());
        self.put(&[0; 8]);
        self.put(&[family, 0]);
        self.put(&id.to_be_bytes());
        for (name, value) in attributes {
            let length = 4 + value.len();
            self.put(&u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
            self.put(&name.to_ne_bytes());
            self.put(value);
            self.put(&[0; 3][..length.next_multiple_of(4) - length]);
        }
    }
}
