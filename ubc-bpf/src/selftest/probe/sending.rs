//! What provokes the rows of bytes sent: a sender that does not wait.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept, bind, connect,
    getsockname, listen, recv, send, socket_with,
};
use ubc_core::Resource;

use super::{Probe, keep};
use crate::sys::Answer;

/// Far less than the kernel lets a sender on the loopback device queue.
const ROOM: u64 = 200_000;

/// A sender whose reader does not read is told EAGAIN and is not writable; when
/// the reader has read everything it is, and can send.
pub(super) const TCPSNDBUF: Probe = Probe {
    resource: Resource::TcpSndBuf,
    room: ROOM,
    amount: ROOM,
    attempt: || match refused_and_resumed() {
        Ok(true) => Answer { allowed: 1, errno: Errno::AGAIN.raw_os_error() },
        Ok(false) => Answer { allowed: 0, errno: Errno::AGAIN.raw_os_error() },
        Err(_) => Answer { allowed: 0, errno: 0 },
    },
};

/// Reads: whatever more is sent than fits was let through by somebody else.
static CHUNK: [u8; 65536] = [0; 65536];

/// Whether a sender was held up at the limit and only there.
fn refused_and_resumed() -> Result<bool, Errno> {
    let (sender, receiver) = connection()?;
    let mut sent = 0;
    loop {
        match send(&sender, &CHUNK, SendFlags::DONTWAIT) {
            Ok(bytes) => {
                sent += bytes as u64;
                if bytes < CHUNK.len() {
                    break;
                }
            }
            Err(Errno::AGAIN) => break,
            Err(errno) => return Err(errno),
        }
    }
    // The kernel's own limits for one connection are megabytes.
    let held_up = sent > 0 && sent < 4 * ROOM && !writable(&sender, 0)?;
    let mut buffer = [0; 16384];
    let mut got = 0;
    while got < sent {
        let bytes = recv(&receiver, &mut buffer[..], RecvFlags::empty())?.0 as u64;
        if bytes == 0 {
            return Err(Errno::PIPE);
        }
        got += bytes;
    }
    let resumed = got == sent && writable(&sender, 10)?;
    keep(sender);
    keep(receiver);
    Ok(held_up && resumed)
}

fn connection() -> Result<(OwnedFd, OwnedFd), Errno> {
    let open = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let (server, client) = (open()?, open()?);
    bind(&server, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    listen(&server, 1)?;
    connect(&client, &getsockname(&server)?)?;
    Ok((client, accept(&server)?))
}

fn writable(socket: &OwnedFd, seconds: i64) -> Result<bool, Errno> {
    let mut wait = [PollFd::new(socket, PollFlags::OUT)];
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Ok(poll(&mut wait, Some(&limit))? == 1)
}
