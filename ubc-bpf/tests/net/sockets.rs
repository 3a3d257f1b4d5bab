//! numtcpsock, numothersock.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ubc_core::Resource::{NumOtherSock, NumTcpSock};

use crate::Container;
use crate::actor::Actor;

const ENOMEM: &str = "12";
const ENOBUFS: &str = "105";
const PATIENCE: Duration = Duration::from_millis(300);

fn connect(port: u64) -> Option<TcpStream> {
    let port = u16::try_from(port).expect("a port");
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), PATIENCE).ok()
}

#[test]
fn the_family_of_a_socket_chooses_row_and_errno() {
    let Some(container) = Container::new("the_family_of_a_socket_chooses_row_and_errno") else {
        return;
    };
    let mut actor = Actor::start(&container);
    for (kind, row, errno) in [
        ("tcp", NumTcpSock, ENOBUFS),
        ("tcp6", NumTcpSock, ENOBUFS),
        ("udp", NumOtherSock, ENOBUFS),
        ("unix", NumOtherSock, ENOMEM),
        ("netlink", NumOtherSock, ENOMEM),
        ("packet", NumOtherSock, ENOMEM),
    ] {
        let failures = container.count(row).failcnt;
        container.limit(row, 2);
        assert_eq!(actor.ask(&format!("socket {kind}")), "0");
        assert_eq!(actor.ask(&format!("socket {kind}")), "0", "the limit itself is allowed");
        assert_eq!(container.count(row).held, 2);
        assert_eq!(actor.ask(&format!("socket {kind}")), errno, "{kind}");
        assert_eq!(container.count(row).failcnt, failures + 1);
        actor.ask("close");
        container.settles(row, 0);
        assert_eq!(container.count(row).maxheld, 2);
    }
    drop(actor);
    container.ends();
}

#[test]
fn a_storm_on_all_processors_is_counted_exactly() {
    let Some(container) = Container::new("a_storm_on_all_processors_is_counted_exactly") else {
        return;
    };
    let mut actor = Actor::start(&container);
    container.limit(NumTcpSock, 7);
    let refused = actor.number("storm 1000");
    let count = container.count(NumTcpSock);
    println!("storm: {refused} refused, {count:?}");
    assert_eq!(count.failcnt, refused);
    assert!(refused > 0 && count.maxheld <= 7, "{count:?}");
    drop(actor);
    container.ends();
}

#[test]
fn closed_datagram_sockets_make_room_at_once() {
    let Some(container) = Container::new("closed_datagram_sockets_make_room_at_once") else {
        return;
    };
    let mut actor = Actor::start(&container);
    container.limit(NumOtherSock, 1);
    assert_eq!(actor.number("udp-loop 200"), 0, "refused, though all before were closed");
    drop(actor);
    container.ends();
}

#[test]
fn connections_beyond_the_limit_are_not_accepted() {
    let Some(container) = Container::new("connections_beyond_the_limit_are_not_accepted") else {
        return;
    };
    let mut actor = Actor::start(&container);
    let port = actor.number("listen");
    container.limit(NumTcpSock, 6);
    // Nobody accepts: they are in the listener's queue, and charged.
    let mut streams: Vec<_> = (0..5).map(|_| connect(port).expect("there is room")).collect();
    assert_eq!(container.count(NumTcpSock).held, 6);
    assert_eq!(container.count(NumTcpSock).failcnt, 0);
    assert!(connect(port).is_none(), "the seventh connection was accepted");
    assert!(container.count(NumTcpSock).failcnt >= 1);
    assert_eq!(container.count(NumTcpSock).maxheld, 6);
    actor.ask("accept");
    assert_eq!(container.count(NumTcpSock).held, 6, "accepting is free");
    // Abortive, so that nothing of it waits.
    for stream in streams.drain(..) {
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("settable");
    }
    actor.ask("close");
    container.settles(NumTcpSock, 0);
    drop(actor);
    container.ends();
}

