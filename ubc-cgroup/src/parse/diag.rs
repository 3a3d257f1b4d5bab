//! Replies of the socket diagnosis.
//!
//! The request and header layouts come from netlink-packet-sock-diag; the
//! attributes are walked one level lower, because that crate decodes every
//! attribute and fails the whole socket when one (a unix name, say) is not
//! to its liking, and because it keeps two of the nine memory figures of a
//! unix socket.

use netlink_packet_core::{NlasIterator, Parseable};
use netlink_packet_sock_diag::constants::{INET_DIAG_SKMEMINFO, UNIX_DIAG_MEMINFO};
use netlink_packet_sock_diag::inet::InetResponseHeader;
use netlink_packet_sock_diag::unix::UnixResponseHeader;

/// Length of `struct inet_diag_msg`.
const INET_HEADER: usize = 72;
/// Length of `struct unix_diag_msg`.
const UNIX_HEADER: usize = 16;

/// Positions in `SK_MEMINFO_*` (linux/sock_diag.h).
const RMEM_ALLOC: usize = 0;
const WMEM_ALLOC: usize = 2;
const WMEM_QUEUED: usize = 5;

/// A TCP or UDP socket. Sizes in bytes, 0 where not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InetSocket {
    /// `TCP_ESTABLISHED` and so on.
    pub state: u8,
    /// Its inode, 0 when no descriptor was ever made for it or it is gone.
    pub inode: u32,
    /// Queued for the reader.
    pub receive: u32,
    /// Handed to the network and not yet freed.
    pub send: u32,
    /// TCP: queued for sending or retransmission.
    pub queued: u32,
}

/// A unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Its inode, 0 while nobody has accepted it.
    pub inode: u32,
    /// Sent and not yet read by the peer, bytes.
    pub send: u32,
}

/// A `SOCK_DIAG_BY_FAMILY` reply about AF_INET or AF_INET6.
pub fn inet_socket(payload: &[u8]) -> Option<InetSocket> {
    let header = InetResponseHeader::parse(payload.get(..INET_HEADER)?).ok()?;
    let memory = memory(payload.get(INET_HEADER..)?, INET_DIAG_SKMEMINFO);
    Some(InetSocket {
        state: header.state,
        inode: header.inode,
        receive: memory[RMEM_ALLOC],
        send: memory[WMEM_ALLOC],
        queued: memory[WMEM_QUEUED],
    })
}

/// A `SOCK_DIAG_BY_FAMILY` reply about AF_UNIX.
pub fn unix_socket(payload: &[u8]) -> Option<UnixSocket> {
    let header = UnixResponseHeader::parse(payload.get(..UNIX_HEADER)?).ok()?;
    let memory = memory(payload.get(UNIX_HEADER..)?, UNIX_DIAG_MEMINFO);
    Some(UnixSocket { inode: header.inode, send: memory[WMEM_ALLOC] })
}

fn memory(attributes: &[u8], kind: u16) -> [u32; 9] {
    let mut values = [0; 9];
    for attribute in NlasIterator::new(attributes) {
        let Ok(attribute) = attribute else { break };
        if attribute.kind() == kind {
            let words = attribute.value().as_chunks::<4>().0;
            for (value, bytes) in values.iter_mut().zip(words) {
                *value = u32::from_ne_bytes(*bytes);
            }
        }
    }
    values
}
