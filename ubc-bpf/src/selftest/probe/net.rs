//! What provokes the rows of sockets.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use ubc_core::Resource;

use super::{Probe, keep, repeat};

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
