//! The socket rows against processes that open known sockets.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::{Actor, Container, held};
use ubc_cgroup::Meters;
use ubc_core::Resource::{
    DgramRcvBuf, NumFile, NumOtherSock, NumTcpSock, OtherSockBuf, TcpRcvBuf, TcpSndBuf,
};
use ubc_core::{Observation, PerResource, Resource};

const SCRIPT: &str = r"
import subprocess
if os.environ.get('UP'): subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
stage()
# Two of each IP version: a listener, and an unbound socket sock_diag never lists.
keep = []
for family, host in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
    s = socket.socket(family, socket.SOCK_STREAM); s.bind((host, 0)); s.listen(5)
    keep += [s, socket.socket(family, socket.SOCK_STREAM)]
listener = keep[0]
stage()
client = socket.create_connection(listener.getsockname())
stage()
server, _ = listener.accept()
stage()
other = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)]
other += socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
other += [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)]
other += [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)]
other += [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)]
other += [socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)]
stage(len(other))
udp = other[0]; udp.bind(('127.0.0.1', 0))
for _ in range(10): udp.sendto(b'x' * 1000, udp.getsockname())
other[2].send(b'y' * 5000)
client.setblocking(False)
try:
    while True: client.send(b'z' * 65536)
except BlockingIOError: pass
stage()
client.close()
stage()
";

fn grown(
    before: &PerResource<Observation>,
    after: &PerResource<Observation>,
    row: Resource,
) -> i64 {
    held(after, row).cast_signed() - held(before, row).cast_signed()
}

/// Without the diag modules only descriptors are counted.
fn sees_all(container: &Container) -> bool {
    let can = container.host.capabilities();
    if !(can.inet_diag && can.unix_diag) {
        common::skip("this kernel has no inet_diag or unix_diag");
    }
    can.inet_diag && can.unix_diag
}

fn step(meters: &mut Meters, actor: &mut Actor) -> PerResource<Observation> {
    actor.next();
    meters.read().unwrap()
}

#[test]
fn every_family_is_counted_once_in_a_network_namespace_of_its_own() {
    let Some(container) = Container::new() else { return };
    if !sees_all(&container) {
        return;
    }
    let mut meters = container.meters();
    let mut actor = container.python(&["env", "UP=1", "unshare", "-n"], SCRIPT);
    let start = step(&mut meters, &mut actor);
    assert_eq!((held(&start, NumTcpSock), held(&start, NumOtherSock)), (0, 0));
    let tcp = step(&mut meters, &mut actor);
    assert_eq!(grown(&start, &tcp, NumTcpSock), 4);
    let queued = step(&mut meters, &mut actor);
    assert_eq!(
        grown(&tcp, &queued, NumTcpSock),
        2,
        "a connection nobody accepted yet has two ends"
    );
    assert_eq!(grown(&tcp, &queued, NumFile), 1);
    let accepted = step(&mut meters, &mut actor);
    assert_eq!(grown(&queued, &accepted, NumTcpSock), 0);
    let other = step(&mut meters, &mut actor);
    assert_eq!(actor.facts, ["8"]);
    assert_eq!(grown(&accepted, &other, NumOtherSock), 8);
    assert_eq!(grown(&accepted, &other, NumTcpSock), 0);
    assert_eq!(held(&other, NumTcpSock) + held(&other, NumOtherSock), 14);
    let full = step(&mut meters, &mut actor);
    assert!(grown(&other, &full, DgramRcvBuf) >= 10_000);
    assert!(grown(&other, &full, OtherSockBuf) >= 5000);
    assert!(grown(&other, &full, TcpSndBuf) > 65_536);
    assert!(grown(&other, &full, TcpRcvBuf) > 65_536);
    let orphan = step(&mut meters, &mut actor);
    assert_eq!(grown(&full, &orphan, NumTcpSock), 0, "an orphan with data to send is a socket");
    assert!(held(&orphan, TcpSndBuf) > 65_536);
    assert_eq!(grown(&full, &orphan, NumFile), -1);
    assert_eq!(meters.metered()[NumTcpSock].to_string(), "sock_diag + fds");
}

#[test]
fn in_the_hosts_network_only_sockets_of_the_container_count() {
    let Some(container) = Container::new() else { return };
    let noise: Vec<_> =
        (0..5).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let mut meters = container.meters();
    let mut actor = container.python(&[], SCRIPT);
    let start = step(&mut meters, &mut actor);
    assert_eq!(held(&start, NumTcpSock), 0, "{noise:?} is not the container's");
    let tcp = step(&mut meters, &mut actor);
    assert_eq!(grown(&start, &tcp, NumTcpSock), 4);
    step(&mut meters, &mut actor);
    let accepted = step(&mut meters, &mut actor);
    assert_eq!(held(&accepted, NumTcpSock), 6);
    let other = step(&mut meters, &mut actor);
    assert_eq!(grown(&accepted, &other, NumOtherSock), 8);
    if !sees_all(&container) {
        return;
    }
    let full = step(&mut meters, &mut actor);
    assert!(grown(&other, &full, OtherSockBuf) >= 5000);
    assert!(grown(&other, &full, TcpSndBuf) > 65_536);
}

#[test]
fn a_socket_shared_by_a_fork_is_one_socket() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &["unshare", "-n"],
        "a, b = socket.socketpair()\nstage()\nif os.fork() == 0: time.sleep(1000)\nos.dup(a.fileno())\nstage()\n",
    );
    let before = step(&mut meters, &mut actor);
    let after = step(&mut meters, &mut actor);
    assert_eq!(held(&before, NumOtherSock), 2);
    assert_eq!(grown(&before, &after, NumOtherSock), 0);
    assert_eq!(grown(&before, &after, NumFile), 0);
}
