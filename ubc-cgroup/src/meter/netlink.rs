//! Netlink dumps.

use std::io;

use netlink_packet_core::{
    Emitable, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
    NetlinkBuffer, NetlinkSerializable,
};
use netlink_packet_netfilter::nftables::{NfTablesMessage, RuleMessage};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::unix::{self, ShowFlags, UnixRequest};
use netlink_packet_sock_diag::{SOCK_DIAG_BY_FAMILY, SockDiagMessage};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_SOCK_DIAG};
use netlink_sys::{Socket, SocketAddr};

use crate::{Error, Result};

/// As much as the kernel ever puts in one dump reply (`NLMSG_GOODSIZE` and
/// `max_recvmsg_len` are both capped at 32 KiB).
const REPLY: usize = 64 << 10;

/// `NLM_F_DUMP_INTR`: the table changed during the dump.
const DUMP_INTERRUPTED: u16 = 0x10;

/// A dump that changed under us is tried so often.
const TRIES: usize = 4;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// TCP and UDP sockets.
    Inet,
    /// Unix sockets.
    Unix,
    /// nf_tables rules.
    NfTables,
}

impl Family {
    fn protocol(self) -> isize {
        match self {
            Family::Inet | Family::Unix => NETLINK_SOCK_DIAG,
            Family::NfTables => NETLINK_NETFILTER,
        }
    }
}

/// Whether this kernel answers: one dump in our own network namespace.
pub(crate) fn works(family: Family) -> bool {
    let request = match family {
        Family::Inet => inet_request(libc::AF_INET, libc::IPPROTO_TCP),
        Family::Unix => unix_request(),
        Family::NfTables => rules_request(),
    };
    Socket::new(family.protocol())
        .map_err(|source| Error::Netlink { request: request.name, source })
        .and_then(|socket| Dumper::new(socket).dump(&request, || (), |(), _| true))
        .is_ok()
}

/// A request ready to send.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) name: &'static str,
    kind: u16,
    payload: Vec<u8>,
}

/// The TCP states that stand for a socket of OpenVZ's kind: all but
/// TIME_WAIT and the request sockets of a half-open connection, which are
/// small structures of their own.
fn socket_states() -> StateFlags {
    StateFlags::all() - StateFlags::TIME_WAIT - StateFlags::SYN_RECV
}

/// All TCP or UDP sockets, with their memory.
pub(crate) fn inet_request(family: i32, protocol: i32) -> Request {
    let v6 = family == libc::AF_INET6;
    let byte = |n: i32| u8::try_from(n).unwrap_or(0);
    let message = SockDiagMessage::InetRequest(InetRequest {
        family: byte(family),
        protocol: byte(protocol),
        extensions: ExtensionFlags::SKMEMINFO,
        states: socket_states(),
        socket_id: if v6 { SocketId::new_v6() } else { SocketId::new_v4() },
    });
    Request { name: "inet_diag dump", kind: SOCK_DIAG_BY_FAMILY, payload: emitted(&message) }
}

/// All unix sockets, with their memory.
pub(crate) fn unix_request() -> Request {
    let message = SockDiagMessage::UnixRequest(UnixRequest {
        // A datagram socket is in state CLOSE, so not only the named states.
        state_flags: unix::StateFlags::from_bits_retain(u32::MAX),
        inode: 0,
        show_flags: ShowFlags::MEMINFO,
        cookie: [0xff; 8],
    });
    Request { name: "unix_diag dump", kind: SOCK_DIAG_BY_FAMILY, payload: emitted(&message) }
}

/// All nf_tables rules of all families, tables and chains.
pub(crate) fn rules_request() -> Request {
    let message = NetfilterMessage::new(
        NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0),
        NfTablesMessage::GetRule(RuleMessage { attributes: Vec::new() }),
    );
    Request {
        name: "nf_tables rule dump",
        kind: NetlinkSerializable::message_type(&message),
        payload: emitted(&message),
    }
}

fn emitted(message: &impl Emitable) -> Vec<u8> {
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    payload
}

/// A netlink socket that asks one dump after the other.
#[derive(Debug)]
pub(crate) struct Dumper {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Dumper {
    pub(crate) fn new(socket: Socket) -> Dumper {
        Dumper { socket, sequence: 0, buffer: Vec::with_capacity(REPLY) }
    }

    /// Sends a dump request and hands each reply's payload to `each`, with
    /// what `start` made, until the end or until `each` says false. Returns
    /// what was gathered, and whether it went to the end. A dump the kernel
    /// calls inconsistent starts anew.
    pub(crate) fn dump<S>(
        &mut self,
        request: &Request,
        start: impl Fn() -> S,
        each: impl Fn(&mut S, &[u8]) -> bool,
    ) -> Result<(S, bool)> {
        let mut tries = 0;
        loop {
            let mut gathered = start();
            let end = self.run(request, &mut |payload| each(&mut gathered, payload))?;
            tries += 1;
            // A table that changes all the time: the last dump is as good a
            // number as any.
            if end != End::Inconsistent || tries == TRIES {
                return Ok((gathered, end != End::Stopped));
            }
        }
    }

    fn run(&mut self, request: &Request, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<End> {
        let fail = |source| Error::Netlink { request: request.name, source };
        self.sequence = self.sequence.wrapping_add(1);
        let kernel = SocketAddr::new(0, 0);
        let message = framed(request, self.sequence).map_err(fail)?;
        self.socket.send_to(&message, &kernel, 0).map_err(fail)?;
        let mut end = End::Complete;
        let mut stopped = false;
        loop {
            self.buffer.clear();
            self.socket.recv(&mut self.buffer, 0).map_err(fail)?;
            let mut rest = self.buffer.as_slice();
            while !rest.is_empty() {
                let reply = NetlinkBuffer::new_checked(rest)
                    .map_err(|_| fail(io::ErrorKind::InvalidData.into()))?;
                let next = (reply.length() as usize).next_multiple_of(4).min(rest.len());
                // Left over from a dump that was stopped: not ours.
                if reply.sequence_number() == self.sequence {
                    if reply.flags() & DUMP_INTERRUPTED != 0 {
                        end = End::Inconsistent;
                    }
                    match reply.message_type() {
                        NLMSG_DONE => return Ok(if stopped { End::Stopped } else { end }),
                        NLMSG_ERROR => {
                            return error_of(reply.payload()).map_err(fail).map(|()| end);
                        }
                        NLMSG_NOOP => {}
                        NLMSG_OVERRUN => return Err(fail(io::ErrorKind::InvalidData.into())),
                        // A stopped dump is read to its end, so that the
                        // socket is ready for the next.
                        _ if stopped => {}
                        _ => stopped = !each(reply.payload()),
                    }
                }
                rest = &rest[next..];
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    Inconsistent,
    Stopped,
}

fn framed(request: &Request, sequence: u32) -> io::Result<Vec<u8>> {
    let length = 16 + request.payload.len();
    let mut message = vec![0; length];
    let mut frame = NetlinkBuffer::new(message.as_mut_slice());
    frame.set_length(
        u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
    );
    frame.set_message_type(request.kind);
    frame.set_flags(NLM_F_REQUEST | NLM_F_DUMP);
    frame.set_sequence_number(sequence);
    frame.payload_mut().copy_from_slice(&request.payload);
    Ok(message)
}

/// The errno in an error reply; 0 is an acknowledgement.
fn error_of(payload: &[u8]) -> io::Result<()> {
    match payload.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

#[cfg(test)]
mod tests;
