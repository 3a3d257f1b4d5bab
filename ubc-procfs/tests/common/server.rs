//! A server of a view that is a process of its own, so that it can be killed;
//! the test holds its descriptors.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use ubc_procfs::text::meminfo::MemorySize;
use ubc_procfs::{ContainerProcess, Part, Place, ProcView, ViewState};

use super::{Counting, ctid};

/// Tells a test binary that it is the server: the container's init, or 0 for a
/// view that is taken over.
const ROLE: &str = "UBC_TEST_SERVER";

/// What the holder keeps.
#[derive(Debug, Default)]
pub(crate) struct Held {
    state: String,
    parts: BTreeMap<String, OwnedFd>,
}

/// A running server.
pub(crate) struct Server(Child);

impl Server {
    /// Puts a view into the container, and has its parts held here.
    pub(crate) fn attach(test: &str, init: u32) -> (Server, Held) {
        let (server, channel) = Server::start(test, init);
        let mut held = Held::default();
        loop {
            match receive(&channel) {
                Some((name, Some(fd))) => drop(held.parts.insert(name, fd)),
                Some((state, None)) if state != READY => held.state = state,
                Some(_) => return (server, held),
                None => panic!("the server ended"),
            }
        }
    }

    /// Goes on with what is held.
    pub(crate) fn resume(test: &str, held: &Held) -> Server {
        let (server, channel) = Server::start(test, 0);
        send(&channel, &held.state, None);
        for (name, fd) in &held.parts {
            send(&channel, name, Some(fd.as_fd()));
        }
        send(&channel, READY, None);
        server
    }

    fn start(test: &str, init: u32) -> (Server, OwnedFd) {
        let (ours, its) = pair();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ROLE, init.to_string())
            .stdin(its)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        (Server(child), ours)
    }

    /// As the kernel's out-of-memory killer would.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const READY: &str = "ready";

/// First thing in a test that has servers: does not return in those.
pub(crate) fn serve_if_asked() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let channel = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
    let init: u32 = role.parse().unwrap();
    let source = Arc::new(Counting::default());
    let view = if init == 0 {
        let (state, _) = receive(&channel).unwrap();
        let state: ViewState = serde_json::from_str(&state).unwrap();
        let mut parts: BTreeMap<String, OwnedFd> = BTreeMap::new();
        while let Some((name, Some(fd))) = receive(&channel) {
            parts.insert(name, fd);
        }
        ProcView::take_over(ctid(), &state, &mut |name| parts.remove(name), source).unwrap()
    } else {
        let process = ContainerProcess::open(init).unwrap();
        let size = MemorySize::Pages(16384);
        let place = Place { meminfo: Some(size), ..Place::default() };
        let keep = |state: &ViewState, parts: &[Part<'_>]| {
            send(&channel, &serde_json::to_string(state).unwrap(), None);
            for part in parts {
                send(&channel, part.name, Some(part.fd));
            }
            Ok(())
        };
        let view = ProcView::attach_kept(ctid(), &process, &place, source, Some(&keep)).unwrap();
        send(&channel, READY, None);
        view
    };
    while view.is_served() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::process::exit(0);
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

fn send(channel: &OwnedFd, text: &str, fd: Option<BorrowedFd<'_>>) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<_> = fd.into_iter().collect();
    if !fds.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
    }
    let text = [IoSlice::new(text.as_bytes())];
    sendmsg(channel, &text, &mut ancillary, SendFlags::NOSIGNAL).unwrap();
}

fn receive(channel: &OwnedFd) -> Option<(String, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut text = vec![0; 1 << 16];
    let mut into = [IoSliceMut::new(&mut text)];
    let got = recvmsg(channel, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    text.truncate(got.bytes);
    (got.bytes > 0).then(|| (String::from_utf8(text).unwrap(), fd))
}
