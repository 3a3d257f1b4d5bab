//! Messages with descriptors between the daemon and the parent that keeps
//! them.

use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Descriptors in one message, less than the kernel's 253 (`SCM_MAX_FD`).
const MOST: usize = 200;

/// Longest text of a message: as many names, of 255 bytes at most.
const LONGEST: usize = 64 * 1024;

/// Sends all, names and descriptors, and closes the channel.
pub(super) fn send_all<'a>(
    channel: &OwnedFd,
    all: impl Iterator<Item = (&'a str, BorrowedFd<'a>)>,
) -> io::Result<()> {
    let all: Vec<_> = all.collect();
    for some in all.chunks(MOST) {
        let (names, fds): (Vec<&str>, Vec<BorrowedFd<'_>>) = some.iter().copied().unzip();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        let names = names.join("\n");
        let text = [IoSlice::new(names.as_bytes())];
        while let Err(error) = sendmsg(channel, &text, &mut ancillary, SendFlags::NOSIGNAL) {
            if error != Errno::INTR {
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// Receives what [`send_all`] sent, until the channel is closed.
pub(super) fn receive_all(channel: BorrowedFd<'_>) -> io::Result<HashMap<String, OwnedFd>> {
    let mut all = HashMap::new();
    while let Some((names, fds)) = receive(channel, RecvFlags::empty())? {
        all.extend(names.split('\n').map(str::to_owned).zip(fds));
    }
    Ok(all)
}

/// One message; `None` at the end.
pub(super) fn receive(
    channel: impl AsFd,
    flags: RecvFlags,
) -> io::Result<Option<(String, Vec<OwnedFd>)>> {
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut text)];
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let (len, flags) = match recvmsg(&channel, &mut into, &mut ancillary, flags) {
            Ok(got) => (got.bytes, got.flags),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if flags.contains(ReturnFlags::CTRUNC) {
            // There is no room for them here (`EMFILE`).
            return Err(io::Error::other("descriptors of a message were lost"));
        }
        if len == 0 {
            return Ok(None);
        }
        return Ok(Some((String::from_utf8_lossy(&text[..len]).into_owned(), fds)));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn more_descriptors_than_fit_into_one_message_arrive_by_their_names() {
        let (ours, its) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let file = |n: usize| {
            let mut file = tempfile::tempfile().unwrap();
            write!(file, "{n}").unwrap();
            (format!("{n}-0d"), file)
        };
        let files: Vec<(String, File)> = (0..450).map(file).collect();
        send_all(&ours, files.iter().map(|(name, file)| (name.as_str(), file.as_fd()))).unwrap();
        drop((ours, files));
        let all = receive_all(its.as_fd()).unwrap();
        assert_eq!(all.len(), 450);
        for (name, fd) in all {
            let (mut text, mut file) = (String::new(), File::from(fd));
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
            assert_eq!(name, format!("{text}-0d"));
        }
    }
}