#[test]
fn a_connection_to_an_mptcp_listener_is_charged_once() {
    let test = "a_connection_to_an_mptcp_listener_is_charged_once";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    let Ok(port) = actor.ask("listen-mptcp").parse() else {
        return println!("SKIP: {test}: this kernel has no MPTCP");
    };
    assert_eq!(container.count(NumTcpSock).held, 1);
    container.limit(NumTcpSock, 2);
    let stream = connect(port).expect("there is room");
    assert_eq!(container.count(NumTcpSock).held, 2);
    assert!(connect(port).is_none());
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("settable");
    drop((stream, actor));
    container.ends();
}

#[test]
fn a_flood_of_connections_does_not_overshoot() {
    let Some(container) = Container::new("a_flood_of_connections_does_not_overshoot") else {
        return;
    };
    let mut actor = Actor::start(&container);
    let port = actor.number("listen");
    container.limit(NumTcpSock, 9);
    let made: usize = std::thread::scope(|scope| {
        let many: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..8).filter_map(|_| connect(port)).collect::<Vec<_>>()))
            .collect();
        // All streams stay open until all threads are done.
        let all: Vec<_> = many.into_iter().map(|one| one.join().expect("no panic")).collect();
        let count = container.count(NumTcpSock);
        println!("flood: {count:?}");
        assert_eq!((count.held, count.maxheld), (9, 9));
        assert!(count.failcnt > 0);
        all.iter().map(Vec::len).sum()
    });
    assert!(made >= 8, "{made} of 8 connections");
    drop(actor);
    container.ends();
}

#[test]
fn connecting_to_a_unix_listener_is_charged_to_it() {
    let Some(container) = Container::new("connecting_to_a_unix_listener_is_charged_to_it") else {
        return;
    };
    // The listener is ours, inside; the client outside.
    let dir = std::env::temp_dir().join(format!("ubc-net-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("listener");
    let mut python = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!(
            "echo $$ > {}/cgroup.procs; exec python3 -c 'import socket,time;\
             s=socket.socket(socket.AF_UNIX);s.bind(\"{}\");s.listen(9);time.sleep(1000)'",
            container.scratch.path.display(),
            path.display()
        ))
        .spawn()
        .expect("sh");
    container.settles(NumOtherSock, 1);
    container.limit(NumOtherSock, 2);
    let mut one = std::os::unix::net::UnixStream::connect(&path);
    for _ in 0..1000 {
        if one.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        one = std::os::unix::net::UnixStream::connect(&path);
    }
    let one = one.expect("room for one");
    assert_eq!(container.count(NumOtherSock).held, 2);
    let other = std::os::unix::net::UnixStream::connect(&path).expect_err("no room");
    assert_eq!(other.raw_os_error(), Some(12));
    assert_eq!(container.count(NumOtherSock).failcnt, 1);
    python.kill().expect("killed");
    python.wait().expect("reaped");
    drop(one);
    std::fs::remove_dir_all(&dir).expect("removed");
    container.ends();
}

#[test]
fn an_orphan_is_charged_until_it_is_really_gone() {
    let Some(container) = Container::new("an_orphan_is_charged_until_it_is_really_gone") else {
        return;
    };
    let mut actor = Actor::start(&container);
    let port = actor.number("listen");
    let peer = connect(port).expect("there is room");
    actor.ask("accept");
    assert!(actor.number("fill stream") > 0);
    drop(actor);
    container.settles(NumTcpSock, 1);
    std::thread::sleep(PATIENCE);
    assert_eq!(container.count(NumTcpSock).held, 1, "data is still to be sent");
    assert!(container.count(ubc_core::Resource::TcpSndBuf).held > 0);
    // Unread data: the peer answers with a reset.
    drop(peer);
    container.ends();
}

#[test]
fn a_socket_that_left_the_container_stays_charged() {
    let Some(container) = Container::new("a_socket_that_left_the_container_stays_charged") else {
        return;
    };
    let mut actor = Actor::start(&container);
    let holder = i32::try_from(actor.number("inherit")).expect("a pid");
    drop(actor);
    container.settles(ubc_core::Resource::NumProc, 0);
    assert_eq!(container.count(NumTcpSock).held, 1);
    let holder = rustix::process::Pid::from_raw(holder).expect("a pid");
    rustix::process::kill_process(holder, rustix::process::Signal::KILL).expect("killed");
    container.ends();
}
