//! What provokes the rows of sockets.

use rustix::io::Errno;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept, bind, connect,
    getsockname, listen, recv, send, socket_with,
};
use ubc_core::Resource;

use super::{Probe, keep, repeat};
use crate::sys::Answer;

pub(super) const NUMTCPSOCK: Probe = Probe {
    resource: Resource::NumTcpSock,
    room: 3,
    amount: 1,
    attempt: || repeat(|| socket(AddressFamily::INET, SocketType::STREAM)),
};

pub(super) const NUMOTHERSOCK: Probe = Probe {
    resource: Resource::NumOtherSock,
    room: 3,
    amount: 1,
    attempt: || repeat(|| socket(AddressFamily::UNIX, SocketType::STREAM)),
};

fn socket(family: AddressFamily, kind: SocketType) -> Result<(), Errno> {
    socket_with(family, kind, SocketFlags::CLOEXEC, None).map(keep)
}

/// No room at all: the first segment does not arrive. It would be sent again
/// and again, so the sender is cut off at once.
pub(super) const TCPRCVBUF: Probe = Probe {
    resource: Resource::TcpRcvBuf,
    room: 0,
    amount: 1,
    attempt: || arrive(SocketType::STREAM),
};

/// No room at all: the first datagram does not arrive.
pub(super) const DGRAMRCVBUF: Probe = Probe {
    resource: Resource::DgramRcvBuf,
    room: 0,
    amount: 1,
    attempt: || arrive(SocketType::DGRAM),
};

fn arrive(kind: SocketType) -> Answer {
    match message(kind) {
        Ok(()) => Answer { allowed: 1, errno: 0 },
        // What the receiver sees: nothing there.
        Err(errno) => Answer { allowed: 0, errno: errno.raw_os_error() },
    }
}

/// Sends one message to ourselves and reads it, if it is there.
fn message(kind: SocketType) -> Result<(), Errno> {
    let open = || socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None);
    let (server, client) = (open()?, open()?);
    bind(&server, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    if kind == SocketType::STREAM {
        listen(&server, 1)?;
        set_socket_linger(&client, Some(Duration::ZERO))?;
    }
    connect(&client, &getsockname(&server)?)?;
    let receiver = if kind == SocketType::STREAM { accept(&server)? } else { server };
    send(&client, b"u", SendFlags::empty())?;
    let mut byte = [0];
    let got = recv(&receiver, &mut byte[..], RecvFlags::DONTWAIT).map(drop);
    drop(client);
    keep(receiver);
    got
}
