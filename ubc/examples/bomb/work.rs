//! What the programs of everybody else do.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::ways::{PAGE, shared};

/// Pages of a piece of shared memory.
const PAGES: usize = 16;

/// So much that malloc(3) maps it.
const MAPPED: usize = 256 << 10;

pub(crate) fn work(path: &str, pause: Duration) -> io::Result<()> {
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
    let _shared = shared(PAGES).map_err(wrong("memfd"))?;
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let sum = thread.spawn(|| {
        // Mapped, touched and given back.
        let memory = vec![1_u8; MAPPED];
        memory.iter().step_by(PAGE).map(|byte| usize::from(*byte)).sum::<usize>()
    });
    let sum = sum.map_err(wrong("thread"))?.join();
    if sum.is_ok_and(|sum| sum == MAPPED / PAGE) { Ok(()) } else { Err(io::Error::other("sum")) }
}
