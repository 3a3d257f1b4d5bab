//! Holds a known number of everything a container is counted for, so that the
//! counts can be compared: `hold files=5 flocks=2 ptys=1`. Says `holding` when
//! it does, and lets go at the end of its standard input.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::exit;

use rustix::fs::{FlockOperation, fcntl_lock, flock};

const USAGE: &str = "usage: hold [files=N] [shared=N] [flocks=N] [posix=N] [ptys=N] [tcp=N] \
                     [udp=N] [unix=N] [threads=N] [kib=N]";

/// Anything: it is held by being kept.
trait Held {}
impl<T> Held for T {}

fn main() {
    let mut held: Vec<Box<dyn Held>> = Vec::new();
    for word in std::env::args().skip(1) {
        let parsed = word.split_once('=').and_then(|(what, n)| Some((what, n.parse().ok()?)));
        let Some((what, count)) = parsed else { wrong() };
        for index in 0..count {
            match hold(what, index) {
                Ok(thing) => held.push(thing),
                Err(error) => {
                    eprintln!("hold: {what} {index}: {error}");
                    exit(1);
                }
            }
        }
    }
    println!("holding");
    // Nobody to tell if the reader is gone: it closes our input then.
    drop(std::io::stdout().flush());
    drop(std::io::stdin().read_to_end(&mut Vec::new()));
    drop(held);
}

fn hold(what: &str, index: u32) -> std::io::Result<Box<dyn Held>> {
    let scratch = |kind: &str| {
        let path = format!("/tmp/hold-{kind}-{}-{index}", std::process::id());
        File::options().create(true).truncate(false).write(true).open(path)
    };
    Ok(match what {
        "files" => Box::new(File::open("/etc/passwd")?),
        // Two descriptors of one open file: one file.
        "shared" => {
            let file = File::open("/etc/passwd")?;
            Box::new((file.try_clone()?, file))
        }
        "flocks" => {
            let file = scratch("flock")?;
            flock(&file, FlockOperation::LockExclusive)?;
            Box::new(file)
        }
        "posix" => {
            let file = scratch("posix")?;
            fcntl_lock(&file, FlockOperation::LockExclusive)?;
            Box::new(file)
        }
        "ptys" => Box::new(File::options().read(true).write(true).open("/dev/ptmx")?),
        "tcp" => Box::new(TcpListener::bind("127.0.0.1:0")?),
        "udp" => Box::new(UdpSocket::bind("127.0.0.1:0")?),
        "unix" => Box::new(UnixDatagram::unbound()?),
        "threads" => Box::new(std::thread::Builder::new().spawn(|| {
            loop {
                std::thread::park();
            }
        })?),
        "kib" => Box::new(vec![1_u8; 1024]),
        _ => wrong(),
    })
}

fn wrong() -> ! {
    eprintln!("{USAGE}");
    exit(2)
}
