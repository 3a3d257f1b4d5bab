//! Sockets of a container that ran before anybody looked.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};

use ubc_core::Resource;
use ubc_core::Resource::{
    DgramRcvBuf, NumOtherSock, NumTcpSock, OtherSockBuf, TcpRcvBuf, TcpSndBuf,
};

use crate::Container;
use crate::actor::Actor;
use crate::sending::{LIMIT, Peer, SEGMENT};

/// A container that nobody knows yet, and a task of it.
fn unknown(test: &str) -> Option<(Container, Actor)> {
    let container = Container::new(test)?;
    container.enforcer.remove(container.slot).expect("removed");
    let actor = Actor::start(&container);
    Some((container, actor))
}

/// Takes it over, twice, which is as once.
fn adopted(container: Container) -> Container {
    let slot = container.enforcer.add(container.scratch.dir.as_fd(), 101, None).expect("a place");
    for resource in [NumTcpSock, NumOtherSock] {
        assert_eq!(container.enforcer.held(slot, resource), 0, "nobody has looked yet");
    }
    container.enforcer.seed(slot).expect("seeded");
    container.enforcer.seed(slot).expect("seeded again");
    Container { slot, ..container }
}

fn held<const N: usize>(container: &Container, resources: [Resource; N]) -> [u64; N] {
    resources.map(|resource| container.count(resource).held)
}

fn connect(port: u64) -> TcpStream {
    let port = u16::try_from(port).expect("a port");
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected")
}

#[test]
fn sockets_of_a_running_container_are_found() {
    let test = "sockets_of_a_running_container_are_found";
    let Some((container, mut actor)) = unknown(test) else { return };
    for kind in ["tcp", "tcp6", "udp", "unix", "netlink"] {
        actor.ask(&format!("socket {kind}"));
    }
    let container = adopted(container);
    assert_eq!(held(&container, [NumTcpSock, NumOtherSock]), [2, 3]);
    drop(actor);
    container.ends();
}

#[test]
fn connections_that_nobody_has_open_are_found() {
    let test = "connections_that_nobody_has_open_are_found";
    let Some((container, mut actor)) = unknown(test) else { return };
    // Two that wait to be accepted, and one that was closed with data to send.
    let port = actor.number("listen");
    let orphaned = connect(port);
    actor.ask("accept");
    assert!(actor.number("fill stream") > 0);
    actor.ask("forget stream");
    let waiting = [connect(port), connect(port)];
    let container = adopted(container);
    assert_eq!(held(&container, [NumTcpSock]), [4], "with the listener");
    drop(orphaned);
    container.settles(NumTcpSock, 3);
    drop((actor, waiting));
    container.ends();
}

#[test]
fn sockets_in_a_network_of_their_own_are_found() {
    let test = "sockets_in_a_network_of_their_own_are_found";
    let Some((container, shared)) = unknown(test) else { return };
    let mut actor = Actor::start_apart(&container.scratch.path);
    let port = actor.number("listen");
    actor.ask(&format!("connect {port} out"));
    let container = adopted(container);
    // It is not accepted: only the list of its network has it.
    assert_eq!(held(&container, [NumTcpSock]), [3]);
    drop((actor, shared));
    container.ends();
}

#[test]
fn who_accepts_from_a_unix_socket_has_it_whoever_connected() {
    let test = "who_accepts_from_a_unix_socket_has_it_whoever_connected";
    let Some((container, mut actor)) = unknown(test) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let [ours, theirs] = ["ours", "theirs"].map(|name| dir.path().join(name));
    // The container connects to us, and we to it.
    let listener = UnixListener::bind(&ours).expect("bound");
    actor.ask(&format!("unix-connect {}", ours.display()));
    let accepted = listener.accept().expect("accepted");
    actor.ask(&format!("unix-listen {}", theirs.display()));
    let client = UnixStream::connect(&theirs).expect("connected");
    actor.ask("unix-accept");
    let container = adopted(container);
    assert_eq!(held(&container, [NumOtherSock]), [3], "its client, listener and accepted one");
    drop((accepted, client, actor));
    container.ends();
}

#[test]
fn what_waits_in_buffers_when_a_container_is_taken_over_counts() {
    let test = "what_waits_in_buffers_when_a_container_is_taken_over_counts";
    let Some((container, mut actor)) = unknown(test) else { return };
    let port = u16::try_from(actor.number("udp")).expect("a port");
    let from = UdpSocket::bind("127.0.0.1:0").expect("bound");
    for _ in 0..20 {
        from.send_to(&[7; 1000], ("127.0.0.1", port)).expect("sent");
    }
    let listening = actor.number("listen");
    let mut peer = connect(listening);
    actor.ask("accept");
    peer.write_all(&vec![7; 50_000]).expect("sent");
    assert!(actor.number("fill stream") > 0);
    actor.ask("unix-pair datagram");
    assert!(actor.number("fill unix") > 0);
    let wanted = [("stream", 5), ("stream", 0), ("udp", 0), ("unix", 2)];
    let container = adopted(container);
    let kernels = wanted.map(|(name, place)| actor.number(&format!("memory {name} {place}")));
    assert!(kernels.iter().all(|bytes| *bytes > 10_000), "{kernels:?}");
    let ours = held(&container, [TcpSndBuf, TcpRcvBuf, DgramRcvBuf, OtherSockBuf]);
    assert_eq!(ours, kernels, "the kernel's counts");
    assert_eq!(actor.number("read-all udp"), 20);
    assert_eq!(container.count(DgramRcvBuf).held, 0, "all is read");
    drop((actor, peer));
    container.ends();
}

/// From Linux 6.12 on; before, it is counted and nothing can hold it up.
#[test]
fn a_connection_from_before_a_takeover_waits_for_room_too() {
    const BYTES: usize = 2_000_000;
    let test = "a_connection_from_before_a_takeover_waits_for_room_too";
    let Some((container, shared)) = unknown(test) else { return };
    let mut actor = Actor::start_apart(&container.scratch.path);
    let port = actor.number("listen");
    actor.ask(&format!("connect {port} apart"));
    let mut sender = Actor::start(&container);
    let mut stream = Peer::new().connect(&mut sender, "out");
    let container = adopted(container);
    container.limit(TcpSndBuf, LIMIT);
    // In its own network, and in ours.
    let sent = actor.number("send-at-once apart 0");
    let full = container.count(TcpSndBuf);
    println!("from before: {sent} bytes, {full:?}");
    if before_6_12() {
        assert!(full.held > LIMIT, "counted: {full:?}");
    } else {
        assert!(full.failcnt >= 1 && full.maxheld <= LIMIT + SEGMENT, "{full:?}");
        assert_eq!(full.held, actor.number("memory apart 5"), "the kernel's count");
        assert_eq!(actor.ask("writable apart 0"), "false");
        actor.ask("close");
        container.settles(TcpSndBuf, 0);
        sender.tell(&format!("send out {BYTES}"));
        stream.read_exact(&mut [0; 1]).expect("it begins");
        let reader = std::thread::spawn(move || {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).expect("readable");
            rest.len() + 1
        });
        assert_eq!(sender.answer(), BYTES.to_string());
        sender.ask("close");
        assert_eq!(reader.join().expect("no panic"), BYTES);
        assert!(container.count(TcpSndBuf).maxheld <= LIMIT + SEGMENT);
    }
    drop((actor, sender, shared));
    container.ends();
}

fn before_6_12() -> bool {
    let system = rustix::system::uname();
    let release = system.release().to_string_lossy().into_owned();
    let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) < (Some(6), Some(12))
}
