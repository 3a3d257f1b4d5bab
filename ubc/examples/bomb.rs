//! Takes of one resource what it gets, gives some of it back and takes it again,
//! until a file is there: `bomb numfile STOP`. What it can take are the
//! resources of `refused`, and `fork` and `half-open`.
//!
//! `bomb work FILE MILLISECONDS` is the opposite: a program that does a little of
//! everything, again and again with that pause, and keeps the number of times in
//! the file. It ends at the first thing that fails, and says which in
//! `FILE.failed`.

#[path = "refused/attempts.rs"]
mod attempts;

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use attempts::{TRIES, Take, attempts, take};
use rustix::fs::{FallocateFlags, FlockOperation, MemfdFlags, fallocate, flock, memfd_create};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

const USAGE: &str = "usage: bomb RESOURCE STOP | bomb work FILE MILLISECONDS";

/// Bytes of a piece of shared memory.
const PIECE: usize = 64 << 10;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["work", file, pause] => match pause.parse() {
            Ok(pause) => work(file, Duration::from_millis(pause)),
            Err(_) => return usage(),
        },
        ["fork", stop] => fork(Path::new(stop)),
        [what, stop] => match way(what) {
            Some(take) => take.map(|take| rage(take, Path::new(stop))),
            None => return usage(),
        },
        _ => return usage(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bomb: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn way(what: &str) -> Option<io::Result<Take>> {
    match what {
        "half-open" => Some(half_open()),
        _ => attempts().into_iter().find(|(name, _)| *name == what).map(|(_, take)| take),
    }
}

/// At the limit for as long as it may, and beyond it as often as it can.
fn rage(mut take: Take, stop: &Path) {
    let mut held = Vec::with_capacity(TRIES);
    // Asking takes no descriptor: there may be none.
    while !stop.exists() {
        match take(held.len()) {
            Ok(thing) if held.len() < TRIES => held.push(thing),
            _ => held.truncate(held.len() - held.len().div_ceil(4)),
        }
    }
}

/// Starts itself, and so does each that was started.
fn fork(stop: &Path) -> io::Result<()> {
    let own = std::env::current_exe()?;
    let mut children = Vec::new();
    while !stop.exists() {
        let mut command = Command::new(&own);
        command.arg("fork").arg(stop).stdin(Stdio::null()).stdout(Stdio::null());
        // Whatever the reason is, the next attempt follows.
        children.extend(command.stderr(Stdio::null()).spawn());
    }
    for mut child in children {
        child.wait()?;
    }
    Ok(())
}

/// Connections that nobody accepts: of the first few one end waits in the
/// listener's queue, the others never hear an answer.
fn half_open() -> io::Result<Take> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr()?.port());
    // As few in the queue as there can be.
    rustix::net::listen(&listener, 0)?;
    Ok(take(move |_| {
        let _unheard = &listener;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }))
}

fn shared() -> io::Result<File> {
    let file = memfd_create("bomb", MemfdFlags::CLOEXEC)?;
    fallocate(&file, FallocateFlags::empty(), 0, PIECE as u64)?;
    Ok(file.into())
}

fn work(path: &str, pause: Duration) -> io::Result<()> {
    let count = File::create(path)?;
    let mut done = 0_u64;
    loop {
        if let Err(error) = piece_of_work(path) {
            std::fs::write(format!("{path}.failed"), format!("after {done} times: {error}"))?;
            return Err(error);
        }
        done += 1;
        // As wide each time: whoever reads it finds a whole number.
        count.write_all_at(format!("{done:012}").as_bytes(), 0)?;
        std::thread::sleep(pause);
    }
}

/// Some of everything that bombs take.
fn piece_of_work(path: &str) -> io::Result<()> {
    let wrong = |what: &'static str| move |error| io::Error::other(format!("{what}: {error}"));
    let file = File::create(format!("{path}.lock")).map_err(wrong("open"))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| wrong("flock")(error.into()))?;
    let (mut one, _other) = UnixStream::pair().map_err(wrong("socket"))?;
    one.write_all(&[0; 256]).map_err(wrong("send"))?;
    let _listener = TcpListener::bind("127.0.0.1:0").map_err(wrong("listen"))?;
    let _shared = shared().map_err(wrong("memfd"))?;
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let sum = thread.spawn(|| {
        // Mapped, touched and given back.
        let memory = vec![1_u8; 1 << 20];
        memory.iter().map(|byte| u64::from(*byte)).sum::<u64>()
    });
    let sum = sum.map_err(wrong("thread"))?.join();
    if sum.is_ok_and(|sum| sum == 1 << 20) { Ok(()) } else { Err(io::Error::other("sum")) }
}
