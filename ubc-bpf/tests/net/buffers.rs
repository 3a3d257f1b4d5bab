//! tcpsndbuf, tcprcvbuf, othersockbuf, dgramrcvbuf.

use std::io::Write as _;
use std::net::{TcpStream, UdpSocket};

use ubc_core::Resource::{DgramRcvBuf, OtherSockBuf, TcpRcvBuf, TcpSndBuf};

use crate::Container;
use crate::actor::Actor;

// Places in SO_MEMINFO.
const RECEIVED: &str = "0";
const SENT: &str = "2";
const QUEUED: &str = "5";

#[test]
fn a_flood_of_datagrams_is_dropped_at_the_limit() {
    let Some(container) = Container::new("a_flood_of_datagrams_is_dropped_at_the_limit") else {
        return;
    };
    let mut actor = Actor::start(&container);
    let port = u16::try_from(actor.number("udp")).expect("a port");
    container.limit(DgramRcvBuf, 65536);
    let flood = || {
        let from = UdpSocket::bind("127.0.0.1:0").expect("bound");
        for _ in 0..200 {
            from.send_to(&[7; 1000], ("127.0.0.1", port)).expect("sent");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(flood);
        scope.spawn(flood);
    });
    let full = container.count(DgramRcvBuf);
    assert_eq!(full.held, actor.number(&format!("memory udp {RECEIVED}")), "the kernel's count");
    let got = actor.number("read-all udp");
    println!("datagrams: {full:?}, {got} read");
    assert_eq!(full.failcnt, 400 - got, "each drop is counted");
    assert!(got > 0 && full.failcnt > 0);
    assert!(full.maxheld <= 65536, "{full:?}");
    assert_eq!(container.count(DgramRcvBuf).held, 0, "all is read");
    // It goes on.
    let from = UdpSocket::bind("127.0.0.1:0").expect("bound");
    from.send_to(b"more", ("127.0.0.1", port)).expect("sent");
    assert_eq!(actor.number("read-all udp"), 1);
    drop(actor);
    container.ends();
}

#[test]
fn a_slow_reader_holds_the_sender_up_and_nothing_is_lost() {
    const BYTES: usize = 2_000_000;
    const LIMIT: u64 = 200_000;
    let Some(container) = Container::new("a_slow_reader_holds_the_sender_up_and_nothing_is_lost")
    else {
        return;
    };
    let mut actor = Actor::start(&container);
    let port = u16::try_from(actor.number("listen")).expect("a port");
    // The kernel's own limit, for one socket, is far away.
    assert_eq!(actor.ask("window 8000000"), "0");
    container.limit(TcpRcvBuf, LIMIT);
    let mut peer = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    actor.ask("accept");
    let sender = std::thread::spawn(move || {
        peer.write_all(&vec![9; BYTES]).expect("sent in the end");
        peer
    });
    for _ in 0..1000 {
        if container.count(TcpRcvBuf).failcnt > 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let full = container.count(TcpRcvBuf);
    println!("segments: {full:?}");
    assert!(full.failcnt > 0, "nothing was refused");
    assert_eq!(full.held, actor.number(&format!("memory stream {RECEIVED}")), "the kernel's count");
    assert_eq!(actor.number(&format!("drain {BYTES}")), BYTES as u64);
    println!("segments: {:?}", container.count(TcpRcvBuf));
    let peer = sender.join().expect("no panic");
    assert!(container.count(TcpRcvBuf).maxheld <= LIMIT);
    container.settles(TcpRcvBuf, 0);
    drop((peer, actor));
    container.ends();
}

#[test]
fn bytes_sent_are_counted_as_the_kernel_counts_them() {
    let Some(container) = Container::new("bytes_sent_are_counted_as_the_kernel_counts_them") else {
        return;
    };
    let mut actor = Actor::start(&container);
    let port = u16::try_from(actor.number("listen")).expect("a port");
    let peer = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    actor.ask("accept");
    assert!(actor.number("fill stream") > 0);
    let queued = actor.number(&format!("memory stream {QUEUED}"));
    assert!(queued > 0);
    container.settles(TcpSndBuf, queued);
    for kind in ["stream", "datagram"] {
        // Replaces the pair before, whose bytes go with it.
        actor.ask(&format!("unix-pair {kind}"));
        assert!(actor.number("fill unix") > 0);
        let sent = actor.number(&format!("memory unix {SENT}"));
        assert!(sent > 0);
        assert_eq!(container.count(OtherSockBuf).held, sent, "{kind}");
        if kind == "datagram" {
            actor.number("read-all peer");
            assert_eq!(container.count(OtherSockBuf).held, 0, "all is read");
        }
    }
    drop((peer, actor));
    container.ends();
}
