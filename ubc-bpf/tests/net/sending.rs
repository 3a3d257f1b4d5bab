//! tcpsndbuf: senders wait for room, and lose nothing.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use ubc_core::Resource::TcpSndBuf;

use crate::Container;
use crate::actor::Actor;
use crate::sender::piece;

pub(crate) const LIMIT: u64 = 200_000;
/// What a connection may have queued whatever the others have: the largest segment,
/// and what the kernel takes to hold it.
pub(crate) const SEGMENT: u64 = 65536 + 8192;
/// Place in SO_MEMINFO.
const QUEUED: &str = "5";

/// Reads to the end; how much there was, all of it right.
pub(crate) fn read_to_end(mut stream: TcpStream) -> usize {
    let mut at = 0;
    let mut buffer = vec![0; 65536];
    loop {
        match stream.read(&mut buffer).expect("readable") {
            0 => return at,
            length => {
                assert!(buffer[..length] == *piece(at, length), "other bytes after {at}");
                at += length;
            }
        }
    }
}

/// A listener outside of the container, for its senders.
pub(crate) struct Peer {
    listener: TcpListener,
    port: u16,
}

impl Peer {
    pub(crate) fn new() -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let port = listener.local_addr().expect("an address").port();
        Peer { listener, port }
    }

    fn accept(&self) -> TcpStream {
        self.listener.accept().expect("accepted").0
    }

    /// The container's sender and our end.
    pub(crate) fn connect(&self, actor: &mut Actor, name: &str) -> TcpStream {
        assert_eq!(actor.ask(&format!("connect {} {name}", self.port)), "0");
        self.accept()
    }

    /// Accepts and reads that many connections to their ends.
    fn read_all(self, connections: usize) -> JoinHandle<usize> {
        std::thread::spawn(move || {
            let readers: Vec<_> = (0..connections)
                .map(|_| self.accept())
                .map(|stream| std::thread::spawn(move || read_to_end(stream)))
                .collect();
            readers.into_iter().map(|reader| reader.join().expect("no panic")).sum()
        })
    }
}

