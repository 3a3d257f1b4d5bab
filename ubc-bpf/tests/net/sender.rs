//! What an actor does that sends: bytes that tell where they belong.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

/// Performs one of the acts below, if it is one.
pub(crate) fn perform(named: &mut HashMap<String, OwnedFd>, words: &[&str]) -> Option<String> {
    let number = |word: &str| word.parse::<usize>().expect("a number");
    let port = |word: &str| word.parse::<u16>().expect("a port");
    Some(match *words {
        ["connect", to, name] => {
            let stream = TcpStream::connect(("127.0.0.1", port(to))).expect("connected");
            named.insert(name.into(), stream.into());
            "0".to_owned()
        }
        ["send", name, bytes] => {
            let stream = TcpStream::from(named[name].try_clone().expect("fd"));
            send(stream, number(bytes)).to_string()
        }
        ["send-at-once", name, at] => send_at_once(&named[name], number(at)).to_string(),
        ["send-file", name, bytes] => send_file(&named[name], number(bytes)).to_string(),
        ["flood", to, senders, bytes] => {
            flood(port(to), number(senders), number(bytes)).to_string()
        }
        ["writable", name, seconds] => {
            is_writable(&named[name], seconds.parse().expect("a number")).to_string()
        }
        _ => return None,
    })
}

/// Longest piece that is sent or compared at once.
const PIECE: usize = 100_000;
/// The bytes repeat after a prime number of them, so that no piece of a buffer can
/// be mistaken for another.
const PERIOD: usize = 251;

/// `length` bytes, at most [`PIECE`], of what every sender sends, from its byte
/// `from` on.
pub(crate) fn piece(from: usize, length: usize) -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..=250).cycle().take(PERIOD + PIECE).collect());
    &BYTES[from % PERIOD..][..length]
}

/// Sends `length` bytes, waiting for room.
fn send(mut stream: TcpStream, length: usize) -> usize {
    for from in (0..length).step_by(PIECE) {
        stream.write_all(piece(from, (length - from).min(PIECE))).expect("sent in the end");
    }
    length
}

/// As much as goes at once.
fn send_at_once(stream: &OwnedFd, at: usize) -> usize {
    let mut sent = at;
    let flags = rustix::net::SendFlags::DONTWAIT;
    loop {
        match rustix::net::send(stream, piece(sent, 10_000), flags) {
            Ok(bytes) => sent += bytes,
            Err(rustix::io::Errno::AGAIN) => return sent,
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// What poll(2) says in that time, and epoll(7) says so, too.
fn is_writable(stream: &OwnedFd, seconds: i64) -> bool {
    let limit = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let by_poll = poll(&mut [PollFd::new(stream, PollFlags::OUT)], Some(&limit)).expect("polled");
    let events = epoll::create(epoll::CreateFlags::CLOEXEC).expect("made");
    let data = epoll::EventData::new_u64(1);
    epoll::add(&events, stream, data, epoll::EventFlags::OUT).expect("added");
    let mut seen = Vec::with_capacity(1);
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    epoll::wait(&events, rustix::buffer::spare_capacity(&mut seen), Some(&now)).expect("waited");
    assert_eq!(by_poll == 1, !seen.is_empty(), "poll and epoll");
    by_poll == 1
}

/// Senders at once, each with a connection of its own.
fn flood(port: u16, senders: usize, length: usize) -> usize {
    let one = || send(TcpStream::connect(("127.0.0.1", port)).expect("connected"), length);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..senders).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|sender| sender.join().expect("no panic")).sum()
    })
}

/// The same bytes from a file.
fn send_file(stream: &OwnedFd, length: usize) -> usize {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create("sent", flags).expect("a file"));
    for from in (0..length).step_by(PIECE) {
        file.write_all(piece(from, (length - from).min(PIECE))).expect("written");
    }
    let mut at = 0;
    while at < length as u64 {
        rustix::fs::sendfile(stream, &file, Some(&mut at), length).expect("sent");
    }
    length
}
