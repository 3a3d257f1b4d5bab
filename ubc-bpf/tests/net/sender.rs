//! What an actor does that sends: bytes that tell where they belong.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::OwnedFd;

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
        ["writable", name, milliseconds] => {
            is_writable(&named[name], milliseconds.parse().expect("a number")).to_string()
        }
        _ => return None,
    })
}

/// Byte `at` of what every sender sends: a prime, so that no piece of a buffer can
/// be mistaken for another.
fn pattern(at: usize) -> u8 {
    u8::try_from(at % 251).expect("below 251")
}

pub(crate) fn piece(from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(pattern).collect()
}

/// Sends `length` bytes, waiting for room.
fn send(mut stream: TcpStream, length: usize) -> usize {
    for from in (0..length).step_by(100_000) {
        let data = piece(from, (length - from).min(100_000));
        stream.write_all(&data).expect("sent in the end");
    }
    length
}

/// As much as goes at once.
fn send_at_once(stream: &OwnedFd, at: usize) -> usize {
    let mut sent = at;
    let flags = rustix::net::SendFlags::DONTWAIT;
    loop {
        match rustix::net::send(stream, &piece(sent, 10_000), flags) {
            Ok(bytes) => sent += bytes,
            Err(rustix::io::Errno::AGAIN) => return sent,
            Err(errno) => panic!("{errno}"),
        }
    }
}

/// What poll(2) and epoll(7) say; they never differ.
fn is_writable(stream: &OwnedFd, milliseconds: i64) -> bool {
    let limit = Timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
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
    file.write_all(&piece(0, length)).expect("written");
    let mut at = 0;
    while let Some(left) =
        length.checked_sub(usize::try_from(at).expect("small")).filter(|left| *left > 0)
    {
        rustix::fs::sendfile(stream, &file, Some(&mut at), left).expect("sent");
    }
    length
}