/// Waits until somebody was refused.
fn until_refused(container: &Container) -> ubc_bpf::Count {
    for _ in 0..3000 {
        if container.count(TcpSndBuf).failcnt > 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let full = container.count(TcpSndBuf);
    assert!(full.failcnt > 0, "nobody had to wait: {full:?}");
    full
}

#[test]
fn a_blocking_sender_waits_at_the_limit_and_loses_nothing() {
    const BYTES: usize = 2_000_000;
    let test = "a_blocking_sender_waits_at_the_limit_and_loses_nothing";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    let stream = Peer::new().connect(&mut actor, "out");
    container.limit(TcpSndBuf, LIMIT);
    actor.tell(&format!("send out {BYTES}"));
    let full = until_refused(&container);
    println!("waiting: {full:?}");
    assert!(full.held > LIMIT / 4 && full.held <= LIMIT + SEGMENT, "{full:?}");
    let reader = std::thread::spawn(move || read_to_end(stream));
    assert_eq!(actor.answer(), BYTES.to_string());
    actor.ask("close");
    assert_eq!(reader.join().expect("no panic"), BYTES);
    let after = container.count(TcpSndBuf);
    println!("after: {after:?}");
    assert!(after.maxheld <= LIMIT + SEGMENT, "{after:?}");
    drop(actor);
    container.ends();
}

#[test]
fn a_sender_that_does_not_wait_is_told_so_and_is_not_writable() {
    let test = "a_sender_that_does_not_wait_is_told_so_and_is_not_writable";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    let mut stream = Peer::new().connect(&mut actor, "out");
    container.limit(TcpSndBuf, LIMIT);
    let mut sent = actor.number("send-at-once out 0");
    let full = container.count(TcpSndBuf);
    println!("full: {sent} bytes, {full:?}");
    assert!(sent < 2 * LIMIT, "the kernel's own limits are not this low");
    assert!(full.failcnt >= 1 && full.maxheld <= LIMIT + SEGMENT, "{full:?}");
    assert_eq!(full.held, actor.number(&format!("memory out {QUEUED}")), "the kernel's count");
    assert_eq!(actor.ask("writable out 0"), "false", "a full sender was called writable");
    // Nobody read: nothing has changed, and asking is no refusal.
    assert_eq!(container.count(TcpSndBuf).failcnt, full.failcnt);
    let mut at = 0;
    let mut buffer = vec![0; 10_000];
    for _ in 0..3 {
        while at < sent {
            let length = stream.read(&mut buffer).expect("readable");
            let from = usize::try_from(at).expect("small");
            assert!(buffer[..length] == *piece(from, length), "other bytes after {at}");
            at += length as u64;
        }
        assert_eq!(actor.ask("writable out 60"), "true", "all is read");
        let more = actor.number(&format!("send-at-once out {sent}"));
        assert!(more > sent, "there is room");
        sent = more;
    }
    assert!(container.count(TcpSndBuf).maxheld <= LIMIT + SEGMENT);
    drop((actor, stream));
    container.ends();
}

#[test]
fn greedy_senders_leave_a_small_one_its_turn() {
    const GREED: usize = 3_000_000;
    let test = "greedy_senders_leave_a_small_one_its_turn";
    let Some(container) = Container::new(test) else { return };
    let (mut greedy, mut small) = (Actor::start(&container), Actor::start(&container));
    container.limit(TcpSndBuf, LIMIT);
    let stopped = Peer::new();
    greedy.tell(&format!("flood {} 2 {GREED}", stopped.port));
    let streams = [stopped.accept(), stopped.accept()];
    // Both wait for readers that do not read.
    until_refused(&container);
    let mut stream = Peer::new().connect(&mut small, "out");
    let mut buffer = vec![0; 1000];
    for turn in 0..20 {
        assert_eq!(small.number("send out 1000"), 1000, "turn {turn}");
        stream.read_exact(&mut buffer).expect("there it is");
        assert!(buffer == piece(0, 1000));
    }
    let full = container.count(TcpSndBuf);
    println!("a small one between greedy ones: {full:?}");
    let readers = streams.map(|stream| std::thread::spawn(move || read_to_end(stream)));
    assert_eq!(greedy.answer(), (2 * GREED).to_string());
    for reader in readers {
        assert_eq!(reader.join().expect("no panic"), GREED);
    }
    assert!(container.count(TcpSndBuf).maxheld <= LIMIT + 3 * SEGMENT);
    drop((greedy, small, stream));
    container.ends();
}

#[test]
fn a_storm_of_senders_overshoots_by_a_segment_each_at_most() {
    const SENDERS: usize = 8;
    const BYTES: usize = 2_000_000;
    let test = "a_storm_of_senders_overshoots_by_a_segment_each_at_most";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    container.limit(TcpSndBuf, LIMIT);
    let peer = Peer::new();
    let port = peer.port;
    let readers = peer.read_all(SENDERS);
    assert_eq!(actor.number(&format!("flood {port} {SENDERS} {BYTES}")), (SENDERS * BYTES) as u64);
    assert_eq!(readers.join().expect("no panic"), SENDERS * BYTES);
    let count = container.count(TcpSndBuf);
    println!("storm of senders: {count:?}");
    assert!(count.failcnt > 0, "{count:?}");
    assert!(count.maxheld <= LIMIT + SENDERS as u64 * SEGMENT, "{count:?}");
    container.settles(TcpSndBuf, 0);
    drop(actor);
    container.ends();
}

#[test]
fn a_limit_below_one_segment_does_not_stop_a_connection() {
    const BYTES: usize = 1_000_000;
    let test = "a_limit_below_one_segment_does_not_stop_a_connection";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    container.limit(TcpSndBuf, 1);
    let peer = Peer::new();
    let port = peer.port;
    let readers = peer.read_all(1);
    assert_eq!(actor.number(&format!("flood {port} 1 {BYTES}")), BYTES as u64);
    assert_eq!(readers.join().expect("no panic"), BYTES);
    let count = container.count(TcpSndBuf);
    println!("one segment at a time: {count:?}");
    assert!(count.failcnt > 0 && count.maxheld <= SEGMENT, "{count:?}");
    drop(actor);
    container.ends();
}

#[test]
fn a_file_that_is_sent_waits_for_room_too() {
    const BYTES: usize = 2_000_000;
    let test = "a_file_that_is_sent_waits_for_room_too";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    let stream = Peer::new().connect(&mut actor, "out");
    container.limit(TcpSndBuf, LIMIT);
    actor.tell(&format!("send-file out {BYTES}"));
    let full = until_refused(&container);
    println!("a file: {full:?}");
    let reader = std::thread::spawn(move || read_to_end(stream));
    assert_eq!(actor.answer(), BYTES.to_string());
    actor.ask("close");
    assert_eq!(reader.join().expect("no panic"), BYTES);
    assert!(container.count(TcpSndBuf).maxheld <= LIMIT + SEGMENT);
    drop(actor);
    container.ends();
}

#[test]
fn a_container_without_a_limit_is_not_held_up() {
    let test = "a_container_without_a_limit_is_not_held_up";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    let stream = Peer::new().connect(&mut actor, "out");
    // The kernel's own limit.
    let sent = actor.number("send-at-once out 0");
    assert!(sent > 1_000_000, "{sent} bytes");
    assert_eq!(container.count(TcpSndBuf).failcnt, 0);
    drop((actor, stream));
    container.ends();
}

#[test]
fn a_connection_gets_its_room_back_when_the_limit_goes_up() {
    let test = "a_connection_gets_its_room_back_when_the_limit_goes_up";
    let Some(container) = Container::new(test) else { return };
    let mut actor = Actor::start(&container);
    let stream = Peer::new().connect(&mut actor, "out");
    container.limit(TcpSndBuf, LIMIT / 2);
    let sent = actor.number("send-at-once out 0");
    let full = container.count(TcpSndBuf);
    assert!(full.maxheld <= LIMIT / 2 + SEGMENT, "{full:?}");
    container.limit(TcpSndBuf, 16 * LIMIT);
    let more = actor.number(&format!("send-at-once out {sent}"));
    let count = container.count(TcpSndBuf);
    println!("room again: {sent}, then {more} bytes, {count:?}");
    assert!(count.held > LIMIT + SEGMENT, "still at the old limit: {count:?}");
    drop((actor, stream));
    container.ends();
}
